"""The types of a heap's objects, and how many there are of each."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from addrspace_gdb.common.messages import Message
from addrspace_gdb.worker import counting, propagating, seeding
from addrspace_gdb.worker.arrays import Ints, of_bytes, zeros
from addrspace_gdb.worker.graph import Graph
from addrspace_gdb.worker.noting import FIRST_TAG, TAGS, Noting
from addrspace_gdb.worker.propagating import Dynamic, Found, Memo, Shapes
from addrspace_gdb.worker.spans import marks, objects_at, span_at

_OF_ROOTS = ("values", "hows", "targets")
_EARLY, _LATE = range(2)
_PER_SHAPE = 4  # rows that are counted
_MAX_ROUNDS = 8  # of a queue that was too short


class Typed:
    """A graph whose objects have types."""

    def __init__(self, graph: Graph, noting: Noting, said: Message, words: List[int]) -> None:
        """`said`: the shapes, those of the graph's types and of `words`, by space/graph/shapes.py."""
        self._graph, self._noting = graph, noting
        columns = {name: of_bytes(said.column(name), "q") for name in Shapes._fields}
        self.shapes = Shapes(**columns)
        self._dynamic = self._of_words(said, words)
        self._memo = Memo(*(zeros(len(self.shapes.offsets), "i") for _ in Memo._fields))
        objects = graph.objects
        self.found = Found(
            zeros(objects, "i"),
            zeros(objects, "B"),
            zeros(max(1, objects), "i"),
            zeros(propagating.COUNTED),
            zeros(objects, "B"),
            marks(graph.heap),
        )
        self._propagate(of_bytes(said.column("type_shapes"), "q"), said)

    def _of_words(self, said: Message, words: List[int]) -> Dynamic:
        made = Dynamic(zeros(TAGS, "B"), zeros(TAGS, "i"))
        for word, how, target in zip(words, said.column("word_hows"), said.column("word_targets")):
            tag = self._noting.tag_of(word)
            if not FIRST_TAG <= tag < TAGS - 1:
                continue
            made.hows[tag], made.targets[tag] = how, target
        return made

    def _propagate(self, type_shapes: Ints, said: Message) -> None:
        """First what is sure, then what roots say and where objects were allocated, what looks like an
        interface, and what may be a part of something."""
        self._closures = dict(zip(said.column("closure_pcs"), said.column("closure_shapes")))
        self._follow(seeding.begin_with_sure(self._graph.type_of, type_shapes, self.found), 0)
        self._follow(self._by_roots(said), 0)
        self.by_sites = [0, 0]  # objects that have their types by where some were allocated, and bytes
        sites = self._sites(said)
        self._by_sites(sites, _EARLY)
        edges, notes, heap = self._graph.edges, self._noting.notes, self._graph.heap
        conflicts = int(self.found.counts[propagating.CONFLICTS])
        tail = seeding.by_tags(
            edges.to, edges.index, notes.packed, heap, self.shapes, self._dynamic, self.found
        )
        self.found.counts[propagating.CONFLICTS] = conflicts  # what looks like an interface need not be one
        self._follow(tail, 0)
        self._follow_closures(0)
        counted = [int(one) for one in self.found.counts]
        self._follow(seeding.to_do_again(self.found), 1)
        self._follow_closures(1, True)
        self._by_sites(sites, _LATE)
        self.conflicts, self.misplaced = counted[:2]
        self.site_conflicts = int(self.found.counts[propagating.AT_SITES])
        self.examples = _pairs(counted, propagating.FIRST_PAIR, self.conflicts)  # what is, what is said
        self.places = _pairs(counted, propagating.FIRST_PLACE, self.misplaced)  # shapes, and words in them

    def _sites(self, said: Message) -> seeding.Roots:
        values, hows, targets = (of_bytes(said.column(f"site_{name}"), "q") for name in _OF_ROOTS)
        numbers = zeros(len(values))
        objects_at(values, numbers, self._graph.heap)
        return seeding.Roots(values, numbers, hows, targets)

    def _by_sites(self, sites: seeding.Roots, late: int) -> None:
        """What they say, and all that follows from it."""
        if not len(sites.values):
            return
        before = self._typed()
        self._follow(seeding.by_sites(sites, late, self._graph.heap, self.shapes, self.found), 0)
        for at, (now, then) in enumerate(zip(self._typed(), before)):
            self.by_sites[at] += now - then

    def _typed(self) -> List[int]:
        sums = zeros(2)
        counting.count_typed(self._graph.heap, self.found.shapes, sums)
        return [int(one) for one in sums]

    def _follow_closures(self, loose: int, unknown: bool = False) -> None:
        """What was found to be a closure leads to what it captures, which may be closures. `unknown`: what
        begins like one and has no type is one."""
        if not self._closures:
            return
        codes, found, sorts = self._noting.codes(), self.found, (propagating.FUNCTION, 0 if unknown else -1)
        known = [
            (number, self._closures[pc])
            for number, pc in zip(codes.objects.tolist(), codes.addresses.tolist())
            if pc in self._closures
        ]
        while known:
            tail, rest = 0, []
            for number, shape in known:
                if found.shapes[number] not in sorts:
                    rest.append((number, shape))
                    continue
                found.shapes[number] = shape
                if shape != propagating.FUNCTION:
                    found.queue[tail] = number
                    tail += 1
            if not tail:
                return
            known = rest
            self._follow(tail, loose)

    def _by_roots(self, said: Message) -> int:
        values, hows, targets = (of_bytes(said.column(f"root_{name}"), "q") for name in _OF_ROOTS)
        numbers, heap = zeros(len(values)), self._graph.heap
        objects_at(values, numbers, heap)
        roots = seeding.Roots(values, numbers, hows, targets)
        return int(seeding.by_roots(roots, heap, self.shapes, self.found))

    def _follow(self, tail: int, loose: int) -> None:
        edges, notes, heap = self._graph.edges, self._noting.notes, self._graph.heap
        for _ in range(_MAX_ROUNDS):
            self.found.counts[propagating.AGAIN] = 0
            propagating.follow(
                0,
                int(tail),
                edges.to,
                edges.index,
                notes.packed,
                heap.first,
                heap.kinds,
                heap.sizes,
                self.shapes,
                self._dynamic,
                self.found,
                self._memo,
                loose,
            )
            if not self.found.counts[propagating.AGAIN]:
                return
            tail = seeding.all_typed(self.found, self.shapes)

    def counted(self, reached: Ints) -> Dict[str, Ints]:
        """Objects and bytes by shape, four rows each, and by span of what has none, two rows each."""
        heap, found = self._graph.heap, self.found
        rows = _PER_SHAPE * len(self.shapes.sizes)
        objects, bytes_ = zeros(rows), zeros(rows)
        counting.count_shapes(
            heap.state, reached, heap.first, heap.sizes, self.shapes.slots, found.shapes, objects, bytes_
        )
        untyped = zeros(max(1, 2 * len(heap.sizes)))
        counting.count_untyped(heap.state, reached, heap.first, found.shapes, untyped)
        return {"objects": objects, "bytes": bytes_, **self._by_size(untyped), **self._functions(reached)}

    def _by_size(self, untyped: Ints) -> Dict[str, Ints]:
        """What has no type, by the size of its slot and whether it has pointers."""
        heap = self._graph.heap
        sums: Dict[Tuple[int, int], List[int]] = {}
        sizes, kinds = heap.sizes.tolist(), heap.kinds.tolist()
        for s in range(len(sizes)):
            if untyped[2 * s] or untyped[2 * s + 1]:
                row = sums.setdefault((sizes[s], int(kinds[s] != 0)), [0, 0])
                row[0] += int(untyped[2 * s])
                row[1] += int(untyped[2 * s + 1])
        rows = [(*key, *row) for key, row in sorted(sums.items())]
        return _columns(rows, ("no_sizes", "no_pointers", "no_reached", "no_unreached"))

    def _functions(self, reached: Ints) -> Dict[str, Ints]:
        """Closures, by the address of their code and the bytes of their slots."""
        codes, heap = self._noting.codes(), self._graph.heap
        sums: Dict[Tuple[int, int], List[int]] = {}
        for number, pc in zip(codes.objects.tolist(), codes.addresses.tolist()):
            if self.found.shapes[number] == propagating.FUNCTION:
                s = span_at(number, heap.first, self.found.spans)
                row = sums.setdefault((pc, int(heap.sizes[s])), [0, 0])
                row[int(reached[number] < 0)] += 1
        rows = [(*key, *row) for key, row in sorted(sums.items())]
        return _columns(rows, ("pcs", "pc_sizes", "pc_reached", "pc_unreached"))


def _pairs(counted: List[int], first: int, many: int) -> List[Tuple[int, int]]:
    pairs = counted[first : first + 2 * min(many, 64)]
    return list(zip(pairs[::2], pairs[1::2]))


def _columns(rows: List[Any], names: Tuple[str, ...]) -> Dict[str, Ints]:
    made = {name: zeros(len(rows)) for name in names}
    for number, row in enumerate(rows):
        for name, value in zip(names, row):
            made[name][number] = value
    return made
