"""Ctrl-C while a command of ours runs: KeyboardInterrupt, as in any Python.

lldb's own handler of SIGINT does not get at Python code that runs in a command (20 to 23). It is put back as
it was, by sigaction(2): Python cannot, for it does not know the handlers of others.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import Any, Iterator, Optional

_SIZE = 512  # bytes, more than any struct sigaction


@contextmanager
def interruptible() -> Iterator[None]:
    """Run a block that Ctrl-C ends by KeyboardInterrupt; where that cannot be, it is run all the same."""
    before = _handler() if threading.current_thread() is threading.main_thread() else None
    if before is None:
        yield
        return
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        yield
    finally:
        _put_back(before)


def _handler() -> Optional[Any]:
    """What the kernel has for SIGINT, as sigaction(2) tells it; None if that cannot be had."""
    try:
        import ctypes

        before = ctypes.create_string_buffer(_SIZE)
        failed = ctypes.CDLL(None).sigaction(signal.SIGINT, None, before)
    except (ImportError, OSError, AttributeError):  # ctypes is an optional part of Python
        return None
    return None if failed else before


def _put_back(before: Any) -> None:
    import ctypes

    ctypes.CDLL(None).sigaction(signal.SIGINT, before, None)
