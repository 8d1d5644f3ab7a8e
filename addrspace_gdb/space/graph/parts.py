"""What stands at an offset in an object of a known type, in Go's words."""

from __future__ import annotations

import re
from typing import Dict, NamedTuple, Optional

from addrspace_gdb.goruntime.shape import Shape
from addrspace_gdb.goruntime.typefields import TypeFields
from addrspace_gdb.goruntime.typeshapes import Shapes

# What an object is, besides a value of its type: a map, what a map keeps its entries in, a channel.
VALUE, MAP, MAP_PART, CHANNEL = "value", "map", "map part", "channel"
_ROLES = {
    "map": MAP,
    "swiss": MAP,
    "buckets": MAP_PART,
    "overflow": MAP_PART,
    "overflow list": MAP_PART,
    "directory": MAP_PART,
    "table": MAP_PART,
    "channel": CHANNEL,
}
# How the compiler names the structs of a map's entries (cmd/compile/internal/reflectdata).
_GROUP = re.compile(r"(noalg\.)?map\.(group|bucket)\[")
# hmap and mapextra of src/runtime/map.go, Map and table of src/internal/runtime/maps, by word of their
# pointers; hmap's first two are a count and 8 bytes.
_OF_RUNTIME = {
    "overflow": (".overflow", ".oldoverflow", ".nextOverflow"),
    "overflow list": ("[]",),
}


class Part(NamedTuple):
    """What an object is, and the part of it that was asked for."""

    type: Optional[str]  # of the object; None: not known
    role: str
    field: Optional[str]  # ".next", "[3].key"; empty for a value without parts, None: not known
    package: Optional[str] = None  # path of the package of a named type


class Parts:
    """Names the parts of objects by their shapes."""

    def __init__(self, shapes: Shapes, fields: TypeFields, word: int) -> None:
        self._shapes, self._fields, self._word = shapes, fields, word

    def part(self, number: int, several: bool, within: int) -> Part:
        """Of an object of a shape, which may be several values one after another. `within`: bytes from where
        they begin; -1: no part is asked for."""
        shape, (sort, address) = self._shapes.all[number], self._shapes.origin(number)
        if not shape.name:
            return Part(None, VALUE, None)
        role = _ROLES.get(sort, VALUE)
        if sort == "type" and _GROUP.match(shape.name):
            role = MAP_PART
        if within < 0:
            field = None
        elif not sort:
            field = self._put(number, shape.size, several, within)
        else:
            field = self._field(sort, address, shape, several, within)
        return Part(shape.name, role, field, shape.package)

    def _put(self, number: int, size: int, several: bool, within: int) -> Optional[str]:
        """Of a type that has no descriptor."""
        index, rest = divmod(within, size) if size and several else (0, within)
        named = self._shapes.path(number, rest)
        if named is None:
            return None
        inner = self._fields.path(named.type, named.rest) if named.type else ""
        return f"[{index}]" * several + named.text + inner if inner is not None else None

    def _field(self, sort: str, address: int, shape: Shape, several: bool, within: int) -> Optional[str]:
        if sort == "buckets":
            return self._indexed(self._fields.third(address), shape.size, True, within)
        if sort == "type":
            return self._indexed(address, shape.size, several, within)
        if sort == "directory":
            return f"[{within // self._word}]"
        return self._of_runtime(sort).get(within)

    def _indexed(self, type_: int, size: int, several: bool, within: int) -> Optional[str]:
        index, rest = divmod(within, size) if size else (0, within)
        inner = self._fields.path(type_, rest)
        if inner is None or not (several or index):
            return inner if not index else None
        return f"[{index}]{inner}"

    def _of_runtime(self, sort: str) -> Dict[int, str]:
        word = self._word
        if sort == "map":
            first = word + 8
            return {first: ".buckets", first + word: ".oldbuckets", first + 3 * word: ".extra"}
        if sort == "swiss":
            return {8 + word: ".dirPtr"}
        if sort == "table":
            return {8 + word: ".groups.data"}
        if sort == "channel":
            return self._shapes.channel_fields
        return {number * word: name for number, name in enumerate(_OF_RUNTIME.get(sort, ()))}
