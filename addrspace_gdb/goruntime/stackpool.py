"""Free stacks, counted from the lists they wait in (src/runtime/stack.go), without reading all spans."""

from __future__ import annotations

from typing import Iterator, NamedTuple, Optional

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.proc import Scheduler
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.sizeclasses import PAGE_SHIFT

_MAX_CACHE = 1 << 24  # bytes in one P's list; _StackCacheSize is 32 KiB


class FreeStacks(NamedTuple):
    """Bytes of stack memory that no goroutine has."""

    pool: int  # in spans of the global pool
    caches: int  # in the Ps' caches
    large: int  # whole spans of large stacks

    @property
    def total(self) -> int:
        """All of it."""
        return self.pool + self.caches + self.large


def read_free_stacks(runtime: Runtime, scheduler: Scheduler) -> FreeStacks:
    """Add up runtime.stackpool, the Ps' mcache.stackcache and runtime.stackLarge."""
    caches = sum(size for p in scheduler.ps for _, size in p.stack_caches if 0 < size <= _MAX_CACHE)
    pool = large = 0
    # In a core without the program's code only what is in these two finds them (stripped/data_search.py).
    for item in (
        runtime.variable("runtime.stackpool").elements("") if runtime.has("runtime.stackpool") else ()
    ):
        for span in _spans(runtime, item.number("item.span.first"), "stackpool"):
            pool += max(0, (span.pages << PAGE_SHIFT) - span.allocated * span.element)
    stacks = runtime.variable("runtime.stackLarge") if runtime.has("runtime.stackLarge") else None
    for listed in stacks.elements("free") if stacks is not None else ():
        for span in _spans(runtime, listed.number("first"), "stackLarge.free"):
            large += span.pages << PAGE_SHIFT
    return FreeStacks(pool, caches, large)


class _Span(NamedTuple):
    pages: int
    allocated: int  # stacks
    element: int  # bytes of a stack


def _spans(runtime: Runtime, first: int, what: str) -> Iterator[_Span]:
    layout = runtime.layout("runtime.mspan")
    names = ("npages", "allocCount", "elemsize")
    ordered = layout.order(*names)
    unpack = layout.decoder(*ordered, byte_order=runtime.target.byte_order).unpack_from
    npages, allocated, element = (ordered.index(name) for name in names)
    for address in runtime.chain(first, layout.scalar("next").offset, what):
        try:
            row = unpack(runtime.target.read(address, layout.size))
        except UnreadableError:
            return
        yield _Span(row[npages], row[allocated], row[element])


def stack_in_use(runtime: Runtime) -> Optional[int]:
    """MemStats.StackInuse: the three generations of heapStats.inStacks added up (src/runtime/mstats.go)."""
    try:
        stats = runtime.variable("runtime.memstats")
        return sum(one.number("inStacks") for one in stats.elements("heapStats.stats")) & ((1 << 64) - 1)
    except (UnreadableError, ProblemError, KeyError):
        return None
