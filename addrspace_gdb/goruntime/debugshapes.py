"""Shapes of types as debug information has them: what a variable holds whose type has no descriptor."""

from __future__ import annotations

from functools import cached_property, partial
from typing import Dict, List, Optional, Sequence, Tuple

from addrspace_gdb.goruntime.sametypes import is_atomic_pointer
from addrspace_gdb.goruntime.shape import (
    DYNAMIC,
    FUNCTION,
    MANY,
    MAX_POINTERS,
    NOTHING,
    ONE,
    TEXT,
    UNKNOWN,
    Named,
    Pointer,
    Shape,
    placed,
)
from addrspace_gdb.goruntime.typeshapes import Shapes
from addrspace_gdb.process.dwarf.gonames import with_path
from addrspace_gdb.process.dwarf.gotypes import GoType

_MAX_DEPTH = 32
Part = Tuple[int, int, str]  # where, the place of the type, the name


class DebugShapes:
    """The shapes of some types, by their places; the program's own descriptors are used where it has them."""

    def __init__(self, shapes: Shapes, types: Sequence[GoType], start: int, end: int, word: int) -> None:
        """`start`, `end`: moduledata's types and etypes."""
        self._shapes, self._types, self._word = shapes, types, word
        self._start, self._end = start, end
        self._numbers: Dict[int, int] = {}
        self._flat: Dict[int, List[Pointer]] = {}
        self._pending: List[int] = []
        self._closures: List[Tuple[int, str, Optional[str], Sequence[Part]]] = []

    def of(self, place: int) -> int:
        """The number of the shape of the type at a place; NOTHING where nothing is known of it."""
        if place not in self._numbers:
            self._numbers[place] = self._described(place) or self._own(place)
        return self._numbers[place]

    @cached_property
    def _places(self) -> Dict[str, int]:
        return {with_path(one.name, one.package): place for place, one in enumerate(self._types) if one.size}

    def named(self, name: str) -> int:
        """The number of the shape of the type of that name, with its package's path; NOTHING where there is
        none."""
        place = self._places.get(name)
        return self.of(place) if place is not None else NOTHING

    def closure(self, name: str, package: Optional[str], captures: Sequence[Part]) -> int:
        """The number of the shape of a closure that captures those: where in it, places of types, names."""
        number = self._shapes.reserve()
        self._closures.append((number, name, package, captures))
        return number

    def _make_closures(self) -> None:
        while self._closures:
            number, name, package, captures = self._closures.pop()
            pointers = placed((offset, self._pointers(place, 1)) for offset, place, _ in sorted(captures))
            size = max(offset + self._types[place].size for offset, place, _ in captures)
            made = Shape(name, "closure", package, size, 0, pointers, open=True, first=FUNCTION)
            self._shapes.put(number, made, partial(self._path_in, captures))

    def _path_in(self, parts: Sequence[Part], within: int) -> Named:
        """The part that has a byte."""
        for offset, place, name in parts:
            if offset <= within < offset + self._types[place].size:
                inner = self.path(place, within - offset)
                return inner._replace(text=f".{name}{inner.text}")
        return Named("", 0, within)

    def path(self, place: int, within: int) -> Named:
        """The part of a value that has a byte, as far as it goes without descriptors."""
        described, type_ = self._described(place), self._types[place]
        if described:
            return Named("", self._shapes.origin(described)[1], within)
        if type_.kind == "struct":
            return self._path_in(type_.parts, within)
        size = self._types[type_.parts[0][1]].size if type_.kind == "array" and type_.parts else 0
        if not size or size >= type_.size:
            return Named("", 0, within)
        inner = self.path(type_.parts[0][1], within % size)
        return inner._replace(text=f"[{within // size}]{inner.text}")

    def finish(self) -> bool:
        """Make every shape that those lead to; whether there was any."""
        found = bool(self._pending or self._closures)
        self._make_closures()
        while self._pending:
            place = self._pending.pop()
            number, type_ = self._numbers[place], self._types[place]
            pointers = self._pointers(place, 0)
            period = type_.size
            if type_.kind == "array" and type_.elements and type_.parts:
                period = self._types[type_.parts[0][1]].size
                pointers = self._pointers(type_.parts[0][1], 1)
            first = next((inner for offset, inner, _ in type_.parts if not offset), None)
            begins = self.of(first) if first is not None and type_.kind in ("struct", "array") else NOTHING
            name, kind = type_.name, type_.kind or "number"
            made = Shape(name, kind, type_.package or None, type_.size, period, pointers, first=begins)
            self._shapes.put(number, made, partial(self.path, place))
        self._shapes.finish()
        return found

    def _described(self, place: int) -> int:
        """By the descriptor: an offset from where types begin, or its address."""
        offset = self._types[place].descriptor
        if not offset:
            return NOTHING
        size = self._end - self._start
        return self._shapes.of_type(self._start + offset if offset < size else offset)

    def _own(self, place: int) -> int:
        if not self._types[place].size:
            return NOTHING
        self._pending.append(place)
        return self._shapes.reserve()

    def _pointers(self, place: int, depth: int) -> List[Pointer]:
        if place not in self._flat:
            self._flat[place] = self._found(place, depth)
        return self._flat[place]

    def _found(self, place: int, depth: int) -> List[Pointer]:
        type_ = self._types[place]
        if depth > _MAX_DEPTH or not type_.size:
            return []
        described = self._described(place)
        if described:
            return self._of_descriptor(described)
        kind = type_.kind
        if kind == "string":
            return [Pointer(0, MANY, TEXT)]
        if kind == "interface":
            return [Pointer(self._word, DYNAMIC)]
        if kind == "func":
            return [Pointer(0, ONE, FUNCTION)]
        if kind in ("pointer", "slice"):
            how = ONE if kind == "pointer" else MANY
            return [Pointer(0, how, self.of(inner)) for _, inner, _ in type_.parts] or [Pointer(0, UNKNOWN)]
        if kind in ("struct", "array"):
            return self._of_parts(type_, depth)
        return [Pointer(0, UNKNOWN)] if kind else []

    def _of_descriptor(self, number: int) -> List[Pointer]:
        self._shapes.finish()
        shape = self._shapes.all[number]
        if not shape.period or shape.period >= shape.size:
            return list(shape.pointers)
        many = min(shape.size // shape.period, MAX_POINTERS)
        return placed((k * shape.period, shape.pointers) for k in range(many))

    def _of_first(self, place: int, depth: int) -> List[Pointer]:
        """The pointer of an atomic.Pointer: what the array before it would have."""
        described = self._described(place)
        if described:
            self._shapes.finish()
            return list(self._shapes.all[self._shapes.all[described].first].pointers) or [Pointer(0, UNKNOWN)]
        inner = next((one for _, one, _ in self._types[place].parts), None)
        return self._pointers(inner, depth + 1) if inner is not None else [Pointer(0, UNKNOWN)]

    def _of_parts(self, type_: GoType, depth: int) -> List[Pointer]:
        parts = [(offset, inner) for offset, inner, _ in type_.parts]
        if parts and is_atomic_pointer(type_.name, type_.package):
            return self._of_first(parts[0][1], depth)
        if type_.kind == "array" and parts:
            inner = parts[0][1]
            step = self._types[inner].size
            if not self._pointers(inner, depth + 1):
                return []
            parts = [(k * step, inner) for k in range(min(type_.elements, MAX_POINTERS))]
        return placed((offset, self._pointers(inner, depth + 1)) for offset, inner in parts)
