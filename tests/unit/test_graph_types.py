"""Types given to objects of made-up memory: what leads on, what fits, and what contradicts."""

from __future__ import annotations

import os
import random
from array import array
from typing import Dict, List, Optional, Sequence, Tuple

import pytest

os.environ.setdefault("ADDRSPACE_GRAPH_PLAIN", "1")  # before the kernels are made

from addrspace_gdb.common.messages import Message
from addrspace_gdb.worker import seeding
from addrspace_gdb.worker.graph import Graph
from addrspace_gdb.worker.majority import commonest_shapes
from addrspace_gdb.worker.narrowing import narrowed
from addrspace_gdb.worker.propagating import DYNAMIC, EITHER, FUNCTION, MANY, ONE, TEXT, TINY, UNKNOWN
from addrspace_gdb.worker.stream import Memory, Words
from addrspace_gdb.worker.typed import Typed

START, PAGE, TYPES, CODE = 1 << 32, 8192, 0x5000, 0x1000
PAIR, SINGLE, FACES, ARRAY, BYTE, NODE = range(4, 10)  # shapes
Pointers = List[Tuple[int, int, int]]  # word, how, target

# Sizes and pointers. The first four are there always: nothing, tiny, text and functions.
SHAPES: List[Tuple[int, Pointers]] = [
    (0, []),
    (0, []),
    (1, []),
    (8, []),
    (16, [(0, ONE, PAIR), (1, MANY, TEXT)]),
    (16, [(0, ONE, SINGLE)]),
    (16, [(1, DYNAMIC, 0)]),
    (32, [(0, ONE, PAIR), (2, ONE, PAIR)]),
    (1, []),
    (16, [(0, EITHER, ARRAY), (1, EITHER, PAIR)]),
]
WORDS = [TYPES + 8 * shape for shape in range(len(SHAPES))]  # what stands before an interface's pointer


def columns(lists: Dict[str, Sequence[int]]) -> Dict[str, Tuple[str, bytes]]:
    return {name: ("q", array("q", numbers).tobytes()) for name, numbers in lists.items()}


Said = Sequence[Tuple[int, int, int]]  # where it leads to, how, and what shape


def told(roots: Said = (), sites: Said = ()) -> Message:
    begin = [0]
    for _, pointers in SHAPES:
        begin.append(begin[-1] + len(pointers))
    flat = [one for _, pointers in SHAPES for one in pointers]
    sizes = [size for size, _ in SHAPES]
    return Message(
        {},
        columns(
            {
                "sizes": sizes,
                "periods": [size // 8 for size in sizes],
                "slots": sizes,
                "open": [number < PAIR for number in range(len(SHAPES))],
                "firsts": [
                    BYTE if number == TEXT else PAIR * (number == ARRAY) for number in range(len(SHAPES))
                ],
                "begin": begin,
                "offsets": [word for word, _, _ in flat],
                "hows": [how for _, how, _ in flat],
                "targets": [target for _, _, target in flat],
                "others": [SINGLE] * len(flat),
                "type_shapes": [0],
                "word_hows": [ONE if number >= PAIR else UNKNOWN for number in range(len(SHAPES))],
                "word_targets": list(range(len(SHAPES))),
                "root_values": [value for value, _, _ in roots],
                "root_hows": [how for _, how, _ in roots],
                "root_targets": [target for _, _, target in roots],
                "site_values": [value for value, _, _ in sites],
                "site_hows": [how for _, how, _ in sites],
                "site_targets": [target for _, _, target in sites],
                "closure_pcs": [CODE],
                "closure_shapes": [SINGLE],
            }
        ),
    )


def typed(
    slots: Dict[int, Tuple[int, int]],
    roots: Sequence[Tuple[int, int, int]] = (),
    shapes: Optional[Message] = None,
    sites: Said = (),
) -> Typed:
    """Objects of 16 bytes by slot; behind them a page of objects of 64 without pointers, and one of 16."""
    words: Dict[int, int] = {}
    for slot, values in slots.items():
        words.update({START + 16 * slot + 8 * at: value for at, value in enumerate(values)})
    words.update({START + PAGE - 128 + 8 * at: -1 for at in range(2)})  # 128 words, all of them pointers
    spans: Dict[str, Sequence[int]] = {
        "starts": [START, START + PAGE, START + 2 * PAGE],
        "pages": [1, 1, 1],
        "sizes": [16, 64, 16],
        "slots": [504, 128, 512],
        "kinds": [1, 0, 0],
        "freeindex": [32, 4, 4],
        "alloc_bits": [0] * 3,
        "large_types": [0] * 3,
        **{f"arena_{name}": [] for name in ("starts", "ends", "bits", "dead")},
        "range_starts": [TYPES],
        "range_ends": [TYPES + 8 * len(SHAPES)],
    }

    def read(address: int, size: int) -> bytes:
        return array("q", [words.get(at, 0) for at in range(address, address + size, 8)]).tobytes()

    said = Message({"word": 8, "tail": 0, "typed": True, "code": [CODE, CODE + 1]}, columns(spans))
    graph = Graph(said, Words(Memory(-1, [], read), 8, "little"), lambda _: Message({}, {}))
    for _ in graph.read():
        pass
    assert graph.noting is not None
    return Typed(graph, graph.noting, told(roots, sites) if shapes is None else shapes, WORDS)


def at(slot: int) -> int:
    return START + 16 * slot


TEXT_AT, SMALL_AT = START + PAGE, START + 2 * PAGE
FIRST_TEXT, FIRST_SMALL = 504, 504 + 128  # numbers of objects


def test_what_an_interface_holds_has_a_type_and_gives_types() -> None:
    made = typed({0: (WORDS[PAIR], at(1)), 1: (at(2), TEXT_AT + 3), 2: (0, SMALL_AT + 5)})
    shapes = made.found.shapes
    assert [shapes[one] for one in range(3)] == [0, PAIR, PAIR]
    assert shapes[FIRST_TEXT] == TEXT and shapes[FIRST_SMALL] == TINY
    assert made.conflicts == made.misplaced == 0


def test_what_contradicts_is_counted_and_the_first_stays() -> None:
    slots = {
        0: (WORDS[PAIR], at(1)),
        1: (at(1), 0),
        2: (WORDS[FACES], at(1)),  # looks like an interface, and need not be one
        4: (at(4), TEXT_AT),
    }
    made = typed(slots, [(at(1), ONE, PAIR), (at(1), ONE, SINGLE), (at(4), ONE, SINGLE)])
    assert made.found.shapes[1] == PAIR and made.found.shapes[4] == SINGLE
    assert made.conflicts == 1 and made.misplaced == 1 and made.examples == [(PAIR, SINGLE)]


@pytest.mark.parametrize("order", [1, -1])
def test_a_string_of_the_bytes_of_a_slice_is_no_contradiction(order: int) -> None:
    roots = [(TEXT_AT, MANY, TEXT), (TEXT_AT + 2, MANY, BYTE), (TEXT_AT + 64, MANY, BYTE)][::order]
    made = typed({}, roots)
    assert [made.found.shapes[FIRST_TEXT + one] for one in range(2)] == [TEXT, BYTE] and not made.conflicts


def test_a_type_that_does_not_fit_is_not_taken() -> None:
    made = typed(
        {0: (WORDS[ARRAY], at(1)), 1: (0, 0), 2: (WORDS[PAIR], TEXT_AT), 3: (WORDS[PAIR], at(4) + 8)}
    )
    assert not any(made.found.shapes[one] for one in (1, 4, FIRST_TEXT))


def test_interfaces_lead_on() -> None:
    made = typed({0: (WORDS[FACES], at(1)), 1: (WORDS[PAIR], at(2)), 2: (at(3), 0), 3: (0, 0)})
    assert [made.found.shapes[one] for one in range(4)] == [0, FACES, PAIR, PAIR]


def test_the_slot_decides_between_two_that_a_pointer_may_lead_to() -> None:
    made = typed({0: (at(1), at(2)), 1: (0, 0), 2: (at(3), 0), 3: (0, 0)}, [(at(0), ONE, NODE)])
    assert [made.found.shapes[one] for one in range(4)] == [NODE, SINGLE, PAIR, PAIR]


@pytest.mark.parametrize("vague", [True, False])
def test_what_stands_before_an_object_may_say_too_little(vague: bool) -> None:
    made = typed({0: (at(1), 0), 1: (0, 0)}, [(at(0), ONE, ARRAY)])
    found, shapes = made.found, array("i", [0, -PAIR if vague else PAIR])
    found.shapes[1] = found.shapes[0] = 0
    assert seeding.begin_with_sure(array("i", [0, 1]), shapes, found) == 1
    heap, slots = made._graph.heap, made.shapes
    tail = seeding.give_one(1, 0, MANY, ARRAY, heap, slots._replace(sizes=[16] * 10), found, 1)
    assert found.shapes[1] == (ARRAY if vague else PAIR) and tail == 1 + vague


def test_what_may_be_larger_than_is_known_may_have_more_pointers() -> None:
    roots = [(at(0), ONE, SINGLE), (at(2), ONE, SINGLE)]
    assert typed({0: (at(1), at(1)), 2: (at(1), at(1))}, roots).misplaced == 2
    made = told(roots)
    opened = [number in (*range(4), SINGLE) for number in range(len(SHAPES))]
    made.columns["open"] = columns({"open": opened})["open"]
    assert typed({0: (at(1), at(1)), 2: (at(1), at(1))}, roots, made).misplaced == 0


def test_a_guess_that_pointers_belie_is_none() -> None:
    made = typed({0: (WORDS[SINGLE], at(1)), 1: (0, at(2)), 2: (0, 0), 3: (WORDS[SINGLE], at(2))})
    assert [made.found.shapes[one] for one in range(4)] == [0, 0, SINGLE, 0] and made.misplaced == 0


def test_closures_lead_to_what_they_capture() -> None:
    slots = {0: (CODE, at(2)), 1: (at(1), 0), 2: (CODE, at(1)), 3: (CODE, 0)}
    made = typed(slots, [(at(0), ONE, FUNCTION)])
    shapes = [made.found.shapes[one] for one in range(4)]
    assert made.misplaced == 1 and shapes == [SINGLE, 0, SINGLE, SINGLE]  # what begins like a closure is one


def test_what_roots_say_comes_before_what_looks_like_an_interface() -> None:
    roots = [(at(1), ONE, PAIR), (at(3) + 8, ONE, PAIR), (at(40), ONE, PAIR), (TEXT_AT + 9, MANY, TEXT)]
    made = typed({0: (WORDS[SINGLE], at(1)), 1: (at(2), 0), 2: (0, 0), 3: (0, 0)}, roots)
    assert [made.found.shapes[one] for one in range(4)] == [0, PAIR, PAIR, 0]
    assert made.found.shapes[FIRST_TEXT] == TEXT and made.conflicts == 0


def test_where_objects_were_allocated_says_what_they_are() -> None:
    sites = [(at(0), ONE, PAIR), (at(3), ONE, ARRAY), (at(40), ONE, PAIR), (TEXT_AT, MANY, TEXT)]
    made = typed({0: (at(1), TEXT_AT + 64), 1: (at(2), 0), 2: (0, 0), 3: (0, 0)}, (), sites=sites)
    assert [made.found.shapes[one] for one in range(4)] == [PAIR, PAIR, PAIR, 0]
    assert made.found.shapes[FIRST_TEXT] == made.found.shapes[FIRST_TEXT + 1] == TEXT
    assert made.by_sites == [5, 3 * 16 + 2 * 64] and made.site_conflicts == made.conflicts == 0


def test_a_place_that_contradicts_is_counted_and_changes_nothing() -> None:
    roots = [(at(0), ONE, PAIR), (SMALL_AT + 5, ONE, TEXT)]
    sites = [(at(0), ONE, SINGLE), (at(1), ONE, SINGLE), (SMALL_AT, MANY, TEXT)]
    made = typed({0: (at(1), 0), 1: (0, 0)}, roots, sites=sites)
    assert [made.found.shapes[one] for one in range(2)] == [PAIR, PAIR]
    assert made.site_conflicts == 2 and made.conflicts == 0


def test_places_come_before_what_looks_like_an_interface() -> None:
    made = typed({0: (WORDS[SINGLE], at(1)), 1: (at(2), 0), 2: (0, 0)}, sites=[(at(1), ONE, PAIR)])
    assert [made.found.shapes[one] for one in range(3)] == [0, PAIR, PAIR]


def test_all_that_is_allocated_is_counted_once() -> None:
    made = typed({0: (WORDS[PAIR], at(1)), 1: (at(2), TEXT_AT), 2: (0, 0)})
    graph = made._graph
    reached = array("i", [0] * 3 + [-1] * (graph.objects - 3))
    found = made.counted(reached)
    assert found["objects"][4 * PAIR : 4 * PAIR + 4].tolist() == [2, 0, 0, 0]
    assert found["bytes"][4 * TEXT : 4 * TEXT + 4].tolist() == [0, 0, 0, 64]
    rows = [found[name].tolist() for name in ("no_sizes", "no_pointers", "no_reached", "no_unreached")]
    assert list(zip(*rows)) == [(16, 0, 0, 4), (16, 1, 1, 29), (64, 0, 0, 3)]


def test_what_most_objects_of_a_span_are() -> None:
    """Of spans without objects it is nothing; of two that are as many, the one that comes first."""
    made = typed({0: (WORDS[PAIR], at(1)), 1: (at(2), TEXT_AT), 2: (0, 0)})
    heap = made._graph.heap
    assert commonest_shapes(heap.state, heap.first, heap.sizes, made).tolist() == [0, 0, 0]
    for number in [*range(3, 32), *range(FIRST_SMALL, FIRST_SMALL + 4)]:
        heap.state[number] = 0
    assert commonest_shapes(heap.state, heap.first, heap.sizes, made).tolist() == [2 * PAIR, 0, -1]
    heap.state[FIRST_TEXT + 1] = heap.state[FIRST_TEXT + 2] = heap.state[FIRST_TEXT + 3] = 0
    assert commonest_shapes(heap.state, heap.first, heap.sizes, made).tolist() == [2 * PAIR, 2 * TEXT + 1, -1]


@pytest.mark.parametrize("seed", range(12))
def test_types_of_what_leads_to_an_object_are_the_same_without_the_rest(seed: int) -> None:
    chance = random.Random(seed)
    words = [0, *WORDS[PAIR:], TEXT_AT, SMALL_AT, CODE]
    slots = {
        slot: tuple(chance.choice([*map(at, range(32)), *words]) for _ in range(2)) for slot in range(32)
    }
    roots = [(at(chance.randrange(32)), ONE, chance.choice([PAIR, SINGLE, FACES])) for _ in range(3)]
    whole = typed(slots, roots)  # type: ignore[arg-type]
    graph, noting = whole._graph, whole._noting
    target = chance.choice([to for to in graph.edges.to if to < 32])
    leads = {target}
    for _ in range(32):
        edges = graph.edges
        leads |= {n for n in range(32) if leads & set(edges.to[edges.index[n] : edges.index[n + 1]])}
    hop = array("i", [0 if n in leads else -1 for n in range(graph.objects)])
    part = Typed(*narrowed(graph, noting, hop), told(roots), WORDS)
    assert [part.found.shapes[n] for n in leads] == [whole.found.shapes[n] for n in leads]
