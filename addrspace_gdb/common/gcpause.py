"""For passes that make millions of small objects and no cycles: Python's cycle collector stays out."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import Iterator


@contextmanager
def no_cycle_collection() -> Iterator[None]:
    """Suspend the cycle collector, which would look at every tuple again and again; put it back after."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
