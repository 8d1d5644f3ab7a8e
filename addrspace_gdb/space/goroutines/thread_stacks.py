"""The stacks that belong to threads and not to goroutines: g0 and the signal stack of each M."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Tuple

from addrspace_gdb.goruntime.proc import M
from addrspace_gdb.space.reading.goroutines import GoroutineReading
from addrspace_gdb.target.protocol import Thread


class MStack(NamedTuple):
    """One stack. Sizes in bytes; what is not known is None."""

    m: int
    tid: int  # the kernel's thread id, 0 for an M without a thread
    number: Optional[int]  # of the thread, as the debugger counts
    kind: str  # "g0" or "signal"
    lo: int
    hi: int
    used: Optional[int]  # None: nothing says how far it reaches
    resident: Optional[int]
    goid: Optional[int]  # the goroutine that the M runs
    function: Optional[str]  # where the thread is, if it is on this stack


def m_stacks(reading: GoroutineReading) -> List[MStack]:
    """Every M's stacks, by the M's id. A g0 that the thread is not on is used as far as it was left."""
    threads = {thread.tid: thread for thread in reading.threads}
    found = []
    for m in sorted(reading.scheduler.ms, key=lambda m: m.id):
        thread = threads.get(m.procid) if m.procid else None
        for kind, bounds, saved in (("g0", m.g0_stack, m.g0_sp), ("signal", m.gsignal_stack, 0)):
            if bounds[0] < bounds[1]:
                found.append(_stack(reading, m, thread, kind, bounds, saved))
    return found


def _stack(
    reading: GoroutineReading, m: M, thread: Optional[Thread], kind: str, bounds: Tuple[int, int], saved: int
) -> MStack:
    lo, hi = bounds
    here = thread is not None and thread.sp is not None and lo < thread.sp <= hi
    sp = thread.sp if here and thread is not None and thread.sp is not None else saved
    at = reading.position(m.curg) if m.curg else None
    name = reading.tables.function_name(thread.pc) if here and thread is not None and thread.pc else None
    return MStack(
        m=m.id,
        tid=m.procid,
        number=thread.number if thread is not None else None,
        kind=kind,
        lo=lo,
        hi=hi,
        used=hi - sp if lo < sp <= hi else None,
        resident=reading.residency.resident(lo, hi),
        goid=reading.goroutines.column("goid")[at] if at is not None else None,
        function=reading.tables.printed(name) if name else None,
    )
