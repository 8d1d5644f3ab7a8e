"""The room that talks to a debugger. Everything above it sees only the ``Target`` protocol."""
