"""Writes names of functions as the symbol table of an ELF file, such as debug files apart from a program."""

from __future__ import annotations

from bisect import bisect_right
from typing import IO, Iterable, List, NamedTuple, Optional, Tuple

from addrspace_gdb.process.elf_structs import (
    ET_EXEC,
    IDENT,
    MAGIC,
    SHF_ALLOC,
    SHF_EXECINSTR,
    SHT_NOBITS,
    SHT_STRTAB,
    SHT_SYMTAB,
    FileHeader,
    Structs,
    structs_of,
)

_FUNCTION = 0x12  # STB_GLOBAL, STT_FUNC

Function = Tuple[str, int, int]  # name, address, size in bytes


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
    matches the file with the program by the sections and the entry point, and tells of sections that it does
    not find. ELFError, or another error of elftools, if the program's own headers are damaged.
    """
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    elf = ELFFile(program)
    kind = structs_of(elf.elfclass // 8, "little" if elf.little_endian else "big")
    sections = [_Section("", 0, 0, 0, 0)]
    for section in elf.iter_sections():
        flags = section["sh_flags"]
        if flags & SHF_ALLOC:
            if not (section.name.isascii() and section.name.isprintable() and section.name):
                raise ELFError(f"a section has a damaged name: {section.name!r}")
            sections.append(_Section(section.name, SHT_NOBITS, flags, section["sh_addr"], section["sh_size"]))
    if text is not None:
        by = elf.get_section_by_name(".text")["sh_addr"] - text
        functions = ((name, address + by, size) for name, address, size in functions)
    symbols, names = _symbols(kind, sections, functions)
    at = len(sections)
    sections.append(_Section(".symtab", SHT_SYMTAB, 0, 0, len(symbols), symbols, at + 1, 1, kind.symbol.size))
    sections.append(_Section(".strtab", SHT_STRTAB, 0, 0, len(names), names))
    program.seek(IDENT)
    own = FileHeader._make(kind.file.unpack(program.read(kind.file.size)))
    return _file(kind, own, sections)


def _symbols(kind: Structs, sections: List[_Section], functions: Iterable[Function]) -> Tuple[bytes, bytes]:
    """The symbol table, and its names. Functions outside the program's code are left out."""
    code = sorted(
        (s.address, s.address + s.size, at) for at, s in enumerate(sections) if s.flags & SHF_EXECINSTR
    )
    starts = [start for start, _, _ in code]
    names, table = bytearray(b"\0"), bytearray(kind.symbol.size)
    for name, address, size in functions:
        at = bisect_right(starts, address) - 1
        if at < 0 or address >= code[at][1]:
            continue
        table += kind.symbol_bytes(len(names), _FUNCTION, code[at][2], address, size)
        names += name.encode("utf-8", "surrogateescape") + b"\0"
    return bytes(table), bytes(names)


def _file(kind: Structs, program: FileHeader, sections: List[_Section]) -> bytes:
    """The header, the contents of the sections, their names and then their headers."""
    size = IDENT + kind.file.size
    body, titles, headers = bytearray(), bytearray(b"\0"), bytearray()
    for section in sections:
        headers += _section_header(kind, section, len(titles) if section.name else 0, size + len(body))
        titles += section.name.encode("utf-8", "surrogateescape") + b"\0" if section.name else b""
        body += section.data
    own = _Section(".shstrtab", SHT_STRTAB, 0, 0, len(titles) + len(".shstrtab\0"))
    headers += _section_header(kind, own, len(titles), size + len(body))
    body += titles + b".shstrtab\0"
    body += bytes(-(size + len(body)) % 8)
    count = len(sections) + 1
    ident = MAGIC + bytes([kind.pointer // 4, 1 if kind.order == "<" else 2, 1]) + bytes(9)
    header = FileHeader(
        ET_EXEC,
        program.machine,
        version=1,
        entry=program.entry,
        phoff=0,
        shoff=size + len(body),
        flags=0,
        ehsize=size,
        phentsize=0,
        phnum=0,
        shentsize=kind.section.size,
        shnum=count,
        shstrndx=count - 1,
    )
    return ident + kind.file.pack(*header) + body + headers


def _section_header(kind: Structs, section: _Section, name: int, offset: int) -> bytes:
    where = (section.address, offset, section.size, section.link, section.info)
    return kind.section.pack(name, section.type, section.flags, *where, bool(section.type), section.entry)
