"""Ways from roots to objects of made-up memory against a search by hand, and how they read."""

from __future__ import annotations

import os
import random
from array import array
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import pytest

os.environ.setdefault("ADDRSPACE_GRAPH_PLAIN", "1")  # before the kernels are made

from addrspace_gdb.common.messages import Message
from addrspace_gdb.space.graph.holding import Held, Path, Root, Roots, Step, Way, folded, merged
from addrspace_gdb.space.graph.owners import Owner
from addrspace_gdb.space.graph.parts import CHANNEL, MAP, MAP_PART, VALUE
from addrspace_gdb.views.holders import chain_words, held_sentence, path_lines, root_words
from addrspace_gdb.worker.graph import Graph
from addrspace_gdb.worker.holding import Holders, Ways
from addrspace_gdb.worker.stream import Memory, Words
from addrspace_gdb.worker.tree import Rooted
from addrspace_gdb.worker.typed import Typed

START, PAGE = 1 << 32, 8192
WILD = START + 16 * 400  # a slot that is not allocated
GLOBAL, FRAMES = 1, (2, 3)  # owners; 0 is the root of all, and finalizers are 4


def columns(lists: Mapping[str, Sequence[int]]) -> Dict[str, Tuple[str, bytes]]:
    return {name: ("q", array("q", numbers).tobytes()) for name, numbers in lists.items()}


def no_shapes() -> Message:
    """Nothing, tiny, text and functions."""
    sizes = [0, 0, 1, 8]
    names = ("sizes", "periods", "slots", "open", "firsts")
    lists: Dict[str, Sequence[int]] = {
        name: sizes if name in ("sizes", "slots") else [0] * 4 for name in names
    }
    lists.update({name: [0] for name in ("offsets", "hows", "targets", "others")})
    lists.update(begin=[0] * 5, type_shapes=[0], word_hows=[], word_targets=[])
    lists.update({f"site_{name}": [] for name in ("values", "hows", "targets")})
    lists.update(root_values=[], root_hows=[], root_targets=[], closure_pcs=[], closure_shapes=[])
    return Message({}, columns(lists))


def at(slot: int) -> int:
    return START + 16 * slot


class Memories:
    """Objects of 16 bytes, two pointers each, and roots: the values of each owner."""

    def __init__(
        self, slots: Dict[int, Tuple[int, int]], roots: Dict[int, List[int]], finalized: Sequence[int] = ()
    ) -> None:
        self.words: Dict[int, int] = {}
        for slot, values in slots.items():
            self.words.update({at(slot) + 8 * number: value for number, value in enumerate(values)})
        self.words.update({START + PAGE - 128 + 8 * number: -1 for number in range(16)})
        spans: Dict[str, Sequence[int]] = {
            "starts": [START],
            "pages": [1],
            "sizes": [16],
            "slots": [504],
            "kinds": [1],
            "freeindex": [max(slots) + 1],
            "alloc_bits": [0],
            "large_types": [0],
            **{f"arena_{name}": [] for name in ("starts", "ends", "bits", "dead")},
            "range_starts": [],
            "range_ends": [],
        }
        said = Message({"word": 8, "tail": 0, "typed": True, "code": [1, 2]}, columns(spans))
        graph = Graph(said, Words(Memory(-1, [], self._read), 8, "little"), lambda _: Message({}, {}))
        for _ in graph.read():
            pass
        assert graph.noting is not None
        self.roots = [(owner, value) for owner, values in roots.items() for value in values]
        told = {
            "parents": [0, 0, 0, 0, 0],
            "values": [value for _, value in self.roots],
            "owners": [owner for owner, _ in self.roots],
            "finalized": [at(slot) for slot in finalized],
        }
        rooted = Rooted(graph, Message({"finalizer": 4}, columns(told)))
        self._holders = Holders(rooted, graph.noting, 8)
        self._typed = Typed(graph, graph.noting, no_shapes(), [])

    def of(self, slot: int) -> Ways:
        return Ways(self._holders, slot, self._typed, lambda *_: self._typed)

    def _read(self, address: int, size: int) -> bytes:
        return array("q", [self.words.get(one, 0) for one in range(address, address + size, 8)]).tobytes()

    def ways(self, slot: int) -> List[Tuple[int, List[int]]]:
        """The owner and the slots of each. Every pointer on the way is looked up."""
        found, ways, lengths = [], self.of(slot), []
        for way in ways.all():
            steps, skipped = ways.steps(way.first)
            assert not skipped and len(steps) == way.length
            for step, following in zip(steps, steps[1:]):
                assert self.words[step.address + step.offset] == following.address + step.into
            assert (steps[-1].address, steps[-1].offset) == (at(slot), -1)
            owner = 4
            if way.root >= 0:
                owner, value = self.roots[way.root]
                assert (value - START) // 16 == (steps[0].address - START) // 16
            found.append((owner, [(step.address - START) // 16 for step in steps]))
            lengths.append(way.length)
        assert lengths == sorted(lengths)
        return found


def test_ways_are_the_shortest_and_circles_end() -> None:
    slots = {
        0: (at(1), 0),
        1: (at(2) + 7, at(0)),
        2: (at(2), at(3)),
        3: (at(1), WILD),
        4: (at(3), 0),
        5: (0, 0),
    }
    made = Memories(slots, {GLOBAL: [at(0), at(4) + 15], FRAMES[0]: [at(0)], FRAMES[1]: [WILD, at(5)]})
    assert made.ways(3) == [(GLOBAL, [4, 3]), (GLOBAL, [0, 1, 2, 3]), (FRAMES[0], [0, 1, 2, 3])]
    assert made.ways(0) == [(GLOBAL, [0]), (FRAMES[0], [0]), (GLOBAL, [4, 3, 1, 0])]
    assert made.ways(5) == [(FRAMES[1], [5])]


def test_what_nothing_leads_to_has_no_way() -> None:
    made = Memories({0: (at(1), 0), 1: (at(0), WILD), 2: (WILD, 5)}, {GLOBAL: [at(2), WILD, 0, -1]})
    assert made.ways(0) == made.ways(1) == []


def test_an_object_with_a_finalizer_holds_what_it_leads_to_and_not_itself() -> None:
    made = Memories({0: (at(1), 0), 1: (0, at(2)), 2: (0, 0)}, {}, [0])
    assert made.ways(2) == [(4, [0, 1, 2])] and made.ways(0) == []


@pytest.mark.parametrize("seed", range(20))
def test_ways_against_a_search_by_hand(seed: int) -> None:
    chance = random.Random(seed)
    many = chance.randrange(2, 60)
    odd = [0, WILD, 8, -1]

    def pointer() -> int:
        return (
            at(chance.randrange(many)) + chance.randrange(16) if chance.random() < 0.7 else chance.choice(odd)
        )

    slots = {slot: (pointer(), pointer()) for slot in range(many)}
    roots = {owner: [pointer() for _ in range(chance.randrange(3))] for owner in (GLOBAL, *FRAMES)}
    made = Memories(slots, roots)
    for target in range(0, many, 7):
        lengths = [(owner, by_hand(slots, value, target)) for owner, value in made.roots]
        found = [(owner, len(way)) for owner, way in made.ways(target)]
        assert sorted(found) == sorted((owner, length) for owner, length in lengths if length is not None)


def by_hand(slots: Dict[int, Tuple[int, int]], value: int, target: int) -> Optional[int]:
    """How many objects there are from a pointer to the target."""
    level, seen, length = {slot_of(value)} & set(slots), set(), 1
    while level:
        if target in level:
            return length
        seen |= level
        level = {slot_of(value) for one in level for value in slots[one]} & set(slots) - seen
        length += 1
    return None


def slot_of(value: int) -> int:
    return (value - START) // 16 if value >= START else -1


def test_a_very_long_way_has_its_ends() -> None:
    many = 480  # of slots of the page; the bound is made smaller
    made = Memories({slot: (at(slot + 1), 0) for slot in range(many)}, {GLOBAL: [at(0)]})
    from addrspace_gdb.worker import holding

    whole, holding._MAX_STEPS = holding._MAX_STEPS, 10
    try:
        ways = made.of(many - 1)
        (way,) = ways.all()
        steps, skipped = ways.steps(way.first)
    finally:
        holding._MAX_STEPS = whole
    assert (way.length, len(steps), skipped) == (many, 10, many - 10)
    assert [(step.address - START) // 16 for step in steps] == [*range(5), *range(many - 5, many)]


def test_equal_frames_are_one() -> None:
    frames = [Owner(parent, "function", "main.f") for parent in (6, 7, 8)]
    owners = [Owner(0, "all", ""), Owner(0, "global", "main.a"), *frames]
    ways = [
        Way(0, 9, 1, 5),
        Way(1, 9, 1, 5),
        Way(2, 9, 1, 5),
        Way(3, 9, 2, 6),
        Way(4, 8, 2, 5),
        Way(-1, 8, 2, 5),
    ]
    found = folded(ways, Roots(owners, [1, 2, 3, 4, 1], [0, 7, 7, 7, 0]))
    assert [(group.way.root, group.many) for group in found] == [(0, 2), (1, 2), (3, 1), (-1, 1)]
    assert len(folded(ways, Roots(owners, [1, 2, 3, 4, 1], [0, 7, 8, 7, 0]))) == 5


def test_frames_of_one_goroutine_are_counted_once() -> None:
    owners = [Owner(0, "all", ""), Owner(6, "function", "main.f"), Owner(7, "function", "main.f")]
    ways = [Way(root, 9, 1, 5) for root in range(4)]
    (group,) = folded(ways, Roots(owners, [1, 1, 1, 2], [7] * 4))
    assert group.many == 2


def test_places_of_one_variable_are_one() -> None:
    step = Step(16, 16, "main.T", VALUE, False, None, None, None)
    roots = [Root("function", "main.f", 64 + number, 0, number, "main.g", "req") for number in range(3)]
    roots += [Root("global", "main.a", 8, 0), Root("global", "main.a", 8, 0)._replace(name="main.b")]
    found = merged([Path(root, [step], 2) for root in roots])
    assert [(path.root.name, path.many) for path in found] == [("main.f", 6), ("main.a", 2), ("main.b", 2)]


def step(type_: Optional[str], role: str = VALUE, several: bool = False, field: Optional[str] = "") -> Step:
    return Step(1 << 32, 48, type_, role, several, 24, field, 0)


def chain(*steps: Step) -> str:
    return " -> ".join(chain_words(Path(Root("global", "main.a", 8, 0), steps)))


def test_a_chain_reads_as_go() -> None:
    assert (
        chain(step("http.Request", field=".ctx"), step(None, field=None))
        == "*http.Request .ctx -> (48 B) +24"
    )
    assert (
        chain(step("main.T", several=True, field="[3].next"), step("string"))
        == "[]main.T [3].next -> string +24"
    )
    assert chain(step("main.T", field=None)) == "*main.T +24"
    assert chain(step("func main.f.func1", field=None)) == "func main.f.func1 +24"


def test_what_a_map_consists_of_is_one() -> None:
    name = "map[string]*main.T"
    swiss = [
        step(name, MAP, field=".dirPtr"),
        step(f"directory of {name}", MAP_PART, field="[1]"),
        step(f"table of {name}", MAP_PART, field=".groups.data"),
        step("map.group[string]*main.T", MAP_PART, True, "[5].slots[3].elem.next"),
        step("main.T", field=""),
    ]
    assert chain(*swiss) == "map[string]*main.T [value].next -> *main.T"
    buckets = [
        step(name, MAP, field=".buckets"),
        step(f"buckets of {name}", MAP_PART, True, "[5].overflow"),
        step(f"buckets of {name}", MAP_PART, True, "[0].keys[2]"),
        step("string"),
    ]
    assert chain(*buckets) == "map[string]*main.T [key] -> string +24"
    assert chain(swiss[3]) == "map.group[string]*main.T [value].next"


def test_a_channel_and_its_buffer_are_one() -> None:
    made = [step("chan *main.T", CHANNEL, field=".buf"), step("*main.T", several=True, field="[3]")]
    assert chain(*made, step("main.T")) == "chan *main.T [3] -> *main.T"
    assert (
        chain(step("chan int", CHANNEL, field=".recvq.first"), step(None))
        == "chan int .recvq.first -> (48 B) +24"
    )


def test_equal_objects_in_a_row_are_counted() -> None:
    node = step("main.node", field=".next")
    assert (
        chain(*[node] * 1000, step("main.node", field=None))
        == "*main.node .next (1,000 times) -> *main.node +24"
    )
    path = Path(Root("global", "main.a", 8, 0), [node] * 4, skipped=70)
    assert chain_words(path) == [
        "*main.node .next (2 times)",
        "... 70 more objects ...",
        "*main.node .next (2 times)",
    ]


def test_roots_are_named() -> None:
    frame = Root("function", "main.serve", 64, 0, 17, "main.work", "req")
    assert root_words(frame, 1, 8) == "goroutine 17 main.serve local req"
    assert root_words(frame._replace(offset=8, exact=False), 3000, 8) == (
        "3,000 goroutines main.serve local req +8 (not exact)"
    )
    assert root_words(frame._replace(name="", local=None), 1, 8) == (
        "goroutine 17 of main.work, outside its frames"
    )
    assert root_words(Root("global", "", 64, 0), 1, 8) == "variable at 0x000000000040"
    assert root_words(Root("global", "main.a", 72, 8), 1, 8) == "main.a +8"
    assert root_words(Root("global", "main.a", 72, 8), 4, 8) == "main.a +8 and 3 like it"
    assert root_words(Root("finalizers", "", None), 1, 8) == "finalizer of"


@pytest.mark.parametrize(
    ("name", "field", "said"),
    [
        ("main.state", ".table[3]", "main.state.table[3]"),
        ("main.table", "[3]", "main.table[3]"),
        ("main.cache", "", "main.cache"),
        ("main.cache", None, "main.cache +24"),
        ("*main.app", ".first.deep[1]", "main.app.first.deep[1]"),
        ("*main.array", "[3].next", "(*main.array)[3].next"),
        ("*main.app", "", "*main.app"),
        ("*main.app", None, "*main.app +24"),
    ],
)
def test_parts_of_variables_are_named_as_in_go(name: str, field: Optional[str], said: str) -> None:
    root = Root("global", name, 88, 24, field=field)
    assert root_words(root, 1, 8) == said and root_words(root, 3, 8) == f"{said} and 2 like it"


def test_a_sentence_says_what_it_is_and_whether_it_is_held() -> None:
    held = Held("x", (1 << 32) + 5, step("main.T"), [], 0, 0)
    assert held_sentence(held, 8) == (
        "0x000100000005, 5 bytes into 0x000100000000, a main.T of 48 B, is held by nothing: no root leads to "
        "it, and the collector will free it."
    )
    sentence = held_sentence(held._replace(asked=1 << 32, roots=2, object=step(None)), 8)
    assert sentence == "0x000100000000, an object of 48 B, is held by 2 roots:"
    assert ", an io.Reader of 48 B, " in held_sentence(held._replace(object=step("io.Reader")), 8)
    partial = held._replace(asked=1 << 32, partial=True)
    assert "nothing that could be read" in held_sentence(partial, 8)
    assert held_sentence(partial._replace(roots=2), 8).endswith("is held by at least 2 roots:")


@pytest.mark.parametrize("width", [20, 40, 72])
def test_lines_are_no_wider_than_asked(width: int) -> None:
    long = step("map[string]" + "very/long/path.of.a.package" * 3, field=".field")
    path = Path(Root("global", "main.a", 8, 0), [step("main.T", field=".next"), long, long, step("main.U")])
    text = "".join(part for _, part in path_lines(path, 8, width, True))
    assert all(len(line) <= width for line in text.splitlines()) and text.startswith("  main.a")
    whole = "".join(part for _, part in path_lines(path, 8, 1 << 16, True))
    assert whole.count("\n") == 1 and "→ *main.T .next → " in whole
