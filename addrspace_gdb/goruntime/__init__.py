"""The Go runtime's view, one file a subsystem, named as Go's own source names it."""
