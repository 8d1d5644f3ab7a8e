"""Struct layouts of the Go runtime, taken from the DWARF of programs that real toolchains build."""
