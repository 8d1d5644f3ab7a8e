"""Types that two parts of a program call differently: bytes and strings, timers, atomic pointers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import List

from addrspace_gdb.goruntime.aliases import put_aliases
from addrspace_gdb.goruntime.debugshapes import DebugShapes
from addrspace_gdb.goruntime.typeshapes import FUNCTION, NOTHING, ONE, TEXT, UNKNOWN, Pointer, Shape, Shapes
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
