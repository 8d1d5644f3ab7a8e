"""Addresses of variables from an executable's own symbol table (gABI, Symbol Table).

A debugger that is asked for one variable of Go's runtime first reads all debug information of that package,
more than 50 ms; looking the name up in the file takes one. For executables at fixed addresses only.
"""

from __future__ import annotations

import os
import sys
from array import array
from functools import lru_cache
from typing import IO, NamedTuple, Optional, Tuple

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.process.elf_structs import (
    ET_EXEC,
    IDENT,
    PT_LOAD,
    SHT_SYMTAB,
    FileHeader,
    Structs,
    structs_by_ident,
)
from addrspace_gdb.process.regular import open_regular

PAGE = 4096  # bytes of the file's beginning that tell builds apart: headers, and Go's build id
_MAX_TABLE = 1 << 30  # bytes of a table
_MAX_HEADERS = 1 << 16  # headers


class Place(NamedTuple):
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

    def find(self, name: str) -> Optional[Place]:
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
        return Place(address, size) if section else None


def elf_symbols(path: str) -> Optional[ElfSymbols]:
    """Those of the file at `path`; None if it is no executable at fixed addresses, or has none."""
    try:
        state = os.stat(path)
        return _of_file(path, (state.st_ino, state.st_mtime_ns, state.st_size))
    except (OSError, ValueError, ProblemError):
        return None


@lru_cache(maxsize=2)
def _of_file(path: str, state: Tuple[int, int, int]) -> Optional[ElfSymbols]:
    """`state` tells one file of that name from the next."""
    with open_regular(path) as file:
        beginning = file.read(PAGE)
        structs = structs_by_ident(beginning[:IDENT])
        if structs is None or len(beginning) < IDENT + structs.file.size:
            return None
        header = FileHeader._make(structs.file.unpack_from(beginning, IDENT))
        if header.type != ET_EXEC:
            return None
        loads = structs.segments(_headers(file, header.phoff, header.phnum, structs.program.size))
        start = next((vaddr for kind, _, offset, vaddr, *_ in loads if kind == PT_LOAD and not offset), None)
        sections = list(structs.sections(_headers(file, header.shoff, header.shnum, structs.section.size)))
        table = next((section for section in sections if section.type == SHT_SYMTAB), None)
        if start is None or table is None or table.link >= len(sections):
            return None
        names = sections[table.link]
        symbols = _part(file, table.offset, table.size)
        return ElfSymbols(beginning, start, symbols, _part(file, names.offset, names.size), structs)


def _headers(file: IO[bytes], offset: int, count: int, size: int) -> bytes:
    return _part(file, offset, count * size) if 0 < count <= _MAX_HEADERS else b""


def _part(file: IO[bytes], offset: int, size: int) -> bytes:
    if not 0 <= offset < 1 << 62 or not 0 <= size <= _MAX_TABLE:
        raise ProblemError(f"a table of {size} bytes is not plausible")
    file.seek(offset)
    return file.read(size)
