"""The bulk engine: a process of its own, an ordinary Python that may have numpy and numba."""
