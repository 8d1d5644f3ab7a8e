"""The join of the operating system's view and the Go runtime's: pure data in, data out."""
