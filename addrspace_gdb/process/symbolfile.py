"""Writes names of functions as the symbol table of an ELF file, such as debug files apart from a program."""

from __future__ import annotations

import struct
from bisect import bisect_right
from typing import IO, Iterable, List, NamedTuple, Optional, Tuple

_ET_EXEC, _NOBITS, _SYMTAB, _STRTAB = 2, 8, 2, 3
_ALLOC, _EXECINSTR = 2, 4
_FUNCTION = 0x12  # STB_GLOBAL, STT_FUNC

Function = Tuple[str, int, int]  # name, address, size in bytes


class _Format(NamedTuple):
    """Structures of 32-bit or 64-bit files, in the program's byte order. The file's header lacks e_ident."""

    order: str
    header: struct.Struct
    section: struct.Struct
    symbol: struct.Struct
    wide: bool

    @classmethod
    def of(cls, wide: bool, order: str) -> _Format:
        layouts = ("HHIQQQIHHHHHH", "IIQQQQIIQQ", "IBBHQQ") if wide else ("HHIIIIIHHHHHH", "I" * 10, "IIIBBH")
        header, section, symbol = (struct.Struct(order + layout) for layout in layouts)
        return cls(order, header, section, symbol, wide)


class _Section(NamedTuple):
    name: str
    type: int
    flags: int
    address: int
    size: int
    data: bytes = b""
    link: int = 0  # of the symbol table: where its names are
    info: int = 0  # of the symbol table: the first symbol that is not local
    entry: int = 0


def symbol_file(program: IO[bytes], functions: Iterable[Function], text: Optional[int] = None) -> bytes:
    """A file with the sections of the program, all of them empty, and a symbol for each function in them.

    `text`: where its section .text is, if the addresses of functions are those of a process. A debugger
    matches the file with the program by the sections and the entry point. ELFError, or another error of
    elftools, if the program's own headers are damaged.
    """
    from elftools.elf.elffile import ELFFile

    elf = ELFFile(program)
    kind = _Format.of(elf.elfclass == 64, "<" if elf.little_endian else ">")
    sections = [_Section("", 0, 0, 0, 0)]
    for section in elf.iter_sections():
        flags = section["sh_flags"]
        if flags & _ALLOC and section.name:
            sections.append(_Section(section.name, _NOBITS, flags, section["sh_addr"], section["sh_size"]))
    if text is not None:
        by = elf.get_section_by_name(".text")["sh_addr"] - text
        functions = ((name, address + by, size) for name, address, size in functions)
    symbols, names = _symbols(kind, sections, functions)
    at = len(sections)
    sections.append(_Section(".symtab", _SYMTAB, 0, 0, len(symbols), symbols, at + 1, 1, kind.symbol.size))
    sections.append(_Section(".strtab", _STRTAB, 0, 0, len(names), names))
    program.seek(18)
    (machine,) = struct.unpack(kind.order + "H", program.read(2))
    return _file(kind, machine, elf["e_entry"], sections)


def _symbols(kind: _Format, sections: List[_Section], functions: Iterable[Function]) -> Tuple[bytes, bytes]:
    """The symbol table, and its names. Functions outside the program's code are left out."""
    code = sorted(
        (s.address, s.address + s.size, at) for at, s in enumerate(sections) if s.flags & _EXECINSTR
    )
    starts = [start for start, _, _ in code]
    names, table = bytearray(b"\0"), bytearray(kind.symbol.size)
    for name, address, size in functions:
        at = bisect_right(starts, address) - 1
        if at < 0 or address >= code[at][1]:
            continue
        place = (_FUNCTION, 0, code[at][2])
        fields = (*place, address, size) if kind.wide else (address, size, *place)
        table += kind.symbol.pack(len(names), *fields)
        names += name.encode("utf-8", "surrogateescape") + b"\0"
    return bytes(table), bytes(names)


def _file(kind: _Format, machine: int, entry: int, sections: List[_Section]) -> bytes:
    """The header, the contents of the sections, their names and then their headers."""
    size = 16 + kind.header.size
    body, titles, headers = bytearray(), bytearray(b"\0"), bytearray()
    for section in sections:
        headers += _section_header(kind, section, len(titles) if section.name else 0, size + len(body))
        titles += section.name.encode("utf-8", "surrogateescape") + b"\0" if section.name else b""
        body += section.data
    own = _Section(".shstrtab", _STRTAB, 0, 0, len(titles) + len(".shstrtab\0"))
    headers += _section_header(kind, own, len(titles), size + len(body))
    body += titles + b".shstrtab\0"
    body += bytes(-(size + len(body)) % 8)
    count = len(sections) + 1
    ident = b"\x7fELF" + bytes([2 if kind.wide else 1, 1 if kind.order == "<" else 2, 1]) + bytes(9)
    shape = (size, 0, 0, kind.section.size, count, count - 1)
    return (
        ident + kind.header.pack(_ET_EXEC, machine, 1, entry, 0, size + len(body), 0, *shape) + body + headers
    )


def _section_header(kind: _Format, section: _Section, name: int, offset: int) -> bytes:
    where = (section.address, offset, section.size, section.link, section.info)
    return kind.section.pack(name, section.type, section.flags, *where, bool(section.type), section.entry)
