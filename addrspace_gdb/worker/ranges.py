"""What of the heap is read together, and where its allocation bits are."""

from __future__ import annotations

from typing import Dict, List, NamedTuple

from addrspace_gdb.worker.arrays import Ints, kernel, zeros

PART = 2 << 20  # bytes of the heap that are read at a time: they are to stay in the processor's cache
GAP = 1 << 16  # bytes of objects without pointers that are read with their neighbours
BITS = 1 << 16  # bytes of allocation bits that are read at a time
_COLUMNS = 6


class Range(NamedTuple):
    """Spans [begin, end) that are read together, or a part of a large object."""

    begin: int
    end: int
    address: int
    size: int
    offset: int  # of the part in the object; -1: whole spans
    headers: int  # 1: some of its objects have their type before them


@kernel
def sort_of(kind: int, slots: int) -> int:
    """0: a span of nothing with pointers; 1: of small objects; 2: of a large one. Kinds: scanning.py."""
    if kind == 0:
        return 0
    return 2 if slots == 1 and kind != 1 and kind != 2 else 1


@kernel
def plan_ranges(starts: Ints, pages: Ints, kinds: Ints, slots: Ints, part: int, gap: int, rows: Ints) -> int:
    """Put ranges into `rows`, six numbers each, as `Range` has them; how many."""
    at, found, count = 0, 0, len(starts)
    while at < count:
        begin, start = at, starts[at]
        last, sort = start + (pages[at] << 13), sort_of(kinds[at], slots[at])
        at += 1
        if sort == 2:
            for offset in range(0, last - start, part):
                row = 6 * found
                rows[row], rows[row + 1], rows[row + 2] = begin, at, start + offset
                rows[row + 3], rows[row + 4] = min(part, last - start - offset), offset
                found += 1
        elif sort == 1:
            end = at
            while end < count and last <= starts[end] <= last + gap:
                sort, behind = sort_of(kinds[end], slots[end]), starts[end] + (pages[end] << 13)
                if sort == 2 or behind - start > part:
                    break
                end += 1
                if sort == 1:
                    last, at = behind, end
            row = 6 * found
            rows[row], rows[row + 1], rows[row + 2] = begin, at, start
            rows[row + 3], rows[row + 4] = last - start, -1
            for s in range(begin, at):
                if kinds[s] == 2:
                    rows[row + 5] = 1
            found += 1
    return found


def ranges(spans: Dict[str, Ints]) -> List[Range]:
    """All, by the columns of the spans."""
    starts, pages, kinds, slots = (spans[name] for name in ("starts", "pages", "kinds", "slots"))
    room = len(starts) + (sum(pages.tolist()) << 13) // PART + 1
    rows = zeros(_COLUMNS * room)
    count = int(plan_ranges(starts, pages, kinds, slots, PART, GAP, rows))
    listed = rows[: _COLUMNS * count].tolist()
    return [Range(*listed[at : at + _COLUMNS]) for at in range(0, len(listed), _COLUMNS)]


@kernel
def plan_blocks(order: Ints, addresses: Ints, slots: Ints, most: int, rows: Ints, places: Ints) -> int:
    """Blocks of memory that have the bits at `addresses`, whose ascending `order` is given. Put into `rows`
    the start of each, how many of its bytes are needed, and how many may be read; how many blocks there are.
    places[s] becomes where those of s are, if all blocks stand one behind the other; it is to be -1."""
    count, low, high, done, needed = 0, 0, 0, 0, 0
    for k in range(len(order)):
        s = order[k]
        address, size = addresses[s], (slots[s] + 7) >> 3
        if address == 0:
            continue
        if count == 0 or address < low or address + size > high:
            done += high - low
            low, high, needed = address, address + max(size, most - address % most), 0
            count += 1
        needed = max(needed, address + size - low)
        row = 3 * (count - 1)
        rows[row], rows[row + 1], rows[row + 2] = low, needed, high - low
        places[s] = done + address - low
    return count
