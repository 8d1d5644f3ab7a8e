"""The structures of ELF files are those that pyelftools knows, in both classes and byte orders."""

from __future__ import annotations

from typing import Any, List, NamedTuple, Tuple

import pytest
from elftools.elf.structs import ELFStructs

from addrspace_gdb.process.elf_structs import FileHeader, Structs, pairs, structs_by_ident, structs_of

CASES = [(pointer, order) for pointer in (4, 8) for order in ("little", "big")]


class Both(NamedTuple):
    """The structures as we and as pyelftools have them, and how a file with them begins."""

    ours: Structs
    theirs: Any
    ident: bytes


@pytest.fixture(params=CASES, ids=lambda case: f"{8 * case[0]}-{case[1]}")
def both(request: pytest.FixtureRequest) -> Both:
    pointer, order = request.param
    theirs = ELFStructs(little_endian=order == "little", elfclass=8 * pointer)
    theirs.create_basic_structs()
    theirs.create_advanced_structs("ET_EXEC", "EM_X86_64", 0)
    ident = b"\x7fELF" + bytes([pointer // 4, 1 if order == "little" else 2, 1]) + bytes(9)
    return Both(structs_of(pointer, order), theirs, ident)


def distinct(size: int) -> bytes:
    """So many bytes, each another: no field is another's, and none is a number that has a name."""
    return bytes(range(0x81, 0x81 + size))


def parsed(struct: Any, data: bytes, prefix: str, *names: str) -> Tuple[int, ...]:
    """What pyelftools reads there."""
    assert struct.sizeof() == len(data)
    found = struct.parse(data)
    return tuple(found[prefix + name] for name in names)


def test_file_headers(both: Both) -> None:
    data = both.ident + distinct(both.ours.file.size)
    names: List[str] = [name for name in FileHeader._fields if name != "flags"]
    expected = parsed(both.theirs.Elf_Ehdr, data, "e_", *names)
    found = FileHeader._make(both.ours.file.unpack(data[16:]))
    assert tuple(getattr(found, name) for name in names) == expected
    assert structs_by_ident(data[:16]) is both.ours


def test_program_headers(both: Both) -> None:
    data = distinct(both.ours.program.size)
    expected = parsed(both.theirs.Elf_Phdr, data, "p_", "type", "flags", "offset", "vaddr", "filesz", "memsz")
    assert list(both.ours.segments(2 * data + data[:-1])) == [expected, expected]


def test_sections(both: Both) -> None:
    data = distinct(both.ours.section.size)
    names = ("name", "type", "flags", "addr", "offset", "size", "link", "info", "addralign", "entsize")
    expected = parsed(both.theirs.Elf_Shdr, data, "sh_", *names)
    assert list(both.ours.sections(data + b"\1")) == [expected]


def test_symbols(both: Both) -> None:
    data = both.ours.symbol_bytes(7, 0x12, 5, 900, 30)
    assert parsed(both.theirs.Elf_Sym, data, "st_", "name", "shndx", "value", "size") == (7, 5, 900, 30)
    info = both.theirs.Elf_Sym.parse(data)["st_info"]
    assert (info["bind"], info["type"]) == ("STB_GLOBAL", "STT_FUNC")
    assert both.ours.symbol_row(both.ours.symbol.unpack(data)) == (7, 0x12, 0, 5, 900, 30)


def test_pairs(both: Both) -> None:
    word = both.theirs.Elf_addr("")
    assert pairs(both.ours, word.build(6) + word.build(4096) + b"\0") == {6: 4096}


def test_what_begins_otherwise_has_none() -> None:
    good = b"\x7fELF\2\1" + bytes(10)
    assert structs_by_ident(good) is structs_of(8, "little")
    for bad in (good[:15], b"\x7fELE" + good[4:], b"\x7fELF\3" + good[5:], b"\x7fELF\2\3" + good[6:], b""):
        assert structs_by_ident(bad) is None
