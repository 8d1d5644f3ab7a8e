"""Work that waits for the system, done one step ahead of whoever uses what comes of it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Callable, Generator, Iterable, Iterator, Optional, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

Made = TypeVar("Made")


def ahead(calls: Iterable[Callable[[], Made]]) -> Generator[Made, None, None]:
    """What each of the `calls` returns, in order; the next is made while its forerunner's result is used.

    They are made in a thread, which gains where they let go of Python's lock, as a call through ctypes does.
    Where there is to be no thread more they are made one after the other.
    """
    from concurrent.futures import ThreadPoolExecutor  # 5 ms

    with ThreadPoolExecutor(1, initializer=_leave_signals_alone) as pool:
        try:
            pool.submit(int)  # which starts the thread
        except RuntimeError:  # a limit of processes
            yield from (call() for call in calls)
            return
        yield from _in_turn(pool, calls)


def _in_turn(pool: ThreadPoolExecutor, calls: Iterable[Callable[[], Made]]) -> Iterator[Made]:
    waiting: Optional[Future[Made]] = None
    for call in calls:
        following = pool.submit(call)
        if waiting is not None:
            yield waiting.result()
        waiting = following
    if waiting is not None:
        yield waiting.result()


def _leave_signals_alone() -> None:
    """They are for the threads that were here before."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
