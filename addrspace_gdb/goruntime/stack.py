"""Goroutine stacks: which bytes of the manual spans are whose (src/runtime/stack.go).

Stacks under 32 KiB are carved from 32 KiB spans (`stackpool`, and per-P caches); larger ones have a
span each, and free ones wait in `stackLarge`. Work buffers are manual spans too, told apart by lists.

While the process stands still those lists are followed, and nothing else; what they and the columns of spans
and goroutines come to is worked out when it is asked for.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from functools import cached_property
from itertools import compress
from operator import lt, or_
from typing import Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

from addrspace_gdb.common import lanes
from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.columns import pick
from addrspace_gdb.goruntime.mspan import ManualSpan, Spans
from addrspace_gdb.goruntime.proc import Goroutines, Scheduler
from addrspace_gdb.goruntime.record import Record, Runtime
from addrspace_gdb.goruntime.stackpieces import (
    CRASH_STACK,
    DEAD_GOROUTINE,
    FREE_CACHE,
    FREE_LARGE,
    FREE_POOL,
    GOROUTINE,
    KINDS,
    SIGNAL_STACK,
    SYSTEM_STACK,
    Piece,
    Pieces,
    StackSpan,
    cut,
    with_others,
)
from addrspace_gdb.goruntime.stackpool import POOL_SPAN, SMALLEST_STACK, FreeStacks


class _Lists(NamedTuple):
    """The lists that tell manual spans apart, and the free slots in them."""

    work: Set[int]  # mspans of work buffers
    large: Set[int]  # mspans of free large stacks
    cached: Dict[int, str]  # address of each free slot in the Ps' caches
    pool: Dict[int, _Free]  # of the pool's spans, by mspan


class _Free(NamedTuple):
    """The free slots of a span of the pool, and what is wrong with the list, if anything is."""

    slots: List[int]
    problem: Optional[str]


class Stacks:
    """Stack memory piece by piece, and the manual spans that are not stacks."""

    def __init__(self, spans: Spans, lists: _Lists, goroutines: Goroutines, scheduler: Scheduler) -> None:
        self._spans, self._lists = spans, lists
        self._goroutines, self._scheduler = goroutines, scheduler

    @property
    def pieces(self) -> Pieces:
        """Ascending, disjoint, covering every stack span."""
        return self._cut[0]

    @property
    def outside(self) -> List[Piece]:
        """Stacks of g0s that are not in the heap (m0's, cgo threads')."""
        return self._cut[1]

    @property
    def unnamed(self) -> Tuple[Pieces, List[Piece]]:
        """`pieces` and `outside`, but that goroutines may have no numbers: of a million that takes half the
        time."""
        return self._cut if "_cut" in vars(self) else self._cut_unnamed

    @cached_property
    def _cut(self) -> Tuple[Pieces, List[Piece]]:
        return cut(self._places, _owners(self._goroutines, self._scheduler))

    @cached_property
    def _cut_unnamed(self) -> Tuple[Pieces, List[Piece]]:
        owners = _unnamed_owners(self._goroutines, self._scheduler)
        return cut(self._places, owners) if owners is not None else self._cut

    @property
    def _places(self) -> List[StackSpan]:
        return [self._place(span) for span in self._sound[0]]

    @cached_property
    def _free(self) -> Dict[int, str]:
        """Address of each free slot, and which list it is in."""
        found = dict(self._lists.cached)
        for one in self._pool:
            found.update(dict.fromkeys(one.slots, FREE_POOL))
        return found

    @property
    def _pool(self) -> List[_Free]:
        """The free lists that count: those of sound spans."""
        lists, none = self._lists, _Free([], None)
        return [lists.pool.get(span.address, none) for span in self._sound[0] if span.free_list]

    def _place(self, span: ManualSpan) -> StackSpan:
        large = span.address in self._lists.large
        free = {span.start: FREE_LARGE} if large else self._free
        return StackSpan(span.start, span.start + span.size, span.element, free)

    @property
    def in_use(self) -> int:
        """Bytes of spans given to stacks: what MemStats calls StackInuse."""
        return sum(span.size for span in self._sound[0])

    @property
    def work_buffers(self) -> List[Tuple[int, int]]:
        """Spans of the collector's work buffers."""
        return [(s.start, s.start + s.size) for s in self._spans.manual if s.address in self._lists.work]

    @property
    def other_manual(self) -> List[Tuple[int, int]]:
        """Other manual spans: GC program bitmaps up to Go 1.24 (spanAllocPtrScalarBits)."""
        others = (s for s in self._spans.manual if s.address not in self._lists.work and not s.element)
        return [(s.start, s.start + s.size) for s in others]

    @cached_property
    def _sound(self) -> Tuple[List[ManualSpan], int]:
        """Stack spans without overlaps, each of one large stack or of the pool's size; how many are not."""
        made: List[ManualSpan] = []
        odd = reach = 0
        for span in self._spans.manual:
            if span.address in self._lists.work or not span.element:
                continue
            if span.start < reach:
                odd += 1
                continue
            if not _may_have(span.size, span.element):
                odd += 1
                span = span._replace(element=span.size, free_list=0)
            made.append(span)
            reach = span.start + span.size
        return made, odd

    def damage(self) -> List[str]:
        """Lines of what is damaged."""
        odd = self._sound[1]
        lines = [f"stack spans: {odd} hold impossible values"] if odd else []
        return lines + [one.problem for one in self._pool if one.problem is not None]


_BY_DEATH = bytes.maketrans(b"\0\1", bytes((KINDS.index(GOROUTINE), KINDS.index(DEAD_GOROUTINE))))


def _may_have(size: int, element: int) -> bool:
    """Whether a span of `size` bytes may be of stacks of `element` bytes."""
    return (size == POOL_SPAN and element >= SMALLEST_STACK) or element == size


def read_stacks(runtime: Runtime, spans: Spans, goroutines: Goroutines, scheduler: Scheduler) -> Stacks:
    """Read what it takes to attribute every byte of the manual spans."""
    work, cached, large = _work_buffers(runtime), _cached(runtime, scheduler), _free_large(runtime)
    pool = {
        span.address: _follow(runtime, span)
        for span in spans.with_free_list()
        if span.address not in large and _may_have(span.size, span.element)
    }
    stacks = Stacks(spans, _Lists(work, large, cached, pool), goroutines, scheduler)
    runtime.problems.later(stacks.damage)
    return stacks


def no_stacks(spans: Spans, goroutines: Goroutines, scheduler: Scheduler) -> Stacks:
    """Those of a program that has none, nor anything else of Go's."""
    return Stacks(spans, _Lists(set(), set(), {}, {}), goroutines, scheduler)


def free_stacks(stacks: Stacks) -> FreeStacks:
    """What `stackpool.read_free_stacks` counts, from stack memory that was read piece by piece."""
    pieces, _ = stacks.unnamed

    def total(kind: str) -> int:
        mask = pieces.mask(kind)
        return sum(compress(pieces.ends, mask)) - sum(compress(pieces.starts, mask))

    return FreeStacks(total(FREE_POOL), total(FREE_CACHE), total(FREE_LARGE))


def _owners(goroutines: Goroutines, scheduler: Scheduler) -> Pieces:
    """Every stack that a g claims, ascending."""
    los = goroutines.column("lo")
    order = goroutines.by_stack[los.count(0) :]
    found = Pieces()
    found.starts, found.ends, found.owners = (
        array("Q", pick(goroutines.column(name), order)) for name in ("lo", "hi", "goid")
    )
    found.kinds = bytearray(pick(goroutines.dead, order)).translate(_BY_DEATH)
    if not all(map(lt, found.starts, found.ends)):
        found = found.chosen(bytes(map(lt, found.starts, found.ends)))
    return with_others(found, _of_threads(scheduler))


def _unnamed_owners(goroutines: Goroutines, scheduler: Scheduler) -> Optional[Pieces]:
    """The same, with 0 for the numbers of goroutines; None if one of their stacks cannot be where it is said
    to be.

    What is sorted are the low ends by themselves: an address of a stack leaves its lowest bits free for what
    else there is to know. If the stacks then turn out to be disjoint, each has its own.
    """
    los, his = (lanes.wide(goroutines.column(name)) for name in ("lo", "hi"))
    sizes = lanes.differences(his, los)
    codes = lanes.exponents(sizes) if sizes is not None else None
    if codes is None:
        return None
    tags = bytes(map(or_, codes, goroutines.dead.translate(_TAGS))) if 1 in goroutines.dead else codes
    tagged = lanes.tagged(los, tags)
    if tagged is None:
        return None
    ascending = array("Q", sorted(tagged))
    found = Pieces()
    found.starts, tags = lanes.untagged(ascending[bisect_left(ascending, 1 << 8) :])
    found.ends = lanes.total(found.starts, lanes.powers(tags.translate(_CODES)))
    if b"\0" in tags.translate(_CODES) or lanes.differences(found.starts[1:], found.ends[:-1]) is None:
        return None
    found.kinds = bytearray(tags.translate(_BY_TAG))
    found.owners = array("Q", bytes(8 * len(tags)))
    return with_others(found, _of_threads(scheduler))


_DEAD = 1 << 6  # in the tag of a stack: its other bits are its size
_TAGS = bytes([0, _DEAD]) + bytes(254)
_CODES = bytes(tag & _DEAD - 1 for tag in range(256))
_BY_TAG = bytes(KINDS.index(DEAD_GOROUTINE if tag & _DEAD else GOROUTINE) for tag in range(256))


def _of_threads(scheduler: Scheduler) -> List[Piece]:
    """The stacks that Ms have for the runtime's own code."""
    others: List[Piece] = []
    for m in scheduler.ms:
        for (lo, hi), kind in ((m.g0_stack, SYSTEM_STACK), (m.gsignal_stack, SIGNAL_STACK)):
            if lo < hi:
                others.append(Piece(lo, hi, kind, max(0, m.id)))  # a negative one is damage
    lo, hi = scheduler.crash_stack
    if lo < hi:
        others.append(Piece(lo, hi, CRASH_STACK, 0))
    return others


def _follow(runtime: Runtime, span: ManualSpan) -> _Free:
    """The free list of a span of the pool."""
    slots: List[int] = []
    at = span.free_list
    most = span.size // max(span.element, 1)
    while at:
        if not span.start <= at < span.start + span.size or len(slots) >= most:
            why = f"stackpool: the free list of the span at {span.start:#x} is damaged; cut short"
            return _Free(slots, why)
        slots.append(at)
        try:
            at = runtime.word_at(at)
        except UnreadableError:
            return _Free(slots, f"stackpool: free stack {at:#x} cannot be read; the list is cut short")
    return _Free(slots, None)


def _cached(runtime: Runtime, scheduler: Scheduler) -> Dict[int, str]:
    """Free stacks in the Ps' caches (mcache.stackcache)."""
    cached: Dict[int, str] = {}
    for p in scheduler.ps:
        for first, size in p.stack_caches:
            # fixedStack is 2 KiB or more on Linux. stackfree puts a stack into the list, then counts it.
            limit = max(0, min(size // 2048, 1 << 16)) + 1
            at = first
            while at and limit > 0 and at not in cached:
                cached[at] = FREE_CACHE
                limit -= 1
                try:
                    at = runtime.word_at(at)
                except UnreadableError:
                    runtime.problems.add(f"stack cache of P {p.id}: {at:#x} cannot be read; cut short")
                    break
            if at and not limit:
                runtime.problems.add(f"stack cache of P {p.id}: its list is longer than it may be; cut short")
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
