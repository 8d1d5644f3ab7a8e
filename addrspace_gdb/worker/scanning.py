"""Kernels that go from the words of the heap to edges between objects.

What an object is, and what an address leads to, is of spans.py.
"""

from __future__ import annotations

from typing import NamedTuple, Tuple

from addrspace_gdb.worker.arrays import Ints, kernel
from addrspace_gdb.worker.spans import Heap, row_of

# Where the bits are that say which words of an object are pointers: at the span's end and in front of the
# object since Go 1.22, for large objects in the span; before in the arena, two bits a word up to Go 1.19.
NONE, IN_SPAN, HEADER, LARGE, ARENA_TWO, ARENA_ONE = range(6)


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


class Batch(NamedTuple):
    """The edges of one part, before they are put with the others: where each leads to; which word of the part
    it is, which of its object's value, and how many bytes from the start of its target's value it leads
    (before that is known, the pointer).
    `index` is that of all edges; what is put there counts from the first of the part on."""

    to: Ints
    at: Ints
    within: Ints
    into: Ints
    index: Ints
    wild: Ints


@kernel
def carry(index: Ints) -> None:
    """What was not looked at has no edges: they would begin where those before them end."""
    for i in range(1, len(index)):
        if index[i] < index[i - 1]:
            index[i] = index[i - 1]


@kernel
def put_edges(first: int, count: int, batch: Batch, edges: Edges, begin: int, end: int) -> None:
    """Put the edges of a part with the others, as number `first` and the following ones; [begin, end) are the
    places in the index that count from the first of the part on."""
    to, found, index = edges.to, batch.to, edges.index
    for e in range(count):
        to[first + e] = found[e]
    for n in range(begin, end):
        index[n] += first


@kernel
def resolve(count: int, heap: Heap, batch: Batch) -> int:
    """Find what the first `count` pointers of a batch lead to; -1 where it is no object. How many are none.
    (An array that stands in a tuple costs as much as all the rest each time that it is taken out of it, or
    handed to what is inlined.)"""
    to, into, wild = batch.to, batch.into, 0
    low, groups, table, rows, state = heap.low, heap.groups, heap.table, heap.rows, heap.state
    for e in range(count):
        value = into[e]
        row, found = row_of(value, low, groups, table), -1
        if row >= 0:
            k = ((value - rows[row]) * rows[row + 1]) >> 32
            if 0 <= k < rows[row + 2] and state[rows[row + 3] + k] != 0:
                found = rows[row + 3] + k
                into[e] = value - rows[row + 5] - k * rows[row + 4]
        to[e] = found
        if found < 0:
            wild += 1
    return wild


@kernel
def drop_wild(count: int, batch: Batch, begin: int, end: int) -> int:
    """Take those that lead to no object out of a batch, and out of places [begin, end) of the index; how many
    are left."""
    to, at, within, into, index = batch.to, batch.at, batch.within, batch.into, batch.index
    kept, e = 0, 0
    for n in range(begin, end + 1):
        last = index[n] if n < end else count
        while e < last:
            if to[e] >= 0:
                to[kept], at[kept], within[kept], into[kept] = to[e], at[e], within[e], into[e]
                kept += 1
            e += 1
        if n < end:
            index[n] = kept
    return kept


@kernel
def settle(count: int, heap: Heap, batch: Batch, begin: int, end: int) -> int:
    """Make edges of the first `count` pointers of a batch, which places [begin, end) of the index count; how
    many edges there are."""
    wild = resolve(count, heap, batch)
    batch.wild[0] += wild
    return drop_wild(count, batch, begin, end) if wild else count


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
def by_span_bits(s: int, part: Part, heap: Heap, batch: Batch, count: int) -> int:
    """The edges of a span's objects, by the bits at its end."""
    words, state, index, low, high = part.words, heap.state, batch.index, heap.low, heap.high
    spots, within, into = batch.at, batch.within, batch.into
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
                            spots[count], within[count], into[count] = j, j - at, value
                            count += 1
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
    batch: Batch,
    count: int,
) -> int:
    """The edges of the object whose words are [at, stop), by the mask of its type, which counts again for
    each value of the type that there is room for. `offset`: which word of the object is the first."""
    size, covered, place = masks.words[type_], masks.covered[type_], masks.places[type_]
    if covered == 0:
        return count
    words, bits, low, high = part.words, masks.bits, heap.low, heap.high
    spots, within, into = batch.at, batch.within, batch.into
    tile, j, origin = offset % size, at, at - offset
    while j < stop:
        last = min(stop, j + covered - tile)
        while j < last:
            if (bits[place + (tile >> 3)] >> (tile & 7)) & 1 != 0:
                value = words[j]
                if value >= low and value < high:
                    spots[count], within[count], into[count] = j, j - origin, value
                    count += 1
            tile += 1
            j += 1
        j += size - tile
        tile = 0
    return count


@kernel
def by_two_bits(
    at: int, stop: int, origin: int, part: Part, heap: Heap, batch: Batch, count: int
) -> Tuple[int, bool]:
    """The edges of the object whose words are [at, stop), by the arena's bits, up to the first word that says
    that no more follow; whether one did."""
    words, bits, low, high = part.words, part.bits, heap.low, heap.high
    spots, within, into = batch.at, batch.within, batch.into
    for j in range(at, stop):
        both = bits[j >> 2] >> (j & 3)
        if both & 16 == 0:
            return count, True
        if both & 1 != 0 and low <= words[j] < high:
            spots[count], within[count], into[count] = j, j - origin, words[j]
            count += 1
    return count, False


@kernel
def by_one_bit(
    at: int, stop: int, origin: int, part: Part, heap: Heap, batch: Batch, count: int
) -> Tuple[int, bool]:
    """The same since Go 1.20. A word of bits may say that what follows it does not count."""
    unit = part.shift + 3
    last = (1 << unit) - 1
    words, bits, low, high = part.words, part.bits, heap.low, heap.high
    spots, within, into = batch.at, batch.within, batch.into
    for j in range(at, stop):
        if (bits[j >> 3] >> (j & 7)) & 1 != 0 and low <= words[j] < high:
            spots[count], within[count], into[count] = j, j - origin, words[j]
            count += 1
        if j & last == last and (part.dead[j >> (unit + 3)] >> ((j >> unit) & 7)) & 1 != 0:
            return count, True
    return count, False


@kernel
def by_headers(s: int, part: Part, heap: Heap, masks: Masks, type_of: Ints, batch: Batch, count: int) -> int:
    """The edges of a span's objects, each by the type in front of it."""
    at, step = (heap.starts[s] - part.base) >> part.shift, heap.sizes[s] >> part.shift
    for number in range(heap.first[s], heap.first[s] + heap.slots[s]):
        if heap.state[number] != 0:
            type_ = type_number(masks.types, part.words[at])
            if type_ >= 0:
                type_of[number] = masks.numbers[type_]
                body = at + (8 >> part.shift)
                count = by_type(body, at + step, 0, type_, part, heap, masks, batch, count)
        batch.index[number + 1] = count
        at += step
    return count


@kernel
def by_arena_bits(s: int, part: Part, heap: Heap, batch: Batch, count: int) -> int:
    """The edges of a span's objects, by the bits in the arena."""
    at, step = (heap.starts[s] - part.base) >> part.shift, heap.sizes[s] >> part.shift
    for number in range(heap.first[s], heap.first[s] + heap.slots[s]):
        if heap.state[number] != 0:
            if heap.kinds[s] == 4:
                count, _ = by_two_bits(at, at + step, at, part, heap, batch, count)
            else:
                count, _ = by_one_bit(at, at + step, at, part, heap, batch, count)
        batch.index[number + 1] = count
        at += step
    return count


@kernel
def scan_spans(
    begin: int, end: int, part: Part, heap: Heap, masks: Masks, type_of: Ints, batch: Batch
) -> int:
    """The edges of spans of small objects; how many there are."""
    count = 0
    for s in range(begin, end):
        kind = heap.kinds[s]
        if kind == 1:
            count = by_span_bits(s, part, heap, batch, count)
        elif kind == 2:
            count = by_headers(s, part, heap, masks, type_of, batch, count)
        elif kind == 4 or kind == 5:
            count = by_arena_bits(s, part, heap, batch, count)
        else:
            for number in range(heap.first[s], heap.first[s] + heap.slots[s]):
                batch.index[number + 1] = count
    return settle(count, heap, batch, heap.first[begin] + 1, heap.first[end] + 1)


@kernel
def scan_large(
    stop: int,
    offset: int,
    kind: int,
    type_: int,
    part: Part,
    heap: Heap,
    masks: Masks,
    batch: Batch,
) -> Tuple[int, bool]:
    """The edges of the first `stop` words of a part that is all of one large object, from its word `offset`
    on. How many there are, and whether it has no more pointers behind them."""
    count, closed = 0, True
    if kind == 4:
        count, closed = by_two_bits(0, stop, -offset, part, heap, batch, 0)
    elif kind != 3:
        count, closed = by_one_bit(0, stop, -offset, part, heap, batch, 0)
    elif type_ >= 0:
        count, closed = by_type(0, stop, offset, type_, part, heap, masks, batch, 0), False
    return settle(count, heap, batch, 0, 0), closed
