"""Work that several threads share, where some of it is done one at a time and in order."""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import partial
from threading import Condition
from typing import Callable, Iterator, List, Optional, Sequence, Set

from addrspace_gdb.common.later import Later

_MOST = 4  # threads: more would wait for memory


class Turns:
    """Jobs by number. What comes out depends on no thread's speed as long as a job changes what others see
    only while it is its turn at a gate."""

    def __init__(self, count: int, gates: int) -> None:
        self._count, self._taken = count, 0
        self._passed = [0] * gates
        self._skipped: List[Set[int]] = [set() for _ in range(gates)]
        self._changed = Condition()
        self._failed = count  # the first job that did
        self._error: Optional[BaseException] = None

    @contextmanager
    def at(self, gate: int, job: int) -> Iterator[None]:
        """Wait until all jobs before this one have passed a gate, and pass it."""
        with self._changed:
            self._changed.wait_for(lambda: self._passed[gate] == job or self._failed < job)
            if self._failed < job:
                raise _StopError
        yield
        with self._changed:
            self._pass(gate, job)

    def skip(self, gate: int, job: int) -> None:
        """Let those behind this one pass a gate once all before it have; it need not."""
        with self._changed:
            self._skipped[gate].add(job)
            if self._passed[gate] == job:
                self._pass(gate, job)

    def _pass(self, gate: int, job: int) -> None:
        job += 1
        while job in self._skipped[gate]:
            self._skipped[gate].remove(job)
            job += 1
        self._passed[gate] = job
        self._changed.notify_all()

    def run(self, works: Sequence[Callable[[int, Turns], None]]) -> None:
        """Do all jobs, with a thread for each of `works`. What goes wrong is raised: of several the first."""
        others = [Later(partial(self._loop, work)) for work in works[1:]]
        self._loop(works[0])
        for other in others:
            other.end()
        if self._error is not None:
            raise self._error

    def _loop(self, work: Callable[[int, Turns], None]) -> None:
        for job in iter(self._take, None):
            try:
                work(job, self)
            except _StopError:
                return
            except BaseException as error:  # noqa: BLE001  whatever it is, it is raised by `run`
                self._fail(job, error)
                return

    def _take(self) -> Optional[int]:
        with self._changed:
            job = self._taken
            self._taken += 1
            return job if job < self._failed else None

    def _fail(self, job: int, error: BaseException) -> None:
        with self._changed:
            if job < self._failed:
                self._failed, self._error = job, error
            self._changed.notify_all()


class _StopError(Exception):
    """A job before this one has failed."""


def hands() -> int:
    """How many threads can work at a time."""
    return max(1, min(_MOST, len(os.sched_getaffinity(0))))
