"""Ctrl-C while a command of ours runs: KeyboardInterrupt, as in any Python.

lldb's own handler of SIGINT does not get at Python code that runs in a command (20 to 23). It is put back as
it was, by sigaction(2): Python cannot, for it does not know the handlers of others.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import Any, Iterator, List, Optional

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


@contextmanager
def interrupted_later() -> Iterator[None]:
    """Run a part of such a block in which lldb calls Python: what that raised, lldb would take for its own
    failure. KeyboardInterrupt at the end."""
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    came: List[int] = []
    signal.signal(signal.SIGINT, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if came:
        raise KeyboardInterrupt


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
