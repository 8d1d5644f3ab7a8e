"""Goroutines that nothing can wake: whoever is reached may run, and then what its stack holds is reached too.

It begins with the roots, but for the stacks of goroutines that are blocked. One of those runs once something
that it waits for is reached. Those that never do are leaked (findGoroutineLeaks in src/runtime/mgc.go).
"""

from __future__ import annotations

from typing import List

from addrspace_gdb.common.messages import Message
from addrspace_gdb.worker.arrays import Ints, joined, kernel, of_bytes, order_of, picked, zeros
from addrspace_gdb.worker.spans import objects_at
from addrspace_gdb.worker.tree import Rooted

_REACHED = 1  # of what is noted of a node; 2: somebody waits for it


@kernel
def hide(nodes: Ints, targets: Ints, index: Ints, to: Ints) -> None:
    """Turn the edge from each node to its target back to the node, where it leads to nothing new."""
    for k in range(len(nodes)):
        node = nodes[k]
        if node >= 0 and targets[k] >= 0:
            for j in range(index[node], index[node + 1]):
                if to[j] == targets[k]:
                    to[j] = node


@kernel
def add(column: Ints, number: int) -> None:
    """Make every number so much larger."""
    for k in range(len(column)):
        column[k] += number


@kernel
def note_awaited(awaited: Ints, waiters: Ints, noted: Ints, queue: Ints) -> int:
    """Note the nodes that somebody waits for. Who waits for what is no node (-1) is put into the queue: it
    may run in any case. How many those are."""
    count = 0
    for k in range(len(awaited)):
        if awaited[k] >= 0:
            noted[awaited[k]] |= 2
        elif noted[waiters[k]] & 1 == 0:
            noted[waiters[k]] |= 1
            queue[count] = waiters[k]
            count += 1
    return count


@kernel
def put_first(nodes: Ints, noted: Ints, queue: Ints, count: int) -> int:
    """Put these nodes into the queue, behind the `count` that it has; how many it has then."""
    for k in range(len(nodes)):
        if noted[nodes[k]] & 1 == 0:
            noted[nodes[k]] |= 1
            queue[count] = nodes[k]
            count += 1
    return count


@kernel
def first_place(column: Ints, number: int) -> int:
    """Where a number stands, or would stand, in an ascending column."""
    low, high = 0, len(column)
    while low < high:
        middle = (low + high) >> 1
        if column[middle] < number:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def wake(index: Ints, edges: Ints, awaited: Ints, waiters: Ints, noted: Ints, queue: Ints, count: int) -> int:
    """Reach all that can be from the `count` nodes in the queue, and who waits for what is reached; how many
    nodes those are. `awaited` ascends."""
    at = 0
    while at < count:
        node = queue[at]
        at += 1
        for j in range(index[node], index[node + 1]):
            to = edges[j]
            if noted[to] & 1 == 0:
                noted[to] |= 1
                queue[count] = to
                count += 1
        if noted[node] & 2:
            k = first_place(awaited, node)
            while k < len(awaited) and awaited[k] == node:
                to = waiters[k]
                if noted[to] & 1 == 0:
                    noted[to] |= 1
                    queue[count] = to
                    count += 1
                k += 1
    return count


def leaked(rooted: Rooted, said: Message) -> List[int]:
    """The places in `blocked` of the goroutines that nothing can wake.

    `said` has numbers of owners: `first` hold what is reached in any case, `blocked` are goroutines, and
    `waiters` wait for what is at the addresses `awaited`. What the objects at `sudogs` have of pointers to
    those at `hidden` counts for nothing, from now on.
    """
    graph = rooted.graph
    index, to = graph.edges.index, graph.edges.to
    hide(_objects(rooted, said, "sudogs"), _objects(rooted, said, "hidden"), index, to)
    first, blocked, waiters = (_owners(rooted, said, name) for name in ("first", "blocked", "waiters"))
    awaited = _objects(rooted, said, "awaited")
    order = order_of(awaited)
    awaited, waiters = picked(awaited, order), picked(waiters, order)
    noted, queue = zeros(rooted.nodes, "B"), zeros(rooted.nodes, "i")
    count = note_awaited(awaited, waiters, noted, queue)
    count = put_first(first, noted, queue, count)
    wake(index, to, awaited, waiters, noted, queue, count)
    return [place for place, node in enumerate(blocked.tolist()) if not noted[node] & _REACHED]


def _objects(rooted: Rooted, said: Message, name: str) -> Ints:
    """The nodes of the objects at some addresses, -1 for none."""
    addresses = of_bytes(said.column(name), "q")
    found = zeros(len(addresses))
    objects_at(addresses, found, rooted.graph.heap)
    return found


def _owners(rooted: Rooted, said: Message, name: str) -> Ints:
    """The nodes of some owners."""
    nodes = joined([of_bytes(said.column(name), "q")], "q")
    add(nodes, rooted.start)
    return nodes
