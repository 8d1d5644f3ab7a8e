"""A process or a core file without a debugger: read from /proc, held by ptrace(2), or a file alone."""
