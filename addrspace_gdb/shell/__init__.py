"""The addrspace-gdb command: its arguments, gdb in batch mode, compressed cores."""
