"""The function table: pclntab as the linker writes it and findfunc reads it (src/runtime/symtab.go).

The format is that of Go 1.20 and later (magic 0xfffffff1, internal/abi/symtab.go), the same for every
release since, and that of Go 1.18 and 1.19 (0xfffffff0), which lacks start lines. Tables are read in small
pieces when something asks for them, and decoded once.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left, bisect_right
from typing import Dict, List, NamedTuple, Optional, Tuple

from addrspace_gdb.common.escape import decoded
from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.moduledata import Module
from addrspace_gdb.target.protocol import Target

MAGIC = 0xFFFFFFF1  # Go 1.20 and later
_MAGIC_1_18 = 0xFFFFFFF0  # Go 1.18 and 1.19: a _func has no start line
MAGICS = (MAGIC, _MAGIC_1_18)
NO_OFFSET = 0xFFFFFFFF

_CHUNK = 1 << 14
_MAX_FUNCTIONS = 1 << 24
_MAX_NAME = 1 << 16  # bytes
_MAX_TABLE = 1 << 22  # bytes of one pc-value table

# internal/abi/symtab.go, FuncFlag
TOP_FRAME, SP_WRITE, ASSEMBLY = 1, 2, 4


class TableError(Exception):
    """The function table is damaged; the message says where."""


class Window:
    """A byte range of the target, read in chunks as they are needed and kept."""

    def __init__(self, target: Target, address: int, length: int) -> None:
        self._target, self.address, self.length = target, address, max(0, length)
        self._chunks: Dict[int, bytes] = {}

    def _chunk(self, number: int) -> bytes:
        chunk = self._chunks.get(number)
        if chunk is None:
            start = number * _CHUNK
            chunk = self._target.read(self.address + start, min(_CHUNK, self.length - start))
            self._chunks[number] = chunk
        return chunk

    def prefix(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`, fewer at the end. Raises UnreadableError, TableError."""
        if not 0 <= offset < self.length:
            raise TableError(f"offset {offset} is outside the table at {self.address:#x}")
        size = min(size, self.length - offset)
        first, last = offset // _CHUNK, (offset + size - 1) // _CHUNK
        at = offset - first * _CHUNK
        if first == last:
            return self._chunk(first)[at : at + size]
        return b"".join(self._chunk(n) for n in range(first, last + 1))[at : at + size]

    def bytes(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes from `offset`. Raises UnreadableError, TableError."""
        data = self.prefix(offset, size)
        if len(data) != size:
            raise TableError(f"offset {offset} is outside the table at {self.address:#x}")
        return data

    def text(self, offset: int) -> str:
        """The NUL-terminated string at `offset`. Raises UnreadableError, TableError."""
        size = 128
        while size <= _MAX_NAME:
            data = self.prefix(offset, size)
            end = data.find(b"\0")
            if end >= 0:
                return decoded(data[:end])
            if len(data) < size:
                break
            size *= 8
        raise TableError(f"the name at offset {offset} of the table at {self.address:#x} does not end")


class Func(NamedTuple):
    """One _func (src/runtime/runtime2.go): a function in the text, with its addresses resolved."""

    entry: int
    end: int  # where the next function starts; padding belongs to this one, as in findfunc
    name: str  # as the linker knows it: `main.Map[go.shape.int]`
    args: int  # bytes of stack arguments and results; -0x80000000 if not known
    deferreturn: int  # offset from entry of a call to deferreturn, 0 if none
    pcsp: int
    pcfile: int
    pcln: int
    cu_offset: int
    start_line: int
    func_id: int
    flags: int  # TOP_FRAME | SP_WRITE | ASSEMBLY
    pcdata: Tuple[int, ...]
    funcdata: Tuple[int, ...]


class FuncTable:
    """The functions of one module. Every method may raise UnreadableError or TableError."""

    def __init__(self, target: Target, module: Module) -> None:
        self._order = "<" if target.byte_order == "little" else ">"
        self._target, self.module = target, module
        self.magic, self._quantum = self._check_header()
        # entryOff nameOff args deferreturn pcsp pcfile pcln npcdata cuOffset [startLine]
        # funcID flag _ nfuncdata
        self._func = struct.Struct(
            self._order + ("IiiIIIIIIiBBxB" if self.magic == MAGIC else "IiiIIIIIIBBxB")
        )
        self._names = Window(target, *module.slice("funcnametab"))
        self._files = Window(target, *module.slice("filetab"))
        self._pctab = Window(target, *module.slice("pctab"))
        self._funcs = Window(target, *module.slice("pclntable"))
        units = module.slice("cutab")
        self._units = Window(target, units.address, units.length * 4)
        self._entries, self._offsets = self._load_ftab()
        self._decoded: Dict[int, Func] = {}
        self._tables: Dict[Tuple[int, int], Tuple[List[int], List[int]]] = {}

    def _check_header(self) -> Tuple[int, int]:
        """pcHeader: magic, two pad bytes, minLC, ptrSize. Its other fields repeat moduledata's slices
        (and textStart, which Go 1.26 no longer fills in). Returns the magic and minLC, the unit of pc deltas.
        """
        try:
            raw = self._target.read(self.module["pcHeader"], 8)
        except UnreadableError as error:
            raise TableError(f"functions have no names without the program's file: {error}") from None
        magic, pad, quantum, pointer = struct.unpack(self._order + "IHBB", raw)
        if magic not in MAGICS or pad or quantum not in (1, 2, 4) or pointer != self._target.pointer_size:
            raise TableError(
                f"pclntab at {self.module['pcHeader']:#x} has an unknown header (magic {magic:#x})"
            )
        return int(magic), int(quantum)

    def _load_ftab(self) -> Tuple[array[int], array[int]]:
        """ftab: pairs of uint32 (entry offset from text, offset of the _func in pclntable), then the end."""
        where = self.module.slice("ftab")
        if not 1 < where.length <= _MAX_FUNCTIONS or where.length * 8 > self._funcs.length + 8:
            raise TableError(f"ftab at {where.address:#x} has an impossible length {where.length}")
        pairs = array("I", self._target.read(where.address, where.length * 8 - 4))
        if (self._order == "<") != (sys.byteorder == "little"):
            pairs.byteswap()
        return pairs[0::2], pairs[1::2]

    def __len__(self) -> int:
        """How many functions the module has."""
        return len(self._offsets)

    def text_address(self, offset: int) -> int:
        """textAddr: the address of an offset from moduledata.text."""
        sections = self.module.text_sections
        for number, section in enumerate(sections):
            inside = section.start <= offset < section.end
            if inside or (number == len(sections) - 1 and offset == section.end):
                return section.address + offset - section.start
        return self.module["text"] + offset

    def text_offset(self, pc: int) -> Optional[int]:
        """textOff: the inverse of `text_address`; None for an address in no text section."""
        sections = self.module.text_sections
        if not sections:
            return pc - self.module["text"]
        for section in sections:
            if section.address <= pc < section.address + (section.end - section.start):
                return pc - section.address + section.start
        return None

    def find(self, pc: int) -> Optional[Func]:
        """findfunc: the function whose text, padding included, holds `pc`."""
        offset = self.text_offset(pc)
        if offset is None:
            return None
        index = bisect_right(self._entries, offset) - 1
        if not 0 <= index < len(self._offsets):
            return None
        return self.function(index)

    def function(self, index: int) -> Func:
        """The `index`th function in address order."""
        func = self._decoded.get(index)
        if func is None:
            func = self._decoded[index] = self._decode(index)
        return func

    def _decode(self, index: int) -> Func:
        at = self._offsets[index]
        fields = self._func.unpack(self._funcs.bytes(at, self._func.size))
        _, name, args, deferreturn, pcsp, pcfile, pcln, npcdata, unit, *more = fields
        line, func_id, flags, nfuncdata = more if self.magic == MAGIC else (0, *more)
        if npcdata > 255:
            raise TableError(f"the function at offset {at} of pclntab has {npcdata} pcdata tables")
        count = npcdata + nfuncdata
        data = (
            struct.unpack(f"{self._order}{count}I", self._funcs.bytes(at + self._func.size, count * 4))
            if count
            else ()
        )
        return Func(
            entry=self.text_address(self._entries[index]),
            end=self.text_address(self._entries[index + 1]),
            name=self.name_at(name),
            args=args,
            deferreturn=deferreturn,
            pcsp=pcsp,
            pcfile=pcfile,
            pcln=pcln,
            cu_offset=unit,
            start_line=line,
            func_id=func_id,
            flags=flags,
            pcdata=data[:npcdata],
            funcdata=data[npcdata:],
        )

    def named(self, prefix: str) -> Dict[str, List[int]]:
        """Indexes of the functions whose name begins with `prefix`, by the rest of the name.

        A function and its wrapper for another calling convention have one name.
        """
        names = self._target.read(*self.module.slice("funcnametab"))
        raw = memoryview(self._target.read(*self.module.slice("pclntable")))
        words = array("I", raw[: len(raw) // 4 * 4].tobytes())
        if (self._order == "<") != (sys.byteorder == "little"):
            words.byteswap()
        wanted, size = prefix.encode(), len(prefix)
        found: Dict[str, List[int]] = {}
        for index, offset in enumerate(self._offsets):
            at = offset // 4 + 1  # the name's offset is the second word of a _func
            if at < len(words) and names[words[at] : words[at] + size] == wanted:
                end = names.find(b"\0", words[at])
                found.setdefault(decoded(names[words[at] + size : end]), []).append(index)
        return found

    def called(self, name: str) -> List[int]:
        """Indexes of the functions of that name, a wrapper for another calling convention among them."""
        names = self._target.read(*self.module.slice("funcnametab"))
        at = names.find(b"\0" + name.encode() + b"\0") + 1
        if not at:
            return []
        raw = self._target.read(*self.module.slice("pclntable"))
        wanted, found = struct.pack(self._order + "I", at), []
        place = raw.find(wanted)
        while place >= 0:
            index = bisect_left(self._offsets, place - 4)  # the second word of a _func
            if index < len(self._offsets) and self._offsets[index] == place - 4:
                found.append(index)
            place = raw.find(wanted, place + 1)
        return found

    def name_at(self, offset: int) -> str:
        """The string at `offset` of funcnametab (the runtime's funcName has none for the first, at 0)."""
        return self._names.text(offset)

    def value(self, func: Func, table: int, pc: int) -> int:
        """pcvalue: what the table at offset `table` of pctab says for `pc` in `func`; -1 for nothing."""
        if not table:
            return -1
        ends, values = self.table(func, table)
        index = bisect_right(ends, pc - func.entry)
        return values[index] if index < len(ends) else -1

    def pcdata(self, func: Func, number: int, pc: int) -> int:
        """pcdatavalue: the `number`th pcdata of `func` at `pc`; -1 for nothing."""
        return self.value(func, func.pcdata[number], pc) if number < len(func.pcdata) else -1

    def table(self, func: Func, table: int) -> Tuple[List[int], List[int]]:
        """A whole pc-value table: where each value ends, as an offset from entry, and the values."""
        key = (table, func.end - func.entry)
        found = self._tables.get(key)
        if found is None:
            found = self._tables[key] = self._decode_table(*key)
        return found

    def _decode_table(self, table: int, size: int) -> Tuple[List[int], List[int]]:
        length = 256
        while length <= _MAX_TABLE:
            data = self._pctab.prefix(table, length)
            found = decode_pc_values(data, self._quantum, size)
            if found is not None:
                return found
            if len(data) < length:
                break
            length *= 8
        raise TableError(f"the table at offset {table} of pctab does not end")

    def file_line(self, func: Func, pc: int) -> Tuple[str, int]:
        """funcline1: source position of the instruction at `pc`; ("?", 0) if the table has none."""
        number, line = self.value(func, func.pcfile, pc), self.value(func, func.pcln, pc)
        if number < 0 or line == -1:
            return "?", 0
        (offset,) = struct.unpack(self._order + "I", self._units.bytes((func.cu_offset + number) * 4, 4))
        return ("?" if offset == NO_OFFSET else self._files.text(offset)), line


def decode_pc_values(data: bytes, quantum: int, size: int) -> Optional[Tuple[List[int], List[int]]]:
    """Decode (value delta, pc delta) varint pairs until the end mark or past `size` bytes of text.

    Value deltas are zig-zag; pc deltas count `quantum` bytes (src/runtime/symtab.go, step). None if
    `data` ends first.
    """
    ends: List[int] = []
    values: List[int] = []
    at, pc, value = 0, 0, -1
    try:
        while pc < size or not pc:
            delta = data[at]
            at += 1
            if delta & 0x80:
                delta, at = _varint(data, at - 1)
            if not delta and pc:
                break
            value += -(delta >> 1) - 1 if delta & 1 else delta >> 1
            delta = data[at]
            at += 1
            if delta & 0x80:
                delta, at = _varint(data, at - 1)
            pc += delta * quantum
            ends.append(pc)
            values.append(value)
    except IndexError:
        return None
    return ends, values


def _varint(data: bytes, at: int) -> Tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return result & 0xFFFFFFFF, at
        shift = (shift + 7) & 31
