"""Work that waits for the system, done some steps ahead of whoever uses what comes of it."""

from __future__ import annotations

import threading
from collections import deque
from queue import SimpleQueue
from typing import Callable, Deque, Generator, Generic, Iterable, Iterator, List, Optional, Tuple, TypeVar

from addrspace_gdb.common.later import leave_signals_alone

AHEAD = 2  # calls made while a result is used, each in a thread: two processors copy twice as fast as one

Made = TypeVar("Made")


def ahead(calls: Iterable[Callable[[], Made]]) -> Generator[Made, None, None]:
    """What each of the `calls` returns, in order; the next `AHEAD` are made while a result is used.

    They are made in threads, which gains where they let go of Python's lock, as a call through ctypes does.
    Where there are to be no more threads they are made one after the other.
    """
    hands: List[_Hand[Made]] = []
    try:
        for _ in range(AHEAD):
            try:
                hands.append(_Hand())
            except RuntimeError:  # a limit of processes
                break
        yield from _in_turn(hands, calls) if hands else (call() for call in calls)
    finally:
        for hand in hands:
            hand.end()


class _Hand(Generic[Made]):
    """A thread that makes one call after the other. (concurrent.futures takes 20 ms to import.)"""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Optional[Callable[[], Made]]] = SimpleQueue()
        self._made: SimpleQueue[Tuple[List[Made], Optional[BaseException]]] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def give(self, call: Callable[[], Made]) -> None:
        """A call to make after those that were given before."""
        self._calls.put(call)

    def take(self) -> Made:
        """What the next of them returned; raises what it raised."""
        made, error = self._made.get()
        if error is not None:
            raise error
        return made[0]

    def end(self) -> None:
        """No call is being made any more, nor will be, when this returns."""
        while not self._calls.empty():
            self._calls.get_nowait()
        self._calls.put(None)
        self._thread.join()

    def _work(self) -> None:
        leave_signals_alone()
        for call in iter(self._calls.get, None):
            try:
                self._made.put(([call()], None))
            except BaseException as error:  # noqa: BLE001 (whoever takes it raises it)
                self._made.put(([], error))


def _in_turn(hands: List[_Hand[Made]], calls: Iterable[Callable[[], Made]]) -> Iterator[Made]:
    waiting: Deque[_Hand[Made]] = deque()
    for number, call in enumerate(calls):
        hand = hands[number % len(hands)]
        hand.give(call)
        waiting.append(hand)
        if len(waiting) > len(hands):
            yield waiting.popleft().take()
    while waiting:
        yield waiting.popleft().take()
