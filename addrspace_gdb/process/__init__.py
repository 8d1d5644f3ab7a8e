"""The operating system's view of a process: nothing here knows about Go."""
