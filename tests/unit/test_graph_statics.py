"""Variables of packages as typed memory: what their pointers lead to, and where debug information begins."""

from __future__ import annotations

import os
from array import array
from typing import Dict, List, Tuple

os.environ.setdefault("ADDRSPACE_GRAPH_PLAIN", "1")  # before the kernels are made

import pytest

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.constants import ConstantsTarget
from addrspace_gdb.goruntime.debugshapes import DebugShapes
from addrspace_gdb.goruntime.mgcroots import Slots, ascending, within
from addrspace_gdb.goruntime.shape import (
    DIRECTORY,
    DYNAMIC,
    MANY,
    MAX_POINTERS,
    NOTHING,
    ONE,
    TEXT,
    UNKNOWN,
    Direct,
    Pointer,
    Shape,
)
from addrspace_gdb.goruntime.shape import FUNCTION as FUNCTION_SHAPE
from addrspace_gdb.goruntime.structshapes import StructShapes
from addrspace_gdb.process.dwarf.gotypes import GoType
from addrspace_gdb.process.kept_memory import LetGoError
from addrspace_gdb.space.graph.statics import Said, Statics, leaders
from addrspace_gdb.target.layout import Type
from addrspace_gdb.worker.arrays import joined, of_bytes, zeros
from addrspace_gdb.worker.debuginfo import Codes, find_entries

HEAP, DATA, TYPE = 0xC000000000, 0x500000, 0x4000
NODE, PAIR, FACE, TABLE, ROWS = range(4, 9)
NONE = Shape("", "", None, 0, 0, ())
SHAPES = [
    *[NONE] * 4,
    Shape("node", "struct", None, 16, 16, [Pointer(0, ONE, NODE), Pointer(8, MANY, TEXT)]),
    Shape("pair", "struct", None, 16, 16, [Pointer(0, ONE, NODE), Pointer(8, UNKNOWN, NODE)]),
    Shape("face", "interface", None, 16, 16, [Pointer(8, DYNAMIC)]),
    Shape("table", "map", None, 16, 16, [Pointer(0, DIRECTORY, PAIR, NODE)]),
    Shape("rows", "slice", None, 24, 24, [Pointer(0, MANY, NODE)]),
]


def slots(words: Dict[int, int]) -> Slots:
    """All of 64 words of data as pointers."""
    column = array("Q", [words.get(DATA + 8 * at, 0) for at in range(64)])
    return within(DATA, column, b"\1" * 64, ((HEAP, HEAP + 4096), (DATA, DATA + 512)))


def walked(words: Dict[int, int], *first: Tuple[int, int]) -> List[Tuple[int, int, int]]:
    said = Said()
    direct = {TYPE: Direct(ONE, PAIR)}
    Statics(slots(words), (HEAP, HEAP + 4096), 8).walk(
        first, SHAPES, lambda word: direct.get(word, Direct(UNKNOWN, NOTHING)), said
    )
    return list(zip(said.values, said.hows, said.targets))


def test_slots_are_those_that_lead_somewhere_with_their_neighbours() -> None:
    found = slots({DATA: HEAP, DATA + 8: 7, DATA + 16: DATA + 8, DATA + 504: HEAP + 8, DATA + 496: 5})
    assert list(zip(*found)) == [
        (DATA, HEAP, 0, 7),
        (DATA + 16, DATA + 8, 7, 0),
        (DATA + 504, HEAP + 8, 5, 0),
    ]


def test_pointers_lead_through_variables() -> None:
    words = {DATA: DATA + 32, DATA + 8: HEAP + 64, DATA + 32: HEAP, DATA + 40: HEAP + 128}
    assert sorted(walked(words, (DATA, NODE))) == [
        (HEAP, ONE, NODE),
        (HEAP + 64, MANY, TEXT),
        (HEAP + 128, MANY, TEXT),
    ]
    assert walked({DATA: DATA, DATA + 8: HEAP}, (DATA, NODE)) == [(HEAP, MANY, TEXT)]


def test_what_says_nothing_is_left_out() -> None:
    assert walked({DATA: HEAP + 5000, DATA + 8: HEAP}, (DATA, PAIR)) == []
    assert walked({DATA: 9, DATA + 8: HEAP}, (DATA, FACE)) == []
    assert walked({DATA: TYPE, DATA + 8: HEAP}, (DATA, FACE)) == [(HEAP, ONE, PAIR)]


@pytest.mark.parametrize(("behind", "led"), [(0, (ONE, NODE)), (3, (MANY, PAIR))])
def test_a_map_has_a_directory_or_none(behind: int, led: Tuple[int, int]) -> None:
    assert walked({DATA: HEAP, DATA + 8: behind}, (DATA, TABLE)) == [(HEAP, *led)]


def test_a_slice_is_as_long_as_it_says() -> None:
    words = {DATA: DATA + 64, DATA + 8: 2, DATA + 64: HEAP, DATA + 80: HEAP + 64, DATA + 96: HEAP + 128}
    assert [value for value, _, _ in walked(words, (DATA, ROWS))] == [HEAP, HEAP + 64]


def test_what_has_no_name_is_found_by_what_leads_to_it() -> None:
    found = slots({DATA: DATA + 64, DATA + 8: DATA + 80, DATA + 16: DATA + 64, DATA + 24: HEAP})
    assert leaders(found, [DATA + 72, DATA + 80, DATA + 40, DATA + 5000]) == {
        DATA + 72: (DATA + 64, DATA),
        DATA + 80: (DATA + 80, DATA + 8),
    }
    assert ascending(Slots(*(column[::-1] for column in found))) == found
    extents = dict.fromkeys(found.addresses, 8)
    assert leaders(found, [DATA + 72, DATA + 80], lambda slot, _: extents[slot]).keys() == {DATA + 80}
    asked: List[Tuple[int, int]] = []
    leaders(found, [DATA + 72], lambda *one: asked.append(one))
    at = list(found.addresses).index(asked[0][0])
    assert asked == [(found.addresses[at], found.behind[at])]


class Described:
    """The program's own shapes: of one descriptor, at 0x1040."""

    def __init__(self) -> None:
        self.all = [*[NONE] * 4, Shape("main.known", "struct", "main", 24, 24, [Pointer(16, ONE, 4)])]

    def of_type(self, address: int) -> int:
        return 4 if address == 0x1040 else NOTHING

    def reserve(self) -> int:
        self.all.append(NONE)
        return len(self.all) - 1

    def put(self, number: int, shape: Shape, path: object = None) -> None:
        self.all[number] = shape

    def finish(self) -> None:
        pass


def test_types_without_a_descriptor_are_made_of_what_they_have() -> None:
    types = [
        GoType(
            "main.node",
            "struct",
            104,
            0,
            0,
            [(0, 1, "a"), (8, 2, "b"), (24, 3, "c"), (48, 4, "d"), (64, 5, "e")],
            "a/main",
        ),
        GoType("*main.node", "pointer", 8, 0, 0, [(0, 0, "")]),
        GoType("string", "string", 16, 0),
        GoType("[]main.known", "slice", 24, 0, 0, [(0, 6, "")]),
        GoType("interface {}", "interface", 16, 0),
        GoType("[5]*main.node", "array", 40, 0, 5, [(0, 1, "")]),
        GoType("main.known", "struct", 24, 0x40),
        GoType("map[int]int", "map", 8, 0),
    ]
    described = Described()
    made = DebugShapes(described, types, 0x1000, 0x2000, 8)  # type: ignore[arg-type]
    node, known, unknown = made.of(0), made.of(6), made.of(7)
    made.finish()
    assert known == 4
    shape = described.all[node]
    assert (shape.name, shape.package, shape.size) == ("main.node", "a/main", 104)
    assert shape.pointers == [
        Pointer(0, ONE, node),
        Pointer(8, MANY, TEXT),
        Pointer(24, MANY, known),
        Pointer(56, DYNAMIC),
        *[Pointer(64 + 8 * at, ONE, node) for at in range(5)],
    ]
    assert described.all[unknown].pointers == [Pointer(0, UNKNOWN)]
    assert [made.path(0, at)[0] for at in (0, 17, 48, 80, 103)] == [".a", ".b", ".d", ".e[2]", ".e[4]"]


def test_a_type_within_itself_ends() -> None:
    types = [
        GoType("main.odd", "struct", 8, 0, 0, [(0, 0, "")]),
        GoType("main.other", "array", 8, 0, 9, [(0, 1, "")]),
    ]
    described = Described()
    made = DebugShapes(described, types, 0x1000, 0x2000, 8)  # type: ignore[arg-type]
    numbers = [made.of(0), made.of(1)]
    made.finish()
    assert [described.all[one].pointers for one in numbers] == [[], []]


def entries(data: bytes, room: int = 8) -> Tuple[List[Tuple[int, int]], int]:
    """What is found with the function it is in, and where it went on; abbreviations: 1 a function with one
    byte and entries below it, 2 a variable with a text, 3 one with a block and a LEB128 number, 4 one that a
    closure captures."""
    sorts, inner, begin = ([0, 3, 2, 2, 4], [0, 1, 0, 0, 0], [0, 0, 1, 2, 4, 5])
    codes = Codes(*(joined([column], "q") for column in (sorts, inner, begin, [1, -1, -3, -2, 1])))
    found, within, place = zeros(room), zeros(room), joined([[0, 1, 0]], "q")
    count = find_entries(of_bytes(data, "B"), place, len(data), codes, found, within)
    both = list(zip(found[:count].tolist(), within[:count].tolist()))
    return ([(-1, 0)] if count < 0 else both), int(place[0])


def test_only_variables_outside_functions_are_found() -> None:
    data = b"\x02ab\0" + b"\x01x\x02c\0\x01y\x02d\0\0\0" + b"\x03\x02zz\x80\x01" + b"\x02e\0" + b"\0\x02f\0"
    first = 4 + 12
    assert entries(data) == ([(0, 0), (first, 0), (first + 6, 0)], first + 10)
    assert entries(data, 1) == ([(0, 0)], 4)


def test_what_closures_capture_is_found_with_their_functions() -> None:
    assert entries(b"\x01x\x02c\0\0" + b"\x01y\x01z\x04d\0\x04e\0" + b"\x04f\0") == ([(10, 6), (13, 6)], 19)


@pytest.mark.parametrize("data", [b"\x09", b"\x02ab", b"\x03\xff", b"\x80\x80", b"\x01"])
def test_damaged_units_end(data: bytes) -> None:
    found, _ = entries(data)
    assert found in ([(-1, 0)], [(0, 0)], [])


def test_structs_of_the_runtime_are_made_of_their_layouts() -> None:
    word, text = Type("*", 8, "pointer"), Type("string", 16, "struct")
    g, sudog = Type("runtime.g", 120, "struct"), Type("runtime.sudog", 32, "struct")
    to_g = Type("*runtime.g", 8, "pointer", load_fields=lambda: {"*": (0, g)})
    to_sudog = Type("*runtime.sudog", 8, "pointer", load_fields=lambda: {"*": (0, sudog)})
    sudog.load_fields = lambda: {"g": (0, to_g), "next": (8, to_sudog), "elem": (16, word)}
    g.load_fields = lambda: {
        "waiting": (8, to_sudog),
        "name": (16, text),
        "both": (32, Type("[2]runtime.sudog", 64, "array", sudog, 2)),
        "arg": (96, Type("runtime.eface", 16, "struct")),
        "f": (112, Type("func", 0, "pointer")),
    }
    described, layouts = Described(), {"runtime.g": g, "runtime.sudog": sudog}
    known = {"runtime.m": 4}
    made = StructShapes(described, layouts.get, lambda name: known.get(name, NOTHING), 8)  # type: ignore[arg-type]
    number, pointer = made.of("runtime.g"), made.pointer_to("runtime.m")
    assert made.of("runtime.m") == 4 and made.of("runtime.p") == NOTHING
    assert made.finish() and not made.finish()
    inner = made.of("runtime.sudog")
    shape = described.all[number]
    assert (shape.name, shape.package, shape.size, shape.open) == ("runtime.g", "runtime", 120, True)
    one = [Pointer(0, ONE, number), Pointer(8, ONE, inner), Pointer(16, UNKNOWN)]
    assert described.all[inner].pointers == one
    assert shape.pointers == [
        Pointer(8, ONE, inner),
        Pointer(16, MANY, TEXT),
        *[led._replace(offset=at + led.offset) for at in (32, 64) for led in one],
        Pointer(104, DYNAMIC),
        Pointer(112, ONE, FUNCTION_SHAPE),
    ]
    assert described.all[pointer].pointers == [Pointer(0, ONE, 4)]


def test_arrays_within_arrays_have_no_more_pointers_than_are_told_apart() -> None:
    inner = Type("*", 8, "pointer")
    for many in (2, 1 << 12, 1 << 60, 1 << 60):
        inner = Type("[]", inner.size * many, "array", inner, many)
    g = Type("runtime.g", inner.size, "struct", load_fields=lambda: {"one": (0, inner), "two": (8, inner)})
    described = Described()
    made = StructShapes(described, {"runtime.g": g}.get, lambda name: NOTHING, 8)  # type: ignore[arg-type]
    number = made.of("runtime.g")
    assert made.finish()
    assert described.all[number].pointers == [Pointer(8 * at, UNKNOWN) for at in range(MAX_POINTERS)]


class LetGo:
    """A process of which 64 bytes can be read, until it is let go."""

    kind, pid, executable, core_file, arch, hints = "live", 7, None, None, "amd64", None
    pointer_size, byte_order, gone = 8, "little", False

    def read(self, address: int, size: int) -> bytes:
        if self.gone:
            raise LetGoError("too late")
        if not 0x1000 <= address <= address + size <= 0x1040:
            raise UnreadableError(address, size)
        return bytes(range(address - 0x1000, address - 0x1000 + size))


def test_constants_are_there_when_the_process_is_gone() -> None:
    base = LetGo()
    held = ConstantsTarget(base, [(0x1000, 0x1020), (0x5000, 0x5008), (0x9000, 0x8000)])  # type: ignore[arg-type]
    assert held.read(0x1030, 4) == bytes(range(0x30, 0x34))
    base.gone = True
    assert held.read(0x1008, 8) == bytes(range(8, 16))
    for address, size in ((0x1018, 16), (0x1030, 4), (0x5000, 8)):
        with pytest.raises(UnreadableError):
            held.read(address, size)
