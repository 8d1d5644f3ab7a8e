"""The variables of packages, what closures capture, and the types of both, by a program's debug information.

The entries of variables lie among those of functions, which are many and have no short way past them: a
kernel goes over all of a unit.
"""

from __future__ import annotations

from typing import Dict, Iterator, List, NamedTuple, Tuple

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.process.dwarf.abbreviations import Abbreviation, Abbreviations
from addrspace_gdb.process.dwarf.gotypes import CLOSURE_OFFSET, GoType, GoTypes, Variable
from addrspace_gdb.process.dwarf.sections import DamagedError, DebugSections
from addrspace_gdb.process.dwarf.units import LOW_PC, NAME, Info, Unit
from addrspace_gdb.worker.arrays import COMPILED, Ints, inlined, kernel, of_bytes, zeros

PLAIN_LIMIT = 4 << 20  # bytes of debug information that are gone over without numba
_LANGUAGE, _GO = 0x13, 0x16  # DW_AT_language, DW_LANG_Go
_GO_PACKAGE_NAME = 0x2905  # DW_AT_go_package_name
_VARIABLE, _FUNCTION = 0x34, 0x2E  # DW_TAG_*
_MAX_STEPS = 1 << 25
_MAX_CODES = 1 << 12
_ROOM = 1 << 12  # variables of a unit that are looked for at a time


class Codes(NamedTuple):
    """Abbreviations by code: what entries are (0: there is none, 2: a variable, 3: a function, 4: captured by
    a closure, 1: anything else), whether they have others below them, and where the steps over their
    attributes begin in `steps`."""

    sorts: Ints
    inner: Ints
    begin: Ints
    steps: Ints


Captured = Tuple[int, int, str]


class Found(NamedTuple):
    """What there is. Of closures the address of their code in the file, and what they capture: where in the
    closure, the place of the type, and the name."""

    variables: List[Variable]
    closures: List[Tuple[int, List[Captured]]]
    types: List[GoType]


@inlined
def unsigned(data: Ints, at: int, end: int) -> int:
    """An unsigned LEB128 number of at most 28 bits."""
    value, shift = 0, 0
    while at < end and data[at] >= 128 and shift < 28:
        value |= (data[at] & 127) << shift
        at += 1
        shift += 7
    if at < end:
        value |= (data[at] & 127) << shift
    return value


@inlined
def behind(data: Ints, at: int, end: int) -> int:
    """Where such a number ends."""
    while at < end and data[at] >= 128:
        at += 1
    return at + 1


@kernel
def stepped(data: Ints, at: int, end: int, step: int) -> int:
    """Where an attribute ends, by the step over it: those from TO_NUL (-1) to SIZED (-6) are of
    process/dwarf/abbreviations.py."""
    if step >= 0:
        return at + step
    if step == -1:
        while at < end and data[at] != 0:
            at += 1
        return at + 1
    if step == -2:
        return behind(data, at, end)
    if step == -6:
        return behind(data, at, end) + unsigned(data, at, end)
    width, size = 1, 0
    if step == -4:
        width = 2
    elif step == -5:
        width = 4
    for k in range(width):
        if at + k < end:
            size |= data[at + k] << (8 * k)
    return at + width + size


@kernel
def find_entries(data: Ints, place: Ints, end: int, codes: Codes, found: Ints, within: Ints) -> int:
    """Variables directly below the unit's own entry, and what closures capture, with the entry of their
    function in `within` (0: of none); how many, as far as there is room, or -1 where the unit is damaged. It
    goes on at place[0] with place[1] entries open, in the function at place[2]."""
    at, depth, function, count = place[0], place[1], place[2], 0
    while at < end and depth > 0 and count < len(found):
        start, code = at, unsigned(data, at, end)
        at = behind(data, at, end)
        if code == 0:
            depth -= 1
            continue
        if code >= len(codes.sorts) or codes.sorts[code] == 0:
            return -1
        sort = codes.sorts[code]
        if sort == 3 and depth == 1:
            function = start
        if (sort == 2 and depth == 1) or (sort == 4 and depth > 1):
            found[count] = start
            within[count] = function if sort == 4 else 0
            count += 1
        for k in range(codes.begin[code], codes.begin[code + 1]):
            at = stepped(data, at, end, codes.steps[k])
        depth += codes.inner[code]
    place[0], place[1], place[2] = at, depth, function
    return count


def read_variables(path: str) -> Found:
    """All that Go's units have. ProblemError; nothing for a file without debug information."""
    try:
        info = Info(DebugSections(path))
        if not COMPILED and len(info.data) > PLAIN_LIMIT:
            raise ProblemError(
                f"types of variables: {len(info.data) >> 20:,} MiB of debug information are more than the "
                f"{PLAIN_LIMIT >> 20} that can be looked at without numba: pip install 'addrspace-gdb[graph]'"
            )
        info.begin(_MAX_STEPS)
        types = GoTypes(info)
        variables, closures = _all(info, types)
        types.finish(_packages(info))
    except DamagedError as error:
        raise ProblemError(f"types of variables: {error}") from None
    return Found(variables, closures, types.all)


def _packages(info: Info) -> Dict[str, str]:
    """The names of packages by their paths: units are called by those."""
    found = {}
    for unit in info.units:
        path, name = (unit.text(unit.top, one) for one in (NAME, _GO_PACKAGE_NAME))
        if unit.top.number(_LANGUAGE) == _GO and path and name:
            found[path.decode("utf-8", "replace")] = name.decode("utf-8", "replace")
    return found


def _all(info: Info, types: GoTypes) -> Tuple[List[Variable], List[Tuple[int, List[Captured]]]]:
    variables: List[Variable] = []
    closures: Dict[int, List[Captured]] = {}
    for unit, offset, within in _entries(info):
        entry = unit.entry(offset)
        if entry is None:
            continue
        if not within:
            variables += types.variables([entry])
            continue
        function, captured = unit.entry(within), types.captured(entry)
        pc = unit.address(function, LOW_PC) if function is not None else None
        if pc and captured is not None:
            closures.setdefault(pc, []).append(captured)
    return variables, list(closures.items())


def _entries(info: Info) -> Iterator[Tuple[Unit, int, int]]:
    """Units of Go, with the entries that are wanted and those of their functions."""
    data = of_bytes(info.data, "B")
    tables: Dict[int, Codes] = {}
    for unit in info.units:
        if unit.top.number(_LANGUAGE) == _GO:
            key = id(unit.abbreviations)
            if key not in tables:
                tables[key] = _codes(unit.abbreviations)
            for offset, within in _of_unit(unit, data, tables[key]):
                yield unit, offset, within


def _of_unit(unit: Unit, data: Ints, codes: Codes) -> Iterator[Tuple[int, int]]:
    found, within, place = zeros(_ROOM), zeros(_ROOM), zeros(3)
    place[0], place[1] = unit.top.end, 1
    while True:
        count = int(find_entries(data, place, unit.end, codes, found, within))
        if count < 0:
            raise DamagedError("an entry has no abbreviation")
        yield from zip(found[:count].tolist(), within[:count].tolist())
        if count < _ROOM:
            return


def _sort(one: Abbreviation) -> int:
    if one.tag == _VARIABLE:
        return 4 if CLOSURE_OFFSET in one.names else 2
    return 3 if one.tag == _FUNCTION else 1


def _codes(table: Abbreviations) -> Codes:
    listed = table.all()
    most = max((code for code in listed if code < _MAX_CODES), default=0)
    made = Codes(zeros(most + 1), zeros(most + 1), zeros(most + 2), zeros(0))
    steps: List[int] = []
    for code in range(most + 1):
        one = listed.get(code)
        if one is not None:
            made.sorts[code], made.inner[code] = _sort(one), int(one.children)
            steps += one.steps
        made.begin[code + 1] = len(steps)
    column = zeros(max(1, len(steps)))
    for at, step in enumerate(steps):
        column[at] = step
    return made._replace(steps=column)
