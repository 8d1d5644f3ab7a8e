"""Free stacks, counted from the lists they wait in (src/runtime/stack.go), without reading all spans."""

from __future__ import annotations

from typing import Iterator, NamedTuple, Optional, Tuple

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.columns import read_columns
from addrspace_gdb.goruntime.mspan import ADDRESS_BITS, FIELDS
from addrspace_gdb.goruntime.proc import Scheduler
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.sizeclasses import PAGE_SHIFT

POOL_SPAN = 32 << 10  # _StackCacheSize, src/runtime/malloc.go, all versions
SMALLEST_STACK = 1 << 11  # fixedStack on Linux: stackMin, src/runtime/stack.go

_FIELDS = {name: FIELDS[name] for name in ("pages", "allocated", "element")}
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
    """Add up runtime.stackpool, the Ps' mcache.stackcache and runtime.stackLarge; spans that cannot be of
    stacks are left out and told."""
    caches = sum(size for p in scheduler.ps for _, size in p.stack_caches if 0 < size <= _MAX_CACHE)
    pool = large = odd = 0
    # In a core without the program's code only what is in these two finds them (stripped/data_search.py).
    for item in (
        runtime.variable("runtime.stackpool").elements("") if runtime.has("runtime.stackpool") else ()
    ):
        for size, allocated, element in _spans(runtime, item.number("item.span.first"), "stackpool"):
            free = size - allocated * element
            if size == POOL_SPAN and element >= SMALLEST_STACK and free >= 0:
                pool += free
            else:
                odd += 1
    stacks = runtime.variable("runtime.stackLarge") if runtime.has("runtime.stackLarge") else None
    for order, listed in enumerate(stacks.elements("free") if stacks is not None else ()):
        for size, _, element in _spans(runtime, listed.number("first"), "stackLarge.free"):
            if size == element and size >> PAGE_SHIFT >> order == 1:  # stacklog2
                large += size
            else:
                odd += 1
    if odd:
        runtime.problems.add(f"free stacks: {odd} spans hold impossible sizes; left out")
    return FreeStacks(pool, caches, large)


def _spans(runtime: Runtime, first: int, what: str) -> Iterator[Tuple[int, int, int]]:
    """Bytes, stacks in use and bytes of each stack, of the spans of a list as far as it can be followed."""
    layout = runtime.layout("runtime.mspan")
    listed = sorted(runtime.chain(first, layout.scalar("next").offset, what))
    spans = read_columns(runtime, listed, layout, _FIELDS, what)
    for pages, allocated, element in zip(spans["pages"], spans["allocated"], spans["element"]):
        yield pages << PAGE_SHIFT, allocated, element


def stack_in_use(runtime: Runtime) -> Optional[int]:
    """MemStats.StackInuse: the three generations of heapStats.inStacks added up (src/runtime/mstats.go);
    None if it cannot be read, or is more than there are addresses of a heap."""
    try:
        stats = runtime.variable("runtime.memstats")
        found = sum(one.number("inStacks") for one in stats.elements("heapStats.stats")) & ((1 << 64) - 1)
    except (UnreadableError, ProblemError, KeyError):
        return None
    if found >> ADDRESS_BITS:
        runtime.problems.add(f"memstats.heapStats: inStacks is {found:#x}, which is no size; left out")
        return None
    return found
