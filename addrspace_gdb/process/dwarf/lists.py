"""Lists of ranges and of locations (DWARF 5, 7.7.3 and 7.25; before that 2.17.3 and 2.6.2)."""

from __future__ import annotations

from typing import Iterator, NamedTuple, Optional, Tuple

from addrspace_gdb.process.dwarf import abbreviations as forms
from addrspace_gdb.process.dwarf.abbreviations import leb
from addrspace_gdb.process.dwarf.sections import DamagedError
from addrspace_gdb.process.dwarf.units import (
    HIGH_PC,
    LOCLISTS_BASE,
    LOW_PC,
    RANGES,
    RNGLISTS_BASE,
    Entry,
    Unit,
)

_OFFSETS = (forms.SEC_OFFSET, forms.DATA4, forms.DATA8)  # the data forms up to DWARF 3
# DW_RLE_*, and DW_LLE_* up to 4.
_END, _BASE_X, _START_X_END, _START_X_LENGTH, _OFFSET_PAIR = range(5)
_RLE_BASE, _RLE_START_END, _RLE_START_LENGTH = 5, 6, 7
_LLE_BASE, _LLE_START_END, _LLE_START_LENGTH, _LLE_VIEWS = 6, 7, 8, 9


class _List(NamedTuple):
    """What differs between the two kinds of list of DWARF 5."""

    section: str
    base: int  # the attribute of the unit that an index counts from
    indexed: int  # the form of an index
    set_base: int  # numbers of three kinds of entry
    start_end: int
    start_length: int
    located: bool  # an expression follows each range


_RANGES = _List(
    ".debug_rnglists", RNGLISTS_BASE, forms.RNGLISTX, _RLE_BASE, _RLE_START_END, _RLE_START_LENGTH, False
)
_LOCATIONS = _List(
    ".debug_loclists", LOCLISTS_BASE, forms.LOCLISTX, _LLE_BASE, _LLE_START_END, _LLE_START_LENGTH, True
)

Range = Tuple[int, int, bytes]  # [low, high), and what is there


def bounds(unit: Unit, entry: Entry) -> Optional[Iterator[Tuple[int, int]]]:
    """The ranges of addresses of an entry; None if it says nothing of that."""
    form, place = entry.values.get(RANGES, (0, None))
    if isinstance(place, int):
        return ((low, high) for low, high, _ in _listed(unit, form, place, _RANGES, ".debug_ranges"))
    low = unit.address(entry, LOW_PC)
    if low is None:
        return None
    high = unit.address(entry, HIGH_PC)
    if high is None:
        size = entry.number(HIGH_PC)
        high = low + size if size is not None else low
    return iter([(low, high)])


def holds(unit: Unit, entry: Entry, pc: int) -> Optional[bool]:
    """Whether an entry's ranges have `pc`; None if it has none."""
    found = bounds(unit, entry)
    return None if found is None else any(low <= pc < high for low, high in found)


def location(unit: Unit, form: int, place: int, pc: int) -> Optional[bytes]:
    """The first expression of a list of locations that holds at `pc`."""
    found = _listed(unit, form, place, _LOCATIONS, ".debug_loc")
    return next((expression for low, high, expression in found if low <= pc < high), None)


def _listed(unit: Unit, form: int, place: int, kind: _List, old: str) -> Iterator[Range]:
    if unit.sizes.version < 5:
        return _old(unit, unit.info.sections.get(old), place, kind.located) if form in _OFFSETS else iter(())
    data = unit.info.sections.get(kind.section)
    if form == kind.indexed:
        size, base = unit.sizes.offset, unit.top.number(kind.base)
        start = base if base is not None else 3 * size
        place = start + unit.info.number(data, start + place * size, size)
    return _new(unit, data, place, kind)


def _old(unit: Unit, data: bytes, at: int, located: bool) -> Iterator[Range]:
    """Pairs of addresses, (0, 0) at the end."""
    size, base = unit.sizes.address, unit.low
    number, most = unit.info.number, (1 << 8 * size) - 1
    while True:
        unit.info.spend(1)
        low, high = number(data, at, size), number(data, at + size, size)
        at += 2 * size
        if low == most:
            base = high
            continue
        if not low and not high:
            return
        expression = b""
        if located:
            length = number(data, at, 2)
            expression = data[at + 2 : at + 2 + length]
            at += 2 + length
        yield base + low, base + high, expression


def _new(unit: Unit, data: bytes, at: int, kind: _List) -> Iterator[Range]:
    base = unit.low
    while True:
        unit.info.spend(1)
        what = unit.info.number(data, at, 1)
        if what == _END:
            return
        if kind.located and what == _LLE_VIEWS:
            at = leb(data, leb(data, at + 1)[1])[1]
            continue
        found, at = _bounds(unit, data, at + 1, kind, what, base)
        if found[1] is None:
            base = found[0]
            continue
        expression = b""
        if kind.located:
            length, at = leb(data, at)
            expression = data[at : at + length]
            at += length
        yield found[0], found[1], expression


def _bounds(
    unit: Unit, data: bytes, at: int, kind: _List, what: int, base: int
) -> Tuple[Tuple[int, Optional[int]], int]:
    """The range of an entry, or the new base and None; and where that ends."""
    size, number = unit.sizes.address, unit.info.number
    if what == kind.set_base:
        return (number(data, at, size), None), at + size
    if what == kind.start_end:
        return (number(data, at, size), number(data, at + size, size)), at + 2 * size
    if what == kind.start_length:
        low = number(data, at, size)
        length, at = leb(data, at + size)
        return (low, low + length), at
    first, at = leb(data, at)
    if what == _BASE_X:
        return (unit.indexed_address(first), None), at
    second, at = leb(data, at)
    if what == _OFFSET_PAIR:
        return (base + first, base + second), at
    if what == _START_X_LENGTH:
        low = unit.indexed_address(first)
        return (low, low + second), at
    if what == _START_X_END:
        return (unit.indexed_address(first), unit.indexed_address(second)), at
    raise DamagedError(f"an entry {what} of a list is not known")
