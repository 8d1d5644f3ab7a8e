"""Mappings of a process that nobody lists.

A stub without access to files (qemu-user's before 8.1, most of those in hardware and emulators) lists
nothing. What the program's own headers, the auxiliary vector and reading at a few addresses tell is the
beginning of a list then; who knows the memory of the program's runtime adds that.
"""

from __future__ import annotations

import io
from itertools import count
from typing import Dict, List, Optional, Tuple

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.process.auxv import auxiliary_vector, page_size_of
from addrspace_gdb.process.corenotes import (
    AT_ENTRY,
    AT_EXECFN,
    AT_PHDR,
    AT_PHNUM,
    AT_RANDOM,
    AT_SYSINFO_EHDR,
)
from addrspace_gdb.process.elf import Header, Segment, read_header, read_image, read_segments
from addrspace_gdb.process.elf_structs import PT_LOAD, PT_PHDR, structs_of
from addrspace_gdb.process.mappings import Mapping, add
from addrspace_gdb.process.segment_mappings import pieces
from addrspace_gdb.target.protocol import Target

_MAX_HEADERS = 256  # program headers
_MAX_PAGES = 4096  # of the main thread's stack that are tried; usually it may take 8 MiB
_MAX_VDSO = 1 << 20  # bytes


def infer_mappings(target: Target) -> List[Mapping]:
    """The program's segments, the main thread's stack and the vDSO; empty if not even the first are known."""
    auxv, page = auxiliary_vector(target, None), page_size_of(target, None)
    found = _segments(target, auxv)
    if found is None:
        return []
    bias, segments, name = found
    known = list(pieces(segments, bias, page, name))
    more = [_stack(target, auxv, page), _vdso(target, auxv, page)]
    return add(known, [m for m in more if m is not None])


def _segments(target: Target, auxv: Dict[int, int]) -> Optional[Tuple[int, List[Segment], str]]:
    """Load bias, segments and name of the program: its headers in memory, else in the file."""
    address, number = auxv.get(AT_PHDR, 0), auxv.get(AT_PHNUM, 0)
    name = target.executable or "the program"
    if address and 0 < number <= _MAX_HEADERS:
        try:
            size = structs_of(target.pointer_size, target.byte_order).program.size
            data = target.read(address, number * size)
        except UnreadableError:
            data = b""
        header = Header("", "", target.pointer_size, target.byte_order, 0, 0, number, 0, 0, 0)
        headers = read_segments(io.BytesIO(data), header, name)
        itself = [s.vaddr for s in headers if s.type == PT_PHDR]
        if itself:
            return address - itself[0], [s for s in headers if s.type == PT_LOAD], name
    try:
        image = read_image(name)
    except ProblemError:
        return None
    return auxv.get(AT_ENTRY, image.entry) - image.entry, image.segments, name


def _stack(target: Target, auxv: Dict[int, int], page: int) -> Optional[Mapping]:
    """The main thread's: its last page holds the program's name, its first is the last readable one below."""
    top = auxv.get(AT_EXECFN) or auxv.get(AT_RANDOM, 0)

    def can(pages: int) -> bool:
        try:
            return pages <= top // page and len(target.read((top // page - pages) * page, 1)) == 1
        except UnreadableError:
            return False

    if not top or not can(0):
        return None
    below = next(n for n in count(1) if n > _MAX_PAGES or not can(n)) - 1
    return Mapping((top // page - below) * page, (top // page + 1) * page, "rw-?", None, name="[stack]")


def _vdso(target: Target, auxv: Dict[int, int], page: int) -> Optional[Mapping]:
    """By the ELF headers in its first page."""
    start = auxv.get(AT_SYSINFO_EHDR, 0)
    try:
        stream = io.BytesIO(target.read(start, page)) if start else io.BytesIO()
        segments = read_segments(stream, read_header(stream, "[vdso]"), "[vdso]")
    except (UnreadableError, ProblemError):
        return None
    ends = [s.vaddr + s.memsz for s in segments if s.type == PT_LOAD]
    if not ends or not 0 < max(ends) < _MAX_VDSO:
        return None
    return Mapping(start, start - (-max(ends) // page * page), "r-x?", None, name="[vdso]")
