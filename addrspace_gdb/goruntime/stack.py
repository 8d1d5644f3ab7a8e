"""Goroutine stacks: which bytes of the manual spans are whose (src/runtime/stack.go).

Stacks under 32 KiB are carved from 32 KiB spans (`stackpool`, and per-P caches); larger ones have a
span each, and free ones wait in `stackLarge`. Work buffers are manual spans too, told apart by lists.
"""

from __future__ import annotations

from typing import Dict, Iterable, Iterator, List, NamedTuple, Set, Tuple

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.mspan import ManualSpan
from addrspace_gdb.goruntime.proc import Goroutines, Scheduler, is_live
from addrspace_gdb.goruntime.record import Record, Runtime
from addrspace_gdb.goruntime.stackpool import FreeStacks

# What a piece of a manual span is.
GOROUTINE = "goroutine"
DEAD_GOROUTINE = "dead goroutine"
SYSTEM_STACK = "g0 stack"
SIGNAL_STACK = "signal stack"
CRASH_STACK = "crash stack"
FREE_POOL = "free stack (pool)"
FREE_CACHE = "free stack (P cache)"
FREE_LARGE = "free stack (large)"
UNCLAIMED = "stack in transit"


POOL_SPAN = 32 << 10  # _StackCacheSize, src/runtime/malloc.go, all versions
SMALLEST_STACK = 1 << 11  # fixedStack on Linux: stackMin, src/runtime/stack.go


class Piece(NamedTuple):
    """[start, end) of stack memory, what it is and whose: a goid for goroutines, an M's id for g0."""

    start: int
    end: int
    kind: str
    owner: int


class Stacks(NamedTuple):
    """Stack memory piece by piece, and the manual spans that are not stacks."""

    pieces: List[Piece]  # ascending, disjoint, cover every stack span
    in_use: int  # bytes of spans given to stacks: what MemStats calls StackInuse
    work_buffers: List[Tuple[int, int]]
    other_manual: List[Tuple[int, int]]  # GC program bitmaps up to Go 1.24 (spanAllocPtrScalarBits)
    outside: List[Piece]  # stacks of g0s that are not in the heap (m0's, cgo threads')


def read_stacks(
    runtime: Runtime, manual: List[ManualSpan], goroutines: Goroutines, scheduler: Scheduler
) -> Stacks:
    """Attribute every byte of the manual spans."""
    work = _work_buffers(runtime)
    spans = _sound(runtime, [s for s in manual if s.address not in work and s.element])
    in_use = sum(s.size for s in spans)
    owners = _owners(goroutines, scheduler)
    caches = _cached(runtime, scheduler)
    large = _free_large(runtime)
    pieces: List[Piece] = []
    claimed = _Cursor(owners)
    for span in spans:
        free = _free_in(runtime, span, caches, large)
        pieces.extend(_span_pieces(span, claimed.within(span.start, span.start + span.size), free))
    return Stacks(
        pieces,
        in_use,
        [(s.start, s.start + s.size) for s in manual if s.address in work],
        [(s.start, s.start + s.size) for s in manual if s.address not in work and not s.element],
        claimed.outside,
    )


def free_stacks(stacks: Stacks) -> FreeStacks:
    """What `stackpool.read_free_stacks` counts, from stack memory that was read piece by piece."""
    sizes = {FREE_POOL: 0, FREE_CACHE: 0, FREE_LARGE: 0}
    for start, end, kind, _ in stacks.pieces:
        if kind in sizes:
            sizes[kind] += end - start
    return FreeStacks(sizes[FREE_POOL], sizes[FREE_CACHE], sizes[FREE_LARGE])


def _sound(runtime: Runtime, spans: List[ManualSpan]) -> List[ManualSpan]:
    """Stack spans without overlaps, each of one large stack or of the pool's size; damage is told."""
    made: List[ManualSpan] = []
    odd = 0
    for span in sorted(spans):
        if made and span.start < made[-1].start + made[-1].size:
            odd += 1
            continue
        pooled = span.size == POOL_SPAN and span.element >= SMALLEST_STACK
        if not pooled and span.element != span.size:
            odd += 1
            span = span._replace(element=span.size, free_list=0)
        made.append(span)
    if odd:
        runtime.problems.add(f"stack spans: {odd} hold impossible values")
    return made


def _owners(goroutines: Goroutines, scheduler: Scheduler) -> List[Piece]:
    """Every stack that a g claims, ascending."""
    kinds = {
        status: GOROUTINE if is_live(status) else DEAD_GOROUTINE
        for status in set(goroutines.column("status"))
    }
    owners = [
        Piece(lo, hi, kinds[status], goid)
        for lo, hi, goid, status in goroutines.rows("lo", "hi", "goid", "status")
        if lo < hi
    ]
    for m in scheduler.ms:
        for (lo, hi), kind in ((m.g0_stack, SYSTEM_STACK), (m.gsignal_stack, SIGNAL_STACK)):
            if lo < hi:
                owners.append(Piece(lo, hi, kind, m.id))
    lo, hi = scheduler.crash_stack
    if lo < hi:
        owners.append(Piece(lo, hi, CRASH_STACK, 0))
    owners.sort()
    return owners


class _Cursor:
    """Walks ascending stacks beside ascending spans; those that meet no span end up in `outside`."""

    def __init__(self, owners: List[Piece]) -> None:
        self._owners = owners
        self._at = 0
        self._outside: List[Piece] = []

    def within(self, start: int, end: int) -> List[Piece]:
        """The owners that begin in [start, end), cut to it."""
        owners, found = self._owners, []
        while self._at < len(owners) and owners[self._at].start < end:
            owner = owners[self._at]
            if owner.start < start:
                self._outside.append(owner)
            else:
                found.append(owner if owner.end <= end else owner._replace(end=end))
            self._at += 1
        return found

    @property
    def outside(self) -> List[Piece]:
        """Owners that no span held, including those not reached yet."""
        return self._outside + self._owners[self._at :]


def _span_pieces(span: ManualSpan, owned: List[Piece], free: Dict[int, str]) -> Iterator[Piece]:
    """Cut one span: owned stacks first, then free slots, then what nobody claims."""
    taken = 0
    at, end = span.start, span.start + span.size
    step = max(span.element, 1)
    while at < end:
        if taken < len(owned) and owned[taken].start < at:
            taken += 1  # overlaps the one before: garbage, counted once
        elif taken < len(owned) and owned[taken].start == at:
            yield owned[taken]
            at = owned[taken].end
            taken += 1
        else:
            until = min(end, at - (at - span.start) % step + step)
            if taken < len(owned):
                until = min(until, owned[taken].start)
            yield Piece(at, until, free.get(at, UNCLAIMED), 0)
            at = until


def _free_in(runtime: Runtime, span: ManualSpan, caches: Dict[int, str], large: Set[int]) -> Dict[int, str]:
    """Start address of each free slot in the span, and which list it is in."""
    if span.address in large:
        return {span.start: FREE_LARGE}
    free = caches
    at, steps = span.free_list, 0
    most = span.size // span.element
    if at:
        free = dict(caches) if len(caches) < 64 else _CachedThenPool(caches)
    while at:
        if not span.start <= at < span.start + span.size or steps >= most:
            runtime.problems.add(
                f"stackpool: the free list of the span at {span.start:#x} is damaged; cut short"
            )
            break
        free[at] = FREE_POOL
        steps += 1
        try:
            at = runtime.word_at(at)
        except UnreadableError:
            runtime.problems.add(f"stackpool: free stack {at:#x} cannot be read; the list is cut short")
            break
    return free


class _CachedThenPool(Dict[int, str]):
    """A pool's own slots over the shared caches, without copying these for every span."""

    def __init__(self, caches: Dict[int, str]) -> None:
        super().__init__()
        self._caches = caches

    def get(self, key: int, default: str = "") -> str:  # type: ignore[override]
        return super().get(key) or self._caches.get(key, default)


def _cached(runtime: Runtime, scheduler: Scheduler) -> Dict[int, str]:
    """Free stacks in the Ps' caches (mcache.stackcache)."""
    cached: Dict[int, str] = {}
    for p in scheduler.ps:
        for first, size in p.stack_caches:
            limit = max(0, min(size // 2048, 1 << 16))  # fixedStack is 2 KiB or more on Linux
            at = first
            while at and limit > 0 and at not in cached:
                cached[at] = FREE_CACHE
                limit -= 1
                try:
                    at = runtime.word_at(at)
                except UnreadableError:
                    runtime.problems.add(f"stack cache of P {p.id}: {at:#x} cannot be read; cut short")
                    break
    return cached


def _free_large(runtime: Runtime) -> Set[int]:
    """mspan addresses in stackLarge.free: [log2(pages)]mSpanList."""
    if not runtime.has("runtime.stackLarge"):  # found by what is in it (stripped/data_search.py)
        return set()
    lists = runtime.variable("runtime.stackLarge").elements("free")
    return _listed(runtime, lists, "stackLarge.free")


def _work_buffers(runtime: Runtime) -> Set[int]:
    """mspan addresses in work.wbufSpans.free and .busy (src/runtime/mgc.go)."""
    if not runtime.has("runtime.work"):  # as above
        return set()
    work = runtime.variable("runtime.work")
    return _listed(runtime, (work.sub(f"wbufSpans.{name}") for name in ("free", "busy")), "work.wbufSpans")


def _listed(runtime: Runtime, lists: Iterable[Record], what: str) -> Set[int]:
    """The mspans in several mSpanLists {first, last}."""
    follow = runtime.layout("runtime.mspan").scalar("next").offset
    found: Set[int] = set()
    for record in lists:
        found.update(runtime.chain(record.number("first"), follow, what))
    return found
