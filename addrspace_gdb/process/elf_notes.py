"""ELF notes: the records of a PT_NOTE segment (gABI, Note Section)."""

from __future__ import annotations

import struct
from typing import Iterator, Tuple


def iter_notes(data: bytes, byte_order: str) -> Iterator[Tuple[bytes, int, memoryview]]:
    """(owner without its NUL, type, contents) of each complete note; stops at the first damaged one.

    Names and contents are padded to 4 bytes, as Linux, gdb and binutils write them in cores and images of
    both classes.
    """
    head = struct.Struct(("<" if byte_order == "little" else ">") + "3I")
    view = memoryview(data)
    at = 0
    while at + head.size <= len(view):
        name_size, size, kind = head.unpack_from(view, at)
        name_at = at + head.size
        start = name_at + (name_size + 3 & ~3)
        if start + size > len(view):
            return
        yield bytes(view[name_at : name_at + name_size]).rstrip(b"\0"), kind, view[start : start + size]
        at = start + (size + 3 & ~3)
