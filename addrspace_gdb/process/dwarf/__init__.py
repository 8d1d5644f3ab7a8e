"""Debug information (DWARF 2 to 5), read where it is asked for: the compile unit that holds an address."""
