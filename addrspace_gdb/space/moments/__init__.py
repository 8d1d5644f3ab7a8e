"""Address spaces at two moments or of two processes: snapshots, dump files, differences."""
