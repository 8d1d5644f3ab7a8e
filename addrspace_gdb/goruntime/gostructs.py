"""Pointers of structs of Go's own packages that hide behind unsafe.Pointer what they lead to."""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

from addrspace_gdb.goruntime.shape import DYNAMIC, FUNCTION, MANY, ONE, UNKNOWN, Pointer, Shape, named_parts
from addrspace_gdb.goruntime.typeshapes import Shapes

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
        self._put(
            local,
            "sync.poolLocal",
            _LOCAL,
            [Pointer(word, DYNAMIC), Pointer(2 * word, ONE, link), Pointer(3 * word, ONE, link)],
            [(0, ".private"), (2 * word, ".shared.head"), (3 * word, ".shared.tail")],
        )
        self._put(
            link,
            "sync.poolChainElt",
            end,
            [Pointer(8, MANY, item), Pointer(8 + 3 * word, ONE, link), Pointer(8 + 4 * word, ONE, link)],
            [(0, ".headTail"), (8, ".vals"), (8 + 3 * word, ".next"), (8 + 4 * word, ".prev")],
        )
        pointers = [Pointer(0, UNKNOWN), Pointer(word, DYNAMIC)]
        self._put(item, "sync.eface", 2 * word, pointers, [(0, ".typ"), (word, ".val")])
        return local

    def _put(
        self, number: int, name: str, size: int, pointers: Sequence[Pointer], parts: Sequence[Tuple[int, str]]
    ) -> None:
        made = Shape(name, "struct", "sync", size, size, pointers)
        self._shapes.put(number, made, named_parts(parts))
