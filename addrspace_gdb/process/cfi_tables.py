"""Where the frames of functions are described: .eh_frame_hdr's sorted table, FDEs and CIEs."""

from __future__ import annotations

import struct
from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.process.elf_structs import IDENT, PT_LOAD, FileHeader, Row, structs_by_ident
from addrspace_gdb.process.mappings import Mapping

_PT_GNU_EH_FRAME = 0x6474E550
_SORTED = 0x3B  # DW_EH_PE_datarel | DW_EH_PE_sdata4: what every linker writes
_OMIT = 0xFF
_MAX_ENTRY = 1 << 16  # bytes of a CIE or FDE
_HEADER, _MAX_SEGMENTS = 64, 128

# DW_EH_PE_*: the size of a pointer, and whether it is signed.
_FORMS = {
    0: (0, False),
    2: (2, False),
    3: (4, False),
    4: (8, False),
    10: (2, True),
    11: (4, True),
    12: (8, True),
}


class Bytes:
    """Reads of one process in its byte order."""

    def __init__(self, read: Callable[[int, int], bytes], order: str, word: int) -> None:
        self.read, self.word, self.order = read, word, order
        self.mask = (1 << 8 * word) - 1

    def number(self, data: bytes, at: int, size: int, signed: bool = False) -> int:
        """An integer of the data. IndexError beyond its end."""
        raw = data[at : at + size]
        if len(raw) < size:
            raise IndexError(at)
        return int.from_bytes(raw, "little" if self.order == "little" else "big", signed=signed)

    def pointer(self, data: bytes, at: int, form: int, address: int) -> Tuple[int, int]:
        """An encoded pointer and what follows it; `address` is where data[0] lies. ValueError."""
        size, signed = _FORMS.get(form & 15, (-1, False))
        if size < 0 or form & 0x70 not in (0, 0x10):
            raise ValueError(form)
        size = size or self.word
        value = self.number(data, at, size, signed)
        return (value + (address + at if form & 0x70 else 0)) & self.mask, at + size


def uleb(data: bytes, at: int) -> Tuple[int, int]:
    """An unsigned LEB128 number and what follows it. ValueError if it has more than 64 bits."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError(at)


def sleb(data: bytes, at: int) -> Tuple[int, int]:
    """A signed one."""
    first = at
    value, at = uleb(data, at)
    bits = 7 * (at - first)
    return (value - (1 << bits) if value >> (bits - 1) else value), at


class Entry(NamedTuple):
    """What describes one function."""

    start: int
    end: int
    cie: bytes  # initial instructions
    fde: bytes  # instructions
    code_align: int
    data_align: int
    return_register: int


class Frames:
    """Of one loaded file: its sorted table of `count` pairs at `table`, relative to `base`."""

    def __init__(self, bytes_: Bytes, base: int, table: int, count: int) -> None:
        self._bytes, self._base, self._table, self._count = bytes_, base, table, count

    def _pair(self, index: int) -> Tuple[int, int]:
        data = self._bytes.read(self._table + 8 * index, 8)
        number = self._bytes.number
        return tuple((self._base + number(data, at, 4, True)) & self._bytes.mask for at in (0, 4))  # type: ignore

    def find(self, pc: int) -> Optional[Entry]:
        """What describes the function at `pc`. UnreadableError, ValueError, IndexError for damage."""
        low, high = 0, self._count
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._pair(middle)[0] <= pc else (low, middle)
        if not self._count:
            return None
        entry = self._entry(self._pair(low)[1])
        return entry if entry.start <= pc < entry.end else None

    def _data(self, address: int) -> Tuple[bytes, int]:
        """The entry at an address behind its length, and where that is."""
        length = self._bytes.number(self._bytes.read(address, 4), 0, 4)
        if not 4 <= length <= _MAX_ENTRY:
            raise ValueError(length)
        return self._bytes.read(address + 4, length), address + 4

    def _entry(self, address: int) -> Entry:
        data, where = self._data(address)
        cie, form, augmented, rest = self._common(where - self._bytes.number(data, 0, 4))
        start, at = self._bytes.pointer(data, 4, form, where)
        length, at = self._bytes.pointer(data, at, form & 15, where)
        if augmented:
            size, at = uleb(data, at)
            at += size
        return Entry(start, start + length, cie, data[at:], *rest)

    def _common(self, address: int) -> Tuple[bytes, int, bool, Tuple[int, int, int]]:
        """Instructions, form of pointers, whether it is augmented, (alignments, return register) of a CIE."""
        data, where = self._data(address)
        version, end = data[4], data.index(b"\0", 5)
        augmentation = data[5:end].decode("ascii", "replace")
        code_align, at = uleb(data, end + 1)
        data_align, at = sleb(data, at)
        register, at = (data[at], at + 1) if version == 1 else uleb(data, at)
        form = 0
        if augmentation.startswith("z"):
            size, at = uleb(data, at)
            form = self._form(augmentation[1:], data, at, where)
            at += size
        return data[at:], form, augmentation.startswith("z"), (code_align, data_align, register)

    def _form(self, letters: str, data: bytes, at: int, where: int) -> int:
        for letter in letters:
            if letter == "R":
                return data[at]
            if letter == "P":
                _, at = self._bytes.pointer(data, at + 1, data[at] & 0x7F, where)
            elif letter == "L":
                at += 1
            elif letter not in "SB":
                break
        return 0


def frames_of(bytes_: Bytes, mappings: Sequence[Mapping], file: str) -> Optional[Frames]:
    """The tables of the file that is mapped so; None where it has none that we read."""
    first = next((m for m in mappings if m.file == file and m.offset == 0), None)
    if first is None:
        return None
    try:
        place = _header_place(bytes_, first.start)
        if place is None:
            return None
        head = bytes_.read(place, 4)
        if head[0] != 1 or head[3] != _SORTED or _OMIT in head[1:3]:
            return None
        data = bytes_.read(place, 24)
        _, at = bytes_.pointer(data, 4, head[1], place)
        count, at = bytes_.pointer(data, at, head[2], place)
        return Frames(bytes_, place, place + at, count)
    except (UnreadableError, struct.error, ValueError, IndexError):
        return None


def segments_of(bytes_: Bytes, start: int) -> Tuple[int, List[Row]]:
    """What is to be added to the addresses of the ELF file at `start`, and its program headers as
    `Structs.segments` gives them. ValueError if it is none."""
    data = bytes_.read(start, _HEADER)
    structs = structs_by_ident(data)
    if structs is None:
        raise ValueError(start)
    header = FileHeader._make(structs.file.unpack_from(data, IDENT))
    size = header.phentsize * min(header.phnum, _MAX_SEGMENTS)
    rows = list(structs.segments(bytes_.read(start + header.phoff, size)))
    loads = [row for row in rows if row[0] == PT_LOAD and row[2] == 0]
    if not loads:
        raise ValueError(start)
    return start - loads[0][3], rows


def _header_place(bytes_: Bytes, start: int) -> Optional[int]:
    """Where .eh_frame_hdr of the ELF file at `start` lies."""
    bias, rows = segments_of(bytes_, start)
    found = next((row for row in rows if row[0] == _PT_GNU_EH_FRAME), None)
    return bias + found[3] if found is not None else None
