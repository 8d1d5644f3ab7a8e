"""The spans of the heap and their objects: which there are, and which one an address leads to.

An object is a number: those of the spans in the order of their addresses, slot by slot. What an address leads
to is found by its page.
"""

from __future__ import annotations

from typing import Dict, NamedTuple, Optional, Tuple

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.worker.arrays import Ints, filled, inlined, kernel, zeros
from addrspace_gdb.worker.budget import Budget

PAGES = 1 << 13  # of a group of pages, which is 64 MiB
ROW = 8
_MAX_GROUPS = 1 << 22  # of 64 MiB, from the lowest address to the highest
_MAX_USED = 1 << 15  # of them that have spans: 2 TiB


class Heap(NamedTuple):
    """Every span, and what finds an object by its address."""

    low: int
    high: int  # no object lies outside
    groups: Ints  # the number of each 64 MiB from `low` on that have spans; -1
    table: Ints  # by page of those groups: the span that has it, plus 1
    starts: Ints
    pages: Ints
    sizes: Ints  # bytes of a slot
    slots: Ints
    first: Ints  # the number of the first object
    kinds: Ints
    state: Ints  # by object: 1 if it is allocated
    rows: Ints  # of each span, side by side, ROW numbers: what `fill_rows` puts there


@kernel
def add_slots(slots: Ints, first: Ints) -> None:
    """first[s] becomes the number of span s's first object, and the last of it how many there are."""
    for s in range(len(slots)):
        first[s + 1] = first[s] + slots[s]


@kernel
def fill_rows(rows: Ints, starts: Ints, sizes: Ints, slots: Ints, first: Ints, kinds: Ints) -> None:
    """Put what finds an object side by side: where the span starts, the reciprocal of its objects' size (the
    runtime's own, divMul, for 32 bits), slots, the first object, the size, and where its value starts."""
    for s in range(len(starts)):
        row = s << 3
        rows[row] = starts[s]
        rows[row + 1] = 0 if slots[s] == 1 else 4294967295 // sizes[s] + 1
        rows[row + 2] = slots[s]
        rows[row + 3] = first[s]
        rows[row + 4] = sizes[s]
        rows[row + 5] = starts[s] + 8 if kinds[s] == 2 else starts[s]


@kernel
def last_end(starts: Ints, pages: Ints) -> int:
    """Where the last span ends; 0 if there is none, -1 if one ends nowhere."""
    last = 0
    for s in range(len(starts)):
        if not 0 <= starts[s] < 1 << 62 or not 0 <= pages[s] < 1 << 36:
            return -1
        last = max(last, starts[s] + (pages[s] << 13))
    return last


@kernel
def group_pages(groups: Ints, starts: Ints, pages: Ints, low: int) -> int:
    """Number the groups of pages that have spans; how many there are."""
    count = 0
    for s in range(len(starts)):
        at = (starts[s] - low) >> 26
        last = (starts[s] + (pages[s] << 13) - 1 - low) >> 26
        while at <= last:
            if groups[at] < 0:
                groups[at] = count
                count += 1
            at += 1
    return count


@kernel
def fill_pages(table: Ints, groups: Ints, starts: Ints, pages: Ints, low: int) -> None:
    """Note for each page the span that has it, plus 1."""
    for s in range(len(starts)):
        page = (starts[s] - low) >> 13
        for k in range(page, page + pages[s]):
            table[(groups[k >> 13] << 13) + (k & 8191)] = s + 1


@kernel
def allocated(heap: Heap, freeindex: Ints, places: Ints, bits: Ints) -> int:
    """Set the state of each object that is allocated; how many are. `places`: where in `bits` those of each
    span are, -1 for a span without."""
    count = 0
    for s in range(len(places)):
        base, place = heap.first[s], places[s]
        for k in range(heap.slots[s]):
            if k < freeindex[s] or (place >= 0 and (bits[place + (k >> 3)] >> (k & 7)) & 1 != 0):
                heap.state[base + k] = 1
                count += 1
    return count


@kernel
def row_of(value: int, low: int, groups: Ints, table: Ints) -> int:
    """Where the row of the span begins that an address in the heap lies in; below 0 if it is in none."""
    page = (value - low) >> 13
    group = groups[page >> 13]
    if group < 0:
        return -1
    return (table[(group << 13) + (page & 8191)] - 1) << 3  # type: ignore[no-any-return]


@kernel
def object_at(value: int, heap: Heap) -> int:
    """The object, or free slot, that an address within the heap lies in; -1 if it lies in none."""
    row, rows = row_of(value, heap.low, heap.groups, heap.table), heap.rows
    if row < 0:
        return -1
    k = ((value - rows[row]) * rows[row + 1]) >> 32
    if k < 0 or k >= rows[row + 2]:
        return -1
    return rows[row + 3] + k  # type: ignore[no-any-return]


@kernel
def objects_at(values: Ints, found: Ints, heap: Heap) -> None:
    """The object that each address lies in, -1 for none that is allocated."""
    for j in range(len(values)):
        found[j] = -1
        if heap.low <= values[j] < heap.high:
            to = object_at(values[j], heap)
            if to >= 0 and heap.state[to] != 0:
                found[j] = to


@kernel
def put_states(state: Ints, reached: Ints, found: Ints) -> None:
    """0 for a free slot, 1 for an object that nothing leads to, 2 for one that is reached."""
    for i in range(len(state)):
        if state[i] != 0:
            found[i] = 2 if reached[i] >= 0 else 1


@kernel
def total(heap: Heap, reached: Ints, only: bool) -> Tuple[int, int]:
    """How many objects there are and their bytes; `only`: that are reached."""
    count, size = 0, 0
    for s in range(len(heap.starts)):
        for number in range(heap.first[s], heap.first[s + 1]):
            if heap.state[number] != 0 and (not only or reached[number] >= 0):
                count += 1
                size += heap.sizes[s]
    return count, size


@kernel
def fill_spans(first: Ints, spans: Ints) -> None:
    """Note the span of every 64th object, and at the end the last."""
    at = 0
    for s in range(len(first) - 1):
        while at < len(spans) and at << 6 < first[s + 1]:
            spans[at] = s
            at += 1
    while at < len(spans):
        spans[at] = max(0, len(first) - 2)
        at += 1


@inlined
def span_of_number(number: int, first: Ints, spans: Ints) -> int:
    """The span of an object."""
    low, high = spans[number >> 6], spans[(number >> 6) + 1]
    while low < high:
        middle = (low + high) >> 1
        if first[middle + 1] <= number:
            low = middle + 1
        else:
            high = middle
    return low  # type: ignore[no-any-return]


@kernel
def span_at(number: int, first: Ints, spans: Ints) -> int:
    """The span of an object."""
    return span_of_number(number, first, spans)


def heap_of(spans: Dict[str, Ints], budget: Optional[Budget] = None) -> Heap:
    """All by the columns of the spans, whose objects are not known yet. ProblemError if there is too much."""
    starts, pages, slots = spans["starts"], spans["pages"], spans["slots"]
    count = len(starts)
    first = zeros(count + 1)
    add_slots(slots, first)
    total = int(first[count])
    if total >= 1 << 31:
        raise ProblemError(f"{total:,} slots for objects are more than can be told apart (2^31)")
    low = int(starts[0]) >> 26 << 26 if count else 0
    high = int(last_end(starts, pages))
    if high < 0 or (high - low) >> 26 >= _MAX_GROUPS:
        raise ProblemError("the heap reaches over more addresses than a process has")
    groups = filled(((high - low) >> 26) + 1, -1, "i")
    used = group_pages(groups, starts, pages, low)
    if used > _MAX_USED:
        raise ProblemError(f"spans take {used >> 4:,} GiB of addresses, which is more than can be looked at")
    if budget is not None:  # a damaged core may claim anything
        budget.begin(total, 4 * used * PAGES)
    table = zeros(used * PAGES, "i")
    fill_pages(table, groups, starts, pages, low)
    state = zeros(total, "B")
    sizes, rows, kinds = spans["sizes"], zeros(ROW * count), spans["kinds"]
    fill_rows(rows, starts, sizes, slots, first, kinds)
    return Heap(low, high, groups, table, starts, pages, sizes, slots, first, kinds, state, rows)


def marks(heap: Heap) -> Ints:
    """What finds the span of an object by its number."""
    spans = zeros((len(heap.state) >> 6) + 2, "i")
    fill_spans(heap.first, spans)
    return spans
