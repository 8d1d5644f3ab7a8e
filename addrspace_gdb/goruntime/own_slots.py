"""The slots of the runtime's own objects: how many, their bytes, and the resident ones of them."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from itertools import compress
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.goruntime.mspan import IN_USE, Spans
from addrspace_gdb.goruntime.own_objects import KINDS, LARGEST_TIMER, TIMERS, Own
from addrspace_gdb.goruntime.sizeclasses import PAGE_SHIFT
from addrspace_gdb.goruntime.slotcount import Parts, in_range
from addrspace_gdb.goruntime.slots import MAX_SLOTS, Masks, SlotReader, SpanRow, popcount
from addrspace_gdb.process.page_runs import PageRuns, Settled

ClassKey = Tuple[int, int, int]  # span class, of a user arena, bytes of a slot: as slotcount tells them apart


class OwnSlots(NamedTuple):
    """The slots of one kind in one span class. Only what is allocated has bytes."""

    kind: str
    key: ClassKey
    objects: int
    bytes: Parts
    resident: Optional[Parts]  # None where that is not known


class OwnKind(NamedTuple):
    """One kind in all classes."""

    kind: str
    objects: int
    size: int
    resident: Optional[int]  # None where that is not known


def by_kind(own: Sequence[OwnSlots]) -> List[OwnKind]:
    """The kinds that there are, in the order of `KINDS`."""
    found = []
    for kind in KINDS:
        some = [one for one in own if one.kind == kind]
        there = [one.resident.total for one in some if one.resident is not None]
        resident = sum(there) if len(there) == len(some) else None
        objects, size = sum(one.objects for one in some), sum(one.bytes.total for one in some)
        if some:
            found.append(OwnKind(kind, objects, size, resident))
    return found


def count_own(
    reader: SlotReader, spans: Spans, own: Own, resident: Optional[PageRuns] = None
) -> List[OwnSlots]:
    """Count the slots that hold the runtime's own objects, each once; with `resident` also what of them is in
    memory. An address that is in no allocated slot counts nowhere: m0's g is no object of the heap."""
    counter = _Counter(reader, spans, resident.settled() if resident is not None else None)
    for kind in KINDS:
        counter.count(kind, own.of(kind))
    return counter.finish()


class _Sum:
    """One kind in one class."""

    def __init__(self) -> None:
        self.objects = 0
        self.bytes = Parts()
        self.resident: Optional[Parts] = Parts()


def slots_of(addresses: Sequence[int], start: int, element: int, slots: int) -> int:
    """The bits of the slots of a span that have one of the `addresses`, which are in it."""
    if len(addresses) == slots and addresses == list(range(start, start + slots * element, element)):
        return (1 << slots) - 1
    found = 0
    for address in addresses:
        found |= 1 << (address - start) // element
    return found


class _Counter:
    def __init__(self, reader: SlotReader, spans: Spans, resident: Optional[Settled]) -> None:
        self._reader, self._resident = reader, resident
        states, starts = spans.columns["state"], spans.columns["start"]
        rows = list(compress(range(len(states)), map(IN_USE.__eq__, states)))
        self._rows = sorted(rows, key=starts.__getitem__)
        self._starts = array("Q", map(starts.__getitem__, self._rows))
        self._pages = spans.columns["pages"]
        self._taken: Dict[int, int] = {}  # slots that other kinds have, by the start of their span
        self._sums: Dict[Tuple[str, ClassKey], _Sum] = {}
        self._columns = spans.columns
        self._swept = reader.settled_sweepgens(spans.columns["sweepgen"])
        self._run = (0, 0)  # pages in memory around what was asked for last
        self._plain: Dict[Tuple[str, ClassKey], List[int]] = {}  # live and since, in slots

    def count(self, kind: str, addresses: Sequence[int]) -> None:
        """Count the slots at the ascending `addresses`."""
        elements = self._columns["element"]
        for at, inside in self._by_span(addresses):
            if kind == TIMERS and elements[at] > LARGEST_TIMER:
                continue  # within an object of the program
            if self._add_plain(kind, at, inside):
                continue
            row = self._reader.row(at)
            if self._reader.impossible(row) is None:
                self._add(kind, row, inside)

    def _add_plain(self, kind: str, at: int, inside: Sequence[int]) -> bool:
        """Add the slots of a span that is swept, of small objects and wholly in memory, as nearly all are.
        False: it is not, and nothing was added."""
        columns, class_ = self._columns, self._columns["spanclass"][at]
        start, slots, element = columns["start"][at], columns["slots"][at], columns["element"][at]
        free, end = columns["freeindex"][at], start + (columns["pages"][at] << PAGE_SHIFT)
        if columns["sweepgen"][at] not in self._swept or class_ < 2 or columns["user"][at]:
            return False
        if not 0 < element == self._reader.expected[class_] or not 0 < slots * element <= end - start:
            return False
        if not free <= slots < MAX_SLOTS or columns["allocated"][at] > slots:
            return False
        if self._resident is not None and not self._run[0] <= start < end <= self._run[1]:
            self._run = self._resident.run_at(start)
            if not self._run[0] <= start < end <= self._run[1]:
                return False
        bits = self._reader.bits(columns["alloc_bits"][at], slots)
        if bits is None:
            return False
        wanted = slots_of(inside, start, element, slots)
        taken = self._taken.get(start, 0)
        self._taken[start] = taken | wanted
        wanted &= ~taken
        sums = self._plain.setdefault((kind, (class_, 0, element)), [0, 0])
        sums[0] += popcount(bits & wanted)
        sums[1] += popcount(((1 << free) - 1) & ~bits & wanted)
        return True

    def _by_span(self, addresses: Sequence[int]) -> Iterator[Tuple[int, Sequence[int]]]:
        """The addresses of each span that has some, and its position in the columns."""
        at, count, slots = 0, len(addresses), self._columns["slots"]
        while at < count:
            index = bisect_right(self._starts, addresses[at]) - 1
            start = self._starts[index] if index >= 0 else 0
            end = start + (self._pages[self._rows[index]] << PAGE_SHIFT) if index >= 0 else 0
            if addresses[at] >= end:
                following = self._starts[index + 1] if index + 1 < len(self._starts) else 1 << 64
                at = bisect_left(addresses, following, at + 1)
                continue
            row = self._rows[index]
            after = at + slots[row]  # if they are in all of them
            if not at < after < count or addresses[after] < end or addresses[after - 1] >= end:
                after = bisect_left(addresses, end, at + 1)
            yield row, addresses[at:after]
            at = after

    def _add(self, kind: str, row: SpanRow, inside: Sequence[int]) -> None:
        masks = self._reader.masks(row)
        if masks is None:
            return
        wanted = slots_of(inside, row.start, row.element, row.slots)
        taken = self._taken.get(row.start, 0)
        mine = Masks(*(mask & wanted & ~taken for mask in masks))
        self._taken[row.start] = taken | wanted
        if not mine.allocated:
            return
        element = self._reader.expected[row.spanclass] or (row.element if row.spanclass > 1 else 0)
        found = self._sums.setdefault((kind, (row.spanclass, row.user, element)), _Sum())
        found.objects += popcount(mine.allocated)
        parts = Parts(*(popcount(mask) * row.element for mask in mine))
        found.bytes = found.bytes.plus(parts)
        if found.resident is not None:
            there = self._resident_parts(row, mine, parts)
            found.resident = found.resident.plus(there) if there is not None else None

    def _resident_parts(self, row: SpanRow, mine: Masks, whole: Parts) -> Optional[Parts]:
        if self._resident is None:
            return None
        low, high = self._resident.run_at(row.start)
        if low <= row.start and row.end <= high:
            return whole
        pieces = self._resident.pieces(row.start, row.end)
        if pieces is None:
            return None
        found = Parts()
        for first, after in pieces:
            part = in_range(row, mine, first - row.start, after - row.start)
            found = found.plus(Parts(part.live, part.since, part.dead))
        return found

    def finish(self) -> List[OwnSlots]:
        """What was counted."""
        for (kind, key), (live, since) in self._plain.items():
            if live + since:
                found = self._sums.setdefault((kind, key), _Sum())
                parts = Parts(live * key[2], since * key[2])
                found.objects += live + since
                found.bytes = found.bytes.plus(parts)
                if found.resident is not None:
                    found.resident = found.resident.plus(parts) if self._resident is not None else None
        return [
            OwnSlots(kind, key, found.objects, found.bytes, found.resident)
            for (kind, key), found in self._sums.items()
        ]
