"""Which part of a value stands at an offset, by the runtime's type descriptors: ".conns[3].next".

A program has the names of its structs' fields whether it has debug information or not. Descriptors are copied
while the process stands still, and read from the copy later (src/internal/abi/type.go).
"""

from __future__ import annotations

from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.record import Runtime

_MAX_COPY = 1 << 27  # bytes of descriptors of a module
_MAX_DEPTH = 32  # parts within one another
_MAX_FIELDS = 1 << 12
_MAX_NAME = 1 << 10  # bytes
_KIND_MASK = 31
_ARRAY, _STRUCT = 17, 25  # abi.Kind


class _Field(NamedTuple):
    name: str
    type: int
    offset: int


class TypeFields:
    """The fields of all types that lie among the linker's descriptors."""

    def __init__(self, runtime: Runtime, ranges: Sequence[Tuple[int, int]]) -> None:
        """Copy those ranges. What cannot be read has no fields."""
        self._word, self._order = runtime.word, runtime.order
        self._head = 48 if self._word == 8 else 32  # bytes of abi.Type
        self._blocks: List[Tuple[int, bytes]] = []
        for start, end in ranges:
            try:
                self._blocks.append((start, runtime.target.read(start, min(end - start, _MAX_COPY))))
            except UnreadableError:
                continue

    def path(self, type_: int, offset: int) -> Optional[str]:
        """The innermost field or element of a value of a type that has the byte `offset`, as Go would name
        it; empty for a value without parts, None outside it or where its parts are not known."""
        path = ""
        try:
            for _ in range(_MAX_DEPTH):
                if not 0 <= offset < self._size(type_):
                    return None
                part = self._part(type_, offset)
                if part is None:
                    return path
                name, type_, offset = part
                path += name
        except UnreadableError:
            return None
        return path

    def third(self, map_: int) -> int:
        """The type of a map's buckets or groups, which follows those of its keys and elements; 0: not
        known."""
        try:
            return self._at(map_ + self._head + 2 * self._word)
        except UnreadableError:
            return 0

    def _part(self, type_: int, offset: int) -> Optional[Tuple[str, int, int]]:
        """The field or element there: its name, its type, and where in it the byte is."""
        kind = self._kind(type_)
        if kind == _ARRAY:
            element = self._at(type_ + self._head)
            index, rest = divmod(offset, max(1, self._size(element)))
            return f"[{index}]", element, rest
        if kind != _STRUCT:
            return None
        for field in self._fields(type_):
            if field.offset <= offset < field.offset + self._size(field.type):
                return f".{field.name}", field.type, offset - field.offset
        raise UnreadableError(type_, self._head, "no field is there")

    def _fields(self, type_: int) -> Iterator[_Field]:
        """abi.StructType: the package's path, and a slice of name, type and offset."""
        word = self._word
        first, count = (self._at(type_ + self._head + at * word) for at in (1, 2))
        for at in range(first, first + 3 * word * min(count, _MAX_FIELDS), 3 * word):
            name, inner, offset = (self._at(at + number * word) for number in range(3))
            yield _Field(self._name(name), inner, offset)

    def _size(self, type_: int) -> int:
        return self._at(type_)

    def _kind(self, type_: int) -> int:
        """abi.Type: Size, PtrBytes, Hash, TFlag, Align, FieldAlign, Kind."""
        return self._bytes(type_ + 2 * self._word + 7, 1)[0] & _KIND_MASK

    def _name(self, at: int) -> str:
        """abi.Name: a byte of flags, the length as a varint, and the text."""
        length, used = 0, 1
        while True:
            one = self._bytes(at + used, 1)[0]
            length |= (one & 0x7F) << (7 * (used - 1))
            used += 1
            if not one & 0x80 or used > 3:
                break
        text = self._bytes(at + used, min(length, _MAX_NAME)).decode("utf-8", "replace")
        return text if text.isprintable() else "?"

    def _at(self, address: int) -> int:
        return int.from_bytes(self._bytes(address, self._word), self._order)

    def _bytes(self, address: int, size: int) -> bytes:
        for start, data in self._blocks:
            if start <= address <= address + size <= start + len(data):
                return data[address - start : address - start + size]
        raise UnreadableError(address, size)
