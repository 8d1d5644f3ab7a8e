"""The worker's kernels, uncompiled: dominators by brute force, scans of made-up memory."""

from __future__ import annotations

import io
import os
import random
import time
from array import array
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Set, Tuple

import pytest

from addrspace_gdb.common.messages import ClosedError, Message, receive, send
from addrspace_gdb.common.problems import ProblemError

os.environ.setdefault("ADDRSPACE_GRAPH_PLAIN", "1")  # before the kernels are made

from addrspace_gdb.worker import arrays, budget, dominating, spans
from addrspace_gdb.worker import graph as graph_module
from addrspace_gdb.worker.budget import Budget, resident
from addrspace_gdb.worker.graph import PLAIN_LIMIT, Graph
from addrspace_gdb.worker.stream import Memory, Words
from addrspace_gdb.worker.tree import Dominators, Rooted
from addrspace_gdb.worker.turns import Turns
from addrspace_gdb.worker.warming import warm

START, TYPE, PAGE = 1 << 32, 0x5000, 8192
Spans = List[Tuple[int, int, int, int]]  # bytes of a slot, slots, kind, slots that are allocated


class Heap:
    """Memory of spans, a page each, with whole objects as lists of words."""

    def __init__(
        self,
        spans: Spans,
        words: Dict[int, int],
        mask: Tuple[int, int, bytes] = (2, 2, b"\3"),
        pages: int = 1,
        limit: Optional[Budget] = None,
    ) -> None:
        self.words, self.mask = words, mask
        columns: Dict[str, Sequence[int]] = {
            "starts": [START + number * PAGE for number in range(len(spans))],
            "pages": [pages] * len(spans),
            "sizes": [one[0] for one in spans],
            "slots": [one[1] for one in spans],
            "kinds": [one[2] for one in spans],
            "freeindex": [one[3] for one in spans],
            "alloc_bits": [0] * len(spans),
            "large_types": [TYPE] * len(spans),
            **{f"arena_{name}": [] for name in ("starts", "ends", "bits", "dead")},
        }
        said = Message({"word": 8, "tail": 0}, _columns(columns))
        self.graph = Graph(said, Words(Memory(-1, [], self._read), 8, "little"), self._types, limit)
        for _ in self.graph.read():
            pass

    def _read(self, address: int, size: int) -> bytes:
        numbers = (self.words.get(at, 0) for at in range(address, address + size, 8))
        return array("q", numbers).tobytes()

    def _types(self, addresses: Sequence[int]) -> Message:
        words, covered, bits = self.mask
        columns = {
            "words": [words * (one == TYPE) for one in addresses],
            "covered": [covered] * len(addresses),
        }
        places = {"places": [0] * len(addresses)}
        return Message({}, {**_columns({**columns, **places}), "bits": ("B", bits)})

    def rooted(self, values: Sequence[int], finalized: Sequence[int] = ()) -> Rooted:
        parents = {"parents": [0, 0], "values": values, "owners": [1] * len(values), "finalized": finalized}
        return Rooted(self.graph, Message({"finalizer": 0}, _columns(parents)))

    def reached(self, values: Sequence[int], finalized: Sequence[int] = ()) -> List[int]:
        found = self.rooted(values, finalized).reached()
        return [number for number in range(self.graph.objects) if found[number] >= 0]


def _columns(lists: Dict[str, Sequence[int]]) -> Dict[str, Tuple[str, bytes]]:
    return {name: ("q", array("q", numbers).tobytes()) for name, numbers in lists.items()}


def in_span(slots: Dict[int, Tuple[int, ...]]) -> Dict[int, int]:
    """Objects of 16 bytes in the first span, by slot, whose words are all pointers."""
    words: Dict[int, int] = {}
    bits = [0] * 16
    for slot, values in slots.items():
        for at, value in enumerate(values):
            words[START + 16 * slot + 8 * at] = value
            bits[(2 * slot + at) // 64] |= 1 << (2 * slot + at) % 64
    words.update({START + PAGE - 128 + 8 * at: bit - (bit >> 63 << 64) for at, bit in enumerate(bits)})
    return words


def test_pointers_lead_into_the_middle_of_objects_and_round_in_circles() -> None:
    at = [START + 16 * slot for slot in range(6)]
    heap = Heap(
        [(16, 504, 1, 6)], in_span({0: (at[1] + 7, 0), 1: (at[2], at[0]), 2: (at[1], 0), 4: (at[5], 0)})
    )
    assert heap.reached([at[0] + 15]) == [0, 1, 2]
    assert heap.reached([at[4]]) == [4, 5] and heap.reached([]) == []
    assert heap.reached([], [at[0]]) == [0, 1, 2]  # 1 leads back to the object that has the finalizer
    assert heap.reached([], [at[4]]) == [5]


def test_wild_pointers_lead_nowhere_and_are_counted() -> None:
    wild = [START + 16 * 300, START + 8190, START + 5 * PAGE, -1, 1 << 62, 8]
    heap = Heap(
        [(16, 504, 1, 4)], in_span({0: (wild[0], wild[1]), 1: (wild[2], wild[3]), 2: (wild[4], wild[5])})
    )
    assert heap.reached([START, START + 16, START + 32, *wild]) == [0, 1, 2]
    assert heap.graph.edges.wild[0] == 2 and heap.graph.count == 0


def test_wild_pointers_among_others_take_no_place_in_the_index() -> None:
    at, wild = [START + 16 * slot for slot in range(4)], START + 16 * 300
    heap = Heap(
        [(16, 504, 1, 4)],
        in_span({0: (wild, at[1]), 1: (at[2] + 8, wild), 2: (wild, wild), 3: (at[0], at[1])}),
    )
    edges = heap.graph.edges
    assert edges.index.tolist()[:6] == [0, 1, 2, 2, 4, 4] and edges.to.tolist()[:4] == [1, 2, 0, 1]
    assert edges.wild[0] == 4 and heap.graph.count == 4


def _in_parts() -> Graph:
    """A heap that is read in five parts: three of small objects and two large ones, which lead to them."""
    made: Spans = [(16, 504, 1, 6) if number % 2 == 0 else (PAGE, 1, 3, 1) for number in range(5)]
    words = in_span({0: (START + 16, START + PAGE), 3: (START + 2 * PAGE, START + 16 * 400)})
    words[START + PAGE], words[START + PAGE + 8] = START + 4 * PAGE + 16, START + 5 * PAGE
    words[START + 3 * PAGE + 16] = START
    return Heap(made, words).graph


@pytest.mark.parametrize("room", [True, False])
def test_threads_make_the_same_graph_whether_or_not_room_can_be_reserved(
    room: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = _in_parts()
    monkeypatch.setattr(graph_module, "COMPILED", True)
    if room:
        monkeypatch.setattr(graph_module, "reserved", arrays.zeros)
    several = _in_parts()
    assert several.is_reserved == room
    assert several.count == alone.count == 5
    assert several.edges.index.tolist() == alone.edges.index.tolist()
    assert several.edges.to.tolist()[:5] == alone.edges.to.tolist()[:5]
    assert several.edges.wild[0] == alone.edges.wild[0] == 1


@pytest.mark.parametrize("kind", [2, 3])
def test_a_mask_counts_for_each_value_that_there_is_room_for(kind: int) -> None:
    large = (PAGE, 1, 3, 1) if kind == 3 else (1024, 8, 2, 2)
    first, header = START + PAGE, 8 * (kind == 2)
    at = [first + header + 8 * (3 * number + 1) for number in range(4)]
    words = {one: START + 16 * number for number, one in enumerate(at)}
    words[first + header + 16] = START + 16 * 9  # no pointer by the mask
    words[first] = TYPE if kind == 2 else 0
    words[first + 1024] = words.get(first + 1024, 0) or 0x7777  # a type that is none
    heap = Heap([(16, 504, 0, 20), large], words, (3, 2, b"\2"))
    assert heap.reached([first]) == [0, 1, 2, 3, 504]
    assert heap.graph.types.unknown == (kind == 2)


def test_a_heap_too_large_for_plain_python_is_refused() -> None:
    assert PLAIN_LIMIT == 64 << 20
    many = PLAIN_LIMIT // PAGE + 1
    with pytest.raises(ProblemError, match=r"64 MiB .* pip install 'addrspace-gdb\[graph\]'"):
        Heap([(16, 504, 1, 0)] * many, {})


def test_spans_that_cannot_be_are_refused() -> None:
    columns: Dict[str, Sequence[int]] = {"starts": [START, START + (1 << 45)], "pages": [1, 1 << 30]}
    rest = {name: [1, 1] for name in ("sizes", "slots", "kinds", "freeindex", "alloc_bits", "large_types")}
    arenas = {f"arena_{name}": [] for name in ("starts", "ends", "bits", "dead")}  # type: Dict[str, List[int]]
    words = Words(Memory(-1, [], lambda address, size: b""), 8, "little")
    for starts, reason in (([START, 1 << 50], "more addresses"), ([START, 1 << 40], "8,192 GiB")):
        columns["starts"] = starts
        said = Message({"word": 8, "tail": 0}, _columns({**columns, **rest, **arenas}))
        with pytest.raises(ProblemError, match=reason):
            Graph(said, words, lambda addresses: Message({}, {}))


def test_what_is_read_with_its_neighbours_need_not_be_there() -> None:
    def read(address: int, size: int) -> bytes:
        return b"\1" * sum(not 0x2000 <= at < 0x4000 for at in range(address, address + size))

    memory = Memory(-1, [], read)
    words = Words(memory, 8, "little")
    assert words.ahead(0x1F00, 0x100, 0x1000) == b"\1" * 0x100 and not memory.lost and not memory.holes
    assert words.ahead(0x4000, 0x100, 0x1000) == b"\1" * 0x1000
    assert words.ahead(0x1FF8, 0x10, 0x20) == b"\1" * 8 + bytes(8) and memory.holes == [(0x2000, 8)]
    heap = Heap([(16, 504, 1, 1)] * 2, {})
    heap.graph.spans["starts"][1] += 2 * PAGE  # two pages lie between the spans
    graph = heap.graph
    graph.heap = graph.heap._replace(high=START + 4 * PAGE)
    beside = [(START + PAGE, 4096), (START + 3 * PAGE - 4096, 4096)]
    missing = [(START + PAGE - 4096, 4096), (START + 3 * PAGE, 4096), (START - 8, 8), (START + 4 * PAGE, 64)]
    assert graph.lost(beside) == graph.lost([]) == 0
    assert graph.lost([*beside, *missing]) == 4096 + 4096 + 8 + 64


def test_memory_that_is_not_there_is_zero_and_counted_up_to_a_bound() -> None:
    memory = Memory(-1, [], lambda address, size: b"\1" * size if address >= 0x2000 else b"")
    words = Words(memory, 8, "little")
    assert words.read(0x1800, 0x1000).tolist() == [0] * 256 + [0x0101010101010101] * 256
    assert memory.lost == 0x800
    memory.lost = 1 << 30
    with pytest.raises(ProblemError, match="more than 1 GiB"):
        words.read(0x1800, 0x1000)


def graph_of(size: int, edges: Set[Tuple[int, int]]) -> Tuple[array[int], array[int]]:
    below = [sorted(to for of, to in edges if of == node) for node in range(size)]
    index = array("q", [0])
    for one in below:
        index.append(index[-1] + len(one))
    return index, array("i", [to for one in below for to in one])


def reached_without(size: int, edges: Set[Tuple[int, int]], gone: int) -> Set[int]:
    seen, left = set(), [0] if gone else []
    while left:
        node = left.pop()
        if node not in seen:
            seen.add(node)
            left += [to for of, to in edges if of == node and to != gone]
    return seen


def dominators(size: int, edges: Set[Tuple[int, int]]) -> Dict[int, int]:
    index, to = graph_of(size, edges)
    number, node_of, parent, stack = (array("i", [-1] * size) for _ in range(4))
    count = dominating.number_nodes(index, to, 0, number, node_of, parent, stack, array("q", bytes(8 * size)))
    into = array("q", bytes(8 * count + 8))
    dominating.count_into(index, to, number, node_of, count, into)
    sources = array("i", bytes(4 * into[count] + 4))
    dominating.turn_round(index, to, number, node_of, count, into[:], sources)
    label, semi = array("i", range(count)), array("i", range(count))
    above, found = parent[:count], parent[:count]
    dominating.dominate(parent, into, sources, count, above, label, semi, stack, found)
    return {node_of[at]: node_of[found[at]] for at in range(1, count)}


@pytest.mark.parametrize("seed", range(60))
def test_who_dominates_is_who_cannot_be_gone_round(seed: int) -> None:
    chance = random.Random(seed)
    size = chance.randrange(2, 30)
    edges = {(chance.randrange(size), chance.randrange(size)) for _ in range(chance.randrange(1, 3 * size))}
    found = dominators(size, edges)
    reached = reached_without(size, edges, -1)
    assert set(found) == reached - {0}
    cut = {node: reached - reached_without(size, edges, node) for node in reached}
    for node in found:
        above, at = set(), node
        while at:
            at = found[at]
            above.add(at)
        assert above == {one for one in reached if node in cut[one] and one != node}


def test_what_is_kept_adds_up_and_children_are_the_largest() -> None:
    at = [START + 16 * slot for slot in range(9)]
    shared: Dict[int, Tuple[int, ...]] = {
        0: (at[2], at[3]),
        1: (at[3], at[4]),
        2: (at[5], 0),
        5: (at[6], at[7]),
        4: (0, 0),
    }
    heap = Heap([(16, 504, 1, 9)], in_span(shared))
    rooted = heap.rooted([at[0], at[1]])
    tree = Dominators(rooted)
    assert tree.kept(rooted.start) == (16 * 8, 8) == tree.kept(rooted.start + 1)
    assert tree.kept(0) == (16 * 5, 5) and tree.kept(1) == (32, 2) and tree.kept(3) == (16, 1)
    assert tree.kept(8) == (0, 0)
    assert tree.children(rooted.start + 1, 2) == ([0, 1], 3)
    assert tree.children(5, 9) == ([6, 7], 2) and tree.children(6, 9) == ([], 0)
    assert tree.objects_below(rooted.start + 1, 2, 2) == ([0, 1], 2)
    assert tree.objects_below(5, 1, 9) == ([6], 2) and tree.objects_below(5, 9, 6) == ([], 0)


def test_warming_goes_through_every_kernel() -> None:
    warm("little")
    warm("big")
    warm("little", 4)
    warm("little", typed=True)


def test_messages_come_as_they_were_said() -> None:
    stream = io.BytesIO()
    send(
        stream,
        {"do": "it"},
        {"numbers": array("q", [1, -2]), "small": array("i", [3]), "none": b"", "raw": b"x"},
    )
    stream.seek(0)
    said = receive(stream)
    assert said.header == {"do": "it"} and said.column("numbers").tolist() == [1, -2]
    assert said.column("small").tolist() == [3] and said.columns["raw"] == ("B", b"x")
    with pytest.raises(ClosedError):
        receive(stream)
    with pytest.raises(ProblemError):
        receive(io.BytesIO(b"\xff" * 8))


def test_a_group_keeps_what_lies_below_its_objects_once() -> None:
    at = [START + 16 * slot for slot in range(7)]
    # 0 leads to 1 and 2, 1 to 3, 3 to 4; 5 and 0 both lead to 6.
    pointers: Dict[int, Tuple[int, ...]] = {
        0: (at[1], at[2]),
        1: (at[3], 0),
        2: (at[6], 0),
        3: (at[4], 0),
        5: (at[6], 0),
    }
    rooted = Heap([(16, 504, 1, 7)], in_span(pointers)).rooted([at[0], at[5]])
    tree = Dominators(rooted)
    groups = array("i", [-1] * rooted.nodes)
    for number, group in enumerate([0, 1, 2, 1, 0, 2, 2]):
        groups[number] = group
    kept, counts = tree.grouped([rooted.start], groups, 3)
    assert counts.tolist() == [5, 3, 3] and kept.tolist() == [80, 48, 48]
    kept, counts = tree.grouped([1], groups, 3)
    assert counts.tolist() == [1, 3, 0]


def test_a_graph_that_needs_too_much_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "resident", lambda: 100 << 20)
    limit = Budget(200 << 20, typed=True, tree=False)
    limit.check(1_000_000, 0, 0, 1 << 30)
    limit.check(1_000_000, 1_000_000, 1 << 20, 1 << 30)  # too little was read to reckon from it
    for objects, edges, done in ((4_000_000, 0, 0), (1_000_000, 2_000_000, 1 << 28)):
        with pytest.raises(ProblemError, match=r"may take 200\.0 MiB \(--memory\): --memory \d+M allows it"):
            limit.check(objects, edges, done, 1 << 30)
    monkeypatch.setattr(budget, "free_memory", lambda: 300 << 20)
    with pytest.raises(ProblemError, match=r"150\.0 MiB \(half of what is free\)"):
        Budget(None, typed=True, tree=True).check(4_000_000, 0, 0, 1 << 30)
    assert budget.free_memory() > 0 and resident() > 1 << 20


@pytest.mark.parametrize(
    ("made", "pages"), [([(8, 65535, 0, 0)] * 5000, 64), ([(1 << 40, 1, 0, 0)], 1 << 27)]
)
def test_what_a_damaged_core_claims_is_refused_before_it_is_taken(
    made: Spans, pages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """330 million objects in the same 512 KiB, and one of 1 TiB, of which every page has an entry."""

    def zeros(count: int, code: str = "q", real: Callable[[int, str], object] = arrays.zeros) -> object:
        assert count < 1 << 20
        return real(count, code)

    monkeypatch.setattr(spans, "zeros", zeros)
    monkeypatch.setattr(budget, "resident", lambda: 100 << 20)
    with pytest.raises(ProblemError, match=r"may take 200\.0 MiB"):
        Heap(made, {}, pages=pages, limit=Budget(200 << 20, typed=False, tree=True))


@pytest.mark.parametrize("pages", [1 << 36, 1 << 51, (1 << 63) - 1])
def test_a_span_that_ends_nowhere_is_refused(pages: int) -> None:
    with pytest.raises(ProblemError, match="more addresses than a process has"):
        Heap([(8192, 1, 0, 0)], {}, pages=pages)


def test_objects_with_headers_may_be_small() -> None:
    """Of 32 bits those of 144 bytes have one."""
    assert Heap([(144, 56, 2, 56)], {}).graph.allocated == 56


def test_jobs_pass_a_gate_in_order_whoever_is_faster() -> None:
    passed: List[int] = []

    def work(job: int, turns: Turns) -> None:
        time.sleep((job * 7 % 5) / 1000)
        with turns.at(0, job):
            passed.append(job)

    Turns(40, 1).run([work, work, work])
    assert passed == [*range(40)]


def test_of_jobs_that_fail_the_first_is_told_and_those_before_it_are_done() -> None:
    passed: List[int] = []

    def work(job: int, turns: Turns) -> None:
        time.sleep(0.002 if job % 2 else 0)
        if job in (7, 8, 20):
            raise ProblemError(f"job {job}")
        with turns.at(0, job):
            passed.append(job)

    with pytest.raises(ProblemError, match="^job 7$"):
        Turns(40, 1).run([work, work])
    assert passed == [*range(7)]


def test_words_are_read_into_a_buffer_that_is_there(tmp_path: Path) -> None:
    file = tmp_path / "memory"
    file.write_bytes(array("q", range(4096)).tobytes())
    with file.open("rb") as opened:
        memory = Memory(opened.fileno(), [(0, 4096 * 8, 0)], lambda *_: b"")
        words, buffer = Words(memory, 8, "little"), bytearray(2000)
        assert words.read(800, 1600, buffer).tolist() == [*range(100, 300)]
        assert buffer[:1600] == file.read_bytes()[800:2400]
        assert words.read(8000, 800).tolist() == [*range(1000, 1100)]
        memory.lost = 1 << 30
        with pytest.raises(ProblemError, match="cannot be read"):
            words.read(4096 * 8, 80)
