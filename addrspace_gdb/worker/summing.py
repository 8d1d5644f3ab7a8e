"""The dominator tree as a few paths: objects of the same types below the same root are one row."""

from __future__ import annotations

from typing import Dict, NamedTuple, Sequence

from addrspace_gdb.worker.arrays import Ints, cut, filled, inlined, joined, kernel, zeros
from addrspace_gdb.worker.propagating import Found, Shapes
from addrspace_gdb.worker.spans import span_at
from addrspace_gdb.worker.tree import Dominators, Rooted
from addrspace_gdb.worker.typed import Typed

MOST_PATHS = 1 << 16


class Labels(NamedTuple):
    """By owner: what it is called, 0 if not at all, and what objects are called that it keeps without any of
    those below it; both below 0. Objects are called by their type, or by their size (`unknown` and more)."""

    own: Ints
    shared: Ints
    unknown: int


class Paths(NamedTuple):
    """By path: the one before, the last label, how many labels there are, and what is at its end itself;
    `slots` finds a path by those, and places[0] is how many paths there are."""

    before: Ints
    labels: Ints
    lengths: Ints
    bytes: Ints
    objects: Ints
    slots: Ints
    places: Ints


@inlined
def label_of(shape: int, size: int, slots: Ints, open_: Ints, unknown: int) -> int:
    """What an object is called: its shape and whether there are several values; else its size."""
    if shape == 0:
        return unknown + size
    if open_[shape] == 0 and slots[shape] != size:
        return 2 * shape + 1
    return 2 * shape


@kernel
def longer(before: int, label: int, paths: Paths) -> int:
    """The path that is longer by a label; the same where that is its last one already, or it is too long, or
    there are too many."""
    if paths.labels[before] == label or paths.lengths[before] == 60:  # frames
        return before
    mask = len(paths.slots) - 1
    at = (before * 40503 + label % 1000003) & mask
    while paths.slots[at] >= 0:
        known = paths.slots[at]
        if paths.before[known] == before and paths.labels[known] == label:
            return known  # type: ignore[no-any-return]
        at = (at + 1) & mask
    count = paths.places[0]
    if count == len(paths.before):
        return before
    paths.slots[at] = count
    paths.before[count] = before
    paths.labels[count] = label
    paths.lengths[count] = paths.lengths[before] + 1
    paths.places[0] = count + 1
    return count  # type: ignore[no-any-return]


@kernel
def sum_paths(
    dominator: Ints,
    node_of: Ints,
    objects: int,
    first: Ints,
    sizes: Ints,
    shapes: Shapes,
    found: Found,
    labels: Labels,
    paths: Paths,
    path: Ints,
) -> None:
    """The path of each number of the tree, and what is at the end of each path."""
    for i in range(1, len(path)):
        node, above = node_of[i], node_of[dominator[i]]
        at = path[dominator[i]]
        if node >= objects:
            label = labels.own[node - objects]
            path[i] = longer(at, label, paths) if label != 0 else at
            continue
        if above >= objects and labels.shared[above - objects] != 0:
            at = longer(at, labels.shared[above - objects], paths)
        size = sizes[span_at(node, first, found.spans)]
        label = label_of(found.shapes[node], size, shapes.slots, shapes.open, labels.unknown)
        at = longer(at, label, paths)
        path[i] = at
        paths.bytes[at] += size
        paths.objects[at] += 1


def summed(
    rooted: Rooted, tree: Dominators, typed: Typed, own: Sequence[int], shared: Sequence[int]
) -> Dict[str, Ints]:
    """Columns of all paths; number 0 is the empty one."""
    heap, most = rooted.graph.heap, min(MOST_PATHS, tree.count + rooted.owners + 8)
    slots = 4
    while slots < 4 * most:
        slots *= 2
    before, own_labels, lengths, bytes_, objects = (zeros(most, code) for code in "iqiqq")
    paths = Paths(before, own_labels, lengths, bytes_, objects, filled(slots, -1, "i"), filled(1, 1))
    labels = Labels(joined([own], "q"), joined([shared], "q"), 2 * len(typed.shapes.sizes))
    sum_paths(
        tree.dominator,
        tree.node_of,
        rooted.start,
        heap.first,
        heap.sizes,
        typed.shapes,
        typed.found,
        labels,
        paths,
        zeros(tree.count, "i"),
    )
    count = int(paths.places[0])
    names = ("before", "labels", "bytes", "objects")
    return {name: cut(getattr(paths, name), count) for name in names}
