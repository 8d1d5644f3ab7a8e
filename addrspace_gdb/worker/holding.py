"""Who holds an object: the shortest way to it from every root that leads there."""

from __future__ import annotations

from functools import cached_property
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from addrspace_gdb.worker.arrays import Ints, filled, joined, kernel, zeros
from addrspace_gdb.worker.graph import Graph
from addrspace_gdb.worker.narrowing import narrowed
from addrspace_gdb.worker.noting import HEADER_BYTES, Noting
from addrspace_gdb.worker.propagating import FUNCTION
from addrspace_gdb.worker.scanning import HEADER
from addrspace_gdb.worker.spans import span_at
from addrspace_gdb.worker.tree import Rooted
from addrspace_gdb.worker.typed import Typed

_NONE = -1
_NOTHING = zeros(0, "i")
_MAX_STEPS = 1 << 12  # of a way that are told: half of them at either end


@kernel
def count_sources(to: Ints, count: int, begin: Ints) -> None:
    """begin[n] becomes where the edges that lead to node n begin, in the list that `list_sources` makes."""
    for e in range(count):
        begin[to[e] + 1] += 1
    for n in range(len(begin) - 1):
        begin[n + 1] += begin[n]


@kernel
def list_sources(index: Ints, to: Ints, nodes: int, at: Ints, sources: Ints) -> None:
    """The nodes that the edges come from; `at` is a copy of what `count_sources` made."""
    for n in range(nodes):
        for e in range(index[n], index[n + 1]):
            target = to[e]
            sources[at[target]] = n
            at[target] += 1


@kernel
def lead_to(target: int, begin: Ints, sources: Ints, hop: Ints, far: Ints, queue: Ints) -> None:
    """Backwards from an object, breadth first. hop, which is to be -1 everywhere, becomes by object the next
    one on its way there, far how many objects it is."""
    hop[target] = target
    far[target] = 1
    queue[0] = target
    head, tail = 0, 1
    while head < tail:
        node = queue[head]
        head += 1
        for j in range(begin[node], begin[node + 1]):
            source = sources[j]
            if hop[source] < 0:
                hop[source] = node
                far[source] = far[node] + 1
                queue[tail] = source
                tail += 1


@kernel
def edge_to(index: Ints, to: Ints, node: int, following: int) -> int:
    """The first edge from one object to another; -1: there is none."""
    if following >= 0:
        for e in range(index[node], index[node + 1]):
            if to[e] == following:
                return e
    return -1


@kernel
def go_along(first: int, length: int, hop: Ints, way: Ints) -> None:
    """The objects on the way."""
    for at in range(length):
        way[at] = first
        first = hop[first]


@kernel
def roots_on_the_way(found: Ints, hop: Ints, roots: Ints) -> int:
    """The roots that lead to the object; how many."""
    count = 0
    for j in range(len(found)):
        if found[j] >= 0 and hop[found[j]] >= 0:
            roots[count] = j
            count += 1
    return count


class Way(NamedTuple):
    """From a root to the object: which of the roots that were told it is (-1: an object with a finalizer,
    what that leads to is kept), the first object, how many they are, and a number that equal ways have."""

    root: int
    first: int
    length: int
    alike: int


class Step(NamedTuple):
    """An object on the way. Bytes: `offset` of the pointer to the next one from its beginning (-1: it is the
    last), `within` from where its value begins, behind a header, and `into` where that pointer leads in the
    next one."""

    address: int
    size: int
    shape: int
    several: bool  # the object has room for more than one value of its shape
    code: int  # of a closure; 0
    offset: int
    within: int
    into: int


class Holders:
    """The graph turned round, for any number of questions."""

    def __init__(self, rooted: Rooted, noting: Noting, word: int) -> None:
        self.rooted, self.noting, self.word = rooted, noting, word
        self._last: Tuple[int, Ints, Ints] = (_NONE, _NOTHING, _NOTHING)
        graph, objects = rooted.graph, rooted.start
        self._begin = zeros(objects + 1, "I")
        count_sources(graph.edges.to, graph.count, self._begin)
        self._sources = zeros(max(1, graph.count), "i")
        at = joined([self._begin], "I")
        list_sources(graph.edges.index, graph.edges.to, objects, at, self._sources)

    def search(self, target: int) -> Tuple[Ints, Ints]:
        """By object the next one on its way, and how many they are; what was found last is kept."""
        if self._last[0] != target:
            objects = self.rooted.start
            self._last = (_NONE, _NOTHING, _NOTHING)  # room for the next
            hop, far, queue = filled(objects, _NONE, "i"), zeros(objects, "i"), zeros(objects, "i")
            lead_to(target, self._begin, self._sources, hop, far, queue)
            self._last = (target, hop, far)
        return self._last[1:]

    @cached_property
    def codes(self) -> Dict[int, int]:
        """The code of each closure."""
        codes = self.noting.codes()
        return dict(zip(codes.objects.tolist(), codes.addresses.tolist()))


TypedOf = Callable[[Graph, Noting], Typed]


class Ways:
    """All that lead to one object."""

    def __init__(self, holders: Holders, target: int, typed: Optional[Typed], make: TypedOf) -> None:
        """`typed`: the types of all, if they are known; else `make` works out those of what leads there."""
        self._holders, self._rooted, self._target = holders, holders.rooted, target
        self._hop, self._far = holders.search(target)
        if typed is None:
            typed = make(*narrowed(self._rooted.graph, holders.noting, self._hop))
        self._typed = typed
        self._known: Dict[int, int] = {target: 0}  # by node: what its way is like
        self._likes: Dict[Tuple[int, ...], int] = {}

    def step(self, node: int, following: int) -> Step:
        """An object, and its pointer to the next one; -1: it is the last."""
        graph, typed = self._rooted.graph, self._typed
        heap, s = graph.heap, int(span_at(node, graph.heap.first, typed.found.spans))
        size, header = int(heap.sizes[s]), HEADER_BYTES if heap.kinds[s] == HEADER else 0
        address = int(heap.starts[s]) + (node - int(heap.first[s])) * size
        shape = int(typed.found.shapes[node])
        code = self._holders.codes.get(node, 0) if shape == FUNCTION else 0
        several = bool(shape) and not typed.shapes.open[shape] and int(typed.shapes.slots[shape]) != size
        made = Step(address, size, shape, several, code, -1, -1, 0)
        edge = int(edge_to(graph.edges.index, graph.edges.to, node, following))
        if edge < 0:
            return made
        within = self._holders.noting.within_of(edge) * self._holders.word
        into = self._holders.noting.into_of(edge)
        return made._replace(offset=header + within, within=within, into=into)

    def _place(self, step: Step) -> int:
        """Where in a value of its shape the pointer of a step is, in bytes."""
        period = int(self._typed.shapes.periods[step.shape]) * self._holders.word
        return step.within % period if period and step.within >= 0 else step.within

    def all(self) -> List[Way]:
        """One for each root, the shortest first."""
        starts = [*self._finalized(), *self._from_roots()]
        starts.sort(key=lambda one: one[2])
        return [
            Way(root, first, length, self._alike(first) if length <= _MAX_STEPS else -1 - first)
            for root, first, length in starts
        ]

    def _from_roots(self) -> Iterator[Tuple[int, int, int]]:
        found = self._rooted.found
        roots = zeros(max(1, len(found)))
        for root in roots[: int(roots_on_the_way(found, self._hop, roots))].tolist():
            first = int(found[root])
            yield root, first, int(self._far[first])

    def _finalized(self) -> Iterator[Tuple[int, int, int]]:
        """Objects with a finalizer: what they lead to is kept, they are not."""
        for one in self._rooted.finalized:
            if one != self._target and self._hop[one] >= 0:
                yield _NONE, one, int(self._far[one])

    def _alike(self, node: int) -> int:
        """A number for all that the way from an object on is like: types, and which of their pointers."""
        waiting = []
        while node not in self._known:
            waiting.append(node)
            node = int(self._hop[node])
        for one in reversed(waiting):
            following = int(self._hop[one])
            key = (self._known[following], *self._like(self.step(one, following)))
            self._known[one] = self._likes.setdefault(key, len(self._likes) + 1)
            node = one
        return self._known[node]

    def _like(self, step: Step) -> Tuple[int, ...]:
        return step.size, step.shape, step.several, step.code, self._place(step)

    def steps(self, first: int) -> Tuple[List[Step], int]:
        """The objects on the way from one of them; how many are left out behind the first half."""
        length = int(self._far[first])
        way = filled(length + 1, _NONE)
        go_along(first, length, self._hop, way)
        skipped = max(0, length - _MAX_STEPS)
        half = (length - skipped) // 2
        places = [*range(half), *range(half + skipped, length)]
        return [self.step(int(way[at]), int(way[at + 1])) for at in places], skipped
