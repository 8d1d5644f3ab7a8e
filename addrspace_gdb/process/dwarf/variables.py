"""Variables that lie in the frame of a function: those of the scope that holds an instruction."""

from __future__ import annotations

import string
from bisect import bisect_right
from typing import Dict, Iterator, List, NamedTuple, Optional

from addrspace_gdb.common.escape import shortened
from addrspace_gdb.process.dwarf.lists import bounds, holds, location
from addrspace_gdb.process.dwarf.operations import CALL_FRAME_CFA, Piece, pieces
from addrspace_gdb.process.dwarf.sections import DamagedError, DebugSections
from addrspace_gdb.process.dwarf.sizes import size_of
from addrspace_gdb.process.dwarf.units import LOW_PC, NAME, RANGES, Entry, Info, Unit
from addrspace_gdb.target.protocol import FrameVariable

# DW_TAG_*
_FUNCTION, _INLINED, _PARAMETER, _VARIABLE = 0x2E, 0x1D, 0x05, 0x34
_BLOCKS = (0x0B, 0x32, 0x25)  # lexical_block, try_block, catch_block
_LOCATION, _FRAME_BASE = 0x02, 0x40  # DW_AT_*


class _Scope:
    """A block of a function that holds the instruction."""

    def __init__(self, around: Optional[_Scope], is_function: bool) -> None:
        self.around, self.is_function = around, is_function
        self.variables: List[Entry] = []
        self.within: Optional[_Scope] = None  # the first of its blocks that holds it too


class _Function(NamedTuple):
    """A range of a function, and where its entry is."""

    low: int
    high: int
    entry: int


class FrameVariables:
    """Those of one file, by addresses of the file. DamagedError."""

    def __init__(self, path: str) -> None:
        """`path`: what has the debug information."""
        self._info = Info(DebugSections(path))
        self._functions: Dict[int, List[_Function]] = {}  # by the start of the unit

    def at(self, pc: int) -> List[FrameVariable]:
        """Of the innermost function at `pc`, which may be one that was inlined; inner blocks first."""
        self._info.begin()
        unit = self._unit(pc)
        function = self._function(unit, pc) if unit is not None else None
        if unit is None or function is None:
            return []
        return [one for entry in self._in_scope(unit, function, pc) for one in _places(unit, entry, pc)]

    def _unit(self, pc: int) -> Optional[Unit]:
        return next((unit for unit in self._info.units if holds(unit, unit.top, pc)), None)

    def _function(self, unit: Unit, pc: int) -> Optional[Entry]:
        if unit.start not in self._functions:
            self._functions[unit.start] = sorted(_functions(unit))
        known = self._functions[unit.start]
        index = bisect_right(known, (pc, 1 << 65, 0)) - 1
        if index < 0 or pc >= known[index].high:
            return None
        entry = unit.entry(known[index].entry)
        cfa = entry is not None and entry.values.get(_FRAME_BASE, (0, 0))[1] == bytes([CALL_FRAME_CFA])
        return entry if cfa else None

    def _in_scope(self, unit: Unit, function: Entry, pc: int) -> Iterator[Entry]:
        outer = _Scope(None, True)
        _fill(unit, function, outer, pc)
        scope: Optional[_Scope] = outer
        while scope is not None and scope.within is not None:
            scope = scope.within
        while scope is not None:
            yield from scope.variables
            scope = None if scope.is_function else scope.around


def _functions(unit: Unit) -> Iterator[_Function]:
    """Every function of the unit that has code, wherever it is declared."""
    at = unit.top.end
    while at < unit.end:
        start = at
        abbreviation, at = unit.head(at)
        if abbreviation is None:
            continue
        if abbreviation.tag == _FUNCTION and abbreviation.names & {LOW_PC, RANGES}:
            entry = unit.entry(start)
            ranges = bounds(unit, entry) if entry is not None else None
            yield from (_Function(low, high, start) for low, high in ranges or () if low < high)
        at = unit.skip(abbreviation, at)


def _fill(unit: Unit, function: Entry, outer: _Scope, pc: int) -> None:
    """Add the scopes below `outer` that hold `pc`, with their variables."""
    at = function.end
    around: List[Optional[_Scope]] = [outer]  # the scopes that are open; None where nothing counts
    while around and at < unit.end:
        abbreviation, behind = unit.head(at)
        if abbreviation is None:
            around.pop()
            at = behind
            continue
        scope, inner = around[-1], None
        counts = scope is not None and abbreviation.tag in (_PARAMETER, _VARIABLE, _INLINED, *_BLOCKS)
        entry = unit.entry(at) if counts else None
        if entry is not None and scope is not None:
            inner = _entered(unit, entry, scope, pc)
        at = unit.skip(abbreviation, behind)
        if abbreviation.children:
            around.append(inner)


def _entered(unit: Unit, entry: Entry, scope: _Scope, pc: int) -> Optional[_Scope]:
    """The scope that what is below the entry belongs to. A variable is noted."""
    if entry.tag in (_PARAMETER, _VARIABLE):
        scope.variables.append(entry)
        return None
    held = holds(unit, entry, pc)
    if held is None and entry.tag != _INLINED:
        return scope  # a block without addresses
    if not held:
        return None
    inner = _Scope(scope, entry.tag == _INLINED)
    scope.within = scope.within or inner
    return inner


def _places(unit: Unit, variable: Entry, pc: int) -> Iterator[FrameVariable]:
    """The variable, or the pieces of it that lie in the frame."""
    parts = _parts(unit, variable, pc)
    if all(part.offset is None for part in parts):
        return
    known = unit.info.with_origins(variable)
    name = next(filter(None, (one.unit.text(one, NAME) for one in known)), b"")
    if not name or any(byte in string.whitespace.encode() for byte in name):
        return
    text = shortened(name.decode("utf-8", "surrogateescape"))
    within = 0
    for part in parts:
        size = part.size if part.size is not None else size_of(known)
        if part.offset is not None and size is not None and (size or part.size is None):
            yield FrameVariable(text, part.offset, size, within)
        within += part.size or 0


def _parts(unit: Unit, variable: Entry, pc: int) -> List[Piece]:
    form, where = variable.values.get(_LOCATION, (0, b""))
    expression = location(unit, form, where, pc) if isinstance(where, int) else where
    try:
        return pieces(expression or b"", unit.sizes.address, unit.sizes.offset)
    except DamagedError:
        return []  # of an operation that is not known, say
