"""Bytes of a type (DWARF 5, 5), as a debugger counts them."""

from __future__ import annotations

from typing import Optional, Sequence

from addrspace_gdb.process.dwarf import abbreviations as forms
from addrspace_gdb.process.dwarf.units import Entry

_TYPE, _BYTE_SIZE, _UPPER, _COUNT, _LOWER, _DECLARATION = 0x49, 0xB, 0x2F, 0x37, 0x22, 0x3C  # DW_AT_*
# DW_TAG_*
_ARRAY, _POINTER, _REFERENCE, _RVALUE_REFERENCE, _FUNCTION, _SUBRANGE = 0x1, 0xF, 0x10, 0x42, 0x15, 0x21
_SAME = (0x16, 0x26, 0x35, 0x37, 0x40, 0x47, 0x4B)  # a typedef, and what qualifies a type: const, volatile …
_ADDRESSES = (_POINTER, _REFERENCE, _RVALUE_REFERENCE)
_MAX_DEPTH = 64  # types that a type is made of, one of the other
_MAX_DIMENSIONS = 32
_MOST = 1 << 64
_VOID = 1  # bytes, as gdb has it; of a function too
_REFERENCES = (forms.REF1, forms.REF2, forms.REF4, forms.REF8, forms.REF_UDATA, forms.REF_ADDR)


def size_of(variable: Sequence[Entry]) -> Optional[int]:
    """Bytes of a variable, given with its origins, by its type; None where that cannot be told."""
    factor, entry = 1, next((one for one in variable if _TYPE in one.values), variable[0])
    for _ in range(_MAX_DEPTH):
        if _TYPE not in entry.values:
            return factor * _VOID
        form, place = entry.values[_TYPE]
        if form not in _REFERENCES or not isinstance(place, int):
            return None
        entry = entry.unit.info.at(place)
        size = entry.number(_BYTE_SIZE)
        if entry.tag == _ARRAY and size is None:
            factor *= _elements(entry)
        elif entry.tag not in _SAME:
            return _bounded(factor, _own(entry, size))
    return None


def _own(entry: Entry, size: Optional[int]) -> Optional[int]:
    if entry.tag in _ADDRESSES:
        return size if size is not None else entry.unit.sizes.address
    if entry.tag == _FUNCTION:
        return _VOID
    return None if _DECLARATION in entry.values else size or 0


def _bounded(factor: int, size: Optional[int]) -> Optional[int]:
    return factor * size if size is not None and 0 <= factor * size < _MOST else None


def _elements(array: Entry) -> int:
    """Of all dimensions; none where that is known only at run time."""
    total, at = 1, array.end
    for _ in range(_MAX_DIMENSIONS):
        dimension = array.unit.entry(at)
        if dimension is None:
            break
        at = dimension.end
        if dimension.tag == _SUBRANGE:
            total *= _count(dimension)
    return total


def _count(dimension: Entry) -> int:
    count, upper = (_signed(dimension, name) for name in (_COUNT, _UPPER))
    if count is not None:
        return max(0, count)
    return max(0, upper - (_signed(dimension, _LOWER) or 0) + 1) if upper is not None else 0


def _signed(entry: Entry, name: int) -> Optional[int]:
    """A bound, which is a number: not a reference to a variable, nor an expression."""
    form, value = entry.values.get(name, (0, b""))
    if not isinstance(value, int) or form in _REFERENCES:
        return None
    return value - (1 << 64) if form == forms.DATA8 and value >> 63 else value
