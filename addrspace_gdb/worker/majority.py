"""What most of the objects of each span are."""

from __future__ import annotations

from addrspace_gdb.worker.arrays import Ints, filled, kernel, zeros
from addrspace_gdb.worker.typed import Typed


@kernel
def commonest(
    state: Ints, first: Ints, sizes: Ints, slots: Ints, shapes: Ints, counts: Ints, found: Ints
) -> None:
    """Of each span twice the shape that most of its objects have, and 1 more where they are several values of
    it; the lower one of two that are as many. `counts`: zeros, two for each shape."""
    for s in range(len(sizes)):
        best, most = -1, 0
        for number in range(first[s], first[s + 1]):
            if state[number] != 0:
                shape = shapes[number]
                key = 2 * shape + (1 if shape != 0 and slots[shape] != sizes[s] else 0)
                counts[key] += 1
                if counts[key] > most or (counts[key] == most and key < best):
                    best, most = key, counts[key]
        for number in range(first[s], first[s + 1]):
            shape = shapes[number]
            counts[2 * shape] = 0
            counts[2 * shape + 1] = 0
        found[s] = best


def commonest_shapes(state: Ints, first: Ints, sizes: Ints, typed: Typed) -> Ints:
    """The same; -1 for a span without objects."""
    found = filled(len(sizes), -1)
    slots = typed.shapes.slots
    commonest(state, first, sizes, slots, typed.found.shapes, zeros(2 * len(slots)), found)
    return found
