"""The adapter to gdb, the one room that imports it: commands as gdb sees them, session, target."""
