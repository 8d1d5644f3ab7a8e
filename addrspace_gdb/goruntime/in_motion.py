"""Was the process stopped while the runtime changed its books? Then two of its numbers may differ."""

from __future__ import annotations

from typing import Iterator, List

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.mstats import Sources

_HELD = 3  # locked, or waited for: bits of mutex.key (src/runtime/lock_futex.go, lock_spinbit.go)
_DRAINED = 1 << 31  # sweepDrainedMask, src/runtime/mgcsweep.go


def unsettled(sources: Sources) -> List[str]:
    """What the runtime was in the middle of, a line each; empty where every number should agree.

    What cannot be read is left out: the lines before it still hold.
    """
    found: List[str] = []
    try:
        found.extend(_busy(sources))
    except (UnreadableError, ProblemError, KeyError):
        pass
    return found


def _busy(sources: Sources) -> Iterator[str]:
    if sources.heap.number("lock.key") & _HELD:
        yield "a thread was inside the page allocator (mheap_.lock is held)"
    writing = [p.number("id") for p in sources.ps if p.number("statsSeq") & 1]
    if writing or sources.memstats.number("heapStats.noPLock.key") & _HELD:
        where = f"P {writing[0]}" if writing else "a thread without P"
        yield f"{where} was changing memstats.heapStats"
    state = sources.runtime.variable("runtime.sweep").number("active.state")
    if state & ~_DRAINED and sources.runtime.global_number("runtime.gcphase", 4) == 0:
        yield "spans were being swept: their free objects are counted one span after another"
    if sources.caches.stale:
        yield "Ps hold spans from before the sweep: runtime.ReadMemStats would sweep those first"
