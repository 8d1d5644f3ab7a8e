"""Who keeps what: roots as nodes of the graph above the objects, what they reach, and the dominator tree.

The nodes behind the objects are the owners: number 0 of them is the root of all, and every other one hangs on
one before it. Pointers of roots hang on their owners.
"""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

from addrspace_gdb.common.messages import Column, Message
from addrspace_gdb.worker import dominating
from addrspace_gdb.worker.arrays import Ints, filled, grown, joined, of_bytes, picked, zeros
from addrspace_gdb.worker.graph import Graph
from addrspace_gdb.worker.spans import marks, object_at, objects_at

_FEW = 64  # children that are picked out without sorting all


class Rooted:
    """A graph with its roots."""

    def __init__(self, graph: Graph, said: Message) -> None:
        """`said`: `parents` of the owners; `values` of roots and their `owners`; objects with a finalizer
        (`finalized`), of which only what they lead to is a root, of the owner `finalizer`."""
        self.graph = graph
        parents = of_bytes(said.column("parents"), "q")
        self.owners = len(parents)
        self.start = graph.objects
        values, owners = (of_bytes(said.column(name), "q") for name in ("values", "owners"))
        found = zeros(len(values))
        objects_at(values, found, graph.heap)
        self.found = found  # by root: the object that it leads to
        self.finalized: List[int] = []  # objects with a finalizer
        inner = self._of_finalized(said.column("finalized").tolist())
        above = [parents[1:], filled(len(inner), int(said.header["finalizer"])), owners]
        below = [_above(self.start + 1, self.owners - 1), of_bytes(inner, "q"), found]
        self._add(joined(above, "q"), joined(below, "q"))
        self.nodes = graph.objects + self.owners

    def _of_finalized(self, addresses: Sequence[int]) -> Ints:
        """What the objects at these addresses lead to."""
        heap, index, to = self.graph.heap, self.graph.edges.index, self.graph.edges.to
        found: List[int] = []
        for address in addresses:
            if heap.low <= address < heap.high:
                number = object_at(address, heap)
                if number >= 0 and heap.state[number]:
                    self.finalized.append(int(number))
                    found.extend(to[int(index[number]) : int(index[number + 1])].tolist())
        return joined([found], "q")

    def _add(self, above: Ints, below: Ints) -> None:
        """Append edges from owners (`above`) to objects or owners, those to nothing (-1) left out."""
        edges, graph = self.graph.edges, self.graph
        begin = zeros(self.owners + 1)
        dominating.count_owned(above, below, begin)
        total = graph.count + int(begin[self.owners])
        to = grown(edges.to, max(1, total))
        index = grown(edges.index, graph.objects + self.owners + 1)
        dominating.list_owned(above, below, begin, to, graph.count, index, graph.objects)
        graph.edges = edges._replace(to=to, index=index)

    def reached(self) -> Ints:
        """By node: 0 if it is reached, else -1."""
        edges = self.graph.edges
        found = filled(self.nodes, -1, "b")
        dominating.reach(edges.index, edges.to, self.start, found, zeros(self.nodes, "i"))
        return found


def _above(first: int, count: int) -> Ints:
    column = zeros(count)
    dominating.iota(column, first)
    return column


class Dominators:
    """The dominator tree of all that is reached, in numbers of its own: 0 is the root of all."""

    def __init__(self, rooted: Rooted) -> None:
        self._rooted = rooted
        graph, nodes = rooted.graph, rooted.nodes
        index, to = graph.edges.index, graph.edges.to
        self.number, self.node_of, parent = filled(nodes, -1, "i"), zeros(nodes, "i"), zeros(nodes, "i")
        stack = zeros(nodes, "i")
        count = dominating.number_nodes(
            index, to, rooted.start, self.number, self.node_of, parent, stack, zeros(nodes, "i")
        )
        self.count = int(count)
        self._dominate(parent, stack)
        self.bytes, self.objects = zeros(self.count), zeros(self.count)
        heap, spans = graph.heap, marks(graph.heap)
        dominating.weigh(self.node_of, heap.first, heap.sizes, spans, rooted.start, self.bytes, self.objects)
        dominating.add_up(self.dominator, self.count, self.bytes, self.objects)
        self._list()

    def _dominate(self, parent: Ints, stack: Ints) -> None:
        graph, count = self._rooted.graph, self.count
        index, to = graph.edges.index, graph.edges.to
        into = zeros(count + 1, "i")
        dominating.count_into(index, to, self.number, self.node_of, count, into)
        sources = zeros(max(1, int(into[count])), "i")
        at = joined([into], "i")
        dominating.turn_round(index, to, self.number, self.node_of, count, at, sources)
        columns = [zeros(count, "i") for _ in range(2)]
        for column in columns:
            dominating.iota(column, 0)
        label, semi = columns
        above, self.dominator = (joined([parent[:count]], "i") for _ in range(2))
        dominating.dominate(parent, into, sources, count, above, label, semi, stack, self.dominator)

    def _list(self) -> None:
        self._begin = zeros(self.count + 1, "i")
        dominating.count_children(self.dominator, self.count, self._begin)
        self._children = zeros(max(1, self.count), "i")
        dominating.list_children(self.dominator, self.count, joined([self._begin], "i"), self._children)

    def children(self, node: int, most: int) -> Tuple[List[int], int]:
        """The nodes that keep most of those directly below a node, and how many are below it."""
        at = int(self.number[node])
        begin, end = int(self._begin[at]), int(self._begin[at + 1])
        if most <= _FEW:
            room = zeros(max(1, min(most, end - begin)), "i")
            count = dominating.largest(self._children, begin, end, self.bytes, room) if begin < end else 0
            found = room[: int(count)].tolist()
        else:
            found = sorted(self._children[begin:end].tolist(), key=lambda one: (-int(self.bytes[one]), one))
        return [int(self.node_of[number]) for number in found[:most]], end - begin

    def objects_below(self, node: int, most: int, first: int) -> Tuple[List[int], int]:
        """The same of objects alone, whose nodes are below `first`."""
        at = int(self.number[node])
        every = self._children[int(self._begin[at]) : int(self._begin[at + 1])].tolist()
        found = [one for one in every if self.node_of[one] < first]
        found.sort(key=lambda one: (-int(self.bytes[one]), one))
        return [int(self.node_of[number]) for number in found[:most]], len(found)

    def grouped(self, nodes: Sequence[int], group_of: Ints, groups: int) -> Tuple[Ints, Ints]:
        """Bytes and objects that the objects of each group keep below those nodes; `group_of` is by node, -1
        for those in none."""
        kept, counts, within = zeros(groups), zeros(groups), zeros(groups)
        place = zeros(2 * self.count, "i")
        ordered = picked(group_of, self.node_of[: self.count])
        for node in nodes:
            at = int(self.number[node])
            if at >= 0:
                dominating.add_groups(
                    at,
                    self._begin,
                    self._children,
                    ordered,
                    self.bytes,
                    self.objects,
                    place,
                    within,
                    kept,
                    counts,
                )
        return kept, counts

    def kept(self, node: int) -> Tuple[int, int]:
        """Bytes and objects that a node keeps, itself too; zeroes for what is not reached."""
        at = int(self.number[node])
        return (int(self.bytes[at]), int(self.objects[at])) if at >= 0 else (0, 0)

    def kept_by(self, first: int, count: int) -> Dict[str, Column]:
        """The same of many nodes from one on, as columns."""
        kept, objects = zeros(count), zeros(count)
        dominating.kept_by(self.number, first, self.bytes, self.objects, kept, objects)
        return {"bytes": kept, "objects": objects}
