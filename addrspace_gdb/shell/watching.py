"""The loop of ``addrspace-gdb watch``: takes samples until there is an end, and has them told."""

from __future__ import annotations

import gc
import os
import select
import time
from typing import NamedTuple, Optional, Protocol, Union

from addrspace_gdb.common.held_signals import held_signals
from addrspace_gdb.common.problems import ProblemError, UnreadableError, problem_of
from addrspace_gdb.common.streams import tell
from addrspace_gdb.debugger.direct.answering import NoLayoutsError
from addrspace_gdb.debugger.direct.watching import ReplacedError, Visited, Watching
from addrspace_gdb.shell.hints import SHELL
from addrspace_gdb.shell.precheck import check_process
from addrspace_gdb.shell.run_direct import holding
from addrspace_gdb.shell.run_gdb import Debugger, Signalled
from addrspace_gdb.shell.stopping import before, wait_stoppable
from addrspace_gdb.space.moments.sampled import Gathered, Sample, gather, sampled
from addrspace_gdb.space.moments.watched import EXITED, INTERRUPTED, REPLACED, TIME, Held, Moment, Watched
from addrspace_gdb.space.regions.model import TargetInfo
from addrspace_gdb.target.protocol import Target, kept_of

_LOOK = 0.2  # seconds between two looks at a process, where the kernel does not tell when it ends


class Wanted(NamedTuple):
    """What is asked for. Times are seconds."""

    pid: int
    exe: Optional[str]
    every: float
    until: Optional[float]  # None: as long as it lives
    most: float  # of the time that it may be stopped
    patience: float


class ReaderGone(Exception):
    """Nobody reads any more what is printed."""


class Answers(Protocol):
    """Where samples go. Raises ProblemError, ReaderGone."""

    def begin(self, moment: Moment) -> None:
        """The first sample is there, and is told next."""

    def sample(self, moment: Moment) -> None:
        """A sample was taken."""

    def end(self, moment: Moment) -> None:
        """There will be no further one."""


def watch(wanted: Wanted, answers: Answers) -> int:
    """Watch a process and tell what is seen; returns 0. ProblemError if there is not a single sample."""
    name = check_process(wanted.pid)
    process = _Process(wanted.pid)
    wait_stoppable(wanted.pid, name, wanted.patience, tell)
    loop = _Loop(wanted, answers, name)
    try:
        loop.take()
    except UnreadableError as error:
        raise ProblemError(problem_of(error)) from None
    try:
        loop.begin()
        end = loop.run(process)
    except (KeyboardInterrupt, Signalled):
        end = INTERRUPTED
    except ReaderGone:
        return 0
    try:
        answers.end(loop.moment(end))
    except ReaderGone:
        pass
    return 0


class _Process:
    """Whether a process still is."""

    def __init__(self, pid: int) -> None:
        self._was = before(pid)
        try:
            self._file: Optional[int] = os.pidfd_open(pid)
        except (AttributeError, OSError):  # Linux before 5.3
            self._file = None

    def is_gone(self) -> bool:
        """Whether it has ended; a zombie has."""
        return self.ends_within(0.0)

    def ends_within(self, seconds: float) -> bool:
        """Wait so long, or until it ends; whether it has."""
        if self._file is not None:
            return bool(select.select([self._file], [], [], max(0.0, seconds))[0])
        deadline = time.monotonic() + seconds
        while self._lives():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(left, _LOOK))
        return True

    def _lives(self) -> bool:
        now = before(self._was.pid) if self._was is not None else None
        return now is not None and self._was is not None and now.began == self._was.began


class _Loop:
    """Samples of one process."""

    def __init__(self, wanted: Wanted, answers: Answers, name: str) -> None:
        self._wanted, self._answers = wanted, answers
        self._hold = holding(Debugger(None, wanted.patience, name))
        try:
            self._watching = Watching(wanted.pid, wanted.exe, SHELL)
        except NoLayoutsError as error:
            raise ProblemError(f"{error}; `watch` reads without a debugger, and needs them") from None
        self._watched = Watched()
        self._first: Optional[Visited] = None
        self._last = Visited(0.0, 0.0)
        self._held = Held(0.0, 0.0, 0.0, 0.0)
        self._info: Optional[TargetInfo] = None
        self._time = 0.0
        self._told: Optional[str] = None  # the last reason why there was no sample

    def moment(self, end: Optional[str] = None) -> Moment:
        """What there is to tell."""
        if self._info is None:
            raise ProblemError("there is no sample")
        return Moment(self._info, self._watched, self._time, self._held, end)

    def begin(self) -> None:
        """Tell the first sample."""
        self._answers.begin(self.moment())
        self._answers.sample(self.moment())

    def run(self, process: _Process) -> str:
        """Take and tell samples until something ends it: one of ENDS."""
        while True:
            due = self._due()
            ended = process.ends_within((due if due is not None else self._deadline) - time.monotonic())
            if ended:
                return EXITED
            if due is None:
                return TIME
            try:
                self.take()
            except ReplacedError:
                return REPLACED
            except Exception as error:  # noqa: BLE001  whatever it is, the next sample may be there
                if process.ends_within(0.1):  # its memory goes before it does
                    return EXITED
                self._skip(problem_of(error))
                continue
            self._answers.sample(self.moment())

    @property
    def _deadline(self) -> float:
        """When it is to end, by time.monotonic."""
        began = self._first.began if self._first is not None else 0.0
        return began + (self._wanted.until if self._wanted.until is not None else float("inf"))

    def _due(self) -> Optional[float]:
        """When the next sample is to be taken; None if there is to be none."""
        soonest = self._last.began + self._last.seconds / self._wanted.most
        due = min(max(self._last.began + self._wanted.every, soonest), self._deadline)
        return due if due >= soonest and self._last.began < self._deadline - _ALMOST else None

    def take(self) -> None:
        """Take a sample. ProblemError, UnreadableError."""
        found, visited = self._watching.visit(self._hold, self._ask)
        sample = found if isinstance(found, Sample) else sampled(found)
        with held_signals():
            self._add(sample, visited)
        del found, sample
        gc.collect()  # a reading has circles, and none was collected while it was made

    def _ask(self, target: Target) -> Union[Gathered, Sample]:
        """What runs while the process stands still: all of it, where not all that was read can be kept."""
        watched = self._watched
        found = gather(target, watched.first_of, watched.born_after, watched.born_before)
        self._info = found.reading.info
        kept = kept_of(target)
        return found if kept is None or kept.whole else sampled(found)

    def _add(self, sample: Sample, visited: Visited) -> None:
        self._first = first = self._first or visited
        self._last, self._time, self._told = visited, time.time(), None
        self._watched.add(visited.began - first.began, sample)
        held = self._held
        self._held = Held(
            visited.seconds,
            max(held.longest, visited.seconds),
            held.total + visited.seconds,
            visited.ended - first.began,
        )

    def _skip(self, why: str) -> None:
        """Go on without a sample, and say why, once."""
        if why != self._told:
            tell(f"no sample: {why}")
        self._told = why
        now = time.monotonic()
        self._last = Visited(now, now)


_ALMOST = 0.001  # seconds: a sample at the very end has been taken
