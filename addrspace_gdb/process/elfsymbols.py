"""Addresses of variables from an executable's own symbol table (gABI, Symbol Table).

A debugger that is asked for one variable of Go's runtime first reads all debug information of that package,
more than 50 ms; looking the name up in the file takes one. For executables at fixed addresses only.
"""

from __future__ import annotations

import os
import struct
import sys
from array import array
from functools import lru_cache
from typing import IO, Iterator, NamedTuple, Optional, Tuple

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.process.regular import open_regular

PAGE = 4096  # bytes of the file's beginning that tell builds apart: headers, and Go's build id
_EXEC = 2  # ET_EXEC
_LOAD = 1  # PT_LOAD
_SYMTAB = 2  # SHT_SYMTAB
_LARGEST = 1 << 30  # bytes of a table
_MOST = 1 << 16  # headers
# By class: ELF header behind e_ident; section header; program header: type, offset, vaddr; symbol.
_FORMS = {
    1: ("HHIIIIIHHHHHH", "10I", "3I20x", "IIIBBH"),
    2: ("HHIQQQIHHHHHH", "IIQQQQIIQQ", "I4xQQ32x", "IBBHQQ"),
}


class Place(NamedTuple):
    """Where a symbol is, and its bytes."""

    address: int
    size: int


class ElfSymbols:
    """The symbols of one file."""

    def __init__(
        self, beginning: bytes, start: int, symbols: bytes, names: bytes, order: str, form: str
    ) -> None:
        self.beginning = beginning  # the file's first bytes, which lie at `start`
        self.start = start
        self._symbols, self._names = symbols, names
        self._entry = struct.Struct(order + form)
        column = array("I", symbols[: len(symbols) // self._entry.size * self._entry.size])
        if (order == "<") != (sys.byteorder == "little"):
            column.byteswap()
        self._column = column[:: self._entry.size // 4]  # st_name comes first in both classes

    def find(self, name: str) -> Optional[Place]:
        """The variable or function of that name; None if the table lacks it or has it in another's tail."""
        at = self._names.find(b"\0" + name.encode("utf-8", "surrogateescape") + b"\0") + 1
        if at == 0:
            return None
        try:
            fields = self._entry.unpack_from(self._symbols, self._column.index(at) * self._entry.size)
        except ValueError:
            return None
        section, address, size = (
            (fields[3], fields[4], fields[5]) if self._entry.size == 24 else (fields[5], fields[1], fields[2])
        )
        return Place(address, size) if section else None


def elf_symbols(path: str) -> Optional[ElfSymbols]:
    """Those of the file at `path`; None if it is no executable at fixed addresses, or has none."""
    try:
        state = os.stat(path)
        return _of_file(path, (state.st_ino, state.st_mtime_ns, state.st_size))
    except (OSError, ValueError, struct.error, ProblemError):
        return None


@lru_cache(maxsize=2)
def _of_file(path: str, state: Tuple[int, int, int]) -> Optional[ElfSymbols]:
    """`state` tells one file of that name from the next."""
    with open_regular(path) as file:
        beginning = file.read(PAGE)
        if beginning[:4] != b"\x7fELF" or beginning[4] not in _FORMS or beginning[5] not in (1, 2):
            return None
        header_form, section_form, program_form, symbol_form = _FORMS[beginning[4]]
        order = "<" if beginning[5] == 1 else ">"
        header = struct.unpack_from(order + header_form, beginning, 16)
        kind, (programs, sections), (program_count, section_count) = header[0], header[4:6], header[9:12:2]
        if kind != _EXEC:
            return None
        loads = _headers(file, programs, program_count, order + program_form)
        start = next((vaddr for type_, offset, vaddr in loads if type_ == _LOAD and offset == 0), None)
        places = list(_headers(file, sections, section_count, order + section_form))
        table = next((place for place in places if place[1] == _SYMTAB), None)
        if start is None or table is None or table[6] >= len(places):
            return None
        names = places[table[6]]
        return ElfSymbols(
            beginning, start, _part(file, table[4:6]), _part(file, names[4:6]), order, symbol_form
        )


def _headers(file: IO[bytes], offset: int, count: int, form: str) -> Iterator[Tuple[int, ...]]:
    entry = struct.Struct(form)
    if not 0 < count <= _MOST:
        return iter(())
    data = _part(file, (offset, count * entry.size))
    return entry.iter_unpack(data[: len(data) // entry.size * entry.size])


def _part(file: IO[bytes], place: Tuple[int, ...]) -> bytes:
    offset, size = place
    if not 0 <= offset < 1 << 62 or not 0 <= size <= _LARGEST:
        raise ProblemError(f"a table of {size} bytes is not plausible")
    file.seek(offset)
    return file.read(size)
