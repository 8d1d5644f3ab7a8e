"""The adapter to lldb: its commands, session and targets."""
