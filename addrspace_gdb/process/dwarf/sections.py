"""The debug sections of an ELF file, also compressed ones (gABI, Section Compression)."""

from __future__ import annotations

import struct
import zlib
from functools import cached_property
from typing import IO, Dict

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.process.elf import Header, read_header
from addrspace_gdb.process.elf_structs import SHT_NOBITS, SectionHeader, structs_of
from addrspace_gdb.process.regular import open_regular, read_at

_MOST = 1 << 28  # bytes of a section, as it is in the file and unpacked; what is larger is not read
_MOST_OF_ALL = 1 << 29
_MAX_SECTIONS = 1 << 16
_MAX_NAMES = 1 << 24  # bytes
_SHF_COMPRESSED = 0x800
_ELFCOMPRESS_ZLIB = 1


class DamagedError(Exception):
    """Debug information that cannot be understood."""


class DebugSections:
    """Sections by name, each read when it is first asked for. DamagedError if that cannot be done."""

    def __init__(self, path: str) -> None:
        """`path`: the file, which may be anything."""
        self._path = path
        self._read: Dict[str, bytes] = {}

    def get(self, name: str) -> bytes:
        """The contents of `name` (".debug_info"); nothing where there is none."""
        if name not in self._read:
            self._read[name] = data = self._contents(name)
            if sum(map(len, self._read.values())) > _MOST_OF_ALL:
                self._read[name] = data[:0]
                raise DamagedError("the sections are too large")
        return self._read[name]

    @cached_property
    def header(self) -> Header:
        """The file's header."""
        try:
            with open_regular(self._path) as file:
                return read_header(file, self._path)
        except (OSError, ProblemError) as error:
            raise DamagedError(str(error)) from None

    @property
    def byte_order(self) -> str:
        """As the header has it: "little" or "big"."""
        return self.header.byte_order

    @cached_property
    def _headers(self) -> Dict[str, SectionHeader]:
        header = self.header
        with open_regular(self._path) as file:
            return _named(file, header) if 0 < header.shnum <= _MAX_SECTIONS else {}

    def _contents(self, name: str) -> bytes:
        try:
            found = self._headers.get(name)
            old = self._headers.get(name.replace(".debug_", ".zdebug_", 1)) if found is None else None
            with open_regular(self._path) as file:
                if old is not None:
                    return _unpacked_old(_data(file, old))
                if found is None or found.type == SHT_NOBITS:
                    return b""
                data = _data(file, found)
        except (OSError, ProblemError) as error:
            raise DamagedError(str(error)) from None
        return self._unpacked(data) if found.flags & _SHF_COMPRESSED else data

    def _unpacked(self, data: bytes) -> bytes:
        order = "<" if self.byte_order == "little" else ">"
        form = struct.Struct(order + ("IIQQ" if self.header.pointer_size == 8 else "III"))
        if len(data) < form.size:
            raise DamagedError("a compressed section has no header")
        kind, *more = form.unpack_from(data)
        if kind != _ELFCOMPRESS_ZLIB:
            raise DamagedError(f"compression {kind} is not known")
        return _inflated(data[form.size :], more[-2])


def _named(file: IO[bytes], header: Header) -> Dict[str, SectionHeader]:
    structs = structs_of(header.pointer_size, header.byte_order)
    table = read_at(file, header.shoff, header.shnum * structs.section.size)
    sections = list(structs.sections(table))
    if header.shstrndx >= len(sections):
        return {}
    place = sections[header.shstrndx]
    names = read_at(file, place.offset, min(place.size, _MAX_NAMES))
    return {_name(names, one.name): one for one in reversed(sections)}


def _name(names: bytes, at: int) -> str:
    end = names.find(b"\0", at, at + 64)
    return names[at : end if end >= 0 else at + 64].decode("latin-1")


def _data(file: IO[bytes], section: SectionHeader) -> bytes:
    if section.size > _MOST:
        raise DamagedError("a section is too large")
    return read_at(file, section.offset, section.size)


def _unpacked_old(data: bytes) -> bytes:
    """.zdebug_*, as it was before gABI had compression."""
    if data[:4] != b"ZLIB" or len(data) < 12:
        raise DamagedError("a compressed section has no header")
    return _inflated(data[12:], int.from_bytes(data[4:12], "big"))


def _inflated(data: bytes, size: int) -> bytes:
    if size > _MOST:
        raise DamagedError("a section is too large")
    try:
        return zlib.decompressobj().decompress(data, size) if size else b""
    except zlib.error as error:
        raise DamagedError(str(error)) from None
