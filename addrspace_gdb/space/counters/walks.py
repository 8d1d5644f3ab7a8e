"""Statistics that a walk over the runtime's structures gives too, beside the runtime's counters."""

from __future__ import annotations

from functools import cached_property
from typing import Dict, List, NamedTuple, Optional, Tuple

from addrspace_gdb.common import sizes
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime import mpagealloc
from addrspace_gdb.goruntime.all_of_go import GoView
from addrspace_gdb.goruntime.metrics import counts_system
from addrspace_gdb.goruntime.mprof import profile_bytes
from addrspace_gdb.goruntime.mspan import DEAD, PAGE, USER_ARENA
from addrspace_gdb.goruntime.mstats import Sources
from addrspace_gdb.goruntime.proc import count_by_status
from addrspace_gdb.goruntime.record import Record

_CHUNK = 16 << 10  # _FixAllocChunk, src/runtime/malloc.go, all versions


class Walked(NamedTuple):
    """What a walk found, over which structures, and why not if it could not."""

    value: Optional[int]
    over: str
    reason: Optional[str] = None


def returned_bytes(go: GoView) -> int:
    """Bytes of heap pages that were returned to the OS, those in the Ps' page caches too."""
    runs = [*go.pages.runs, *go.pages.cached]
    return sum(r.end - r.start for r in runs if r.state == mpagealloc.RETURNED) + _padding(go)


def idle_bytes(go: GoView) -> int:
    """Bytes of heap pages in no span, returned ones too."""
    free = sum(r.end - r.start for r in go.pages.runs if r.state != mpagealloc.ALLOCATED)
    return free + sum(r.end - r.start for r in go.pages.cached) + _padding(go)


def unowned(go: GoView) -> Optional[str]:
    """What to say if the page bitmaps and the spans disagree about what is allocated; None if they agree."""
    amount = unowned_bytes(go)
    if amount == 0:
        return None
    more = sizes.size(abs(amount))
    if amount > 0:
        return f"{more} of pages are allocated and in no span: a span was being made, or the heap is damaged"
    return f"{more} of spans are on free pages: a span was being freed, or the heap is damaged"


def unowned_bytes(go: GoView) -> int:
    """Bytes of pages that are allocated and in no span, less those of spans on free pages."""
    grown = sum(end - start for start, end in go.pages.in_use)
    allocated = grown - idle_bytes(go)
    spans = go.spans.in_use_bytes + sum(span.size for span in go.spans.manual)
    # Chunks of user arenas come from arenas of their own, which the page allocator does not know.
    spans -= sum(end - start for start, end, kind in go.spans.runs if kind == USER_ARENA)
    return allocated - spans


def _padding(go: GoView) -> int:
    return go.pages.padding[1] - go.pages.padding[0] if go.pages.padding is not None else 0


# The name that a `Field` gives in `walk`, the property of `_Walks`, and what is walked.
_WALKS: Tuple[Tuple[str, str, str], ...] = (
    ("HeapAlloc", "heap_alloc", "spans' objects"),
    ("HeapObjects", "heap_objects", "spans' objects"),
    ("HeapInuse", "heap_inuse", "spans"),
    ("HeapIdle", "heap_idle", "page bitmaps"),
    ("HeapReleased", "heap_released", "page bitmaps"),
    ("HeapFree", "heap_free", "page bitmaps"),
    ("HeapSys", "heap_sys", "spans, page bitmaps"),
    ("StackInuse", "stack_inuse", "stack spans"),
    ("StackSys", "stack_sys", "stack spans"),
    ("MSpanInuse", "mspan_inuse", "mspans"),
    ("MSpanFree", "mspan_free", "mspans"),
    ("MSpanSys", "mspan_sys", "mspans"),
    ("MCacheInuse", "mcache_inuse", "Ps"),
    ("MCacheFree", "mcache_free", "Ps, free list"),
    ("MCacheSys", "mcache_sys", "Ps, free list"),
    ("BuckHashSys", "buckhash_sys", "profile buckets"),
    ("GCSys", "gc_sys", "work buffers"),
    ("Sys", "sys", "all of these"),
    ("goroutines", "goroutines", "allgs"),
)


def recount(go: GoView, sources: Sources) -> Dict[str, Walked]:
    """Every statistic that can be walked, by the name that a `Field` gives in `walk`."""
    walks = _Walks(go, sources)
    return {name: _one(walks, attribute, over) for name, attribute, over in _WALKS}


def _one(walks: _Walks, attribute: str, over: str) -> Walked:
    try:
        return Walked(getattr(walks, attribute), over)
    except (UnreadableError, ProblemError, KeyError) as error:
        return Walked(None, over, f"cannot be walked: {error}")


class _Walks:
    """Each statistic once; a property raises what reading memory raises."""

    def __init__(self, go: GoView, sources: Sources) -> None:
        self._go, self._sources = go, sources

    @property
    def heap_alloc(self) -> int:
        return self._go.spans.object_bytes - sum(s.number("elemsize") for s in self._quarantined)

    @property
    def heap_objects(self) -> int:
        return self._go.spans.objects - len(self._quarantined)

    @property
    def heap_inuse(self) -> int:
        return self._go.spans.in_use_bytes - sum(s.number("npages") * PAGE for s in self._quarantined)

    @cached_property
    def heap_idle(self) -> int:
        return idle_bytes(self._go)

    @cached_property
    def heap_released(self) -> int:
        return returned_bytes(self._go)

    @property
    def heap_free(self) -> int:
        return self.heap_idle - self.heap_released

    @property
    def heap_sys(self) -> int:
        return self.heap_inuse + self.heap_idle

    @property
    def stack_inuse(self) -> int:
        return self._go.stacks.in_use

    @property
    def stack_sys(self) -> int:
        """Stacks of threads that the runtime maps itself are a counter only."""
        return self.stack_inuse + self._sources.memstats.number("stacks_sys")

    @cached_property
    def mspan_inuse(self) -> int:
        """Live mspans, and those that wait in the Ps' caches: the allocator has handed them out as well."""
        spans = self._go.spans
        count = spans.in_use + len(spans.manual)
        count += sum(p.number("mspancache.len") for p in self._sources.ps)
        count += sum(1 for s in self._user_arena("readyList") if s.number("state") == DEAD)
        return count * self._size("spanalloc")

    @cached_property
    def _quarantined(self) -> List[Record]:
        """Spans of freed user arenas, a large object each: in use by their state, free by the counters."""
        return self._user_arena("quarantineList")

    def _user_arena(self, name: str) -> List[Record]:
        """The mspans in a list of mheap_.userArena (src/runtime/arena.go)."""
        runtime, heap = self._sources.runtime, self._sources.heap
        if not heap.has("userArena"):  # came with Go 1.20
            return []
        first = heap.number(f"userArena.{name}.first")
        follow = runtime.layout("runtime.mspan").scalar("next").offset
        what = f"mheap_.userArena.{name}"
        return [runtime.record("runtime.mspan", at) for at in runtime.chain(first, follow, what)]

    @property
    def mspan_sys(self) -> int:
        """mheap_.allspans has every mspan ever made."""
        return _chunks(self._go.spans.total, self._size("spanalloc"))

    @property
    def mspan_free(self) -> int:
        return self.mspan_sys - self.mspan_inuse

    @property
    def mcache_inuse(self) -> int:
        return self._caches * self._size("cachealloc")

    @cached_property
    def mcache_sys(self) -> int:
        first = self._sources.heap.number("cachealloc.list")
        free = self._sources.runtime.chain(first, 0, "mheap_.cachealloc.list")  # mlink: next comes first
        return _chunks(self._caches + sum(1 for _ in free), self._size("cachealloc"))

    @property
    def mcache_free(self) -> int:
        return self.mcache_sys - self.mcache_inuse

    @property
    def _caches(self) -> int:
        return sum(1 for p in self._go.scheduler.ps if p.mcache)

    def _size(self, name: str) -> int:
        size = self._sources.heap.number(f"{name}.size")
        if not 0 < size <= _CHUNK:
            raise ProblemError(f"mheap_.{name}.size holds {size}")
        return size

    @cached_property
    def buckhash_sys(self) -> int:
        return profile_bytes(self._sources.runtime)

    @property
    def gc_sys(self) -> int:
        """Metadata is a counter only (gcMiscSys)."""
        stacks = self._go.stacks
        manual = [*stacks.work_buffers, *stacks.other_manual]
        return self._sources.memstats.number("gcMiscSys") + sum(end - start for start, end in manual)

    @property
    def sys(self) -> int:
        """OtherSys, and what the parts leave to counters, are counters here too."""
        parts = self.heap_sys + self.stack_sys + self.mspan_sys + self.mcache_sys
        return parts + self.buckhash_sys + self.gc_sys + self._sources.memstats.number("other_sys")

    @property
    def goroutines(self) -> int:
        """Those that are not dead, and those of extra Ms, which wait for C to call Go.

        The status of the latter is dead up to Go 1.25, deadextra since.
        """
        count = sum(count_by_status(self._go.goroutines).values())
        runtime = self._sources.runtime
        extra = (
            "runtime.extraMLength" if runtime.has("runtime.extraMLength") else "runtime.extraMCount"
        )  # 1.20
        count += runtime.global_number(extra, 4)
        return count if counts_system(self._sources) else count - self._sources.sched.number("ngsys")


def _chunks(objects: int, size: int) -> int:
    """Bytes that a fixalloc took for so many objects (src/runtime/mfixalloc.go): whole chunks of them."""
    each = _CHUNK // size
    return -(-objects // each) * each * size
