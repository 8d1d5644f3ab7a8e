"""Spans: runs of heap pages in one state (src/runtime/mheap.go: mspan, mheap_.allspans).

mspan objects are never given back to the OS and allspans keeps every one ever made, so dead ones are
met and left out. A process may have a million: they are read in bulk and kept as columns.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections import Counter
from functools import cached_property
from itertools import compress
from operator import add
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.goruntime.columns import Columns, chosen, pick, read_columns
from addrspace_gdb.goruntime.record import Record, Runtime, Slice
from addrspace_gdb.goruntime.sizeclasses import PAGE_SHIFT

PAGE = 1 << PAGE_SHIFT

# mSpanState, src/runtime/mheap.go, all versions.
DEAD, IN_USE, MANUAL = 0, 1, 2
_STATES = bytes((DEAD, IN_USE, MANUAL))

ADDRESS_BITS = 48  # heapAddrBits (src/runtime/malloc.go) on every 64-bit Linux
_MISPLACED = PAGE - 1 | (1 << 64) - (1 << ADDRESS_BITS)  # bits that no start of a span has
_SPARE = 4096  # mspan objects beyond the pages there are now (a heap never shrinks)

_MAP = 1 << 13  # pages that one map of pages is of: those of an arena
_MAX_MAPS = 1 << 13  # 512 GiB
_ALIKE = re.compile(b"|".join(b"%c+" % (kind + 1) for kind in range(5)))

# What a merged run of spans holds.
SMALL, LARGE, USER_ARENA, MANUAL_RUN, FREED_ARENA = 0, 1, 2, 3, 4
Run = Tuple[int, int, int]  # start, end, SMALL or LARGE or ...

# setUserArenaChunkToFault (src/runtime/arena.go) turns a freed chunk of a user arena noscan, which no
# other chunk is. Nothing is behind it, and MemStats has it no more; its addresses wait for the next cycle.
FAULT_CLASS = 1

FIELDS = {
    "start": "startAddr",
    "pages": "npages",
    "freeindex": "freeindex",
    "slots": "nelems",
    "alloc_bits": "allocBits",
    "mark_bits": "gcmarkBits",
    "sweepgen": "sweepgen",
    "allocated": "allocCount",
    "spanclass": "spanclass",
    "state": "state",
    "user": "isUserArenaChunk",
    "element": "elemsize",
    "limit": "limit",
    "free_list": "manualFreeList",
    "pinner_bits": "pinnerBits",
    "specials": "specials",
}
# User arenas came with Go 1.20: before, no span is a chunk of one. runtime.Pinner came with 1.21.
_LATER = ("user", "pinner_bits")


class ManualSpan(NamedTuple):
    """A span in state mSpanManual: goroutine stacks, GC work buffers and the like; sizes in bytes."""

    start: int
    size: int
    element: (
        int  # size of one stack; 0 for what is not a stack (elemsize is set by src/runtime/stack.go only)
    )
    free_list: int  # manualFreeList: first free stack, 0 for none
    allocated: int  # allocCount: stacks in use
    address: int  # of the mspan itself


_OF_MANUAL = ("start", "pages", "element", "free_list", "allocated", "address")  # as in ManualSpan


class SpanClass(NamedTuple):
    """The spans in use of one span class (src/runtime/mheap.go: spanClass).

    `size` is that of an object, 0 for large objects, which have a span each; `objects` are the allocated
    ones, those included that are dead and not swept yet.
    """

    size: int
    noscan: bool
    spans: int
    bytes: int
    objects: int


class Spans:
    """All live spans as columns, in the order of their mspans' addresses, and what follows from them.

    The columns are those of `FIELDS`, and "address"; states, span classes and flags are a byte each.
    """

    def __init__(self, columns: Columns, addresses: Sequence[int]) -> None:
        self.columns = columns
        self.addresses = addresses  # of all mspan objects, dead ones too, ascending

    def __len__(self) -> int:
        return len(self.columns["address"])

    @property
    def total(self) -> int:
        """mspan objects, dead ones too."""
        return len(self.addresses)

    @cached_property
    def kinds(self) -> bytes:
        """What each span holds: SMALL, LARGE ..."""
        columns = self.columns
        kinds = bytearray(columns["spanclass"].tobytes().translate(_BY_CLASS))
        for at in compress(range(len(kinds)), columns["user"]):
            kinds[at] = FREED_ARENA if columns["spanclass"][at] == FAULT_CLASS else USER_ARENA
        for at in self._manual:
            kinds[at] = MANUAL_RUN
        return bytes(kinds)

    @property
    def _manual(self) -> Iterable[int]:
        """Positions of the manual spans."""
        states = self.columns["state"].tobytes()
        return compress(range(len(states)), states.translate(_IS_MANUAL))

    @cached_property
    def manual(self) -> List[ManualSpan]:
        """Manual spans, by address."""
        return self._manual_spans(self._manual)

    def with_free_list(self) -> List[ManualSpan]:
        """Those of them that have free slots, by address."""
        lists = self.columns["free_list"]
        return self._manual_spans(at for at in self._manual if lists[at])

    def _manual_spans(self, positions: Iterable[int]) -> List[ManualSpan]:
        rows = list(positions)
        columns = [pick(self.columns[name], rows) for name in _OF_MANUAL]
        starts, pages, *rest = columns
        return sorted(map(ManualSpan, starts, map(PAGE.__mul__, pages), *rest))

    @property
    def user_arenas(self) -> List[int]:
        """Where chunks of user arenas start, freed ones too."""
        starts, states = self.columns["start"], self.columns["state"]
        users = compress(range(len(starts)), self.columns["user"])
        return [starts[at] for at in users if states[at] == IN_USE]

    @property
    def runs(self) -> List[Run]:
        """Neighbours of one kind as one, in the order of addresses; spans that overlap are cut."""
        return self._merged[0]

    def damage(self) -> List[str]:
        """A line if spans overlap."""
        count = self._merged[1]
        return [f"spans: {count} overlap others; counted once"] if count else []

    @cached_property
    def _merged(self) -> Tuple[List[Run], int]:
        starts, pages = self.columns["start"], self.columns["pages"]
        parts = _covered(starts, pages, self.kinds)
        if parts is None:
            ends = map(add, starts, map(PAGE.__mul__, pages))
            parts = list(zip(starts, ends, self.kinds))
        return _merge(parts)

    @cached_property
    def classes(self) -> Dict[int, SpanClass]:
        """Spans in use by spanClass (size class << 1 | noscan), in its order, without freed user arenas."""
        found: Dict[int, List[int]] = {}
        sizes = self._object_sizes
        for (class_, pages, allocated), count in self._counted("spanclass", "pages", "allocated").items():
            row = found.setdefault(class_, [0, 0, 0])
            for index, amount in enumerate((count, count * pages * PAGE, count * allocated)):
                row[index] += amount
        return {
            class_: SpanClass(sizes.get(class_, 0), bool(class_ & 1), *found[class_])
            for class_ in sorted(found)
        }

    @cached_property
    def _object_sizes(self) -> Dict[int, int]:
        """By spanClass, of small objects."""
        columns, small = self.columns, self.kinds.translate(_IS_SMALL)
        return dict(zip(compress(columns["spanclass"], small), compress(columns["element"], small)))

    def _counted(self, *names: str) -> Counter[Tuple[int, ...]]:
        """How many spans of objects have the same numbers in those columns."""
        mask = self.kinds.translate(_IS_IN_USE)
        return Counter(zip(*(compress(self.columns[name], mask) for name in names)))

    @property
    def in_use(self) -> int:
        """Spans in state mSpanInUse, without freed user arenas."""
        return sum(one.spans for one in self.classes.values())

    @property
    def in_use_bytes(self) -> int:
        """Bytes of them."""
        return sum(one.bytes for one in self.classes.values())

    @property
    def objects(self) -> int:
        """Allocated objects in them (allocCount; not yet swept ones included)."""
        return sum(one.objects for one in self.classes.values())

    @cached_property
    def object_bytes(self) -> int:
        """Bytes of those objects."""
        of_small = sum(one.size * one.objects for one in self.classes.values())
        mask = self.kinds.translate(_IS_LARGE)  # they differ in size
        columns = self.columns
        large = zip(compress(columns["allocated"], mask), compress(columns["element"], mask))
        return of_small + sum(allocated * element for allocated, element in large)

    def slot_bytes(self, addresses: Sequence[int]) -> int:
        """Bytes of the slots that begin at these addresses or hold them; what is in no span of objects has
        none."""
        mask, columns = self.kinds.translate(_IS_IN_USE), self.columns
        spans = sorted(zip(*(compress(columns[name], mask) for name in ("start", "pages", "element"))))
        starts = [start for start, _, _ in spans]
        total = 0
        for address in addresses:
            start, pages, element = spans[bisect_right(starts, address) - 1] if starts else (0, 0, 0)
            if start <= address < start + pages * PAGE:
                total += element
        return total


def _ones(values: Iterable[int]) -> bytes:
    """A table for bytes.translate that makes those values 1 and all others 0."""
    wanted = set(values)
    return bytes(value in wanted for value in range(256))


_BY_CLASS = bytes(SMALL if class_ > 1 else LARGE for class_ in range(256))
_IS_LIVE, _IS_MANUAL = _ones((IN_USE, MANUAL)), _ones((MANUAL,))  # of states
_IS_SMALL, _IS_LARGE = _ones((SMALL,)), _ones((LARGE, USER_ARENA))  # of kinds
_IS_IN_USE = _ones((SMALL, LARGE, USER_ARENA))


def read_spans(runtime: Runtime, heap: Record, grown: int) -> Spans:
    """Read every span that mheap_.allspans lists. `grown` is how many bytes the heap has grown to: there
    cannot be more spans than pages, nor a span of more; chunks of user arenas, which are beside it, are
    smaller than an arena (src/runtime/arena.go)."""
    layout = runtime.layout("runtime.mspan")
    header: Slice = heap.slice("allspans")
    listed = runtime.slice_words(header, "mheap_.allspans", grown // PAGE + _SPARE)
    addresses = array("Q", sorted(listed))
    missing = [name for name in _LATER if not layout.has(FIELDS[name])]
    fields = {name: path for name, path in FIELDS.items() if name not in missing}
    columns = read_columns(runtime, addresses, layout, fields, "spans")
    for name in missing:
        columns[name] = array("B", bytes(len(columns["address"])))
    states = columns["state"].tobytes()
    odd = len(states.translate(None, _STATES))
    live = chosen(columns, states.translate(_IS_LIVE))
    unsound = _unsound(live, max(grown // PAGE, _MAP))
    if unsound:
        odd += len(unsound)
        mask = bytearray(b"\1") * len(live["address"])
        for at in unsound:
            mask[at] = 0
        live = chosen(live, bytes(mask))
    if odd:
        runtime.problems.add(f"spans: {odd} of {len(addresses)} hold impossible values; left out")
    spans = Spans(live, addresses)
    runtime.problems.later(spans.damage)
    return spans


def _unsound(columns: Columns, most: int) -> List[int]:
    """Positions of the spans that cannot be where they say, or have more than `most` pages."""
    starts, pages = columns["start"], columns["pages"]
    if not starts:
        return []
    if 0 < min(pages) <= max(pages) <= most and all(starts) and not any(map(_MISPLACED.__and__, starts)):
        return []
    rows = enumerate(zip(starts, pages))
    return [at for at, (start, n) in rows if start & _MISPLACED or not 0 < n <= most or start == 0]


def _covered(starts: Sequence[int], pages: Sequence[int], kinds: bytes) -> Optional[List[Run]]:
    """What spans of one kind cover together, cut where maps end, found by a byte a page: sorting takes four
    times as long. None if spans overlap, or are so far apart that it is garbage."""
    total = sum(pages)
    maps: Dict[int, bytearray] = {}

    def fill(page: int, many: int, kind: int) -> None:
        while many and len(maps) < _MAX_MAPS:
            number, at = divmod(page, _MAP)
            now = min(many, _MAP - at)
            maps.setdefault(number, bytearray(_MAP))[at : at + now] = bytes((kind + 1,)) * now
            page, many = page + now, many - now

    for start, many, kind in zip(starts, pages, kinds):
        page = start >> PAGE_SHIFT
        number, at = divmod(page, _MAP)
        if number in maps and at + many <= _MAP:
            maps[number][at : at + many] = bytes((kind + 1,)) * many
        else:
            fill(page, many, kind)
    if sum(len(one) - one.count(0) for one in maps.values()) != total:
        return None
    return [
        ((number * _MAP + found.start()) * PAGE, (number * _MAP + found.end()) * PAGE, found.group()[0] - 1)
        for number, one in maps.items()
        for found in _ALIKE.finditer(one)
    ]


def _merge(parts: List[Run]) -> Tuple[List[Run], int]:
    """Sorts `parts` and joins neighbours of one kind; how many overlap those before, and are cut."""
    runs: List[Run] = []
    start = end = kind = -1
    overlaps = 0
    for at, to, what in sorted(parts):
        if at == end and what == kind:
            end = to
            continue
        if at < end:
            overlaps += 1
            at = end
            if to <= at:
                continue
        if kind >= 0:
            runs.append((start, end, kind))
        start, end, kind = at, to, what
    if kind >= 0:
        runs.append((start, end, kind))
    return runs, overlaps
