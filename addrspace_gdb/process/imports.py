"""What a loaded file calls the functions that it imports: the relocations of its dynamic section.

A function of a stripped library that has no symbol of its own (one of several for strlen, say, of which the
linker chose) still has the name by which it was asked for. System V gABI, chapter 5; the types are those of
the x86-64 and AArch64 psABI.
"""

from __future__ import annotations

import struct
from typing import Dict, Iterator, Optional, Sequence, Tuple

from addrspace_gdb.common.escape import decoded
from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.process.cfi_tables import Bytes, segments_of
from addrspace_gdb.process.elf_structs import PT_DYNAMIC
from addrspace_gdb.process.mappings import Mapping

_PLTRELSZ, _STRTAB, _SYMTAB, _RELA, _RELASZ, _JMPREL = 2, 5, 6, 7, 8, 23
_TYPES = {"amd64": (1, 6, 7), "arm64": (257, 1025, 1026)}  # the address itself, GLOB_DAT, JUMP_SLOT
_ENTRY, _SYMBOL = struct.Struct("<QQq"), 24  # Elf64_Rela; bytes of an Elf64_Sym
_MAX_TABLE = 1 << 22  # bytes
_MAX_DYNAMIC = 1 << 14
_MAX_NAME = 256


def imported_as(
    bytes_: Bytes, mappings: Sequence[Mapping], file: str, arch: str, entry: int
) -> Optional[str]:
    """The name under which `file` imports the function that begins at `entry`; None if it does not, or if
    that cannot be read."""
    first = next((m for m in mappings if m.file == file and m.offset == 0), None)
    if first is None or arch not in _TYPES:
        return None
    try:
        return _File(bytes_, first.start).name(_TYPES[arch], entry)
    except (UnreadableError, struct.error, ValueError, IndexError):
        return None


class _File:
    def __init__(self, bytes_: Bytes, start: int) -> None:
        self._bytes = bytes_
        self._bias, rows = segments_of(bytes_, start)
        place = next((row for row in rows if row[0] == PT_DYNAMIC), None)
        self._dynamic: Dict[int, int] = {}
        if place is not None:
            size = min(place[5], _MAX_DYNAMIC) // 16 * 16
            data = bytes_.read(self._bias + place[3], size)
            self._dynamic = dict(reversed(list(struct.iter_unpack("<QQ", data))))

    def _address(self, tag: int) -> int:
        """glibc adds the bias to what is in memory, musl does not."""
        value = self._dynamic.get(tag, 0)
        return value + self._bias if value < self._bias else value

    def _tables(self) -> Iterator[Tuple[int, int]]:
        for tag, size in ((_JMPREL, _PLTRELSZ), (_RELA, _RELASZ)):
            if tag in self._dynamic and self._dynamic.get(size, 0) <= _MAX_TABLE:
                yield self._address(tag), self._dynamic.get(size, 0)

    def name(self, types: Tuple[int, int, int], entry: int) -> Optional[str]:
        """What the slot is called that holds `entry`."""
        wanted = entry.to_bytes(8, "little")
        for address, size in self._tables():
            data = self._bytes.read(address, size // _ENTRY.size * _ENTRY.size)
            rows = (row for row in _ENTRY.iter_unpack(data) if row[1] & 0xFFFFFFFF in types and not row[2])
            for offset, info, _ in rows:
                if info >> 32 and self._bytes.read(self._bias + offset, 8) == wanted:
                    return self._symbol(info >> 32)
        return None

    def _symbol(self, number: int) -> Optional[str]:
        row = self._bytes.read(self._address(_SYMTAB) + number * _SYMBOL, 4)
        at = self._address(_STRTAB) + int.from_bytes(row, "little")
        found = b""
        while b"\0" not in found and len(found) < _MAX_NAME:
            found += self._bytes.read(at + len(found), 16)
        return decoded(found.split(b"\0", 1)[0]) or None
