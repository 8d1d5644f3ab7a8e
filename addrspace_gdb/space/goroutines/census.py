"""The goroutines that can be selected: which are asked for, what they are called, where each stands."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import cached_property
from typing import Iterator, List, NamedTuple, Optional

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import GoneError, ProblemError, Problems, UnreadableError
from addrspace_gdb.goruntime.frames import Frame
from addrspace_gdb.goruntime.ports import PORTS
from addrspace_gdb.goruntime.proc import GSCAN, RUNNING, is_live, read_goroutines, read_scheduler
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.versions import unreadable
from addrspace_gdb.space.goroutines.chosen import Chosen
from addrspace_gdb.space.goroutines.walk import CALLS_C, Start, functions_of, start_of, state_of, walk
from addrspace_gdb.space.reading.walkable import Walkable, read_walkable, runs
from addrspace_gdb.target.protocol import Target, Thread


class GoroutinePlace(NamedTuple):
    """Where a goroutine stands. Without `pc` it is where its thread is."""

    goid: int
    label: str  # `goroutine 17 [chan receive]`
    thread: Optional[Thread]  # the thread that it runs on; None: it is parked
    pc: int = 0
    sp: int = 0
    bp: int = 0
    link: int = 0  # the return address of an empty frame, where a register holds it
    in_c: bool = False  # its thread runs C code that it called

    @property
    def on_thread(self) -> bool:
        """Whether the thread's registers are the goroutine's."""
        return self.pc == 0


class Census:
    """All goroutines of a target that stands still."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.problems = Problems()
        self._runtime = Runtime(target, self.problems)
        try:
            self._goroutines = read_goroutines(self._runtime)
        except (UnreadableError, KeyError) as error:
            raise unreadable(error) from None

    @cached_property
    def _reading(self) -> Walkable:
        """What else it takes; read when the first goroutine is looked for that there is."""
        threads = self.target.threads()
        try:
            scheduler = read_scheduler(self._runtime)
            return read_walkable(self._runtime, self._goroutines, scheduler, threads)
        except (UnreadableError, KeyError) as error:
            raise unreadable(error) from None

    def _at(self, goid: int) -> int:
        """The position of a goroutine that exists. ProblemError."""
        at = self._goroutines.of_goid(goid)
        if at is None:
            raise GoneError(f"there is no goroutine {goid} (`goroutine-stacks` lists them)")
        if not is_live(self._goroutines.column("status")[at]):
            raise GoneError(f"goroutine {goid} is dead: it has ended, and has no frames")
        return at

    def address(self, goid: int) -> int:
        """The address of its g. ProblemError if there is no such goroutine."""
        return self._goroutines.column("address")[self._at(goid)]

    def chosen(self, wanted: Chosen) -> Iterator[int]:
        """The goroutines asked for: in the order of the ranges typed, each of them rising; no one twice.

        Numbers that are asked for one by one come even if there is no such goroutine.
        """
        seen = set()
        named = set(wanted.named())
        for first, last in wanted.ranges or ((1, 1 << 64),):
            for goid in [first] if first == last else self._living_between(first, last):
                if goid not in seen and (goid in named or self._matches(goid, wanted)):
                    seen.add(goid)
                    yield goid

    def _living_between(self, first: int, last: int) -> List[int]:
        goids = self.goids
        return goids[bisect_left(goids, first) : bisect_right(goids, last)]

    @cached_property
    def goids(self) -> List[int]:
        """The numbers of all goroutines that exist, rising."""
        rows = self._goroutines.rows("goid", "status")
        return sorted(goid for goid, status in rows if goid and is_live(status))

    def _matches(self, goid: int, wanted: Chosen) -> bool:
        at = self._goroutines.of_goid(goid)
        if at is None or not is_live(self._goroutines.column("status")[at]):
            return False
        if not wanted.filtered:
            return True
        if not wanted.matches(state_of(self._reading, at)):
            return False
        return not wanted.functions or wanted.calls(functions_of(self._reading, at)) == wanted.all_functions

    def place(self, goid: int) -> GoroutinePlace:
        """Where the goroutine stands. ProblemError, in one line, if it does not exist or is damaged."""
        at = self._at(goid)
        reading, live = self._reading, self._reading.live.get(at)
        label = f"goroutine {goid} [{printable(state_of(reading, at).text)}]"
        start = start_of(reading, at)
        thread = live.thread if live is not None and runs(reading, at) else None
        in_c = thread is not None and start.in_syscall and self._calls_c(start.pc)
        # Through the frame of a signal handler gdb finds the way back itself, but not out of C.
        if thread is not None and live is not None and (start.trap or (live.on == "signal" and not in_c)):
            return GoroutinePlace(goid, label, thread)
        wrong = self._wrong(at, start, thread)
        if wrong:
            raise ProblemError(f"{label}: {wrong}")
        return GoroutinePlace(
            goid, label, thread, self._resumed(start.pc), start.sp, start.bp, start.link or 0, in_c
        )

    def frames(self, goid: int) -> List[Frame]:
        """The logical frames of a goroutine, innermost first, those of the runtime too. ProblemError."""
        reading, at = self._reading, self._at(goid)
        walked = walk(reading, at)
        if walked.problem and not walked.pcs:
            raise ProblemError(f"goroutine {goid}: {walked.problem}")
        return reading.unwinder.frames(walked)

    def _calls_c(self, pc: int) -> bool:
        func = self._reading.tables.find(pc)
        return func is not None and func.name == CALLS_C

    def _wrong(self, at: int, start: Start, thread: Optional[Thread]) -> str:
        """Why the goroutine cannot be shown where it stands; empty if it can."""
        columns, live = self._goroutines.columns, self._reading.live.get(at)
        lo, hi = columns["lo"][at], columns["hi"][at]
        if thread is None and columns["status"][at] & ~GSCAN == RUNNING:
            unknown = (
                f"thread {live.m.procid}, which the debugger does not have" if live else "no known thread"
            )
            return f"it runs on {unknown}"
        if not lo < start.sp <= hi:
            return (
                f"its saved stack pointer {start.sp:#x} is outside its stack {lo:#x}-{hi:#x}; "
                "the g is damaged, or the goroutine was being switched"
            )
        return start.problem or ("" if start.pc else "its saved pc is 0: it was being made")

    def _resumed(self, pc: int) -> int:
        """The saved pc as gdb reads it: a return address, which lies behind the call it shows.

        A goroutine that has not run yet, or was preempted at the entry of a function, saved the address of
        a function's first instruction (gostartcall, rewindmorestack); the least size of one is added, or gdb
        would show the function that stands before it in memory.
        """
        func = self._reading.tables.find(pc)
        port = PORTS.get(self.target.arch)
        return pc + (port.quantum if port else 1) if func is not None and func.entry == pc else pc

    def running_on(self, thread: Thread) -> int:
        """The goid of the goroutine that runs on the thread; 0 if there is none."""
        live = self._reading.live.items()
        at = next((at for at, one in live if one.m.procid == thread.tid), None)
        return self._goroutines.column("goid")[at] if at is not None else 0

    @cached_property
    def _threads(self) -> List[Thread]:
        return self.target.threads()

    def thread(self, number: int) -> Optional[Thread]:
        """A thread by the debugger's number."""
        return next((t for t in self._threads if t.number == number), None)
