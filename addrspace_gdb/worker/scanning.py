"""Kernels that go from the words of the heap to edges between objects.

An object is a number: those of the spans in the order of their addresses, slot by slot. What an address leads
to is found by its page.
"""

from __future__ import annotations

from typing import NamedTuple, Tuple

from addrspace_gdb.worker.arrays import Ints, kernel

# Where the bits are that say which words of an object are pointers: at the span's end and in front of the
# object since Go 1.22, for large objects in the span; before in the arena, two bits a word up to Go 1.19.
NONE, IN_SPAN, HEADER, LARGE, ARENA_TWO, ARENA_ONE = range(6)
PAGES = 1 << 13  # of a group of pages, which is 64 MiB


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


class Masks(NamedTuple):
    """Types that stand before objects, ascending, and the pointers in them: words of the type, how many words
    have a bit, and where those bits begin in `bits`."""

    types: Ints
    words: Ints
    covered: Ints
    places: Ints
    bits: Ints
    numbers: Ints  # under which each is known


class Part(NamedTuple):
    """Some of the heap's memory: `words` from the address `base` on, and the arena's bits of them."""

    words: Ints
    base: int
    shift: int  # of the bytes of a word
    tail: int  # bytes between the pointer bits of a span and its end
    bits: Ints
    dead: Ints  # a bit for each word of `bits`: objects that go on behind it have no more pointers


class Edges(NamedTuple):
    """What is made: where each edge leads to, where those of each object begin, and in wild[0] how many
    pointers lead to what is no object."""

    to: Ints
    index: Ints
    wild: Ints


@kernel
def add_slots(slots: Ints, first: Ints) -> None:
    """first[s] becomes the number of span s's first object, and the last of it how many there are."""
    for s in range(len(slots)):
        first[s + 1] = first[s] + slots[s]


@kernel
def carry(index: Ints) -> None:
    """What was not looked at has no edges: they would begin where those before them end."""
    for i in range(1, len(index)):
        if index[i] < index[i - 1]:
            index[i] = index[i - 1]


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
def object_at(value: int, heap: Heap) -> int:
    """The object, or free slot, that an address within the heap lies in; -1 if it lies in none."""
    page = (value - heap.low) >> 13
    group = heap.groups[page >> 13]
    if group < 0:
        return -1
    s = heap.table[(group << 13) + (page & 8191)] - 1
    if s < 0:
        return -1
    k = (value - heap.starts[s]) // heap.sizes[s]
    if k >= heap.slots[s]:
        return -1
    return heap.first[s] + k  # type: ignore[no-any-return]


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
def follow(value: int, heap: Heap, edges: Edges, count: int) -> int:
    """Add the edge that a pointer is; how many there are then."""
    if value < heap.low or value >= heap.high:
        return count
    to = object_at(value, heap)
    if to < 0 or heap.state[to] == 0:
        edges.wild[0] += 1
        return count
    edges.to[count] = to
    return count + 1


@kernel
def read_headers(begin: int, end: int, part: Part, heap: Heap, found: Ints) -> int:
    """Put the type of each allocated object of these spans that has a header into `found`; how many."""
    count = 0
    for s in range(begin, end):
        if heap.kinds[s] == 2:
            at = (heap.starts[s] - part.base) >> part.shift
            step = heap.sizes[s] >> part.shift
            for k in range(heap.slots[s]):
                if heap.state[heap.first[s] + k] != 0:
                    found[count] = part.words[at + k * step]
                    count += 1
    return count


@kernel
def type_number(types: Ints, address: int) -> int:
    """Where an address stands in the ascending `types`; -1 if it does not."""
    low, high = 0, len(types)
    while low < high:
        middle = (low + high) >> 1
        if types[middle] < address:
            low = middle + 1
        else:
            high = middle
    if low < len(types) and types[low] == address:
        return low
    return -1


@kernel
def by_span_bits(s: int, at: int, stop: int, part: Part, heap: Heap, edges: Edges, count: int) -> int:
    """The edges of the object whose words are [at, stop), by the bits at the end of its span."""
    unit = part.shift + 3
    start = (heap.starts[s] - part.base) >> part.shift
    size = heap.pages[s] << (13 - part.shift)
    bits = start + size - (size >> unit)
    if heap.sizes[s] >= 16:
        bits -= part.tail >> part.shift
    for j in range(at, stop):
        place = j - start
        if (part.words[bits + (place >> unit)] >> (place & ((1 << unit) - 1))) & 1 != 0:
            count = follow(part.words[j], heap, edges, count)
    return count


@kernel
def by_type(
    at: int,
    stop: int,
    offset: int,
    type_: int,
    part: Part,
    heap: Heap,
    masks: Masks,
    edges: Edges,
    count: int,
) -> int:
    """The same by the mask of its type, which counts again for each value of the type that there is room for.
    `offset`: which word of the object is the first."""
    size, covered, place = masks.words[type_], masks.covered[type_], masks.places[type_]
    if covered == 0:
        return count
    tile = offset % size
    for j in range(at, stop):
        if tile < covered and (masks.bits[place + (tile >> 3)] >> (tile & 7)) & 1 != 0:
            count = follow(part.words[j], heap, edges, count)
        tile += 1
        if tile == size:
            tile = 0
    return count


@kernel
def by_two_bits(at: int, stop: int, part: Part, heap: Heap, edges: Edges, count: int) -> Tuple[int, bool]:
    """The same by the arena's bits, up to the first word that says that no more follow; whether one did."""
    for j in range(at, stop):
        both = part.bits[j >> 2] >> (j & 3)
        if both & 16 == 0:
            return count, True
        if both & 1 != 0:
            count = follow(part.words[j], heap, edges, count)
    return count, False


@kernel
def by_one_bit(at: int, stop: int, part: Part, heap: Heap, edges: Edges, count: int) -> Tuple[int, bool]:
    """The same since Go 1.20. A word of bits may say that what follows it does not count."""
    unit = part.shift + 3
    last = (1 << unit) - 1
    for j in range(at, stop):
        if (part.bits[j >> 3] >> (j & 7)) & 1 != 0:
            count = follow(part.words[j], heap, edges, count)
        if j & last == last and (part.dead[j >> (unit + 3)] >> ((j >> unit) & 7)) & 1 != 0:
            return count, True
    return count, False


@kernel
def scan_spans(
    begin: int, end: int, part: Part, heap: Heap, masks: Masks, type_of: Ints, edges: Edges, count: int
) -> int:
    """The edges of spans of small objects, from edge `count` on; how many there are then."""
    for s in range(begin, end):
        kind, step = heap.kinds[s], heap.sizes[s] >> part.shift
        at = (heap.starts[s] - part.base) >> part.shift
        for number in range(heap.first[s], heap.first[s] + heap.slots[s]):
            if heap.state[number] != 0 and kind != 0:
                if kind == 1:
                    count = by_span_bits(s, at, at + step, part, heap, edges, count)
                elif kind == 2:
                    type_ = type_number(masks.types, part.words[at])
                    if type_ >= 0:
                        type_of[number] = masks.numbers[type_]
                        body = at + (8 >> part.shift)
                        count = by_type(body, at + step, 0, type_, part, heap, masks, edges, count)
                elif kind == 4:
                    count, _ = by_two_bits(at, at + step, part, heap, edges, count)
                elif kind == 5:
                    count, _ = by_one_bit(at, at + step, part, heap, edges, count)
            edges.index[number + 1] = count
            at += step
    return count


@kernel
def scan_large(
    stop: int,
    offset: int,
    kind: int,
    type_: int,
    part: Part,
    heap: Heap,
    masks: Masks,
    edges: Edges,
    count: int,
) -> Tuple[int, bool]:
    """The edges of the first `stop` words of a part that is all of one large object, from its word `offset`
    on. How many edges there are then, and whether it has no more pointers."""
    if kind == 3:
        if type_ < 0:
            return count, True
        return by_type(0, stop, offset, type_, part, heap, masks, edges, count), False
    if kind == 4:
        return by_two_bits(0, stop, part, heap, edges, count)
    return by_one_bit(0, stop, part, heap, edges, count)


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
