"""Kernels that go from the words of the heap to edges between objects.

An object is a number: those of the spans in the order of their addresses, slot by slot. What an address leads
to is found by its page.
"""

from __future__ import annotations

from typing import NamedTuple, Tuple

from addrspace_gdb.worker.arrays import Ints, inlined, kernel

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
    rows: Ints  # of each span, side by side: start, reciprocal of the size, slots, first


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
    """What is made: where each edge leads to, where those of each object begin, in wild[0] how many pointers
    lead to what is no object, and which word each edge is: first of the part that is read, later of its
    object (worker/noting.py)."""

    to: Ints
    index: Ints
    wild: Ints
    at: Ints
    mask: int  # which bits of an edge's number say its place in `at`, which is short where nobody asks for it


@kernel
def add_slots(slots: Ints, first: Ints) -> None:
    """first[s] becomes the number of span s's first object, and the last of it how many there are."""
    for s in range(len(slots)):
        first[s + 1] = first[s] + slots[s]


@kernel
def fill_rows(rows: Ints, starts: Ints, sizes: Ints, slots: Ints, first: Ints) -> None:
    """Put what finds an object side by side. The reciprocal is the runtime's own (divMul), for 32 bits."""
    for s in range(len(starts)):
        row = s << 2
        rows[row] = starts[s]
        rows[row + 1] = 0 if slots[s] == 1 else 4294967295 // sizes[s] + 1
        rows[row + 2] = slots[s]
        rows[row + 3] = first[s]


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


@inlined
def slot_at(value: int, low: int, groups: Ints, table: Ints, rows: Ints) -> int:
    """The object, or free slot, that an address within the heap lies in; -1 if it lies in none."""
    page = (value - low) >> 13
    group = groups[page >> 13]
    if group < 0:
        return -1
    row = (table[(group << 13) + (page & 8191)] - 1) << 2
    if row < 0:
        return -1
    k = ((value - rows[row]) * rows[row + 1]) >> 32
    if k < 0 or k >= rows[row + 2]:
        return -1
    return rows[row + 3] + k  # type: ignore[no-any-return]


@kernel
def object_at(value: int, heap: Heap) -> int:
    """The same by the heap."""
    return slot_at(value, heap.low, heap.groups, heap.table, heap.rows)


@kernel
def objects_at(values: Ints, found: Ints, heap: Heap) -> None:
    """The object that each address lies in, -1 for none that is allocated."""
    for j in range(len(values)):
        found[j] = -1
        if heap.low <= values[j] < heap.high:
            to = object_at(values[j], heap)
            if to >= 0 and heap.state[to] != 0:
                found[j] = to


@inlined
def put(
    value: int,
    j: int,
    low: int,
    groups: Ints,
    table: Ints,
    rows: Ints,
    state: Ints,
    to: Ints,
    at: Ints,
    mask: int,
    wild: Ints,
    count: int,
) -> int:
    """Add the edge that a pointer into the heap is, which is word `j` of what is read; how many there are
    then. (Arrays that stand in a tuple cost as much as all the rest each time that they are taken out of it.)
    """
    number = slot_at(value, low, groups, table, rows)
    if number < 0 or state[number] == 0:
        wild[0] += 1
        return count
    to[count] = number
    at[count & mask] = j
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
def by_span_bits(s: int, part: Part, heap: Heap, edges: Edges, count: int) -> int:
    """The edges of a span's objects, by the bits at its end."""
    words, state, groups, table, rows = part.words, heap.state, heap.groups, heap.table, heap.rows
    to, index, wild, low, high = edges.to, edges.index, edges.wild, heap.low, heap.high
    spots, mask_of_spots = edges.at, edges.mask
    unit, step = part.shift + 3, heap.sizes[s] >> part.shift
    start, size, room = (
        (heap.starts[s] - part.base) >> part.shift,
        heap.pages[s] << (13 - part.shift),
        1 << unit,
    )
    bits = start + size - (size >> unit)
    if heap.sizes[s] >= 16:
        bits -= part.tail >> part.shift
    at = start
    for number in range(heap.first[s], heap.first[s] + heap.slots[s]):
        if state[number] != 0:
            for begin in range(at, at + step, 32):  # a mask of 32 bits is above 0 whatever the words are
                many = min(32, at + step - begin)
                word, shift = bits + ((begin - start) >> unit), (begin - start) & (room - 1)
                mask = words[word] >> shift
                if shift + many > room:
                    mask = (mask & ((1 << (room - shift)) - 1)) | (words[word + 1] << (room - shift))
                mask &= (1 << many) - 1
                j = begin
                while mask != 0:
                    if mask & 1 != 0:
                        value = words[j]
                        if value >= low and value < high:
                            count = put(
                                value,
                                j,
                                low,
                                groups,
                                table,
                                rows,
                                state,
                                to,
                                spots,
                                mask_of_spots,
                                wild,
                                count,
                            )
                    mask >>= 1
                    j += 1
        index[number + 1] = count
        at += step
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
    """The edges of the object whose words are [at, stop), by the mask of its type, which counts again for
    each value of the type that there is room for. `offset`: which word of the object is the first."""
    size, covered, place = masks.words[type_], masks.covered[type_], masks.places[type_]
    if covered == 0:
        return count
    words, bits, low, high = part.words, masks.bits, heap.low, heap.high
    state, groups, table, rows, to, spots, mask, wild = (
        heap.state,
        heap.groups,
        heap.table,
        heap.rows,
        edges.to,
        edges.at,
        edges.mask,
        edges.wild,
    )
    tile, j = offset % size, at
    while j < stop:
        last = min(stop, j + covered - tile)
        while j < last:
            if (bits[place + (tile >> 3)] >> (tile & 7)) & 1 != 0:
                value = words[j]
                if value >= low and value < high:
                    count = put(value, j, low, groups, table, rows, state, to, spots, mask, wild, count)
            tile += 1
            j += 1
        j += size - tile
        tile = 0
    return count


@kernel
def by_two_bits(at: int, stop: int, part: Part, heap: Heap, edges: Edges, count: int) -> Tuple[int, bool]:
    """The edges of the object whose words are [at, stop), by the arena's bits, up to the first word that says
    that no more follow; whether one did."""
    words, bits, low, high = part.words, part.bits, heap.low, heap.high
    state, groups, table, rows, to, spots, mask, wild = (
        heap.state,
        heap.groups,
        heap.table,
        heap.rows,
        edges.to,
        edges.at,
        edges.mask,
        edges.wild,
    )
    for j in range(at, stop):
        both = bits[j >> 2] >> (j & 3)
        if both & 16 == 0:
            return count, True
        if both & 1 != 0 and low <= words[j] < high:
            count = put(words[j], j, low, groups, table, rows, state, to, spots, mask, wild, count)
    return count, False


@kernel
def by_one_bit(at: int, stop: int, part: Part, heap: Heap, edges: Edges, count: int) -> Tuple[int, bool]:
    """The same since Go 1.20. A word of bits may say that what follows it does not count."""
    unit = part.shift + 3
    last = (1 << unit) - 1
    words, bits, low, high = part.words, part.bits, heap.low, heap.high
    state, groups, table, rows, to, spots, mask, wild = (
        heap.state,
        heap.groups,
        heap.table,
        heap.rows,
        edges.to,
        edges.at,
        edges.mask,
        edges.wild,
    )
    for j in range(at, stop):
        if (bits[j >> 3] >> (j & 7)) & 1 != 0 and low <= words[j] < high:
            count = put(words[j], j, low, groups, table, rows, state, to, spots, mask, wild, count)
        if j & last == last and (part.dead[j >> (unit + 3)] >> ((j >> unit) & 7)) & 1 != 0:
            return count, True
    return count, False


@kernel
def by_headers(s: int, part: Part, heap: Heap, masks: Masks, type_of: Ints, edges: Edges, count: int) -> int:
    """The edges of a span's objects, each by the type in front of it."""
    at, step = (heap.starts[s] - part.base) >> part.shift, heap.sizes[s] >> part.shift
    for number in range(heap.first[s], heap.first[s] + heap.slots[s]):
        if heap.state[number] != 0:
            type_ = type_number(masks.types, part.words[at])
            if type_ >= 0:
                type_of[number] = masks.numbers[type_]
                body = at + (8 >> part.shift)
                count = by_type(body, at + step, 0, type_, part, heap, masks, edges, count)
        edges.index[number + 1] = count
        at += step
    return count


@kernel
def by_arena_bits(s: int, part: Part, heap: Heap, edges: Edges, count: int) -> int:
    """The edges of a span's objects, by the bits in the arena."""
    at, step = (heap.starts[s] - part.base) >> part.shift, heap.sizes[s] >> part.shift
    for number in range(heap.first[s], heap.first[s] + heap.slots[s]):
        if heap.state[number] != 0:
            if heap.kinds[s] == 4:
                count, _ = by_two_bits(at, at + step, part, heap, edges, count)
            else:
                count, _ = by_one_bit(at, at + step, part, heap, edges, count)
        edges.index[number + 1] = count
        at += step
    return count


@kernel
def scan_spans(
    begin: int, end: int, part: Part, heap: Heap, masks: Masks, type_of: Ints, edges: Edges, count: int
) -> int:
    """The edges of spans of small objects, from edge `count` on; how many there are then."""
    for s in range(begin, end):
        kind = heap.kinds[s]
        if kind == 1:
            count = by_span_bits(s, part, heap, edges, count)
        elif kind == 2:
            count = by_headers(s, part, heap, masks, type_of, edges, count)
        elif kind == 4 or kind == 5:
            count = by_arena_bits(s, part, heap, edges, count)
        else:
            for number in range(heap.first[s], heap.first[s] + heap.slots[s]):
                edges.index[number + 1] = count
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
