"""What the adapters to gdb and to lldb have in common."""
