"""The commands: each parses its arguments, asks, and hands the answer to a view."""
