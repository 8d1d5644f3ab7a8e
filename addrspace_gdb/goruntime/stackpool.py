"""Free stacks, counted from the lists they wait in (src/runtime/stack.go), without reading all spans."""

from __future__ import annotations

from typing import NamedTuple, Optional

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.columns import Columns, read_columns
from addrspace_gdb.goruntime.mspan import FIELDS
from addrspace_gdb.goruntime.proc import Scheduler
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.sizeclasses import PAGE_SHIFT

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
    """Add up runtime.stackpool, the Ps' mcache.stackcache and runtime.stackLarge."""
    caches = sum(size for p in scheduler.ps for _, size in p.stack_caches if 0 < size <= _MAX_CACHE)
    pool = large = 0
    # In a core without the program's code only what is in these two finds them (stripped/data_search.py).
    for item in (
        runtime.variable("runtime.stackpool").elements("") if runtime.has("runtime.stackpool") else ()
    ):
        spans = _spans(runtime, item.number("item.span.first"), "stackpool")
        for pages, allocated, element in zip(spans["pages"], spans["allocated"], spans["element"]):
            pool += max(0, (pages << PAGE_SHIFT) - allocated * element)
    stacks = runtime.variable("runtime.stackLarge") if runtime.has("runtime.stackLarge") else None
    for listed in stacks.elements("free") if stacks is not None else ():
        spans = _spans(runtime, listed.number("first"), "stackLarge.free")
        large += sum(spans["pages"]) << PAGE_SHIFT
    return FreeStacks(pool, caches, large)


def _spans(runtime: Runtime, first: int, what: str) -> Columns:
    """The spans of a list, as far as it can be followed."""
    layout = runtime.layout("runtime.mspan")
    listed = sorted(runtime.chain(first, layout.scalar("next").offset, what))
    return read_columns(runtime, listed, layout, _FIELDS, what)


def stack_in_use(runtime: Runtime) -> Optional[int]:
    """MemStats.StackInuse: the three generations of heapStats.inStacks added up (src/runtime/mstats.go)."""
    try:
        stats = runtime.variable("runtime.memstats")
        return sum(one.number("inStacks") for one in stats.elements("heapStats.stats")) & ((1 << 64) - 1)
    except (UnreadableError, ProblemError, KeyError):
        return None
