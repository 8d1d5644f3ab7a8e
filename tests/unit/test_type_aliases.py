"""Types that two parts of a program call differently: bytes and strings, timers, atomic pointers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import List

from addrspace_gdb.goruntime.aliases import put_aliases
from addrspace_gdb.goruntime.debugshapes import DebugShapes
from addrspace_gdb.goruntime.gostructs import GoStructs
from addrspace_gdb.goruntime.shape import (
    DYNAMIC,
    EITHER,
    FUNCTION,
    MANY,
    NOTHING,
    ONE,
    TEXT,
    UNKNOWN,
    Named,
    Pointer,
    Shape,
)
from addrspace_gdb.goruntime.typeshapes import Shapes
from addrspace_gdb.process.dwarf.gotypes import GoType


def shapes_of(made: List[Shape]) -> Shapes:
    shapes = Shapes(SimpleNamespace(word=8), SimpleNamespace(at=lambda _: None))  # type: ignore[arg-type]
    for one in made:
        shapes.put(shapes.reserve(), one)
    return shapes


def struct(name: str, size: int, pointers: List[Pointer], package: str = "time") -> Shape:
    return Shape(name, "struct", package, size, size, pointers)


def test_timers_are_as_large_as_the_runtime_makes_them() -> None:
    channel = Pointer(0, ONE, FUNCTION)
    inner = struct("runtime.timer", 96, [Pointer(40, ONE, FUNCTION)], "runtime")
    whole = struct("runtime.timeTimer", 112, [Pointer(0, UNKNOWN), Pointer(56, ONE, FUNCTION)], "runtime")
    names = ("time.Timer", "time.Ticker")
    timers = [struct(name, 16, [channel]) for name in names]
    old, another = struct("time.Timer", 88, [channel]), struct("time.Timer", 16, [channel], "x/time")
    shapes = shapes_of([inner, whole, *timers, old, another])
    put_aliases(shapes, 4, 8)
    for shape in shapes.all[6:8]:
        assert shape.open and not shape.period and shape.size == 16 and shape.first == 5
        assert shape.pointers == [channel, Pointer(56, ONE, FUNCTION)]
    assert shapes.all[8:] == [old, another]
    put_aliases(shapes, 4, 8)
    assert len(shapes.all[6].pointers) == 2


def test_a_timer_that_only_a_channel_leads_to_is_one() -> None:
    inner = struct("runtime.timer", 96, [], "runtime")
    timer = struct("time.Timer", 16, [Pointer(0, ONE, 6)])
    pointers = [Pointer(16, MANY), Pointer(32, ONE, 4)]
    channel = Shape("chan time.Time", "chan", None, 104, 104, pointers, open=True)
    other = channel._replace(open=False)
    shapes = shapes_of([inner, timer, channel, other])
    put_aliases(shapes, 4, 8)
    assert shapes.all[6].pointers == [Pointer(16, MANY), Pointer(32, ONE, 5)] and shapes.all[7] == other


def test_parts_of_maps_are_of_a_map_where_one_leads_to_them() -> None:
    parts = [
        Shape("*maps.table", "pointer", None, 8, 8, ()),
        struct("maps.table", 32, [], "internal/runtime/maps"),
        Shape("directory of map[int]int", "map", None, 8, 8, ()),
        Shape("table of map[int]int", "map", None, 32, 32, ()),
        struct("maps.table", 32, [], "x/maps"),
        Shape("chan int", "chan", None, 96, 96, (), open=True),
        struct("runtime.hchan", 96, [], "runtime"),
        Shape("chan int", "chan", None, 8, 8, ()),
    ]
    shapes = shapes_of(parts)
    put_aliases(shapes, NOTHING, 8)
    assert [one.first for one in shapes.all[4:]] == [0, 0, 4, 5, 0, 10, 0, 0] and shapes.vague == {4, 5, 10}


def test_nodes_of_a_sync_map_are_one_of_two() -> None:
    names = [f"sync.{one}[interface {{}},interface {{}}]" for one in ("node", "indirect")]
    node = struct(names[0], 1, [], "internal/sync")
    children = [Pointer(24, ONE, 4), Pointer(32, ONE, 4)]
    tree = struct(names[1], 40, [Pointer(16, ONE, 5), *children], "internal/sync")
    shapes = shapes_of([node, tree])
    put_aliases(shapes, NOTHING, 8)
    entry = len(shapes.all) - 1
    assert shapes.all[5].pointers[0] == Pointer(16, ONE, 5)
    assert [one[1:] for one in shapes.all[5].pointers[1:]] == [(EITHER, 5, entry)] * 2
    assert shapes.all[entry].size == 48 and [one.offset for one in shapes.all[entry].pointers] == [8, 24, 40]


def test_any_arguments_of_a_generic_type_are_those_of_its_code() -> None:
    names = ("main.T[...]", "main.T[int]", "main.T[...]", "main.T[string]", "main.U[int]", "main.T")
    shapes = shapes_of([struct(name, 16, [], "main") for name in names])
    shapes.all[7] = shapes.all[7]._replace(size=24)
    put_aliases(shapes, NOTHING, 8)
    assert [one.first for one in shapes.all[4:]] == [0, 6, 4, 0, 0, 0]
    assert shapes.merged()[4:7] == [4, 5, 6]  # which are not one, though they read alike


class Structs:
    """Three types of structs; the fields of the last differ from those of the others in a name."""

    word = 8

    def word_at(self, address: int) -> int:
        return 1 if address % 0x1000 == 48 + 16 else address // 0x1000

    def words(self, start: int, many: int, what: str) -> List[int]:
        return [1 if start < 3 else 2, 7, 0]


def test_pointers_to_structs_of_the_same_fields_may_be_converted() -> None:
    shapes = Shapes(Structs(), SimpleNamespace(at=lambda _: True))  # type: ignore[arg-type]
    for address in (0x1000, 0x2000, 0x3000):
        shapes._number("type", address)
    names = ("main.Handle", "main.handle", "main.other")
    shapes.all[4:] = [struct(name, 16, [Pointer(0, ONE, TEXT)], "main") for name in names]
    put_aliases(shapes, NOTHING, 8)
    assert [one.first for one in shapes.all[4:]] == [5, 0, 0]


def test_a_string_begins_with_a_byte_where_there_are_bytes() -> None:
    shapes = shapes_of([Shape("uint8", "uint8", None, 1, 1, ())])
    put_aliases(shapes, NOTHING, 8)
    assert shapes.all[TEXT].first == 4
    none = shapes_of([])
    put_aliases(none, NOTHING, 8)
    assert none.all[TEXT].first == NOTHING


def test_an_atomic_pointer_leads_to_what_it_is_of() -> None:
    types = [
        GoType("atomic.Pointer[main.T]", "struct", 8, 0, 0, [(0, 1, "_"), (0, 3, "v")], "sync/atomic"),
        GoType("[0]*main.T", "array", 0, 0, 0, [(0, 2, "")]),
        GoType("*main.T", "pointer", 8, 0, 0, [(0, 4, "")]),
        GoType("unsafe.Pointer", "unsafe pointer", 8, 0),
        GoType("main.T", "struct", 16, 0, 0, [], "main"),
        GoType("main.U", "struct", 16, 0, 0, [(8, 0, "next")], "main"),
    ]
    shapes = shapes_of([])
    made = DebugShapes(shapes, types, 0x1000, 0x2000, 8)
    number, target = made.of(5), made.of(4)
    made.finish()
    assert shapes.all[number].pointers == [Pointer(8, ONE, target)]
    types[1] = GoType("noCopy", "struct", 0, 0)
    made = DebugShapes(shapes, types, 0x1000, 0x2000, 8)
    number = made.of(0)
    made.finish()
    assert shapes.all[number].pointers == [Pointer(0, UNKNOWN)]


def test_what_pools_and_interfaces_taken_apart_lead_to_is_known() -> None:
    shapes = shapes_of([])
    known = GoStructs(shapes, 8)
    pool = known.pointers("sync.Pool", "sync", 40)
    assert pool == [Pointer(0, MANY, 4), Pointer(16, MANY, 4), Pointer(32, ONE, FUNCTION)]
    assert known.pointers("sync.Pool", "sync", 40) == pool and len(shapes.all) == 7
    assert [(one.name, one.size) for one in shapes.all[4:]] == [
        ("sync.poolLocal", 128),
        ("sync.poolChainElt", 48),
        ("sync.eface", 16),
    ]
    assert shapes.all[5].pointers == [Pointer(8, MANY, 6), Pointer(32, ONE, 5), Pointer(40, ONE, 5)]
    assert [shapes.path(4, at) for at in (8, 24)] == [Named(".private", 0, 8), Named(".shared.tail", 0, 0)]
    eface = [Pointer(0, UNKNOWN), Pointer(8, DYNAMIC)]
    assert known.pointers("sync.eface", "sync", 16) == eface == shapes.all[6].pointers
    assert (
        known.pointers("sync.Pool", "x/sync", 40) is None and known.pointers("sync.Pool", "sync", 48) is None
    )
