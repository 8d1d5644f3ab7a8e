"""The list of mappings, wherever it comes from: /proc, a core, or, where there is neither, the program.

A stub without access to files (qemu-user's before 8.1, most of those in hardware and emulators) lists
nothing. What the program's own headers, the auxiliary vector and reading at a few addresses tell is the
beginning of a list then; who knows the memory of the program's runtime adds that.
"""

from __future__ import annotations

import io
import os
from itertools import count
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.debugger.target import Auxiliary, ProcFiles, Target
from addrspace_gdb.problems import ProblemError, Problems, UnreadableError
from addrspace_gdb.process.corefile import Core, read_core
from addrspace_gdb.process.corenotes import (
    AT_ENTRY,
    AT_EXECFN,
    AT_PAGESZ,
    AT_PHDR,
    AT_PHNUM,
    AT_RANDOM,
    AT_SYSINFO_EHDR,
)
from addrspace_gdb.process.elf import (
    PT_LOAD,
    PT_PHDR,
    Header,
    Segment,
    read_header,
    read_image,
    read_segments,
)
from addrspace_gdb.process.mappings import Mapping, parse_maps
from addrspace_gdb.process.programmaps import pieces

PAGE_SIZE = 4096  # where nothing says another size
_MOST_HEADERS = 256
_MOST_PAGES = 4096  # of the main thread's stack that are tried; usually it may take 8 MiB
_LARGEST_VDSO = 1 << 20


class Listed(NamedTuple):
    """The mappings in address order, and how they were come by."""

    mappings: List[Mapping]
    proc: Optional[ProcFiles]  # where more can be read of them; None: nothing can
    inferred: bool  # no list was to be had: there may be more mappings than these


def open_core(target: Target) -> Optional[Core]:
    """The core file that `target` is, None for a process. Raises ProblemError."""
    if target.kind != "core" or target.core_file is None:
        return None
    return read_core(target.core_file, target.executable)


def auxiliary_vector(target: Target, core: Optional[Core]) -> Dict[int, int]:
    """The auxiliary vector, empty where it is not known."""
    if core is not None:
        return core.auxv
    return target.auxv() if isinstance(target, Auxiliary) else {}


def page_size_of(target: Target, core: Optional[Core]) -> int:
    """Bytes of a page of the target, as the kernel told it."""
    if core is not None:
        return core.page_size
    if target.kind == "live":
        return os.sysconf("SC_PAGE_SIZE")
    size = auxiliary_vector(target, None).get(AT_PAGESZ, 0)
    return size if 1 << 10 <= size <= 1 << 26 and not size & (size - 1) else PAGE_SIZE


def list_mappings(target: Target, core: Optional[Core], problems: Optional[Problems] = None) -> Listed:
    """Every mapping of `target`, or what is known without a list. Raises ProblemError."""
    if core is not None:
        return Listed(core.mappings, None, False)
    proc = target.proc_files()
    reason = "the remote stub does not give access to /proc; use gdbserver, or dump a core there"
    try:
        if proc is not None:
            found = parse_maps(proc.read("maps"), problems)
            if not found:
                raise ProblemError(f"{proc.path('maps')} is empty: the process has exited")
            return Listed(sorted(found), proc, False)
    except OSError as error:
        reason = f"the process's mappings cannot be read ({proc.path('maps') if proc else ''}): {error}"
    known = _known(target) if target.kind == "remote" else []
    if not known:
        raise ProblemError(reason)
    return Listed(known, None, True)


def add(mappings: Sequence[Mapping], more: Sequence[Mapping]) -> List[Mapping]:
    """Both lists as one; where they overlap, what `mappings` says counts."""
    found = list(mappings)
    for mapping in more:
        at = mapping.start
        for known in sorted(m for m in mappings if m.start < mapping.end and m.end > mapping.start):
            if known.start > at:
                found.append(mapping._replace(start=at, end=known.start))
            at = max(at, known.end)
        if at < mapping.end:
            found.append(mapping._replace(start=at))
    return sorted(found)


def _known(target: Target) -> List[Mapping]:
    """The program's segments, the main thread's stack and the vDSO."""
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
    if address and 0 < number <= _MOST_HEADERS:
        try:
            data = target.read(address, number * (56 if target.pointer_size == 8 else 32))
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
    below = next(n for n in count(1) if n > _MOST_PAGES or not can(n)) - 1
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
    if not ends or not 0 < max(ends) < _LARGEST_VDSO:
        return None
    return Mapping(start, start - (-max(ends) // page * page), "r-x?", None, name="[vdso]")
