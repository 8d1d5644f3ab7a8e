"""Forms and abbreviations (DWARF 5, 7.5): how the attributes of an entry lie in .debug_info."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Tuple

from addrspace_gdb.process.dwarf.sections import DamagedError

# DW_FORM_*. Those of data in the unit, of indices into tables, and of references.
ADDR, BLOCK2, BLOCK4, DATA2, DATA4, DATA8, STRING, BLOCK, BLOCK1, DATA1 = 1, 3, 4, 5, 6, 7, 8, 9, 0xA, 0xB
FLAG, SDATA, STRP, UDATA, REF_ADDR, REF1, REF2, REF4, REF8, REF_UDATA = 0xC, 0xD, 0xE, 0xF, *range(0x10, 0x16)
SEC_OFFSET, EXPRLOC, FLAG_PRESENT, STRX, ADDRX, REF_SUP4, STRP_SUP, DATA16 = (*range(0x17, 0x1F),)
LINE_STRP, REF_SIG8, IMPLICIT_CONST, LOCLISTX, RNGLISTX, REF_SUP8 = (*range(0x1F, 0x25),)
STRX1, STRX2, STRX3, STRX4, ADDRX1, ADDRX2, ADDRX3, ADDRX4 = (*range(0x25, 0x2D),)
GNU_REF_ALT, GNU_STRP_ALT = 0x1F20, 0x1F21

# Steps over an attribute whose size is not fixed.
TO_NUL, LEB, SIZED1, SIZED2, SIZED4, SIZED = -1, -2, -3, -4, -5, -6
_STEPS = {
    STRING: TO_NUL,
    BLOCK1: SIZED1,
    BLOCK2: SIZED2,
    BLOCK4: SIZED4,
    BLOCK: SIZED,
    EXPRLOC: SIZED,
    **dict.fromkeys((SDATA, UDATA, REF_UDATA, STRX, ADDRX, LOCLISTX, RNGLISTX), LEB),
    **dict.fromkeys((DATA1, FLAG, REF1, STRX1, ADDRX1), 1),
    **dict.fromkeys((DATA2, REF2, STRX2, ADDRX2), 2),
    **dict.fromkeys((STRX3, ADDRX3), 3),
    **dict.fromkeys((DATA4, REF4, STRX4, ADDRX4, REF_SUP4), 4),
    **dict.fromkeys((DATA8, REF8, REF_SIG8, REF_SUP8), 8),
    DATA16: 16,
    FLAG_PRESENT: 0,
    IMPLICIT_CONST: 0,
}
_OFFSETS = (STRP, SEC_OFFSET, LINE_STRP, STRP_SUP, GNU_REF_ALT, GNU_STRP_ALT)
_MAX_ABBREVIATIONS = 1 << 16
_MAX_ATTRIBUTES = 1 << 10
_MAX_LEB = 10  # bytes: 64 bits


class Sizes(NamedTuple):
    """Bytes of what depends on the unit."""

    version: int
    address: int
    offset: int  # 4, or 8 in 64-bit DWARF

    def step(self, form: int) -> int:
        """Bytes of an attribute, or one of the steps above."""
        if form == ADDR:
            return self.address
        if form == REF_ADDR:
            return self.address if self.version == 2 else self.offset
        if form in _OFFSETS:
            return self.offset
        if form not in _STEPS:
            raise DamagedError(f"form {form:#x} is not known")
        return _STEPS[form]


class Attribute(NamedTuple):
    """One that entries of an abbreviation have."""

    name: int
    form: int
    constant: int  # of DW_FORM_implicit_const


class Abbreviation(NamedTuple):
    """What entries of one kind have."""

    tag: int
    children: bool
    attributes: Tuple[Attribute, ...]
    steps: Tuple[int, ...]  # over all attributes; fixed sizes are added up
    names: frozenset[int]  # of the attributes


def leb(data: bytes, at: int) -> Tuple[int, int]:
    """An unsigned LEB128 number, and where it ends. DamagedError."""
    value = shift = 0
    for byte in data[at : at + _MAX_LEB]:
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise DamagedError("a number does not end")


def signed_leb(data: bytes, at: int) -> Tuple[int, int]:
    """A signed one."""
    value, end = leb(data, at)
    bits = 7 * (end - at)
    return value - (1 << bits) if value >> (bits - 1) else value, end


class Abbreviations:
    """The table at `offset` of .debug_abbrev for units of these sizes, read as far as it is needed."""

    def __init__(self, data: bytes, offset: int, sizes: Sizes) -> None:
        self._data, self._at, self._sizes = data, offset, sizes
        self._known: Dict[int, Abbreviation] = {}

    def get(self, code: int) -> Abbreviation:
        """The abbreviation with that code. DamagedError."""
        while code not in self._known:
            if not self._next():
                raise DamagedError(f"abbreviation {code} is not there")
        return self._known[code]

    def all(self) -> Dict[int, Abbreviation]:
        """Every one by its code. DamagedError."""
        while self._next():
            pass
        return self._known

    def _next(self) -> bool:
        code, at = leb(self._data, self._at)
        if not code or len(self._known) >= _MAX_ABBREVIATIONS:
            return False
        tag, at = leb(self._data, at)
        children = self._data[at : at + 1] == b"\1"
        attributes, self._at = _attributes(self._data, at + 1)
        steps = _added([self._sizes.step(one.form) for one in attributes])
        names = frozenset(one.name for one in attributes)
        self._known.setdefault(code, Abbreviation(tag, children, tuple(attributes), steps, names))
        return True


def _attributes(data: bytes, at: int) -> Tuple[List[Attribute], int]:
    found: List[Attribute] = []
    while len(found) < _MAX_ATTRIBUTES:
        name, at = leb(data, at)
        form, at = leb(data, at)
        constant = 0
        if form == IMPLICIT_CONST:
            constant, at = signed_leb(data, at)
        if not name and not form:
            return found, at
        found.append(Attribute(name, form, constant))
    raise DamagedError("an abbreviation does not end")


def _added(steps: List[int]) -> Tuple[int, ...]:
    made: List[int] = []
    for step in steps:
        if step >= 0 and made and made[-1] >= 0:
            made[-1] += step
        else:
            made.append(step)
    return tuple(made)
