"""Profiles for `go tool pprof`: those that the runtime keeps, and those that only an outsider can make."""
