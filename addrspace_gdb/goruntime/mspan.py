"""Spans: runs of heap pages in one state (src/runtime/mheap.go: mspan, mheap_.allspans).

mspan objects are never given back to the OS and allspans keeps every one ever made, so dead ones are
met and left out. A process may have a million: they are read in bulk and kept as plain integers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.goruntime.record import Record, Runtime, Slice, bulk
from addrspace_gdb.goruntime.sizeclasses import PAGE_SHIFT

PAGE = 1 << PAGE_SHIFT

# mSpanState, src/runtime/mheap.go, all versions.
DEAD, IN_USE, MANUAL = 0, 1, 2

_MOST_SPANS = 1 << 25  # 256 GiB of the smallest spans
_SPARE = 4096  # mspan objects beyond the pages there are now (a heap never shrinks)

# What a merged run of spans holds.
SMALL, LARGE, USER_ARENA, MANUAL_RUN, FREED_ARENA = 0, 1, 2, 3, 4

# setUserArenaChunkToFault (src/runtime/arena.go) turns a freed chunk of a user arena noscan, which no
# other chunk is. Nothing is behind it, and MemStats has it no more; its addresses wait for the next cycle.
FAULT_CLASS = 1


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


@dataclass
class Spans:
    """All live spans: merged runs in address order, manual ones singly, and the totals in use."""

    runs: List[Tuple[int, int, int]] = field(default_factory=list)  # (start, end, SMALL|LARGE|...)
    manual: List[ManualSpan] = field(default_factory=list)
    user_arenas: List[int] = field(default_factory=list)
    in_use: int = 0  # spans in state mSpanInUse, without freed user arenas
    in_use_bytes: int = 0
    objects: int = 0  # allocated objects in them (allocCount; not yet swept ones included)
    object_bytes: int = 0
    total: int = 0  # mspan objects, dead ones too
    addresses: Sequence[int] = ()  # of all mspan objects, ascending
    classes: Dict[int, SpanClass] = field(default_factory=dict)  # by spanClass: size class << 1 | noscan


# In the order of the struct for Go 1.20-1.27; `Type.order` sorts them for any other.
_FIELDS = (
    "startAddr",
    "npages",
    "manualFreeList",
    "allocCount",
    "spanclass",
    "state",
    "isUserArenaChunk",
    "elemsize",
)


def read_spans(runtime: Runtime, heap: Record, grown: Optional[int] = None) -> Spans:
    """Read every span that mheap_.allspans lists. `grown` is how many bytes the heap has grown to: there
    cannot be more spans than pages."""
    layout = runtime.layout("runtime.mspan")
    # User arenas came with Go 1.20: before, no span is a chunk of one.
    missing = [name for name in _FIELDS[6:7] if not layout.has(name)]
    ordered = layout.order(*(name for name in _FIELDS if name not in missing))
    unpack = layout.decoder(*ordered, byte_order=runtime.target.byte_order).unpack_from
    places = (*ordered, *missing)
    pick = [places.index(name) for name in _FIELDS]
    nothing = (0,) * len(missing)
    straight = pick == sorted(pick)
    header: Slice = heap.slice("allspans")
    most = _MOST_SPANS if grown is None else grown // PAGE + _SPARE
    addresses = sorted(runtime.slice_words(header, "mheap_.allspans", most))
    spans = Spans(total=len(addresses), addresses=addresses)
    packed: List[int] = []
    odd = 0
    tally = _Tally()
    for block, base, run in bulk(runtime, addresses, layout.size, "spans"):
        rows = [unpack(block, address - base) for address in run]
        if not straight:
            rows = [tuple((*row, *nothing)[i] for i in pick) for row in rows]
        odd += _sort_out(rows, run, spans, packed, tally)
    if odd:
        runtime.problems.add(f"spans: {odd} of {len(addresses)} hold impossible values; left out")
    _merge(packed, spans, runtime)
    tally.into(spans)
    return spans


class _Tally:
    """Spans in use, their pages and allocated objects, by span class, which is a byte."""

    def __init__(self) -> None:
        self.spans, self.pages, self.objects, self.element = ([0] * 256 for _ in range(4))
        self.large_bytes = 0  # of the objects of classes 0 and 1, which differ in size

    def into(self, spans: Spans) -> None:
        """Fill in the classes of `spans`, and its totals."""
        for class_, count in enumerate(self.spans):
            if count:
                size, objects = self.element[class_] if class_ > 1 else 0, self.objects[class_]
                found = SpanClass(size, bool(class_ & 1), count, self.pages[class_] * PAGE, objects)
                spans.classes[class_] = found
                spans.object_bytes += size * objects
        spans.object_bytes += self.large_bytes
        spans.in_use = sum(self.spans)
        spans.in_use_bytes = sum(self.pages) * PAGE
        spans.objects = sum(self.objects)


def _sort_out(
    rows: List[Tuple[int, ...]], addresses: Sequence[int], spans: Spans, packed: List[int], tally: _Tally
) -> int:
    """Add the live spans of one block to `spans`, `packed` and `tally`; the number of impossible ones."""
    odd = 0
    counts, pages_of, objects, element_of = tally.spans, tally.pages, tally.objects, tally.element
    add = packed.append
    for address, (start, pages, free, allocated, class_, state, user, element) in zip(addresses, rows):
        if state == IN_USE:
            if start & (PAGE - 1) or not 0 < pages < 1 << 40 or start == 0:
                odd += 1
                continue
            if user and class_ == FAULT_CLASS:
                add((start >> PAGE_SHIFT) << 44 | pages << 4 | FREED_ARENA)
                spans.user_arenas.append(start)
                continue
            counts[class_] += 1
            pages_of[class_] += pages
            objects[class_] += allocated
            if class_ > 1 and not user:
                element_of[class_] = element
                kind = SMALL
            else:
                tally.large_bytes += allocated * element
                kind = USER_ARENA if user else LARGE
            add((start >> PAGE_SHIFT) << 44 | pages << 4 | kind)
            if user:
                spans.user_arenas.append(start)
        elif state == MANUAL:
            if start & (PAGE - 1) or not 0 < pages < 1 << 40 or start == 0:
                odd += 1
                continue
            spans.manual.append(ManualSpan(start, pages * PAGE, element, free, allocated, address))
            add((start >> PAGE_SHIFT) << 44 | pages << 4 | MANUAL_RUN)
        elif state != DEAD:
            odd += 1
    return odd


def _merge(packed: List[int], spans: Spans, runtime: Runtime) -> None:
    """Fill `spans.runs` with neighbours of one kind joined; overlapping spans are told and cut."""
    packed.sort()
    spans.manual.sort()
    runs = spans.runs
    start = end = kind = -1
    overlaps = 0
    for item in packed:
        at = item >> 44 << PAGE_SHIFT
        to = at + ((item >> 4 & 0xFFFFFFFFFF) << PAGE_SHIFT)
        if at == end and item & 15 == kind:
            end = to
            continue
        if at < end:
            overlaps += 1
            at = end
            if to <= at:
                continue
        if kind >= 0:
            runs.append((start, end, kind))
        start, end, kind = at, to, item & 15
    if kind >= 0:
        runs.append((start, end, kind))
    if overlaps:
        runtime.problems.add(f"spans: {overlaps} overlap others; counted once")
