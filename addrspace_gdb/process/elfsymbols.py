"""Addresses of variables and functions from an ELF file's own symbol tables (gABI, Symbol Table).

A debugger that is asked for one variable of Go's runtime first reads all debug information of that package,
more than 50 ms; looking the name up in the file takes one.
"""

from __future__ import annotations

import os
import re
import sys
from array import array
from bisect import bisect_left, bisect_right
from functools import lru_cache
from typing import IO, List, NamedTuple, Optional, Tuple

from addrspace_gdb.common.escape import decoded
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.process.elf_structs import (
    ET_EXEC,
    IDENT,
    PT_LOAD,
    SHT_DYNSYM,
    SHT_SYMTAB,
    FileHeader,
    Structs,
    structs_by_ident,
    whole,
)
from addrspace_gdb.process.regular import open_regular

PAGE = 4096  # bytes of the file's beginning that tell builds apart: headers, and Go's build id
_MAX_TABLE = 1 << 30  # bytes of a table
_MAX_HEADERS = 1 << 16  # headers
_HOLDERS = (0, 1, 2)  # STT_NOTYPE, STT_OBJECT, STT_FUNC: symbols that name an address


class SymbolPlace(NamedTuple):
    """Where a symbol is, and its bytes."""

    address: int
    size: int


class ElfSymbols:
    """The symbols of one file."""

    def __init__(self, beginning: bytes, start: int, symbols: bytes, names: bytes, structs: Structs) -> None:
        self.beginning = beginning  # the file's first bytes, which lie at `start`
        self.start = start
        self._symbols, self._names = symbols, names
        self._structs = structs
        size = structs.symbol.size
        column = array("I", symbols[: len(symbols) // size * size])
        if (structs.order == "<") != (sys.byteorder == "little"):
            column.byteswap()
        self._column = column[:: size // 4]  # st_name comes first in both classes
        self._order: Optional[Tuple[array[int], List[Tuple[int, int, int]]]] = None

    def find(self, name: str) -> Optional[SymbolPlace]:
        """The variable or function of that name; None if the table lacks it or has it in another's tail."""
        at = self._names.find(b"\0" + name.encode("utf-8", "surrogateescape") + b"\0") + 1
        if at == 0:
            return None
        entry = self._structs.symbol
        try:
            fields = entry.unpack_from(self._symbols, self._column.index(at) * entry.size)
        except ValueError:
            return None
        section, address, size = self._structs.symbol_row(fields)[3:]
        return SymbolPlace(address, size) if section else None

    def beginning_with(self, start: str, most: int) -> List[str]:
        """At most so many names of variables and functions, in the order of the alphabet."""
        pattern = b"\0(" + re.escape(start.encode("utf-8", "surrogateescape")) + rb"[^\0]*)(?=\0)"
        found = sorted({decoded(match.group(1)) for match in re.finditer(pattern, self._names)})
        return found[:most]

    def at(self, address: int) -> Optional[Tuple[str, int]]:
        """The variable or function that holds `address`, and the distance from its beginning.

        Of several that begin at one place those that have a size, and of those, as gdb has it, the one whose
        name is the last by its bytes; one without a size reaches to the next.
        """
        if self._order is None:
            self._order = self._sorted()
        starts, rows = self._order
        index = bisect_right(starts, address) - 1
        if index < 0:
            return None
        first = bisect_left(starts, starts[index])
        there = rows[first : index + 1]
        holding = [row for row in there if address < row[0] + row[1]] or [row for row in there if not row[1]]
        if not holding:
            return None
        return decoded(max(self._name(name) for _, _, name in holding)), address - starts[index]

    def _name(self, at: int) -> bytes:
        end = self._names.find(b"\0", at)
        return self._names[at : end if end >= 0 else None]

    def _sorted(self) -> Tuple[array[int], List[Tuple[int, int, int]]]:
        """(address, size, place of the name) by address."""
        rows = map(self._structs.symbol_row, whole(self._structs.symbol, self._symbols))
        found = sorted(
            (value, size, name)
            for name, info, _, section, value, size in rows
            if section and info & 15 in _HOLDERS
        )
        return array("Q", (row[0] for row in found)), found


def elf_symbols(path: str) -> Optional[ElfSymbols]:
    """Those of the executable at `path`; None if it is not one at fixed addresses, or has none."""
    tables = symbol_tables(path)
    return tables.full if tables is not None and tables.fixed else None


class SymbolTables(NamedTuple):
    """What an ELF file has of them."""

    fixed: bool  # whether it is an executable at fixed addresses
    full: Optional[ElfSymbols]  # .symtab, which strip(1) takes away
    dynamic: Optional[ElfSymbols]  # .dynsym: what others may refer to


def symbol_tables(path: str) -> Optional[SymbolTables]:
    """The tables of the file at `path`; None if it is no ELF file that can be read."""
    try:
        state = os.stat(path)
        return _of_file(path, (state.st_ino, state.st_mtime_ns, state.st_size))
    except (OSError, ValueError, ProblemError):
        return None


@lru_cache(maxsize=64)
def _of_file(path: str, state: Tuple[int, int, int]) -> Optional[SymbolTables]:
    """`state` tells one file of that name from the next."""
    with open_regular(path) as file:
        return tables_of(file)


def tables_of(file: IO[bytes]) -> Optional[SymbolTables]:
    """The tables of an ELF file that is open; None if it is none. ProblemError, OSError."""
    beginning = file.read(PAGE)
    structs = structs_by_ident(beginning[:IDENT])
    if structs is None or len(beginning) < IDENT + structs.file.size:
        return None
    header = FileHeader._make(structs.file.unpack_from(beginning, IDENT))
    loads = structs.segments(_headers(file, header.phoff, header.phnum, structs.program.size))
    start = next((vaddr for kind, _, offset, vaddr, *_ in loads if kind == PT_LOAD and not offset), None)
    if start is None:
        return None
    sections = list(structs.sections(_headers(file, header.shoff, header.shnum, structs.section.size)))

    def table(kind: int) -> Optional[ElfSymbols]:
        found = next((section for section in sections if section.type == kind), None)
        if found is None or found.link >= len(sections):
            return None
        names = sections[found.link]
        symbols = _part(file, found.offset, found.size)
        return ElfSymbols(beginning, start, symbols, _part(file, names.offset, names.size), structs)

    return SymbolTables(header.type == ET_EXEC, table(SHT_SYMTAB), table(SHT_DYNSYM))


def _headers(file: IO[bytes], offset: int, count: int, size: int) -> bytes:
    return _part(file, offset, count * size) if 0 < count <= _MAX_HEADERS else b""


def _part(file: IO[bytes], offset: int, size: int) -> bytes:
    if not 0 <= offset < 1 << 62 or not 0 <= size <= _MAX_TABLE:
        raise ProblemError(f"a table of {size} bytes is not plausible")
    file.seek(offset)
    return file.read(size)
