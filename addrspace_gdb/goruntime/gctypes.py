"""Which words of a value of a type are pointers: the collector's masks (src/runtime/type.go, getGCMask).

Most types have a mask in the program. Those of large ones are made when they are first needed since Go 1.24,
and were programs that make them before: then the type itself says where its pointers are, as it does where a
core lacks the mask. An array is as many values of its element, and has the mask of one.
"""

from __future__ import annotations

import struct
from typing import Dict, List, NamedTuple, Optional

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.record import Runtime

_ARRAY, _CHAN, _FUNC, _INTERFACE, _MAP, _POINTER, _SLICE, _STRING, _STRUCT, _UNSAFE = range(17, 27)
_KIND_MASK, _GC_PROGRAM = 31, 64  # of Kind_; the second up to Go 1.23
_MASK_ON_DEMAND = 16  # TFlag, since Go 1.24; 1.22 and 1.23 had TFlagUnrolledBitmap there
_MAX_WORDS = 1 << 24  # with pointers, of one type: 128 MiB
_MAX_SIZE = 1 << 47
_MAX_DEPTH = 64  # types within one another
_MAX_FIELDS = 1 << 16


class GcType(NamedTuple):
    """Where pointers are in a value of `words` words: a bit for each of the first `covered` of them."""

    words: int
    covered: int
    mask: bytes


class _TooLargeError(Exception):
    """A type that cannot be: the text says why."""


class GcTypes:
    """Masks by the address of the type. A type that cannot be is None, and told once."""

    def __init__(self, runtime: Runtime, minor: Optional[int]) -> None:
        self._runtime, self._target, self._word = runtime, runtime.target, runtime.word
        self._on_demand = minor is None or minor >= 24
        order = "<" if runtime.order == "little" else ">"
        self._head = struct.Struct(order + ("QQI4BQQ" if self._word == 8 else "III4BII"))
        self._size = 48 if self._word == 8 else 32  # of abi.Type
        self._known: Dict[int, Optional[GcType]] = {}
        self._flat: Dict[int, bytes] = {}  # a byte for each word, of types whose mask was made here

    def at(self, address: int) -> Optional[GcType]:
        """The mask of the type at `address`."""
        if address not in self._known:
            try:
                self._known[address] = self._read(address)
            except (UnreadableError, struct.error, _TooLargeError, OverflowError) as error:
                self._runtime.problems.add(
                    f"type at {address:#x}: {error}; its objects' pointers are not known"
                )
                self._known[address] = None
        return self._known[address]

    def _read(self, address: int) -> GcType:
        size, covered, flag, kind, data = self._fields(address)
        for _ in range(_MAX_DEPTH):
            if kind & _KIND_MASK != _ARRAY or not covered:
                break
            address = self._runtime.word_at(address + self._size)
            size, covered, flag, kind, data = self._fields(address)
        words = covered // self._word
        if not words:
            return GcType(max(1, size // self._word), 0, b"")
        if words > _MAX_WORDS:
            raise _TooLargeError(f"{covered:,} bytes with pointers are more than can be followed")
        mask = self._mask(address, flag, kind, data, words)
        return GcType(size // self._word, words, mask)

    def _fields(self, address: int) -> List[int]:
        """Size_, PtrBytes, TFlag, Kind_ and GCData. _TooLargeError if they cannot be."""
        size, covered, _, flag, _, _, kind, _, data = self._head.unpack(
            self._target.read(address, self._head.size)
        )
        if size > _MAX_SIZE or covered > size or (covered and size % self._word):
            raise _TooLargeError(f"a size of {size:,} bytes, {covered:,} with pointers, cannot be")
        return [size, covered, flag, kind, data]

    def _mask(self, address: int, flag: int, kind: int, data: int, words: int) -> bytes:
        program = not self._on_demand and kind & _GC_PROGRAM
        if not program:
            try:
                if self._on_demand and flag & _MASK_ON_DEMAND:
                    data = self._runtime.word_at(data)
                if data:
                    return self._target.read(data, (words + 7) // 8)
            except UnreadableError:
                pass
        return _packed(self._made(address, words))

    def _made(self, address: int, words: int) -> bytes:
        """A byte for each word, by what the type consists of."""
        flat = self._flattened(address, 0)
        if len(flat) < words:
            raise _TooLargeError(f"{words:,} words with pointers, of which its parts have {len(flat):,}")
        return flat[:words]

    def _flattened(self, address: int, depth: int) -> bytes:
        if address in self._flat:
            return self._flat[address]
        if depth > _MAX_DEPTH:
            raise _TooLargeError("types within types do not end")
        size, covered, _, kind, _ = self._fields(address)
        if size // self._word > 4 * _MAX_WORDS:
            raise _TooLargeError(f"{size:,} bytes are more than can be followed")
        found = self._parts(address, size, kind & _KIND_MASK, depth) if covered else b""
        self._flat[address] = found.ljust(size // self._word, b"\0")
        return self._flat[address]

    def _parts(self, address: int, size: int, kind: int, depth: int) -> bytes:
        if kind in (_POINTER, _MAP, _CHAN, _FUNC, _UNSAFE, _SLICE, _STRING):
            return b"\1"
        if kind == _INTERFACE:
            return b"\0\1"  # the collector does not follow the first word
        if kind == _ARRAY:
            element = self._flattened(self._runtime.word_at(address + self._size), depth + 1)
            return element * (size // self._word // len(element)) if element else b""
        return self._struct(address, size, depth) if kind == _STRUCT else b""

    def _struct(self, address: int, size: int, depth: int) -> bytes:
        word = self._word
        fields, count = (self._runtime.word_at(address + self._size + at * word) for at in (1, 2))
        if count > _MAX_FIELDS:
            raise _TooLargeError(f"a struct of {count:,} fields")
        found = bytearray(size // word)
        listed = self._runtime.words(fields, 3 * count, "fields of a struct")
        for type_, offset in zip(listed[1::3], listed[2::3]):
            part = self._flattened(type_, depth + 1)
            if 1 in part:
                if offset % word or offset // word + len(part) > len(found):
                    raise _TooLargeError("a field lies outside its struct")
                found[offset // word : offset // word + len(part)] = part
        return bytes(found)


def _packed(flat: bytes) -> bytes:
    """A bit for each byte that is not 0."""
    number = int(flat[::-1].translate(_DIGITS) or b"0", 2)
    return number.to_bytes((len(flat) + 7) // 8, "little")


_DIGITS = bytes(48 + bool(value) for value in range(256))
