"""What variables of packages are called, and what lies in data without a name: `&T{...}` of a package does and
is called as Go would get to it, by the variable that points to it."""

from __future__ import annotations

from bisect import bisect_right
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.goruntime.typeshapes import Shape
from addrspace_gdb.space.graph.parts import Parts
from addrspace_gdb.space.graph.statics import Visit

_MAX_DEPTH = 8  # pointers from a variable on


class Named(NamedTuple):
    """A variable, or what one leads to; `field` is the part that was asked for, None where that is not
    known."""

    start: int
    name: str
    field: Optional[str]


class StaticNames:
    """Names addresses in data and bss, as far as types tell."""

    def __init__(
        self, visits: Dict[Visit, int], names: Dict[int, str], shapes: Sequence[Shape], parts: Parts
    ) -> None:
        """`visits`: values, and where the pointer is that leads there (0: they are variables); `names` of
        variables by address."""
        self._names, self._shapes, self._parts = names, shapes, parts
        self._starts: List[int] = []
        self._places: List[Tuple[Visit, int]] = []
        end = 0
        for visit, led in sorted(visits.items(), key=lambda one: (one[0].address, -self._end(one[0]))):
            if self._end(visit) > end:  # others are parts of one before
                self._starts.append(visit.address)
                self._places.append((visit, led))
                end = self._end(visit)

    def _end(self, visit: Visit) -> int:
        return visit.address + self._shapes[visit.shape].size * visit.many

    def find(self, address: int, depth: int = 0) -> Optional[Named]:
        """What lies at an address; None where that is not known."""
        at = bisect_right(self._starts, address) - 1
        if at < 0 or depth > _MAX_DEPTH or address >= self._end(self._places[at][0]):
            return None
        visit, led = self._places[at]
        name = self._names.get(visit.address) if not led else self._path(led, depth + 1)
        if name is None:
            return None
        several = visit.many > 1
        field = self._parts.part(visit.shape, several, address - visit.address).field
        return Named(visit.address, name, field)

    def _path(self, address: int, depth: int) -> Optional[str]:
        """How Go would call the pointer there, and with that what it leads to."""
        found = self.find(address, depth)
        return f"{found.name}{found.field}" if found is not None and found.field is not None else None
