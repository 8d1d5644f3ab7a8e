"""What must not be torn apart by a signal that ends the command: it waits for so long."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from types import FrameType
from typing import Iterator, List, Optional

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PYTHONS = signal.default_int_handler


@contextmanager
def held_signals() -> Iterator[None]:
    """What ends us comes when the block is done. (Blocking it in this thread would not do: another one of
    the process may take it, and Python's handler runs in this one all the same.)

    Python's own handler of SIGINT is left alone: within a debugger it is not what the kernel calls, and
    putting it back would take the debugger's away. The command has handlers of its own.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # the handlers run in the main thread only
        return
    came: List[int] = []

    def keep(number: int, _frame: Optional[FrameType]) -> None:
        came.append(number)

    before = {number: signal.getsignal(number) for number in ENDING}
    held = {number: one for number, one in before.items() if callable(one) and one != _PYTHONS}
    for number in held:
        signal.signal(number, keep)
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
        for one in came:
            signal.raise_signal(one)
