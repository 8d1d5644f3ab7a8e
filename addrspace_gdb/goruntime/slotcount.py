"""The slots of all spans counted, by span class: objects, bytes, and the resident ones of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import compress
from operator import add, and_, gt, rshift
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.goruntime.columns import Columns
from addrspace_gdb.goruntime.mspan import IN_USE, Spans
from addrspace_gdb.goruntime.sizeclasses import PAGE_SHIFT
from addrspace_gdb.goruntime.slots import (
    CACHED,
    CACHED_UNSWEPT,
    SWEEPING,
    SWEPT,
    UNSWEPT,
    Masks,
    SlotReader,
    SpanRow,
    popcount,
)
from addrspace_gdb.process.page_runs import PageRuns, Settled

MAX_OBJS_PER_SPAN = 1024  # internal/runtime/gc, all versions: objects of 8 bytes in one page


class Parts(NamedTuple):
    """What spans consist of. The parts add up to the spans: to their bytes, or to their slots."""

    live: int = 0  # reached by the last collection (or allocated while it ran)
    since: int = 0  # allocated since then
    dead: int = 0  # not reached by it and not yet swept; MemStats counts them as allocated
    free: int = 0  # slots
    waste: int = 0  # what is behind the last slot: rest, heap bits, inline mark bits; bytes only
    unknown: int = 0  # of spans with impossible fields or bits that cannot be read

    @property
    def allocated(self) -> int:
        """What MemStats calls HeapAlloc, or HeapObjects."""
        return self.live + self.since + self.dead

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self)

    def plus(self, other: Parts) -> Parts:
        """The sum, part by part."""
        return Parts(*[a + b for a, b in zip(self, other)])


class ClassSlots(NamedTuple):
    """The spans of one span class."""

    size_class: int  # 0: large objects, one to a span
    noscan: bool  # objects without pointers
    user: bool  # chunks of user arenas (GOEXPERIMENT=arenas)
    element: int  # bytes of a slot; 0 for large objects, which differ
    spans: int
    size: int  # bytes of the spans
    slots: int
    objects: Parts
    bytes: Parts
    resident: Optional[Parts]  # bytes in memory; None where that is not known


class Large(NamedTuple):
    """A span with one large object or a chunk of a user arena."""

    start: int
    size: int  # of the span
    used: int  # bytes of the object; what is above them in the span is rounding
    noscan: bool
    user: bool
    part: str  # "live", "since", "dead", "free" or "unknown", as in Parts


@dataclass
class Slots:
    """Every span in use, accounted for."""

    classes: List[ClassSlots] = field(default_factory=list)
    large: List[Large] = field(default_factory=list)  # in no order
    unswept: int = 0  # spans
    cached: int = 0  # spans a P allocates from
    quarantined: Tuple[int, int] = (0, 0)  # spans and bytes of freed user arenas; in none of the classes
    transit: Tuple[int, int] = (0, 0)  # objects and bytes taken whose allocCount is not yet raised (malloc)
    impossible: int = 0  # spans in Parts.unknown

    @property
    def objects(self) -> Parts:
        """Slots of all classes."""
        return sum_parts([one.objects for one in self.classes])

    @property
    def bytes(self) -> Parts:
        """Bytes of all classes: they add up to MemStats.HeapInuse."""
        return sum_parts([one.bytes for one in self.classes])

    @property
    def resident(self) -> Optional[Parts]:
        """Resident bytes of all classes; None if those of one of them are not known."""
        found = [one.resident for one in self.classes if one.resident is not None]
        return sum_parts(found) if len(found) == len(self.classes) else None


def sum_parts(many: Sequence[Parts]) -> Parts:
    """The sum, part by part."""
    return Parts(*map(sum, zip(*many))) if many else Parts()


def count_slots(reader: SlotReader, spans: Spans, resident: Optional[PageRuns] = None) -> Slots:
    """Count the slots of every span in use; with `resident` also the bytes of each part in memory.

    Damaged spans are told as a problem and counted as unknown.
    """
    counter = _Counter(reader, resident.settled() if resident is not None else None)
    counter.count(spans.columns)
    found = counter.finish()
    if found.impossible:
        reader.runtime.problems.add(
            f"spans: {found.impossible:,} damaged, their slots are not known ({counter.example})"
        )
    return found


class _Sums:
    """One class on the way: objects and bytes so far, and the bytes of it that are not in memory."""

    def __init__(self) -> None:
        self.spans = self.size = self.slots = self.capacity = 0  # capacity: bytes of the slots
        self.live = self.since = self.dead = 0  # objects
        self.live_bytes = self.since_bytes = self.dead_bytes = 0
        self.unknown = 0  # bytes
        self.absent: Optional[List[int]] = [0] * len(Parts._fields)

    def add(self, spans: int, size: int, slots: int, element: int, used: Tuple[int, int, int]) -> None:
        """Spans that are alike: bytes, slots, bytes of a slot, and of its slots the live, since and dead."""
        live, since, dead = used
        self.spans += spans
        self.size += spans * size
        self.slots += spans * slots
        self.capacity += spans * slots * element
        self.live += spans * live
        self.since += spans * since
        self.dead += spans * dead
        self.live_bytes += spans * live * element
        self.since_bytes += spans * since * element
        self.dead_bytes += spans * dead * element

    def add_unknown(self, size: int) -> None:
        """One span that nothing can be said about."""
        self.spans += 1
        self.size += size
        self.unknown += size

    def finish(self, key: Tuple[int, int, int], resident: bool) -> ClassSlots:
        """The class."""
        class_, user, element = key
        free = self.slots - self.live - self.since - self.dead
        taken = self.live_bytes + self.since_bytes + self.dead_bytes
        waste = self.size - self.unknown - self.capacity
        parts = Parts(
            self.live_bytes, self.since_bytes, self.dead_bytes, self.capacity - taken, waste, self.unknown
        )
        there = None
        if resident and self.absent is not None:
            there = Parts(*[whole - lack for whole, lack in zip(parts, self.absent)])
        objects = Parts(self.live, self.since, self.dead, free)
        return ClassSlots(
            class_ >> 1,
            bool(class_ & 1),
            bool(user),
            element,
            self.spans,
            self.size,
            self.slots,
            objects,
            parts,
            there,
        )


# Spans that the columns say this of are alike but for their bits.
_SHAPE = ("state", "sweepgen", "spanclass", "element", "slots", "pages")
_NOTHING, _PLAIN, _OTHER = 0, 1, 2
_IS_PLAIN, _IS_OTHER = (bytes(n == what for n in range(256)) for what in (_PLAIN, _OTHER))


class _Counter:
    """Adds up spans. Only those that are not plain, or not wholly in memory, are looked at one by one.

    A plain span is swept and of small objects.
    """

    def __init__(self, reader: SlotReader, resident: Optional[Settled]) -> None:
        self.example = ""
        self._reader = reader
        self._resident = resident
        self._sums: Dict[Tuple[int, int, int], _Sums] = {}
        self._found = Slots()

    def count(self, spans: Columns) -> None:
        """Count every span."""
        shape = [spans[name] for name in _SHAPE]
        sorts = {one: self._sort(*one) for one in set(zip(*shape))}
        mask = bytearray(map(sorts.__getitem__, zip(*shape)))
        self._leave_out(spans, mask)
        plain = mask.translate(_IS_PLAIN)
        bits = self._reader.gc_bits.many(*(compress(spans[name], plain) for name in ("alloc_bits", "slots")))
        known = list(bits)
        if -1 in known:
            rows = list(compress(range(len(mask)), plain))
            for at in compress(rows, map((-1).__eq__, known)):
                mask[at] = _OTHER
            plain, known = mask.translate(_IS_PLAIN), [one for one in known if one >= 0]
        self._count_plain(spans, plain, known)
        others = compress(range(len(mask)), mask.translate(_IS_OTHER))
        absent = set(self._absent(spans))
        for at in others:
            self._other(self._reader.row(at), at in absent)
        for at in compress(absent, map(plain.__getitem__, absent)):
            row = self._reader.row(at)
            self._look(self._class((row.spanclass, row.user, row.element)), row, None)

    def _sort(self, state: int, sweepgen: int, class_: int, element: int, slots: int, pages: int) -> int:
        """Whether spans of that shape are plain."""
        if state != IN_USE:
            return _NOTHING
        settled = sweepgen - self._reader.generation in (SWEPT, CACHED)
        fits = 0 < slots <= MAX_OBJS_PER_SPAN and slots * element <= pages << PAGE_SHIFT
        return _PLAIN if settled and fits and element == self._reader.expected[class_] else _OTHER

    @staticmethod
    def _leave_out(spans: Columns, mask: bytearray) -> None:
        """Take those from the plain ones that have more objects than slots."""
        slots = spans["slots"]
        for name in ("freeindex", "allocated"):
            over = map(gt, spans[name], slots)
            for at in compress(range(len(mask)), map(and_, over, mask.translate(_IS_PLAIN))):
                mask[at] = _OTHER

    def _count_plain(self, spans: Columns, plain: Sequence[int], bits: List[int]) -> None:
        """Count the spans where `plain` has 1; `bits` are their allocBits."""
        names = ("sweepgen", "spanclass", "user", "element", "pages", "slots", "allocated", "freeindex")
        *parts, freeindexes = (compress(spans[name], plain) for name in names)
        above = map(popcount, map(rshift, bits, compress(spans["freeindex"], plain)))
        alike = Counter(zip(*parts, map(popcount, bits), map(add, freeindexes, above)))
        for (sweepgen, class_, user, element, pages, slots, allocated, live, taken), count in alike.items():
            sums = self._class((class_, user, element))
            sums.add(count, pages << PAGE_SHIFT, slots, element, (live, taken - live, 0))
            self._found.cached += count * (sweepgen != self._reader.generation)
            self._transit(count * (taken - allocated), element)

    def _absent(self, spans: Columns) -> Iterator[int]:
        """Positions of the spans that are not wholly in memory, as far as that is known."""
        if self._resident is None:
            return
        low = high = 0  # the run met last
        for at, (start, pages) in enumerate(zip(spans["start"], spans["pages"])):
            end = start + (pages << PAGE_SHIFT)
            if low <= start and end <= high:
                continue
            low, high = self._resident.run_at(start)
            if not (low <= start and end <= high):
                yield at

    def _class(self, key: Tuple[int, int, int]) -> _Sums:
        return self._sums.get(key) or self._sums.setdefault(key, _Sums())

    def _other(self, row: SpanRow, absent: bool) -> None:
        """Large objects, user arenas, spans not yet swept, damaged ones."""
        if row.quarantined:
            spans, size = self._found.quarantined
            self._found.quarantined = (spans + 1, size + row.size)
            return
        element = self._reader.expected[row.spanclass] or (row.element if row.spanclass > 1 else 0)
        key = (row.spanclass, row.user, element)
        sums = self._class(key)
        wrong = self._reader.impossible(row)
        masks = self._reader.masks(row) if wrong is None else None
        if masks is None:
            self.example = self.example or f"{row.start:#x}: {wrong or 'its bits cannot be read'}"
            self._found.impossible += 1
            sums.add_unknown(row.size)
        else:
            live, since, dead = map(popcount, masks)
            sums.add(1, row.size, row.slots, row.element, (live, since, dead))
            if live + since + dead != row.allocated:
                self._transit(live + since + dead - row.allocated, row.element)
            self._found.cached += self._reader.state(row) in (CACHED, CACHED_UNSWEPT)
            self._found.unswept += self._reader.state(row) in (UNSWEPT, SWEEPING, CACHED_UNSWEPT)
        if row.spanclass < 2:
            self._found.large.append(_large(row, masks))
        if absent:
            self._look(sums, row, masks, known=masks is not None)

    def _transit(self, objects: int, element: int) -> None:
        count, size = self._found.transit
        self._found.transit = (count + objects, size + objects * element)

    def _look(self, sums: _Sums, row: SpanRow, masks: Optional[Masks], known: bool = True) -> None:
        """Note what is absent of a span that is not wholly in memory."""
        assert self._resident is not None
        pieces = self._resident.pieces(row.start, row.end)
        if pieces is None or sums.absent is None:
            sums.absent = None
            return
        if known and masks is None:
            masks = self._reader.masks(row)
        whole = in_range(row, masks, 0, row.size)
        for part, amount in enumerate(whole):
            sums.absent[part] += amount
        for low, high in pieces:
            for part, amount in enumerate(in_range(row, masks, low - row.start, high - row.start)):
                sums.absent[part] -= amount

    def finish(self) -> Slots:
        """The classes in order."""
        resident = self._resident is not None
        self._found.classes = [self._sums[key].finish(key, resident) for key in sorted(self._sums)]
        return self._found


def _large(row: SpanRow, masks: Optional[Masks]) -> Large:
    used = row.limit - row.start if row.start <= row.limit <= row.end else row.size
    part = "unknown"
    if masks is not None:
        part = next((name for name, mask in zip(Masks._fields, masks) if mask), "free")
    return Large(row.start, row.size, used, bool(row.spanclass & 1), bool(row.user), part)


def in_range(row: SpanRow, masks: Optional[Masks], low: int, high: int) -> Parts:
    """The bytes of each part between the offsets `low` and `high` of the span; without `masks` unknown."""
    if masks is None:
        return Parts(unknown=high - low)
    slots_end = row.slots * row.element
    waste = max(0, high - max(low, slots_end))
    high = min(high, slots_end)
    if low >= high:
        return Parts(waste=waste)
    first, last = low // row.element, (high - 1) // row.element
    inner = (1 << (last + 1 - first)) - 1
    head, tail = low - first * row.element, (last + 1) * row.element - high  # not in the range
    found = []
    for mask in masks:
        bits = mask >> first & inner
        amount = popcount(bits) * row.element
        found.append(amount - head * (bits & 1) - tail * (bits >> (last - first)))
    live, since, dead = found
    return Parts(live, since, dead, high - low - sum(found), waste)
