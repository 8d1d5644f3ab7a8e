"""A process that is held for a moment, again and again. What does not change is looked up once: symbols,
layouts, what leads to the runtime's variables."""

from __future__ import annotations

import os
import threading
import time
from typing import Callable, List, NamedTuple, NoReturn, Optional, Tuple, TypeVar

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.debugger.direct.answering import Hold, check_layouts
from addrspace_gdb.debugger.direct.base import DirectTarget
from addrspace_gdb.debugger.direct.live import LiveTarget
from addrspace_gdb.goruntime.stripped.target import StrippedTarget, with_runtime
from addrspace_gdb.process.local_proc import LocalProc
from addrspace_gdb.process.mappings import parse_maps
from addrspace_gdb.target.hints import Hints
from addrspace_gdb.target.protocol import Target

_Answer = TypeVar("_Answer")


class ReplacedError(ProblemError):
    """The process runs another program now: it has called execve(2)."""


class Visited(NamedTuple):
    """When the process stood still, by time.monotonic."""

    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """How long."""
        return self.ended - self.began


class Watching:
    """Process `pid` between its stops."""

    def __init__(self, pid: int, program: Optional[str], hints: Hints) -> None:
        """`program`: the file to take symbols from, where that is not the running one. ProblemError;
        NoLayoutsError if only debug information could tell."""
        self._proc = LocalProc(pid)
        self._was = self._image()
        self._base = LiveTarget(pid, program, hints)
        base: DirectTarget = self._base
        self._target = with_runtime(base)
        self._base.known = self._target
        check_layouts(self._target)
        self._files: Tuple[Tuple[str, int], ...] = ()
        self._look_up()
        if isinstance(self._target, StrippedTarget):
            self._target.prepare()

    def _image(self) -> Tuple[object, ...]:
        """What tells the program that runs from one that took its place: execve(2) writes a new auxiliary
        vector, whose addresses are others. ProblemError if there is no process any more."""
        try:
            status = os.stat(self._proc.path("exe"))
            return status.st_dev, status.st_ino, self._proc.read("auxv")
        except OSError as error:
            raise ProblemError(f"{self._proc.path('exe')}: {error.strerror}") from None

    def _look_up(self) -> None:
        """The symbols of the files that are mapped now."""
        try:
            mappings = parse_maps(self._proc.read("maps"))
        except OSError as error:
            raise ProblemError(f"{self._proc.path('maps')}: {error.strerror}") from None
        files = tuple((m.file, m.start) for m in mappings if m.file is not None and "x" in m.permissions)
        if files != self._files:
            self._files = files
            self._base.forget_objects()
            self._base.objects.load()

    def visit(self, hold: Hold, ask: Callable[[Target], _Answer]) -> Tuple[_Answer, Visited]:
        """What `ask` answers while the process stands still. ProblemError, as `hold` and `ask` have it;
        ReplacedError."""
        if self._image() != self._was:
            raise ReplacedError("the process runs another program now")
        self._look_up()

        def work() -> Tuple[_Answer, Visited]:
            began = time.monotonic()
            try:
                hold(self._base)
                answer = ask(self._target)
            finally:
                self._base.release()
            return answer, Visited(began, time.monotonic())

        return _apart(work)


def _apart(work: Callable[[], _Answer]) -> _Answer:
    """Done by a thread of its own. The kernel lets go what a thread traces when that thread ends: also
    threads that were killed, or called execve(2), while they were held, which cannot be let go otherwise.
    An interrupt is raised when it has ended; a second one at once."""
    done: List[Callable[[], _Answer]] = []

    def run() -> None:
        try:
            found = work()
        except BaseException as error:  # noqa: BLE001  it is raised by whoever waits
            reason = error
            done.append(lambda: _raised(reason))
        else:
            done.append(lambda: found)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException:
        thread.join()
        raise
    return done.pop()()


def _raised(error: BaseException) -> NoReturn:
    raise error
