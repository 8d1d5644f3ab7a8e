"""The adapters to debuggers, one folder each."""
