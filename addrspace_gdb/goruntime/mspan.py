"""Spans: runs of heap pages in one state (src/runtime/mheap.go: mspan, mheap_.allspans).

mspan objects are never given back to the OS and allspans keeps every one ever made, so dead ones are
met and left out. A process may have a million: they are read in bulk and kept as plain integers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import List, NamedTuple, Optional, Tuple

from addrspace_gdb.goruntime.record import Record, Runtime, Slice, bulk

PAGE_SHIFT = 13  # _PageShift, src/runtime/malloc.go (gc.PageShift since 1.25): 8 KiB on every architecture
PAGE = 1 << PAGE_SHIFT

# mSpanState, src/runtime/mheap.go, all versions.
DEAD, IN_USE, MANUAL = 0, 1, 2

_MOST_SPANS = 1 << 25  # 256 GiB of the smallest spans
_SPARE = 4096  # mspan objects beyond the pages there are now (a heap never shrinks)

# What a merged run of spans holds.
SMALL, LARGE, USER_ARENA, MANUAL_RUN = 0, 1, 2, 3


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


@dataclass
class Spans:
    """All live spans: merged runs in address order, manual ones singly, and the totals in use."""

    runs: List[Tuple[int, int, int]] = field(default_factory=list)  # (start, end, SMALL|LARGE|...)
    manual: List[ManualSpan] = field(default_factory=list)
    user_arenas: List[int] = field(default_factory=list)
    in_use: int = 0  # spans in state mSpanInUse
    in_use_bytes: int = 0
    objects: int = 0  # allocated objects in them (allocCount; not yet swept ones included)
    object_bytes: int = 0
    total: int = 0  # mspan objects, dead ones too


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
    spans = Spans(total=len(addresses))
    packed: List[int] = []
    odd = 0
    for block, base, run in bulk(runtime, addresses, layout.size, "spans"):
        rows = [unpack(block, address - base) for address in run]
        if not straight:
            rows = [tuple((*row, *nothing)[i] for i in pick) for row in rows]
        odd += _sort_out(rows, run, spans, packed)
    if odd:
        runtime.problems.add(f"spans: {odd} of {len(addresses)} hold impossible values; left out")
    _merge(packed, spans, runtime)
    return spans


def _sort_out(rows: List[Tuple[int, ...]], addresses: List[int], spans: Spans, packed: List[int]) -> int:
    """Add the live spans of one block to `spans` and `packed`; the number of impossible ones."""
    odd = count = size = objects = object_bytes = 0
    add = packed.append
    for address, (start, pages, free, allocated, class_, state, user, element) in zip(addresses, rows):
        if state == IN_USE:
            if start & (PAGE - 1) or not 0 < pages < 1 << 40 or start == 0:
                odd += 1
                continue
            count += 1
            size += pages
            objects += allocated
            object_bytes += allocated * element
            kind = USER_ARENA if user else SMALL if class_ > 1 else LARGE
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
    spans.in_use += count
    spans.in_use_bytes += size * PAGE
    spans.objects += objects
    spans.object_bytes += object_bytes
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
