"""Every goroutine as columns, and what it takes to say where each stands and to walk its stack."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Dict, List, Optional, Sequence, Tuple

from addrspace_gdb.common.problems import Problems
from addrspace_gdb.goruntime import symtab
from addrspace_gdb.goruntime.proc import GSCAN, RUNNING, SYSCALL, Goroutines, M, Scheduler, is_live
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.synctest import Bubble, read_bubbles
from addrspace_gdb.goruntime.traceback import Unwinder
from addrspace_gdb.goruntime.waitreason import read_wait_reasons
from addrspace_gdb.target.protocol import Thread


class Live:
    """A goroutine that an M has as its curg, and the M's thread."""

    def __init__(self, m: M, thread: Optional[Thread], own: Tuple[int, int]) -> None:
        """`own`: the goroutine's stack."""
        self.m, self._own = m, own
        self.thread = thread  # None: the debugger does not know it (a core that lacks it)

    @cached_property
    def on(self) -> str:
        """Where the thread's sp points: "goroutine", "g0", "signal", "other"; "" where that is not known.

        Its registers are read for it.
        """
        return where(self.m, self.thread.sp if self.thread is not None else None, self._own)

    def look(self) -> str:
        """`on`, read now: while the process stands still."""
        return self.on


@dataclass(frozen=True, eq=False)
class Walkable:
    """Goroutines whose stacks can be walked. What is by position goes by that in the columns."""

    runtime: Runtime
    goroutines: Goroutines
    scheduler: Scheduler
    threads: List[Thread]
    tables: symtab.Symtab
    unwinder: Unwinder
    reasons: List[str]  # what a goroutine may wait for, by number
    bubbles: Dict[int, Bubble]  # of testing/synctest, by position
    live: Dict[int, Live]  # by position

    @property
    def problems(self) -> Problems:
        """What was found damaged."""
        return self.runtime.problems

    def position(self, address: int) -> Optional[int]:
        """Where the g at `address` stands in the columns."""
        return self.goroutines.position(address)


def read_walkable(
    runtime: Runtime, goroutines: Goroutines, scheduler: Scheduler, threads: List[Thread]
) -> Walkable:
    """Read the small tables. KeyError, ProblemError or UnreadableError where the runtime lacks them."""
    tables = symtab.load(runtime.target, runtime.problems)
    return Walkable(
        runtime,
        goroutines,
        scheduler,
        threads,
        tables,
        Unwinder(tables),
        read_wait_reasons(runtime),
        read_bubbles(runtime, goroutines),
        _live(goroutines, scheduler, threads),
    )


def _live(goroutines: Goroutines, scheduler: Scheduler, threads: Sequence[Thread]) -> Dict[int, Live]:
    """Which goroutine each M has."""
    by_tid = {thread.tid: thread for thread in threads}
    los, his = goroutines.column("lo"), goroutines.column("hi")
    found: Dict[int, Live] = {}
    for m in scheduler.ms:
        at = goroutines.position(m.curg) if m.curg else None
        if at is not None:
            found[at] = Live(m, by_tid.get(m.procid), (los[at], his[at]))
    return found


def where(m: M, sp: Optional[int], own: Tuple[int, int]) -> str:
    """Which stack `sp` lies on: `own` is the goroutine's."""
    if sp is None:
        return ""
    places = (("goroutine", own), ("signal", m.gsignal_stack), ("g0", m.g0_stack))
    return next((name for name, (lo, hi) in places if lo < sp <= hi), "other")


def runs(reading: Walkable, at: int) -> bool:
    """Whether its registers, not g.sched, say where the goroutine at that position is."""
    live = reading.live.get(at)
    if live is None:
        return False
    status = reading.goroutines.column("status")[at] & ~GSCAN
    return is_live(status) and (live.on == "goroutine" or status in (RUNNING, SYSCALL))
