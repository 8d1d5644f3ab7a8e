"""Fields of very many structs of one type, as arrays: no Python object is made for a struct or a number.

Structs that lie at one distance (objects of a size class do) are copied side by side as they are, and a field
of all of them is then one strided view of the copy.
"""

from __future__ import annotations

import sys
from array import array
from collections import Counter
from itertools import compress
from operator import sub
from typing import Dict, List, Literal, Mapping, Sequence, Tuple

from addrspace_gdb.goruntime.record import Runtime, bulk
from addrspace_gdb.target.layout import Located, Type

_FLUSH = 1 << 18  # bytes that are held before they become columns
_SAMPLE = 4096  # structs whose distances tell that of all
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

    Every column is an array of 64 bits a number, signed where the field is.
    """
    places = {name: layout.scalar(path) for name, path in fields.items()}
    found: Columns = {name: array("q" if p.type.kind == "int" else "Q") for name, p in places.items()}
    found["address"] = array("Q")
    stride = _stride(addresses, layout.size)
    held: List[bytes] = []
    for block, base, run in bulk(runtime, addresses, layout.size, what):
        found["address"].extend(run)
        held.append(_side_by_side(block, base, run, layout.size, stride))
        if sum(map(len, held)) >= _FLUSH:
            _add(found, places, b"".join(held), stride, runtime.order)
            held = []
    _add(found, places, b"".join(held), stride, runtime.order)
    return found


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


def _add(found: Columns, places: Dict[str, Located], data: bytes, stride: int, order: str) -> None:
    view = memoryview(data)
    for name, place in places.items():
        _extend(found[name], view, (place.offset, place.size), stride, order)


def _extend(column: array[int], view: memoryview, field: Tuple[int, int], stride: int, order: str) -> None:
    """Add to `column` the number at (offset, size) of each struct in `view`."""
    offset, size = field
    if offset % size:  # a uint64 of a 32-bit target: its halves
        low, high = array("Q"), array("Q")
        _extend(low, view, (offset, size // 2), stride, order)
        _extend(high, view, (offset + size // 2, size // 2), stride, order)
        if order == "big":
            low, high = high, low
        whole = array("Q", (h << 4 * size | w for h, w in zip(high, low)))
        column.frombytes(whole.tobytes())
        return
    code = (_UNSIGNED if column.typecode == "Q" else _SIGNED)[size]
    part = array(code)
    part.frombytes(view.cast(code)[offset // size :: stride // size].tobytes())
    if order != sys.byteorder:
        part.byteswap()
    if part.itemsize == column.itemsize:
        column.frombytes(part.tobytes())
    else:
        column.extend(array(column.typecode, part.tolist()))
