"""Which words of a stack frame are live pointers: the compiler's stack maps (src/runtime/stkframe.go).

Funcdata 0 and 1 have a bitmap for each state of arguments and locals, PCDATA 1 says which of them counts at a
call. Between two calls nothing is said: there, and where a signal made up a call, the collector takes every
word for a pointer that may be one, and so do we. Funcdata 2 lists variables whose address is taken; they
count if something that counts points to them (getStackMap and scanframeworker in src/runtime/mgcmark.go).
"""

from __future__ import annotations

import struct
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from addrspace_gdb.common.problems import Problems, UnreadableError
from addrspace_gdb.goruntime import funcid
from addrspace_gdb.goruntime.pclntab import NO_OFFSET, Func, FuncTable, TableError
from addrspace_gdb.goruntime.ports import PORTS
from addrspace_gdb.goruntime.symtab import Symtab
from addrspace_gdb.target.protocol import Target

CALL, INTERRUPTED, PANICKED = "call", "interrupted", "panicked"  # how a frame was left

_STACK_MAP_INDEX = 1  # PCDATA_StackMapIndex, internal/abi/symtab.go, all versions
_ARGS, _LOCALS, _OBJECTS = 0, 1, 2  # FUNCDATA_...
_UNKNOWN_ARGS = -0x80000000  # abi.ArgsSizeUnknown: assembly that is called for any function
_REFLECT = ("reflect.makeFuncStub", "reflect.methodValueCall")
_MAX_BITS = 1 << 20  # words of a frame that a map is for
_MAX_OBJECTS = 1 << 12
_DAMAGE = (UnreadableError, TableError, struct.error, KeyError, IndexError)
# internal/abi/abi_*.go: integer and floating-point argument registers; abi.RegArgs keeps them in this order,
# then the pointers among the integers, then a bit for each.
_REG_ARGS = {
    "amd64": (9, 15),
    "arm64": (16, 16),
    "ppc64": (12, 12),
    "ppc64le": (12, 12),
    "riscv64": (16, 16),
    "loong64": (16, 16),
}


class StackObject(NamedTuple):
    """A variable of a frame whose address is taken. Offsets are bytes: its own from the frame's sp, those of
    its pointers from its beginning."""

    offset: int
    size: int
    pointers: Tuple[int, ...]


class FrameMap(NamedTuple):
    """What of a frame the collector scans; offsets from the frame's sp, in bytes."""

    pointers: Tuple[int, ...] = ()
    objects: Tuple[StackObject, ...] = ()
    ranges: Tuple[Tuple[int, int], ...] = ()  # every word of them may be a pointer
    reflect: int = -1  # where the arguments begin of a call whose own record says what they are


class StackMaps:
    """The maps of all functions. What is damaged is taken for a frame that says nothing, and told."""

    def __init__(self, target: Target, tables: Symtab, problems: Problems) -> None:
        self._target, self._tables, self._problems = target, tables, problems
        self._word = target.pointer_size
        self._order = "<" if target.byte_order == "little" else ">"
        self._port = PORTS[target.arch]
        self._known: Dict[Tuple[int, str], FrameMap] = {}
        self._bits: Dict[Tuple[int, int], Tuple[int, ...]] = {}
        self._listed: Dict[int, Tuple[Tuple[int, int, Tuple[int, ...]], ...]] = {}
        self.conservative = 0  # frames so far, of which every word counts

    def frame(self, pc: int, size: int, how: str) -> FrameMap:
        """The map of the frame at `pc`; `size` is its bytes with a return address that the call pushed."""
        found = self._known.get((pc, how))
        if found is None:
            try:
                found = self._make(pc, size, how)
            except _DAMAGE as error:
                self._problems.add(f"stack maps at {pc:#x}: {error}; every word counts as a pointer")
                found = self._all(size, 0)
            self._known[pc, how] = found
        return found

    def _make(self, pc: int, size: int, how: str) -> FrameMap:
        func, table = self._tables.find(pc), self._tables.table_of(pc)
        if func is None or table is None:
            return self._all(size, 0)
        arguments = size + self._port.arguments
        locals_end = self._locals_end(size)
        known = func.args if func.args != _UNKNOWN_ARGS else 0
        if how == INTERRUPTED or self._tables.kind(func.func_id) in ("asyncPreempt", "debugCallV2"):
            return self._all(locals_end, arguments, known)
        at = _counted(func, pc, how)
        if at is None:
            return FrameMap()
        state = max(0, table.pcdata(func, _STACK_MAP_INDEX, at - 1)) if at != func.entry else 0
        pointers = list(self._of_locals(table, func, state, locals_end))
        reflect = arguments if func.args == _UNKNOWN_ARGS and func.name in _REFLECT else -1
        if known // self._word > 0:
            bits = self._map(self._funcdata(table, func, _ARGS), state)
            pointers += [arguments + self._word * bit for bit in bits if bit < known // self._word]
        objects = self._reg_args(locals_end) if reflect >= 0 else self._objects(table, func, size, locals_end)
        return FrameMap(tuple(pointers), objects, (), reflect)

    def _all(self, end: int, arguments: int, size: int = 0) -> FrameMap:
        ranges = [(0, end), (arguments, arguments + size)]
        return FrameMap((), (), tuple(one for one in ranges if one[0] < one[1]))

    def _locals_end(self, size: int) -> int:
        """stkframe.varp, less sp."""
        end = size - (0 if self._port.link else self._word)
        return end - self._word if end > 0 and self._port.keeps_fp else end

    def _of_locals(self, table: FuncTable, func: Func, state: int, end: int) -> List[int]:
        least = 16 if self._target.arch == "arm64" else self._port.arguments
        if end <= least:
            return []
        where = self._funcdata(table, func, _LOCALS)
        count, width = self._head(where)
        if count <= 0:
            raise TableError(f"{func.name} has locals without a map")
        if not width:
            return []
        begin = end - width * self._word
        return [begin + self._word * bit for bit in self._map(where, state)]

    @staticmethod
    def _funcdata(table: FuncTable, func: Func, number: int) -> int:
        """Its address, 0 for none."""
        offset = func.funcdata[number] if number < len(func.funcdata) else NO_OFFSET
        return table.module["gofunc"] + offset if offset != NO_OFFSET else 0

    def _head(self, where: int) -> Tuple[int, int]:
        """stackmap: how many bitmaps, and the bits of each."""
        if not where:
            return 0, 0
        count, width = struct.unpack(self._order + "ii", self._target.read(where, 8))
        if not 0 <= width <= _MAX_BITS:
            raise TableError(f"a stack map of {width} bits")
        return count, width

    def _map(self, where: int, state: int) -> Tuple[int, ...]:
        """The bits that are set in that bitmap. TableError if there is no such one."""
        found = self._bits.get((where, state))
        if found is None:
            count, width = self._head(where)
            if not 0 <= state < count:
                raise TableError(f"stack map {state} of {count}")
            size = (width + 7) // 8
            raw = self._target.read(where + 8 + size * state, size) if size else b""
            found = self._bits[where, state] = set_bits(raw, width)
        return found

    def _objects(self, table: FuncTable, func: Func, size: int, end: int) -> Tuple[StackObject, ...]:
        """Those of the function: offsets below 0 are from the end of the locals, others from arguments."""
        where = self._funcdata(table, func, _OBJECTS)
        if not where:
            return ()
        if where not in self._listed:
            self._listed[where] = tuple(self._records(table, where))
        arguments = size + self._port.arguments
        placed = (
            (end + off if off < 0 else arguments + off, bytes_, words)
            for off, bytes_, words in self._listed[where]
        )
        return tuple(StackObject(*one) for one in placed if one[0] >= 0)

    def _records(self, table: FuncTable, where: int) -> List[Tuple[int, int, Tuple[int, ...]]]:
        """stackObjectRecord: offset, size, bytes with pointers, and where their mask is. Up to Go 1.23 a very
        large one has a program instead, and then every word counts."""
        order, word = self._order, self._word
        (count,) = struct.unpack(order + ("Q" if word == 8 else "I"), self._target.read(where, word))
        if count > _MAX_OBJECTS:
            raise TableError(f"{count} stack objects")
        found = []
        for off, size, covered, mask in struct.iter_unpack(
            order + "iiiI", self._target.read(where + word, 16 * count)
        ):
            words = abs(covered) // word
            if words > _MAX_BITS or size < 0:
                raise TableError(f"a stack object of {size} bytes")
            if covered < 0:
                bits = tuple(range(words))
            else:
                raw = self._target.read(table.module["rodata"] + mask, (words + 7) // 8) if words else b""
                bits = set_bits(raw, words)
            found.append((off, size, tuple(word * bit for bit in bits)))
        return found

    def _reg_args(self, end: int) -> Tuple[StackObject, ...]:
        """methodValueCallFrameObjs: the abi.RegArgs at the top of the frame of a stub of reflect's."""
        counts = _REG_ARGS.get(self._target.arch)
        if counts is None:
            return ()
        ints, floats = counts
        first = 8 * (ints + floats)
        size = -(-(first + 8 * ints + (ints + 7) // 8) // 8) * 8
        return (StackObject(end - size, size, tuple(first + 8 * at for at in range(ints))),)

    def reflect_arguments(self, word_at: Callable[[int], int], sp: int, at: int) -> List[int]:
        """Addresses of the pointers among the arguments, from `at` on, of a frame of such a stub: its record
        (reflectMethodValue) says which there are. `word_at` reads a word of the stack. UnreadableError."""
        word = self._word
        first = sp + self._port.arguments
        record = word_at(first)
        if not record:
            return []
        form = self._order + ("QQQ" if word == 8 else "III")
        _, bits, size = struct.unpack(form, self._target.read(record, 3 * word))
        vector = self._target.read(bits, 2 * word)  # bitvector: a count of 4 bytes, and a pointer
        (count,), (mask,) = (
            struct.unpack(self._order + "i", vector[:4]),
            struct.unpack(form[:2], vector[word:]),
        )
        if not word_at(first + 4 * word) & 0xFF:  # the results are not there yet
            count = min(count, size // word)
        if not 0 < count <= _MAX_BITS:
            return []
        return [at + word * bit for bit in set_bits(self._target.read(mask, (count + 7) // 8), count)]


def _counted(func: Func, pc: int, how: str) -> Optional[int]:
    """stkframe.continpc: where the function goes on; None if it never does."""
    if how != PANICKED:
        return pc
    return func.entry + func.deferreturn + 1 if func.deferreturn else None


def set_bits(raw: bytes, count: int) -> Tuple[int, ...]:
    """The numbers below `count` of the bits that are set, the lowest of each byte first."""
    number = int.from_bytes(raw, "little") & ((1 << count) - 1)
    found = []
    while number:
        low = number & -number
        found.append(low.bit_length() - 1)
        number ^= low
    return tuple(found)


def left_by(callee: str, first: bool, trap: bool) -> str:
    """How a frame was left: `callee` is the kind of the function that it called (funcid), `first`: it called
    none, and `trap`: it was interrupted."""
    if first:
        return INTERRUPTED if trap else CALL
    if callee == "sigpanic":
        return PANICKED
    return INTERRUPTED if funcid.is_injected(callee) else CALL
