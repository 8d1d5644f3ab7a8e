"""Kernels that give objects their types: from those that have one, along the pointers that the type knows.

A type is a shape, by number (goruntime/typeshapes.py); 0 is none.
"""

from __future__ import annotations

from typing import NamedTuple

from addrspace_gdb.worker.arrays import Ints, inlined, kernel
from addrspace_gdb.worker.scanning import Heap

# How a pointer leads to its target.
UNKNOWN, ONE, MANY, DYNAMIC, DIRECTORY = range(5)
NOTHING, TINY, TEXT, FUNCTION = range(4)
# What is counted.
CONFLICTS, MISPLACED, AGAIN = range(3)


class Shapes(NamedTuple):
    """By shape: bytes, words until the pointers repeat, bytes of the slot of a single one, whether an object
    may be larger, the shape it begins with, and where its pointers are in the columns by pointer."""

    sizes: Ints
    periods: Ints
    slots: Ints
    open: Ints
    firsts: Ints
    begin: Ints
    offsets: Ints  # words, ascending
    hows: Ints
    targets: Ints
    others: Ints


class Found(NamedTuple):
    """What is found out, by object; and a queue of those whose pointers are to be followed."""

    shapes: Ints  # of each object
    sure: Ints  # 1: what stands before the object says it, and nothing else can
    queue: Ints
    counts: Ints  # types that differ, pointers where the type has none, and whether the queue was too short


class Dynamic(NamedTuple):
    """What an interface leads to, by the tag of its type."""

    hows: Ints
    targets: Ints


class Roots(NamedTuple):
    """Pointers that are no part of an object: where they lead to, the object there (-1: none), how, and what
    shape they say it has."""

    values: Ints
    numbers: Ints
    hows: Ints
    targets: Ints


@inlined
def span_of_number(number: int, first: Ints) -> int:
    """The span of an object."""
    low, high = 0, len(first) - 1
    while low < high:
        middle = (low + high) >> 1
        if first[middle + 1] <= number:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def begins_with(shape: int, inner: int, firsts: Ints) -> bool:
    """Whether values of a shape begin with one of another."""
    for _ in range(32):
        if shape == inner:
            return True
        shape = firsts[shape]
        if shape == 0:
            return False
    return False


@kernel
def suits(
    span: int, into: int, how: int, shape: int, kinds: Ints, sizes: Ints, shapes: Shapes, loose: int
) -> int:
    """Which shape an object may have that a pointer leads to: the one that it says, TINY, or NOTHING."""
    room, size = sizes[span], shapes.sizes[shape]
    if kinds[span] == 2:
        room -= 8
    pointers = shapes.begin[shape + 1] > shapes.begin[shape]
    if kinds[span] == 0:
        if pointers and shapes.open[shape] == 0:
            return 0
        if room == 16 and size < 16:
            return 1
    elif shape == 2 or (not pointers and shapes.open[shape] == 0):
        return 0
    if size > room:
        return 0
    if how == 2:
        if into == 0 or (size > 0 and into % size == 0):
            return shape
        return 0
    if into != 0:
        if loose != 0 and size > 0 and into % size == 0:
            return shape
        return 0
    if shapes.open[shape] != 0 or shapes.slots[shape] == sizes[span] or loose != 0:
        return shape
    return 0


@kernel
def give(
    number: int,
    into: int,
    how: int,
    shape: int,
    first: Ints,
    kinds: Ints,
    sizes: Ints,
    shapes: Shapes,
    found: Found,
    loose: int,
    tail: int,
) -> int:
    """Note what a pointer says of an object; where the queue ends then."""
    if how == 0 or shape == 0:
        return tail
    known = found.shapes[number]
    if known == shape:
        return tail
    said = suits(span_of_number(number, first), into, how, shape, kinds, sizes, shapes, loose)
    if said == 0 or said == known or (loose != 0 and known != 0):
        return tail
    if known == 0 or known == 1 or (found.sure[number] == 0 and begins_with(said, known, shapes.firsts)):
        found.shapes[number] = said
        if shapes.begin[said + 1] == shapes.begin[said]:
            return tail
        if tail == len(found.queue):
            found.counts[2] = 1
            return tail
        found.queue[tail] = number
        return tail + 1
    inside = shapes.sizes[known] > 0 and into % shapes.sizes[known] != 0  # a part of what is known
    if said != 1 and not inside and not begins_with(known, said, shapes.firsts):
        found.counts[0] += 1
    return tail


@inlined
def pointer_at(shape: int, within: int, begin: Ints, offsets: Ints) -> int:
    """Which of a shape's pointers stands at a word of it; -1 if none does."""
    low, high = begin[shape], begin[shape + 1]
    end = high
    while low < high:
        middle = (low + high) >> 1
        if offsets[middle] < within:
            low = middle + 1
        else:
            high = middle
    if low < end and offsets[low] == within:
        return low  # type: ignore[no-any-return]
    return -1


@kernel
def follow(
    head: int,
    tail: int,
    to: Ints,
    index: Ints,
    at: Ints,
    into: Ints,
    tags: Ints,
    first: Ints,
    kinds: Ints,
    sizes: Ints,
    shapes: Shapes,
    dynamic: Dynamic,
    found: Found,
    loose: int,
) -> int:
    """Follow the pointers of the objects in the queue, and of those that they give a type; where it ends."""
    while head < tail:
        number = found.queue[head]
        head += 1
        shape = found.shapes[number]
        period = shapes.periods[shape]
        for e in range(index[number], index[number + 1]):
            within = at[e]
            if period > 0:
                within %= period
            p = pointer_at(shape, within, shapes.begin, shapes.offsets)
            if p < 0:
                found.counts[1] += 1
                continue
            how, target = shapes.hows[p], shapes.targets[p]
            if how == 3:
                how, target = dynamic.hows[tags[e]], dynamic.targets[tags[e]]
            elif how == 4:
                how = 2
                if tags[e] == 1:
                    how, target = 1, shapes.others[p]
            tail = give(to[e], into[e], how, target, first, kinds, sizes, shapes, found, loose, tail)
    return tail


@kernel
def by_roots(roots: Roots, heap: Heap, shapes: Shapes, found: Found) -> int:
    """What roots say of objects; where the queue ends."""
    tail = 0
    for r in range(len(roots.values)):
        number, value = roots.numbers[r], roots.values[r]
        if number >= 0:
            s = span_of_number(number, heap.first)
            body = heap.starts[s] + (number - heap.first[s]) * heap.sizes[s]
            if heap.kinds[s] == 2:
                body += 8
            how, target, into = roots.hows[r], roots.targets[r], min(value - body, 2147483647)
            tail = give(number, into, how, target, heap.first, heap.kinds, heap.sizes, shapes, found, 0, tail)
    return tail


@kernel
def by_tags(
    objects: int,
    to: Ints,
    index: Ints,
    into: Ints,
    tags: Ints,
    first: Ints,
    kinds: Ints,
    sizes: Ints,
    shapes: Shapes,
    dynamic: Dynamic,
    found: Found,
) -> int:
    """Take what looks like an interface in objects without a type for one; where the queue ends."""
    tail = 0
    for number in range(objects):
        if found.shapes[number] == 0:
            for e in range(index[number], index[number + 1]):
                how = dynamic.hows[tags[e]]
                if how != 0:
                    target = dynamic.targets[tags[e]]
                    tail = give(to[e], into[e], how, target, first, kinds, sizes, shapes, found, 0, tail)
    return tail


@kernel
def begin_with_sure(types: Ints, shape_of: Ints, found: Found) -> int:
    """The objects whose type stands before them; where the queue ends."""
    tail = 0
    for number in range(len(types)):
        shape = shape_of[types[number]]
        if shape != 0:
            found.shapes[number] = shape
            found.sure[number] = 1
            found.queue[tail] = number
            tail += 1
    return tail


@kernel
def all_typed(found: Found, shapes: Shapes) -> int:
    """Put all that have a type into the queue again; where it ends."""
    tail = 0
    for number in range(len(found.shapes)):
        shape = found.shapes[number]
        if shapes.begin[shape + 1] > shapes.begin[shape]:
            found.queue[tail] = number
            tail += 1
    return tail


@kernel
def count_shapes(
    state: Ints,
    reached: Ints,
    first: Ints,
    sizes: Ints,
    slots: Ints,
    shapes: Ints,
    objects: Ints,
    bytes_: Ints,
) -> None:
    """Objects and bytes in rows of four by shape: single ones reached and not, several in one object reached
    and not. What has no shape is left out."""
    for s in range(len(sizes)):
        for number in range(first[s], first[s + 1]):
            shape = shapes[number]
            if state[number] != 0 and shape != 0:
                row = shape << 2
                if slots[shape] != sizes[s]:
                    row += 2
                if reached[number] < 0:
                    row += 1
                objects[row] += 1
                bytes_[row] += sizes[s]


@kernel
def count_untyped(state: Ints, reached: Ints, first: Ints, shapes: Ints, objects: Ints) -> None:
    """Objects without a shape by span: those that are reached, and those that are not."""
    for s in range(len(first) - 1):
        for number in range(first[s], first[s + 1]):
            if state[number] != 0 and shapes[number] == 0:
                objects[2 * s + (1 if reached[number] < 0 else 0)] += 1


@kernel
def put_groups(shapes: Ints, slots: Ints, heap: Heap, group_of: Ints, groups: Ints) -> None:
    """The group of each object by its shape: group_of has two for each, of single values and of several."""
    for s in range(len(heap.sizes)):
        for number in range(heap.first[s], heap.first[s + 1]):
            shape = shapes[number]
            groups[number] = group_of[2 * shape + (1 if slots[shape] != heap.sizes[s] else 0)]


@kernel
def span_at(number: int, first: Ints) -> int:
    """The span of an object."""
    return span_of_number(number, first)
