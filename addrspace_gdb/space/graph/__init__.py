"""The heap as a graph: what the worker is told, and what its answers mean."""
