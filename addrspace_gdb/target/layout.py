"""Struct layouts: field name to offset and size, so that no offset stands in code.

A `Type` is filled from DWARF by the debugger, or from a table in tests. `Type.locate` follows a dotted
path and looks through Go's atomic wrappers, so that a field which became `atomic.Uint32` in a later Go
release is named the same way for every version.
"""

from __future__ import annotations

import struct
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

# A wrapper struct holds its scalar in one of these fields: sync/atomic style types in
# internal/runtime/atomic keep `value` (Pointer[T]: `u`), runtime.mSpanStateBox keeps `s`
# (src/runtime/mheap.go), notInHeapSlice-like and guintptr types are plain integers already.
_WRAPPED = ("value", "u", "s")
_MAX_DEPTH = 8  # structs within one another


class Located(NamedTuple):
    """Where a scalar or aggregate sits inside a struct."""

    offset: int
    size: int
    type: Type


class Type:
    """One type of the target: `kind` is struct, array, pointer, int, uint, bool, float or other."""

    def __init__(
        self,
        name: str,
        size: int,
        kind: str,
        element: Optional[Type] = None,
        count: int = 0,
        load_fields: Optional[Callable[[], Dict[str, Tuple[int, Type]]]] = None,
    ) -> None:
        self.name, self.size, self.kind = name, size, kind
        self.element, self.count = element, count
        self.load_fields = load_fields
        self._fields: Optional[Dict[str, Tuple[int, Type]]] = None

    @property
    def fields(self) -> Dict[str, Tuple[int, Type]]:
        """Field name to (offset, type), in declaration order; empty for what is not a struct."""
        if self._fields is None:
            self._fields = self.load_fields() if self.load_fields else {}
        return self._fields

    def find(self, path: str) -> Optional[Located]:
        """Follow a dotted `path` (`pages.inUse.ranges`, `gFree.gList`); None where a step is missing."""
        offset, current = 0, self
        for step in path.split(".") if path else ():
            found = current.fields.get(step)
            if found is None:
                return None
            offset += found[0]
            current = found[1]
        return Located(offset, current.size, current)

    def locate(self, *paths: str) -> Located:
        """The first of `paths` that exists. Raises KeyError naming the type and the first path."""
        for path in paths:
            found = self.find(path)
            if found is not None:
                return found
        raise KeyError(f"{self.name}.{paths[0]}")

    def scalar(self, *paths: str) -> Located:
        """As `locate`, then inside any atomic wrapper to the number or pointer it holds."""
        found = self.locate(*paths)
        for _ in range(_MAX_DEPTH):
            if found.type.kind != "struct":
                return found
            inner = next((n for n in _WRAPPED if n in found.type.fields), None)
            if inner is None:
                raise KeyError(f"{self.name}.{paths[0]} is a struct")
            step = found.type.fields[inner]
            found = Located(found.offset + step[0], step[1].size, step[1])
        raise KeyError(f"{self.name}.{paths[0]}")

    def has(self, path: str) -> bool:
        """Whether the dotted `path` exists in this version of the struct."""
        return self.find(path) is not None

    def decoder(self, *paths: str, byte_order: str = "little") -> struct.Struct:
        """A `struct.Struct` that unpacks the scalars at `paths` **in the order of their offsets**.

        `paths` must be given in ascending offset order as `order` returns them; each is one item of the
        unpacked tuple. The Struct's size reaches to the end of its last field only.
        """
        places = [self.scalar(path) for path in paths]
        return pack_places(places, byte_order)

    def order(self, *paths: str) -> List[str]:
        """`paths` sorted by where they sit in the struct (field order differs between Go versions)."""
        return sorted(paths, key=lambda path: self.scalar(path).offset)


CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}  # of unsigned numbers by their bytes, for struct


def pack_places(places: Sequence[Located], byte_order: str = "little") -> struct.Struct:
    """Build the Struct for `places`, which must ascend and not overlap; signed ints stay signed."""
    text, at = ("<" if byte_order == "little" else ">"), 0
    for place in places:
        if place.offset < at or place.size not in CODES:
            raise ValueError(f"field at {place.offset} of {place.size} bytes does not fit the struct")
        code = CODES[place.size]
        text += f"{place.offset - at}x" + (code.lower() if place.type.kind == "int" else code)
        at = place.offset + place.size
    return struct.Struct(text)
