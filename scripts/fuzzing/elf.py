"""Where in a core or an executable things are, by its headers; for 64-bit little-endian files only."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO, List, NamedTuple, Optional, Tuple

PT_LOAD, PT_NOTE = 1, 4
NT_FILE = 0x46494C45
HEADER = 64  # bytes
PHDR = struct.Struct("<2I6Q")
SHDR = struct.Struct("<2I4Q2I2Q")


class Phdr(NamedTuple):
    """A program header (elf(5)), and where in the file it stands."""

    type: int
    flags: int
    offset: int
    vaddr: int
    paddr: int
    filesz: int
    memsz: int
    align: int

    def packed(self) -> bytes:
        """As it stands in the file."""
        return PHDR.pack(*self)


class Elf:
    """The undamaged headers of a file that is about to be damaged."""

    def __init__(self, path: Path) -> None:
        with open(path, "rb") as file:
            head = file.read(HEADER)
            self.phoff, self.shoff = struct.unpack_from("<2Q", head, 32)
            self.phnum, _, self.shnum, self.shstrndx = struct.unpack_from("<4H", head, 56)
            file.seek(self.phoff)
            raw = file.read(PHDR.size * self.phnum)
            self.phdrs = [Phdr(*fields) for fields in PHDR.iter_unpack(raw)]
            file.seek(self.shoff)
            raw = file.read(SHDR.size * self.shnum)
            self.shdrs = list(SHDR.iter_unpack(raw)) if self.shoff else []
            self.size = os.fstat(file.fileno()).st_size

    @property
    def loads(self) -> List[int]:
        """The indexes of the program headers of memory."""
        return [index for index, one in enumerate(self.phdrs) if one.type == PT_LOAD]

    def place(self, index: int) -> int:
        """The file offset of a program header."""
        return int(self.phoff + index * PHDR.size)

    def notes(self) -> Optional[Tuple[int, int]]:
        """Offset and size of the notes."""
        return next(((one.offset, one.filesz) for one in self.phdrs if one.type == PT_NOTE), None)

    def note(self, file: BinaryIO, wanted: int) -> Optional[Tuple[int, int]]:
        """Offset and size of the contents of the note of a type."""
        place = self.notes()
        at, end = (place[0], sum(place)) if place else (0, 0)
        while at + 12 <= end:
            file.seek(at)
            name, size, kind = struct.unpack("<3I", file.read(12))
            contents = at + 12 + (name + 3 & ~3)
            if kind == wanted:
                return contents, size
            at = contents + (size + 3 & ~3)
        return None


def extents(path: Path) -> List[Tuple[int, int]]:
    """What of a sparse file is no hole: offsets of beginnings and ends."""
    found = []
    with open(path, "rb") as file:
        at, size = 0, os.fstat(file.fileno()).st_size
        while at < size:
            try:
                start = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:  # ENXIO: nothing but a hole follows
                break
            at = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            found.append((start, at))
    return found
