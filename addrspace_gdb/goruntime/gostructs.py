"""Pointers of structs of Go's own packages that hide behind unsafe.Pointer what they lead to."""

from __future__ import annotations

from typing import Optional, Sequence

from addrspace_gdb.goruntime.typeshapes import (
    DYNAMIC,
    FUNCTION,
    MANY,
    ONE,
    UNKNOWN,
    Pointer,
    Shape,
    Shapes,
)

# An interface as they take it apart: the type or itab, and behind it the value.
_INTERFACES = {
    "sync.eface": "sync",
    "runtime.eface": "runtime",
    "runtime.iface": "runtime",
    "abi.EmptyInterface": "internal/abi",
    "abi.NonEmptyInterface": "internal/abi",
}
_LOCAL = 128  # bytes of a poolLocal


class GoStructs:
    """Knows those for one table of shapes."""

    def __init__(self, shapes: Shapes, word: int) -> None:
        self._shapes, self._word = shapes, word
        self._local: Optional[int] = None

    def pointers(self, name: str, package: Optional[str], size: int) -> Optional[Sequence[Pointer]]:
        """Of a value of that type; None: it is none of those."""
        word = self._word
        if _INTERFACES.get(name, "") == package and size == 2 * word:
            return [Pointer(0, UNKNOWN), Pointer(word, DYNAMIC)]
        if name == "sync.Pool" and package == "sync" and size == 5 * word:
            return self._of_pool()
        return None

    def _of_pool(self) -> Sequence[Pointer]:
        """src/sync/pool.go: local, localSize, victim, victimSize, New."""
        if self._local is None:
            self._local = self._made_local()
        word, local = self._word, self._local
        return [Pointer(0, MANY, local), Pointer(2 * word, MANY, local), Pointer(4 * word, ONE, FUNCTION)]

    def _made_local(self) -> int:
        """poolLocal of src/sync/pool.go, and what src/sync/poolqueue.go makes its chains of."""
        word, shapes = self._word, self._shapes
        local, link, item = shapes.reserve(), shapes.reserve(), shapes.reserve()
        end = -(-(8 + 5 * word) // 8) * 8
        of_local = [(word, DYNAMIC), (2 * word, ONE, link), (3 * word, ONE, link)]
        of_link = [(8, MANY, item), (8 + 3 * word, ONE, link), (8 + 4 * word, ONE, link)]
        made = (
            (local, "sync.poolLocal", _LOCAL, of_local),
            (link, "sync.poolChainElt", end, of_link),
            (item, "sync.eface", 2 * word, [(0, UNKNOWN), (word, DYNAMIC)]),
        )
        for number, name, size, pointers in made:
            found = [Pointer(*one) for one in pointers]
            shapes.put(number, Shape(name, "struct", "sync", size, size, found))
        return local
