"""The units of .debug_info and their entries (DWARF 5, 7.5): attributes, and what they refer to."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from typing import Dict, List, NamedTuple, Optional, Tuple, Union

from addrspace_gdb.process.dwarf import abbreviations as forms
from addrspace_gdb.process.dwarf.abbreviations import Abbreviation, Abbreviations, Sizes, leb, signed_leb
from addrspace_gdb.process.dwarf.sections import DamagedError, DebugSections

Value = Union[int, bytes]

# DW_AT_*
NAME, LOW_PC, HIGH_PC, RANGES, ABSTRACT_ORIGIN, SPECIFICATION = 0x3, 0x11, 0x12, 0x55, 0x31, 0x47
STR_OFFSETS_BASE, ADDR_BASE, RNGLISTS_BASE, LOCLISTS_BASE = 0x72, 0x73, 0x74, 0x8C
# DW_UT_*
_COMPILE, _PARTIAL = 1, 3
_MAX_UNITS = 1 << 18
_MAX_TEXT = 1 << 16  # bytes of a name
_MAX_ORIGINS = 8
_MAX_STEPS = 1 << 22  # entries, attributes and rows of lists that are looked at for one question
_IN_UNIT = (forms.REF1, forms.REF2, forms.REF4, forms.REF8, forms.REF_UDATA)
_ADDRESSES = (forms.ADDRX, forms.ADDRX1, forms.ADDRX2, forms.ADDRX3, forms.ADDRX4)
_TEXTS = (forms.STRX, forms.STRX1, forms.STRX2, forms.STRX3, forms.STRX4)


class Entry(NamedTuple):
    """A debugging information entry."""

    unit: Unit
    tag: int
    values: Dict[int, Tuple[int, Value]]  # (form, value) by attribute; references count from the section
    end: int  # where its attributes end

    def number(self, name: int) -> Optional[int]:
        """An attribute that is a number, an address or a reference; None if it has none."""
        value = self.values.get(name, (0, b""))[1]
        return value if isinstance(value, int) else None


class Unit:
    """A unit: `start` and `end` in .debug_info, and where its first entry is."""

    def __init__(self, info: Info, start: int, end: int, first: int, sizes: Sizes, table: int) -> None:
        """`table`: where its abbreviations are."""
        self.info, self.start, self.end, self.first, self.sizes = info, start, end, first, sizes
        self.abbreviations = info.abbreviations(table, sizes)

    @cached_property
    def top(self) -> Entry:
        """The unit's own entry."""
        found = self.entry(self.first)
        if found is None:
            raise DamagedError("a unit has no entry")
        return found

    @cached_property
    def low(self) -> int:
        """What lists of ranges and of locations count from."""
        return self.address(self.top, LOW_PC) or 0

    def head(self, at: int) -> Tuple[Optional[Abbreviation], int]:
        """The abbreviation of the entry at `at`, None for the end of a list, and where its attributes are."""
        if at >= self.end:
            raise DamagedError("a unit ends too early")
        self.info.spend(1)
        code = self.info.data[at]
        code, at = (code, at + 1) if code < 0x80 else leb(self.info.data, at)
        return self.abbreviations.get(code) if code else None, at

    def skip(self, abbreviation: Abbreviation, at: int) -> int:
        """Where the attributes that begin at `at` end."""
        data, order = self.info.data, self.info.order
        for step in abbreviation.steps:
            if step >= 0:
                at += step
            elif step == forms.TO_NUL:
                at = data.find(b"\0", at, self.end) + 1 or self.end + 1
            elif step == forms.LEB:
                while at < self.end and data[at] & 0x80:
                    at += 1
                at += 1
            elif step == forms.SIZED:
                size, at = leb(data, at)
                at += size
            else:
                width = 1 << (forms.SIZED1 - step)
                at += width + int.from_bytes(data[at : at + width], order)  # type: ignore[arg-type]
        return at

    def entry(self, at: int) -> Optional[Entry]:
        """The entry at offset `at`; None for the end of a list. DamagedError."""
        abbreviation, at = self.head(at)
        if abbreviation is None:
            return None
        values: Dict[int, Tuple[int, Value]] = {}
        self.info.spend(len(abbreviation.attributes))
        for name, form, constant in abbreviation.attributes:
            raw, at = self._raw(form, at) if form != forms.IMPLICIT_CONST else (constant, at)
            values.setdefault(name, (form, raw))
        if at > self.end:
            raise DamagedError("an entry ends behind its unit")
        return Entry(self, abbreviation.tag, values, at)

    def _raw(self, form: int, at: int) -> Tuple[Value, int]:
        """What stands there: a number, or the bytes of a text or block."""
        data, step = self.info.data, self.sizes.step(form)
        if step >= 0:
            return self._reference(form, self.info.number(data, at, step)), at + step
        if step == forms.LEB:
            value, at = signed_leb(data, at) if form == forms.SDATA else leb(data, at)
            return self._reference(form, value), at
        if step == forms.TO_NUL:
            end = data.find(b"\0", at, self.end)
            return data[at : min(end, at + _MAX_TEXT)], end + 1 or self.end + 1
        if step == forms.SIZED:
            size, at = leb(data, at)
        else:
            width = 1 << (forms.SIZED1 - step)
            size, at = self.info.number(data, at, width), at + width
        if at + size > self.end:
            raise DamagedError("a block ends behind its unit")
        return data[at : at + size], at + size

    def _reference(self, form: int, value: int) -> int:
        return value + self.start if form in _IN_UNIT else value

    def address(self, entry: Entry, name: int) -> Optional[int]:
        """An attribute that is an address; None if it has none, or it is none."""
        form, value = entry.values.get(name, (0, b""))
        if not isinstance(value, int):
            return None
        if form == forms.ADDR:
            return value
        return self.indexed_address(value) if form in _ADDRESSES else None

    def indexed_address(self, index: int) -> int:
        """The address of that number in .debug_addr."""
        size = self.sizes.address
        base = self.top.number(ADDR_BASE)
        at = (base if base is not None else 2 * self.sizes.offset) + index * size
        return self.info.number(self.info.sections.get(".debug_addr"), at, size)

    def text(self, entry: Entry, name: int) -> Optional[bytes]:
        """An attribute that is a text; None if there is none."""
        form, value = entry.values.get(name, (0, 0))
        if isinstance(value, bytes):
            return value if form == forms.STRING else None
        if form in _TEXTS:
            size, table = self.sizes.offset, self.info.sections.get(".debug_str_offsets")
            base = self.top.number(STR_OFFSETS_BASE)
            at = (base if base is not None else 2 * size) + value * size
            form, value = forms.STRP, self.info.number(table, at, size)
        if form not in (forms.STRP, forms.LINE_STRP):
            return None
        data = self.info.sections.get(".debug_str" if form == forms.STRP else ".debug_line_str")
        end = data.find(b"\0", value, value + _MAX_TEXT)
        return data[value:end] if 0 <= value <= end else None


class Info:
    """.debug_info. What it cannot read is a DamagedError."""

    def __init__(self, sections: DebugSections) -> None:
        self.sections, self.order = sections, sections.byte_order
        self.data = sections.get(".debug_info")
        self._tables: Dict[Tuple[int, Sizes], Abbreviations] = {}
        self.begin()

    def begin(self, most: int = _MAX_STEPS) -> None:
        """Another question is asked, for which `most` entries and the like may be looked at."""
        self._left = most

    def spend(self, steps: int) -> None:
        """Count what is looked at. DamagedError where it is too much."""
        self._left -= steps
        if self._left < 0:
            raise DamagedError("there is too much to look at")

    def number(self, data: bytes, at: int, size: int) -> int:
        """The unsigned number of `size` bytes at `at`."""
        piece = data[at : at + size]
        if len(piece) != size or at < 0:
            raise DamagedError("a number lies behind the end")
        return int.from_bytes(piece, self.order)  # type: ignore[arg-type]

    def abbreviations(self, offset: int, sizes: Sizes) -> Abbreviations:
        """The table at `offset`."""
        key = offset, sizes
        if key not in self._tables:
            self._tables[key] = Abbreviations(self.sections.get(".debug_abbrev"), offset, sizes)
        return self._tables[key]

    @cached_property
    def units(self) -> List[Unit]:
        """Compile units and partial ones, in order."""
        found: List[Unit] = []
        at = 0
        for _ in range(_MAX_UNITS):
            if at >= len(self.data):
                break
            unit, at = self._unit(at)
            if unit is not None:
                found.append(unit)
        return found

    def _unit(self, start: int) -> Tuple[Optional[Unit], int]:
        """The unit at `start`, None if it is of another kind, and where it ends."""
        width, at = 4, start + 4
        length = self.number(self.data, start, 4)
        if length == 0xFFFFFFFF:
            width, at = 8, start + 12
            length = self.number(self.data, start + 4, 8)
        end = at + length
        version, after = self.number(self.data, at, 2), at + 2
        if end > len(self.data) or not 2 <= version <= 5:
            raise DamagedError("a unit cannot be read")
        kind, at = (self.number(self.data, after, 1), after + 1) if version == 5 else (_COMPILE, after)
        size_at, table_at = (at, at + 1) if version == 5 else (at + width, at)
        sizes = Sizes(version, self.number(self.data, size_at, 1), width)
        if kind not in (_COMPILE, _PARTIAL) or sizes.address not in (4, 8):
            return None, end
        table = self.number(self.data, table_at, width)
        return Unit(self, start, end, at + 1 + width, sizes, table), end

    @cached_property
    def _starts(self) -> List[int]:
        return [unit.start for unit in self.units]

    def at(self, offset: int) -> Entry:
        """The entry at an offset of the section, which a reference has."""
        index = bisect_right(self._starts, offset) - 1
        unit = self.units[index] if index >= 0 else None
        if unit is None or not unit.first <= offset < unit.end:
            raise DamagedError("a reference leads nowhere")
        found = unit.entry(offset)
        if found is None:
            raise DamagedError("a reference leads to no entry")
        return found

    def with_origins(self, entry: Entry) -> List[Entry]:
        """The entry and those that it completes: its abstract origin, its specification."""
        found = [entry]
        while len(found) < _MAX_ORIGINS:
            for name in (ABSTRACT_ORIGIN, SPECIFICATION):
                offset = found[-1].number(name)
                if offset is not None:
                    break
            if offset is None:
                break
            if found[-1].values.get(name, (0, 0))[0] not in (*_IN_UNIT, forms.REF_ADDR):
                break
            found.append(self.at(offset))
        return found
