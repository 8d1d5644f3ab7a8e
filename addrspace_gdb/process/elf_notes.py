"""ELF notes: the records of a PT_NOTE segment (gABI, Note Section)."""

from __future__ import annotations

import struct
from typing import Iterator, Tuple

_MAX_RECORDS = 1 << 22  # a process of PID_MAX_LIMIT threads cannot be dumped; one of 100,000 has 600,000


def iter_notes(data: bytes, byte_order: str) -> Iterator[Tuple[bytes, int, memoryview]]:
    """(owner without its NUL, type, contents) of each complete note; stops at the first damaged one, at an
    empty one and after 4,194,304.

    Names and contents are padded to 4 bytes, as Linux, gdb and binutils write them in cores and images of
    both classes.
    """
    head = struct.Struct(("<" if byte_order == "little" else ">") + "3I")
    view = memoryview(data)
    at = 0
    for _ in range(_MAX_RECORDS):
        if at + head.size > len(view):
            return
        name_size, size, kind = head.unpack_from(view, at)
        if not (name_size or size or kind):
            return
        name_at = at + head.size
        start = name_at + (name_size + 3 & ~3)
        if start + size > len(view):
            return
        yield bytes(view[name_at : name_at + name_size]).rstrip(b"\0"), kind, view[start : start + size]
        at = start + (size + 3 & ~3)
