"""Fields of very many structs of one type, as arrays: no Python object is made for a struct or a number.

Structs that lie at one distance (objects of a size class do) are copied side by side as they are, and a field
of all of them is then one strided view of the copy.
"""

from __future__ import annotations

import re
import sys
from array import array
from collections import Counter
from itertools import chain, compress
from operator import sub
from typing import Dict, Iterator, List, Literal, Mapping, Sequence

from addrspace_gdb.goruntime.record import Runtime, bulk
from addrspace_gdb.target.layout import Located, Type

_FLUSH = 1 << 18  # bytes that are held before they become columns
_SAMPLE = 4096  # structs whose distances tell that of all
_SCATTERED = 16  # rows a run below which it is quicker to pick them one by one
_ONES = re.compile(b"\x01+")
_ALIGN = 8  # a multiple of the size of every number
_Code = Literal["B", "H", "I", "Q", "b", "h", "i", "q"]
_UNSIGNED: Dict[int, _Code] = {1: "B", 2: "H", 4: "I", 8: "Q"}
_SIGNED: Dict[int, _Code] = {1: "b", 2: "h", 4: "i", 8: "q"}

Columns = Dict[str, "array[int]"]


def read_columns(
    runtime: Runtime, addresses: Sequence[int], layout: Type, fields: Mapping[str, str], what: str
) -> Columns:
    """The numbers at `fields` (column name to path in the struct) of the structs at the ascending
    `addresses`, and the column "address" of those that could be read; problems are told as of `what`.

    Every column is an array of numbers as wide as the field is, signed where it is; so a field of one byte
    is a column of bytes, which bytes' own methods search and translate.
    """
    places = {name: layout.scalar(path) for name, path in fields.items()}
    # Made as long as they will be: arrays that grow are copied again and again.
    found: Columns = {name: array(_code(place), [0]) * len(addresses) for name, place in places.items()}
    runs: List[Sequence[int]] = []
    stride = _stride(addresses, layout.size)
    held: List[bytes] = []
    done = 0
    for block, base, run in bulk(runtime, addresses, layout.size, what):
        runs.append(run)
        held.append(_side_by_side(block, base, run, layout.size, stride))
        if sum(map(len, held)) >= _FLUSH:
            done = _fill(found, done, _Structs(b"".join(held), stride, runtime.order), places)
            held = []
    done = _fill(found, done, _Structs(b"".join(held), stride, runtime.order), places)
    if done < len(addresses):
        addresses = [*chain.from_iterable(runs)]
        for column in found.values():
            del column[done:]
    found["address"] = array("Q", addresses)
    return found


def places(column: array[int], value: int) -> Iterator[int]:
    """The positions of a value that is rare in the column, ascending."""
    try:
        wanted = value.to_bytes(column.itemsize, sys.byteorder)
    except OverflowError:
        return
    data = column.tobytes()
    at = data.find(wanted)
    while at >= 0:
        if at % column.itemsize == 0:
            yield at // column.itemsize
        at = data.find(wanted, at + 1)


def chosen(columns: Columns, mask: bytes) -> Columns:
    """The rows where `mask`, a byte a row, has 1 (and 0 elsewhere)."""
    if mask.find(0) < 0:
        return columns
    runs = [found.span() for found in _ONES.finditer(mask)]
    if len(runs) * _SCATTERED > len(mask):
        return {name: array(column.typecode, compress(column, mask)) for name, column in columns.items()}
    made: Columns = {}
    for name, column in columns.items():
        view = memoryview(column)
        made[name] = array(column.typecode, b"".join([view[first:after] for first, after in runs]))
    return made


def _code(place: Located) -> _Code:
    """The type of the column of a field."""
    return (_SIGNED if place.type.kind == "int" else _UNSIGNED)[place.size]


def _stride(addresses: Sequence[int], size: int) -> int:
    """The usual distance of neighbours, if structs at that distance can be copied as they lie."""
    some = addresses[:_SAMPLE]
    distances = Counter(map(sub, some[1:], some))
    usual = max(distances, key=distances.__getitem__, default=0)
    return usual if size <= usual < 2 * size + _ALIGN and usual % _ALIGN == 0 else -(-size // _ALIGN) * _ALIGN


def _side_by_side(block: memoryview, base: int, run: Sequence[int], size: int, stride: int) -> bytes:
    """The bytes of the structs of `run`, each `stride` long."""
    breaks = compress(range(1, len(run)), map(stride.__ne__, map(sub, run[1:], run)))
    padding = memoryview(bytes(stride - size))
    parts: List[memoryview] = []
    first = 0
    for after in [*breaks, len(run)]:
        start = run[first] - base
        parts.append(block[start : start + (after - first - 1) * stride + size])
        parts.append(padding)
        first = after
    return b"".join(parts)


def _fill(found: Columns, done: int, structs: _Structs, places: Dict[str, Located]) -> int:
    """Put the numbers of `structs` into the columns from row `done` on; returns the row after them."""
    after = done + len(structs)
    for name, place in places.items():
        found[name][done:after] = structs.numbers(_code(place), place.offset, place.size)
    return after


class _Structs:
    """Structs that lie a stride apart, and their fields as arrays."""

    def __init__(self, data: bytes, stride: int, order: str) -> None:
        self._data, self._stride, self._order = data, stride, order
        self._wholes: Dict[str, array[int]] = {}  # all of it as numbers: arrays are cut faster than views

    def __len__(self) -> int:
        return len(self._data) // self._stride

    def numbers(self, code: str, offset: int, size: int) -> array[int]:
        """The number of `size` bytes at the offset of each."""
        if offset % size:  # a uint64 of a 32-bit target: its halves
            half = _UNSIGNED[size // 2]
            low, high = (self.numbers(half, offset + at, size // 2) for at in (0, size // 2))
            if self._order == "big":
                low, high = high, low
            whole = array(code.upper(), (h << 4 * size | w for h, w in zip(high, low)))
            return array(code, whole.tobytes())
        if size == 1:
            return array(code, self._data[offset :: self._stride])
        if code not in self._wholes:
            self._wholes[code] = array(code, self._data)
        part = self._wholes[code][offset // size :: self._stride // size]
        if self._order != sys.byteorder:
            part.byteswap()
        return part
