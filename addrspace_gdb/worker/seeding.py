"""Kernels for what has a type by itself: roots, allocation sites, tags of interfaces and the types that stand
before objects. From there worker/propagating.py goes on."""

from __future__ import annotations

from typing import NamedTuple

from addrspace_gdb.worker.arrays import Ints, inlined, kernel
from addrspace_gdb.worker.propagating import Dynamic, Found, Shapes, begins_with, give, pointer_at
from addrspace_gdb.worker.spans import Heap, span_of_number


class Roots(NamedTuple):
    """Pointers that are no part of an object: where they lead to, the object there (-1: none), how, and what
    shape they say it has."""

    values: Ints
    numbers: Ints
    hows: Ints
    targets: Ints


@kernel
def give_one(
    number: int, into: int, how: int, shape: int, heap: Heap, shapes: Shapes, found: Found, tail: int
) -> int:
    """Note what something says of an object; where the queue ends then."""
    if how == 0 or shape == 0 or found.shapes[number] == shape:
        return tail
    got = give(
        number,
        span_of_number(number, heap.first, found.spans),
        into,
        how,
        shape,
        heap.kinds,
        heap.sizes,
        shapes.sizes,
        shapes.begin,
        shapes.slots,
        shapes.open,
        shapes.firsts,
        found.shapes,
        found.sure,
        found.queue,
        found.counts,
        0,
        tail,
    )
    return tail if got < 0 else got


@kernel
def by_roots(roots: Roots, heap: Heap, shapes: Shapes, found: Found) -> int:
    """What roots say of objects; where the queue ends."""
    tail = 0
    for r in range(len(roots.values)):
        number, value = roots.numbers[r], roots.values[r]
        if number >= 0:
            s = span_of_number(number, heap.first, found.spans)
            body = heap.starts[s] + (number - heap.first[s]) * heap.sizes[s]
            if heap.kinds[s] == 2:
                body += 8
            into = min(value - body, 65535)
            tail = give_one(number, into, roots.hows[r], roots.targets[r], heap, shapes, found, tail)
    return tail


@inlined
def differ(one: int, other: int, shapes: Shapes) -> bool:
    """Whether no object is of both shapes. What consists of bytes may be a string."""
    if one == other or (shapes.sizes[one] == 1 and shapes.sizes[other] == 1):
        return False
    return not begins_with(one, other, shapes.firsts) and not begins_with(other, one, shapes.firsts)


@kernel
def by_sites(sites: Roots, late: int, heap: Heap, shapes: Shapes, found: Found) -> int:
    """What the places say where objects were allocated; where the queue ends. First those of types with
    pointers, `late` the others, and those only of objects without a type."""
    tail, known, counts = 0, found.shapes, found.counts
    for r in range(len(sites.values)):
        number, shape = sites.numbers[r], sites.targets[r]
        plain = shapes.begin[shape] == shapes.begin[shape + 1]
        if number < 0 or shape == 0 or plain != (late != 0) or heap.state[number] == 0:
            continue
        before, conflicts = known[number], counts[0]
        if late == 0 or before == 0:
            tail = give_one(number, 0, sites.hows[r], shape, heap, shapes, found, tail)
            if counts[0] > conflicts:
                counts[0] = conflicts
                counts[len(counts) - 1] += 1
        elif before != 1 and differ(before, shape, shapes):
            counts[len(counts) - 1] += 1
    return tail


@kernel
def suits_edges(number: int, shape: int, index: Ints, packed: Ints, shapes: Shapes) -> bool:
    """Whether an object has pointers only where a value of a shape has them."""
    period = shapes.periods[shape]
    for e in range(index[number], index[number + 1]):
        within = packed[e] >> 32
        if within >= period and period > 0:
            within %= period
        if pointer_at(shape, within, shapes.begin, shapes.offsets) < 0:
            return shapes.open[shape] != 0  # type: ignore[no-any-return]
    return True


@kernel
def by_tags(
    to: Ints, index: Ints, packed: Ints, heap: Heap, shapes: Shapes, dynamic: Dynamic, found: Found
) -> int:
    """Take what looks like an interface in objects without a type for one; where the queue ends."""
    tail = 0
    of_tags, led_to, known = dynamic.hows, dynamic.targets, found.shapes
    for number in range(len(known)):
        if known[number] == 0:
            for e in range(index[number], index[number + 1]):
                tag = packed[e] & 65535
                how = of_tags[tag]
                if how != 0 and suits_edges(to[e], led_to[tag], index, packed, shapes):
                    into = (packed[e] >> 16) & 65535
                    tail = give_one(to[e], into, how, led_to[tag], heap, shapes, found, tail)
    return tail


@kernel
def begin_with_sure(types: Ints, shape_of: Ints, found: Found) -> int:
    """The objects whose type stands before them; where the queue ends. A shape below 0 says too little,
    and what begins with it is better."""
    tail = 0
    for number in range(len(types)):
        shape = shape_of[types[number]]
        if shape != 0:
            found.shapes[number] = abs(shape)
            found.sure[number] = 1 if shape > 0 else 0
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
def to_do_again(found: Found) -> int:
    """Put those into the queue whose pointers say of others what does not fit; where it ends."""
    tail = 0
    for number in range(len(found.shapes)):
        if found.again[number] != 0:
            found.queue[tail] = number
            tail += 1
    return tail
