"""Kernels that count objects by the types that propagating.py gave them."""

from __future__ import annotations

from addrspace_gdb.worker.arrays import Ints, kernel
from addrspace_gdb.worker.spans import Heap


@kernel
def count_typed(heap: Heap, shapes: Ints, sums: Ints) -> None:
    """Objects that have a type, and their bytes."""
    for s in range(len(heap.sizes)):
        many = 0
        for number in range(heap.first[s], heap.first[s + 1]):
            if heap.state[number] != 0 and shapes[number] != 0:
                many += 1
        sums[0] += many
        sums[1] += many * heap.sizes[s]


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
