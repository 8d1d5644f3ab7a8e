"""Two names for the same bytes, by what Go and its own packages do: objects that one part of a program knows
by one type and another part by another, and that are no contradiction.

They are told by what shapes begin with: where two pointers say different types of an object, and one of those
begins with the other, it has the longer one.
"""

from __future__ import annotations

from typing import Dict, Iterable, List, Sequence, Tuple

from addrspace_gdb.goruntime.shape import DYNAMIC, EITHER, NOTHING, ONE, TEXT, Pointer, Shape, named_parts
from addrspace_gdb.goruntime.typeshapes import Shapes

_TIMERS = ("time.Timer", "time.Ticker")
# What debug information, and what stands before a large directory, calls parts of any map; and any channel.
_OF_MAPS = (
    ("map", "directory of ", "*maps.table"),
    ("map", "table of ", "maps.table"),
    ("map", "overflow of ", "runtime.mapextra"),
    ("map", "map[", "maps.Map"),
    ("map", "map[", "runtime.hmap"),  # until Go 1.24
    ("chan", "chan ", "runtime.hchan"),
)
_MAPS = "internal/runtime/maps"
_NODE, _ENTRY, _INDIRECT = (
    f"sync.{what}[interface {{}},interface {{}}]" for what in ("node", "entry", "indirect")
)


def put_aliases(shapes: Shapes, timer: int, word: int) -> None:
    """Once all shapes are made. `timer`: the number of runtime.timer's."""
    names: Dict[str, List[int]] = {}
    for number, shape in enumerate(shapes.all):
        names.setdefault(shape.name, []).append(number)
    _nodes_of_maps(shapes, names, word)
    _bytes_are_text(shapes, names)
    _widen_timers(shapes, names, timer, word)
    _parts_of_maps(shapes, names, word)
    for group in _of_one_kind(shapes):
        _in_one_chain(shapes, group)
    _generic(shapes, names)


Names = Dict[str, List[int]]


def _bytes_are_text(shapes: Shapes, names: Names) -> None:
    """A string may be made of a slice without copying, and a slice of a string (unsafe.String,
    strings.Builder): what both lead to is text, which for that begins with a byte."""
    number = next((at for at in names.get("uint8", ()) if shapes.all[at].size == 1), NOTHING)
    shapes.all[TEXT] = shapes.all[TEXT]._replace(first=number)


def _widen_timers(shapes: Shapes, names: Names, timer: int, word: int) -> None:
    """Since Go 1.23 time.NewTimer and time.NewTicker return the beginning of a timeTimer
    (src/runtime/time.go): the channel and a bool, behind which the runtime's timer stands."""
    rest = [one._replace(offset=one.offset + 2 * word) for one in shapes.all[timer].pointers]
    whole = next(iter(names.get("runtime.timeTimer", ())), NOTHING)
    for number in (one for name in _TIMERS for one in names.get(name, ())):
        shape = shapes.all[number]
        if shape.package == "time" and shape.size == 2 * word and not shape.open:
            pointers = [*shape.pointers, *rest]
            shapes.all[number] = shape._replace(period=0, pointers=pointers, open=True, first=whole)
            _of_channels(shapes, timer, number)


def _of_channels(shapes: Shapes, timer: int, whole: int) -> None:
    """A channel's timer is within such a one, and there may be no other that leads to it (time.After)."""
    for number, shape in enumerate(shapes.all):
        if shape.kind == "chan" and shape.open:
            pointers = [one._replace(target=whole) if one.target == timer else one for one in shape.pointers]
            shapes.all[number] = shape._replace(pointers=pointers)


def _parts_of_maps(shapes: Shapes, names: Names, word: int) -> None:
    """The runtime's types of maps, of their parts and of channels say less than the map or channel does that
    leads there, which is no value of such a type: that is a pointer."""
    for kind, start, name in _OF_MAPS:
        of_runtime = (None, "runtime", _MAPS)
        first = next((at for at in names.get(name, ()) if shapes.all[at].package in of_runtime), NOTHING)
        if first != NOTHING:
            shapes.vague.add(first)
            for number, shape in enumerate(shapes.all):
                is_pointer = shape.size == word and not start.startswith("directory")
                if number != first and shape.kind == kind and shape.name.startswith(start) and not is_pointer:
                    shapes.all[number] = shape._replace(first=first)


def _nodes_of_maps(shapes: Shapes, names: Names, word: int) -> None:
    """Nodes of the tree of a sync.Map (src/internal/sync/hashtriemap.go): either lead on, or are an entry, of
    which no type that is known has the descriptor."""
    found = [one for one in names.get(_INDIRECT, ()) if shapes.all[one].package == "internal/sync"]
    nodes = {*names.get(_NODE, ())}
    if not found or not nodes:
        return
    entry = _entry(shapes, word)
    for number in found:
        shape = shapes.all[number]
        pointers = [
            one._replace(how=EITHER, target=number, other=entry) if one.target in nodes else one
            for one in shape.pointers
        ]
        shapes.all[number] = shape._replace(pointers=pointers)


def _entry(shapes: Shapes, word: int) -> int:
    """entry[any, any]: a node, which is a bool, the next one of the same hash, the key and the value."""
    number = shapes.reserve()
    pointers = [Pointer(word, ONE, number), Pointer(3 * word, DYNAMIC), Pointer(5 * word, DYNAMIC)]
    made = Shape(_ENTRY, "struct", "internal/sync", 6 * word, 6 * word, pointers)
    parts = [(0, ".isEntry"), (word, ".overflow"), (2 * word, ".key"), (4 * word, ".value")]
    shapes.put(number, made, named_parts(parts))
    return number


def _of_one_kind(shapes: Shapes) -> Iterable[Sequence[int]]:
    """Structs with the same fields: a pointer to one may be converted to a pointer to another."""
    groups: Dict[Tuple[int, Tuple[Pointer, ...]], List[int]] = {}
    for number in shapes.described:
        shape = shapes.all[number]
        if shape.kind == "struct" and shape.size and shape.package:
            groups.setdefault((shape.size, tuple(shape.pointers)), []).append(number)
    for group in groups.values():
        alike: Dict[Tuple[Tuple[int, ...], ...], List[int]] = {}
        for number in group if len(group) > 1 else ():
            alike.setdefault(tuple(shapes.fields(number)), []).append(number)
        yield from (found for fields, found in alike.items() if fields and len(found) > 1)


def _in_one_chain(shapes: Shapes, numbers: Sequence[int]) -> None:
    """Each begins with the one before; those that other packages can use come last, which is what is said."""

    def order(number: int) -> Tuple[bool, str, int]:
        name = shapes.all[number].name
        return name.partition("[")[0].rpartition(".")[2][:1].isupper(), name, number

    ordered = sorted(numbers, key=order)
    for before, number in zip(ordered, ordered[1:]):
        shapes.all[number] = shapes.all[number]._replace(first=before)


def _generic(shapes: Shapes, names: Names) -> None:
    """Code of a generic type knows no more of its arguments than their form: T[...] is any T of that size."""
    bodies: Dict[Tuple[str, object, int], List[int]] = {}
    for name in (one for one in names if one.endswith("[...]")):
        for number in names[name]:
            shape = shapes.all[number]
            bodies.setdefault((name[:-5], shape.package, shape.size), []).append(number)
    for group in bodies.values():
        for before, number in zip(group, group[1:]):
            shapes.all[number] = shapes.all[number]._replace(first=before)
    for number, shape in enumerate(shapes.all if bodies else ()):
        start, bracket, rest = shape.name.partition("[")
        if bracket and rest != "...]" and (start, shape.package, shape.size) in bodies:
            last = bodies[start, shape.package, shape.size][-1]
            shapes.all[number] = shape._replace(first=last)
