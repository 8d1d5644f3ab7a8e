"""The structures of ELF files, of both classes and byte orders (gABI; include/uapi/linux/elf.h).

What is large or at hand in memory is unpacked by these: cores, an executable's symbols, the headers of every
loaded file while a process stands still (0.2 ms a library, where pyelftools takes 5 to 10).
"""

from __future__ import annotations

import struct
from functools import lru_cache
from operator import itemgetter
from typing import Dict, Iterator, NamedTuple, Optional, Tuple

MAGIC = b"\x7fELF"
IDENT = 16  # bytes of e_ident
ET_EXEC, ET_CORE = 2, 4
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE, PT_PHDR = 1, 2, 3, 4, 6
PF_X, PF_W, PF_R = 1, 2, 4
SHT_SYMTAB, SHT_STRTAB, SHT_NOBITS, SHT_DYNSYM = 2, 3, 8, 11
SHF_ALLOC, SHF_EXECINSTR, SHF_TLS = 2, 4, 0x400

Row = Tuple[int, ...]


class FileHeader(NamedTuple):
    """Elf32_Ehdr and Elf64_Ehdr behind e_ident."""

    type: int
    machine: int
    version: int
    entry: int
    phoff: int
    shoff: int
    flags: int
    ehsize: int
    phentsize: int
    phnum: int
    shentsize: int
    shnum: int
    shstrndx: int


class SectionHeader(NamedTuple):
    """Elf32_Shdr and Elf64_Shdr."""

    name: int  # where its name is in the section of names
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry_size: int


class Structs(NamedTuple):
    """Those of one class and byte order."""

    order: str  # "<" or ">"
    pointer: int  # bytes
    file: struct.Struct  # FileHeader
    program: struct.Struct  # in an order of its class's own: see `segments`
    section: struct.Struct  # SectionHeader
    symbol: struct.Struct  # in an order of its class's own: see `symbol_row`
    pair: struct.Struct  # of a dynamic section, and of the auxiliary vector

    def segments(self, data: bytes) -> Iterator[Row]:
        """(type, flags, offset, vaddr, filesz, memsz) of each whole program header."""
        # Elf32_Phdr: type, offset, vaddr, paddr, filesz, memsz, flags, align; Elf64_Phdr has flags second.
        order = (0, 1, 2, 3, 5, 6) if self.pointer == 8 else (0, 6, 1, 2, 4, 5)
        return map(itemgetter(*order), whole(self.program, data))

    def sections(self, data: bytes) -> Iterator[SectionHeader]:
        """Each whole section header."""
        return map(SectionHeader._make, whole(self.section, data))

    def symbol_row(self, fields: Row) -> Row:
        """(name, info, other, section, value, size) of what `symbol` has unpacked."""
        return fields if self.pointer == 8 else (fields[0], *fields[3:], *fields[1:3])

    def symbol_bytes(self, name: int, info: int, section: int, value: int, size: int) -> bytes:
        """A symbol as it stands in a file."""
        place = (info, 0, section)
        if self.pointer == 8:
            return self.symbol.pack(name, *place, value, size)
        return self.symbol.pack(name, value, size, *place)


def whole(entry: struct.Struct, data: bytes) -> Iterator[Row]:
    """The fields of every complete entry of a table."""
    return entry.iter_unpack(data[: len(data) // entry.size * entry.size])


def pairs(structs: Structs, data: bytes) -> Dict[int, int]:
    """An auxiliary vector (getauxval(3)) by number."""
    size = structs.pair.size
    return dict(structs.pair.iter_unpack(data[: len(data) // size * size]))


@lru_cache(maxsize=4)
def structs_of(pointer: int, byte_order: str) -> Structs:
    """Those of files with pointers of 4 or 8 bytes, "little" or "big"."""
    order = "<" if byte_order == "little" else ">"
    forms = (
        ("HHIQQQIHHHHHH", "IIQQQQQQ", "IIQQQQIIQQ", "IBBHQQ", "QQ")
        if pointer == 8
        else ("HHIIIIIHHHHHH", "IIIIIIII", "IIIIIIIIII", "IIIBBH", "II")
    )
    return Structs(order, pointer, *(struct.Struct(order + form) for form in forms))


def structs_by_ident(ident: bytes) -> Optional[Structs]:
    """Those of the file that begins so; None where e_ident is damaged or no ELF file's."""
    if len(ident) < IDENT or ident[:4] != MAGIC or ident[4] not in (1, 2) or ident[5] not in (1, 2):
        return None
    return structs_of(4 * ident[4], "little" if ident[5] == 1 else "big")
