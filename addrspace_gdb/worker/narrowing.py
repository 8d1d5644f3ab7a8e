"""The part of a graph that leads to one object: what its objects' types are worked out from, and no more.

A type comes along pointers, so whatever says the type of an object that leads there leads there too.
"""

from __future__ import annotations

from copy import copy
from typing import Tuple

from addrspace_gdb.worker.arrays import Ints, kernel, like
from addrspace_gdb.worker.graph import Graph
from addrspace_gdb.worker.noting import Noting


@kernel
def count_inner(index: Ints, to: Ints, hop: Ints, begin: Ints) -> int:
    """How many edges there are between objects whose hop is not below 0; begin[n] becomes where those of
    object n begin."""
    count = 0
    for n in range(len(hop)):
        begin[n] = count
        if hop[n] >= 0:
            for e in range(index[n], index[n + 1]):
                if hop[to[e]] >= 0:
                    count += 1
    begin[len(hop)] = count
    return count


@kernel
def copy_inner(index: Ints, to: Ints, hop: Ints, begin: Ints, source: Ints, found: Ints) -> None:
    """What `source` has of each of those edges."""
    for n in range(len(hop)):
        if hop[n] >= 0:
            at = begin[n]
            for e in range(index[n], index[n + 1]):
                if hop[to[e]] >= 0:
                    found[at] = source[e]
                    at += 1


def narrowed(graph: Graph, noting: Noting, hop: Ints) -> Tuple[Graph, Noting]:
    """The graph with the edges between those objects alone, and its notes."""
    edges, notes = graph.edges, noting.notes
    begin = like(edges.index, len(hop) + 1)
    count = max(1, int(count_inner(edges.index, edges.to, hop, begin)))
    found = []
    for column in (edges.to, notes.packed):
        found.append(like(column, count))
        copy_inner(edges.index, edges.to, hop, begin, column, found[-1])
    to, packed = found
    small, its_notes = copy(graph), copy(noting)
    small.edges = edges._replace(to=to, index=begin)
    its_notes.notes = notes._replace(packed=packed)
    return small, its_notes
