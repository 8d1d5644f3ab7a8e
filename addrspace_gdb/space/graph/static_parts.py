"""What parts of variables of packages are called, and of what they lead to in data."""

from __future__ import annotations

from typing import Dict, Optional, Sequence

from addrspace_gdb.goruntime.typeshapes import Shape
from addrspace_gdb.space.graph.parts import Parts
from addrspace_gdb.space.graph.statics import Visit


class StaticParts:
    """Names them, as far as types are known."""

    def __init__(self, visits: Sequence[Visit], shapes: Sequence[Shape], parts: Parts) -> None:
        """`visits`: the values that are known to be in data."""
        self._shapes, self._parts = shapes, parts
        self._at: Dict[int, Visit] = {}
        for one in visits:
            known = self._at.get(one.address)
            if known is None or self._size(one) > self._size(known):
                self._at[one.address] = one

    def _size(self, visit: Visit) -> int:
        return self._shapes[visit.shape].size * visit.many

    def field(self, start: int, offset: int) -> Optional[str]:
        """The part so many bytes from where a value begins: ".list[2]"; None where that is not known."""
        visit = self._at.get(start)
        if visit is None or not 0 <= offset < self._size(visit):
            return None
        return self._parts.part(visit.shape, visit.many > 1, offset).field
