"""The runtime's own numbers: MemStats, metrics and the collector's state, and checks on them."""
