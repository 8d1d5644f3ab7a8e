"""Go's types as debug information has them, and variables of packages (src/cmd/link/internal/ld/dwarf.go).

A type of which the program has a descriptor names it; of the others only debug information knows what they
consist of.
"""

from __future__ import annotations

from typing import Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.process.dwarf.gonames import TypeNames, package_of
from addrspace_gdb.process.dwarf.sections import DamagedError
from addrspace_gdb.process.dwarf.units import NAME, Entry, Info

_LOCATION, _TYPE, _SIZE, _COUNT, _MEMBER_AT = 0x02, 0x49, 0x0B, 0x37, 0x38  # DW_AT_*
_GO_KIND, _GO_ELEMENT, _GO_RUNTIME_TYPE = 0x2900, 0x2902, 0x2904
CLOSURE_OFFSET = 0x2907  # DW_AT_go_closure_offset, since Go 1.23
_TAG_ARRAY, _TAG_MEMBER, _TAG_POINTER, _TAG_STRUCT, _TAG_TYPEDEF = 0x01, 0x0D, 0x0F, 0x13, 0x16  # DW_TAG_*
_TAG_SUBRANGE = 0x21
_OP_ADDR = 3
# Those of internal/abi.Kind that have pointers, from 17 on.
_POINTED = ("array", "chan", "func", "interface", "map", "pointer", "slice", "string", "struct")
_KINDS = dict(enumerate((*_POINTED, "unsafe pointer"), 17))
_WORDS = {"chan": 1, "func": 1, "interface": 2, "map": 1, "pointer": 1, "unsafe pointer": 1}
_MAX_DEPTH = 64  # names of one type
_MAX_MEMBERS = 1 << 12
_MAX_TYPES = 1 << 20
_MAX_SIZE = 1 << 40  # bytes of a type
_MAX_CAPTURED = 1 << 16  # bytes of a closure


class Variable(NamedTuple):
    """A variable of a package: its address in the file, and the place of its type among those told."""

    name: str
    address: int
    type: int


class GoType(NamedTuple):
    """A type. `parts` are its fields, or what it leads to: offsets, places among those told, and names.

    The name is as reflect.Type.String has it. `descriptor` is where the program has its descriptor, counted
    from moduledata.types; 0: it has none.
    """

    name: str
    kind: str  # "" for what has no pointers
    size: int
    descriptor: int
    elements: int = 0  # of an array
    parts: Sequence[Tuple[int, int, str]] = ()
    package: str = ""  # path of the package of a named type


class GoTypes:
    """Types by the offset of their entries, each with those that it consists of or leads to."""

    def __init__(self, info: Info) -> None:
        self._info = info
        self.all: List[GoType] = []
        self._places: Dict[int, int] = {}
        self._pending: List[Tuple[int, int]] = []

    def variables(self, entries: Iterable[Entry]) -> Iterator[Variable]:
        """Those that have an address; their types are told when `finish` was called. DamagedError."""
        for entry in entries:
            address, offset = _address(entry), entry.number(_TYPE)
            name = entry.unit.text(entry, NAME)
            if address and offset is not None and name:
                yield Variable(name.decode("utf-8", "replace"), address, self._place(offset))

    def captured(self, entry: Entry) -> Optional[Tuple[int, int, str]]:
        """Where in its closure a variable lies that is captured, the place of its type, and its name."""
        at, offset = entry.number(CLOSURE_OFFSET), entry.number(_TYPE)
        if not at or at >= _MAX_CAPTURED or offset is None:
            return None
        return at, self._place(offset), _name(entry)

    def _place(self, offset: int) -> int:
        place = self._places.get(offset)
        if place is None:
            if len(self.all) >= _MAX_TYPES:
                raise DamagedError("there are too many types")
            place = self._places[offset] = len(self.all)
            self.all.append(GoType("", "", 0, 0))
            self._pending.append((place, offset))
        return place

    def finish(self, packages: Mapping[str, str]) -> None:
        """Read all that others lead to. What is damaged has no pointers. `packages`: their names by path."""
        while self._pending:
            place, offset = self._pending.pop()
            try:
                self.all[place] = self._read(offset)
            except DamagedError:
                continue
        names = TypeNames(packages)
        self.all = [
            one._replace(name=names.short(one.name), package=package_of(one.name) or "") for one in self.all
        ]

    def _read(self, offset: int) -> GoType:
        entry = self._info.at(offset)
        for _ in range(_MAX_DEPTH):
            inner = entry.number(_TYPE)
            if entry.tag != _TAG_TYPEDEF or _GO_KIND in entry.values or inner is None:
                break
            entry = self._info.at(inner)
        name = _name(entry)
        kind, word = _kind(entry), entry.unit.sizes.address
        size, descriptor = entry.number(_SIZE), entry.number(_GO_RUNTIME_TYPE) or 0
        found = GoType(name, kind, _WORDS.get(kind, 0) * word if size is None else size, descriptor)
        if not 0 <= found.size < _MAX_SIZE or descriptor >> 64:
            return GoType(name, "", 0, 0)
        if descriptor:
            return found  # which says all
        return found._replace(
            parts=self._parts(entry, kind), elements=_count(entry) if kind == "array" else 0
        )

    def _parts(self, entry: Entry, kind: str) -> Sequence[Tuple[int, int, str]]:
        if kind == "struct":
            return [(at, self._place(type_), name) for at, type_, name in _members(entry) if at < _MAX_SIZE]
        inner = entry.number(_GO_ELEMENT if kind == "slice" else _TYPE)
        wanted = kind in ("array", "pointer", "slice") and inner is not None
        return [(0, self._place(inner), "")] if wanted and inner is not None else ()


def _name(entry: Entry) -> str:
    return (entry.unit.text(entry, NAME) or b"").decode("utf-8", "replace")


def _kind(entry: Entry) -> str:
    kind = entry.number(_GO_KIND)
    if kind is not None:
        return _KINDS.get(kind & 31, "")
    if entry.tag == _TAG_POINTER:
        return "pointer" if _TYPE in entry.values else "unsafe pointer"
    return {_TAG_STRUCT: "struct", _TAG_ARRAY: "array"}.get(entry.tag, "")


def _members(entry: Entry) -> Iterator[Tuple[int, int, str]]:
    """Where each field begins, the entry of its type, and its name."""
    at = entry.end
    for _ in range(_MAX_MEMBERS):
        member = entry.unit.entry(at)
        if member is None:
            return
        at = member.end
        offset, type_ = member.number(_MEMBER_AT), member.number(_TYPE)
        if member.tag == _TAG_MEMBER and offset is not None and type_ is not None:
            yield offset, type_, _name(member)


def _count(array: Entry) -> int:
    inner = array.unit.entry(array.end)
    if inner is None or inner.tag != _TAG_SUBRANGE:
        return 0
    return max(0, inner.number(_COUNT) or 0)


def _address(variable: Entry) -> Optional[int]:
    """DW_OP_addr and nothing else."""
    place, size = variable.values.get(_LOCATION, (0, b""))[1], variable.unit.sizes.address
    if not isinstance(place, bytes) or len(place) != size + 1 or place[0] != _OP_ADDR:
        return None
    return variable.unit.info.number(place, 1, size)
