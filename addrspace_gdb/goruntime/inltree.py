"""Inlined calls: the tree the compiler keeps for each function (src/runtime/symtabinl.go).

PCDATA_InlTreeIndex says which inlined call an instruction belongs to; the call's record names the function
and an instruction of the function it was inlined into, which is looked up in turn.
"""

from __future__ import annotations

import struct
from typing import Dict, List, NamedTuple, Optional, Tuple

from addrspace_gdb.goruntime.pclntab import MAGIC, NO_OFFSET, Func, FuncTable, TableError
from addrspace_gdb.target.protocol import Target

# internal/abi/symtab.go (up to Go 1.20 src/runtime/symtab.go), Go 1.19 to 1.27
PCDATA_INL_TREE_INDEX = 2
FUNCDATA_INL_TREE = 3

_MAX_CALLS = 1 << 20  # the runtime's own bound on a tree
_MAX_DEPTH = 10_000  # calls inlined in one another


class InlinedCall(NamedTuple):
    """One inlinedCall: the function that was inlined, and where (`parent_pc` is an offset from entry)."""

    func_id: int
    name_offset: int
    parent_pc: int
    start_line: int


class InlineTrees:
    """The inline trees of one module, each read once. Methods may raise UnreadableError or TableError."""

    def __init__(self, target: Target, table: FuncTable) -> None:
        self._target, self._table = target, table
        # Up to Go 1.19 a record begins with its parent's index, has file and line, and no start line.
        self._short = table.magic == MAGIC
        fields = "B3xiii" if self._short else "2xBx8xii"
        self._call = struct.Struct(("<" if target.byte_order == "little" else ">") + fields)
        self._trees: Dict[int, List[InlinedCall]] = {}

    def chain(self, func: Func, pc: int) -> List[Tuple[int, Optional[InlinedCall]]]:
        """The logical frames at the instruction `pc`, innermost first; the last is `func` itself (None).

        Each comes with the pc whose line number is the frame's.
        """
        frames: List[Tuple[int, Optional[InlinedCall]]] = []
        tree = self._tree(func)
        while tree and len(frames) < _MAX_DEPTH:
            index = self._table.pcdata(func, PCDATA_INL_TREE_INDEX, pc)
            if index < 0:
                break
            if index >= len(tree) or len(frames) > len(tree):
                raise TableError(f"the inline tree of {func.name} is damaged")
            call = tree[index]
            frames.append((pc, call))
            pc = func.entry + call.parent_pc
        frames.append((pc, None))
        return frames

    def _tree(self, func: Func) -> List[InlinedCall]:
        if len(func.funcdata) <= FUNCDATA_INL_TREE or func.funcdata[FUNCDATA_INL_TREE] == NO_OFFSET:
            return []
        tree = self._trees.get(func.entry)
        if tree is None:
            tree = self._trees[func.entry] = self._read(func, func.funcdata[FUNCDATA_INL_TREE])
        return tree

    def _read(self, func: Func, offset: int) -> List[InlinedCall]:
        """The tree has no length of its own: it reaches to the greatest index its pcdata table uses."""
        where = func.pcdata[PCDATA_INL_TREE_INDEX] if len(func.pcdata) > PCDATA_INL_TREE_INDEX else 0
        if not where:
            return []
        count = max(self._table.table(func, where)[1], default=-1) + 1
        if count > _MAX_CALLS:
            raise TableError(f"the inline tree of {func.name} is damaged: {count} calls")
        raw = self._target.read(self._table.module["gofunc"] + offset, count * self._call.size)
        calls = self._call.iter_unpack(raw)
        return [InlinedCall(*(fields if self._short else (*fields, 0))) for fields in calls]
