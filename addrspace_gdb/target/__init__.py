"""The target as everybody sees it, and the layouts of its types: what all rooms stand on."""
