"""The memory of a process as its core file has it, with the files in place of what the core leaves out.

The kernel leaves out what it can find again (code, files) and what coredump_filter says (core(5)).
"""

from __future__ import annotations

import os
from bisect import bisect_right
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from addrspace_gdb.common.problems import CUT, NOT_HELD, ProblemError, UnreadableError
from addrspace_gdb.process.corefile import Core, core_segments
from addrspace_gdb.process.elf import read_image
from addrspace_gdb.process.elf_structs import PT_LOAD
from addrspace_gdb.process.loaded import load_bias
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.process.regular import open_regular


class FilePart(NamedTuple):
    """Where a file has what a mapping shows: bytes [start, end) of memory, at `offset` of the file."""

    path: str
    start: int
    end: int
    offset: int


def program_parts(program: str, core: Core) -> List[FilePart]:
    """What of the memory of a core its `program` has, none if that is not loaded there: by segments, as in a
    file that was stripped other parts may lie elsewhere."""
    try:
        image = read_image(program)
    except ProblemError:
        return []
    bias = load_bias(image, core.mappings, core.executable, core.page_size)
    if bias is None:
        return []
    return [FilePart(program, bias + s.vaddr, bias + s.vaddr + s.filesz, s.offset) for s in image.segments]


FilesOf = Callable[[Mapping], List[FilePart]]


class _Piece(NamedTuple):
    """Bytes [start, end) of memory that are in the core from `offset` on."""

    start: int
    end: int
    offset: int


def extents(path: str) -> List[Tuple[int, int, int]]:
    """What memory the core file at `path` has: (start, end, offset in the file), ascending. ProblemError."""
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        found = (
            (s.vaddr, s.vaddr + min(s.filesz, s.memsz, max(0, size - s.offset)), s.offset)
            for s in core_segments(stream, path)
            if s.type == PT_LOAD
        )
        return sorted(one for one in found if one[0] < one[1])


class CoreMemory:
    """Reads of one core, whose file is opened once. ProblemError where it cannot be."""

    def __init__(self, core: Core, files_of: Optional[FilesOf] = None) -> None:
        """`files_of` says which files have a mapping that the core does not."""
        self._core, self._files_of = core, files_of
        self._stream = open_regular(core.path)
        self._pieces = [_Piece(*one) for one in extents(core.path)]
        self._starts = [piece.start for piece in self._pieces]
        self._edges = [mapping.start for mapping in core.mappings]
        self._parts: Dict[int, List[FilePart]] = {}  # by the start of the mapping
        self._open: Dict[str, Optional[int]] = {}

    def __del__(self) -> None:
        for descriptor in getattr(self, "_open", {}).values():
            if descriptor is not None:
                os.close(descriptor)

    def read(self, address: int, size: int) -> bytes:
        """Exactly `size` bytes at `address`. UnreadableError if any of them is in no file."""
        if size <= 0:
            return b""
        found: List[bytes] = []
        at, end = address, address + size
        while at < end:
            piece = self._piece(at)
            if piece is not None:
                data = self._of_core(piece, at, min(end, piece.end))
            else:
                data = self._of_files(at, min(end, self._next(at)))
            if not data:
                raise UnreadableError(address, size, self._why(at))
            found.append(data)
            at += len(data)
        return found[0] if len(found) == 1 else b"".join(found)

    def _piece(self, address: int) -> Optional[_Piece]:
        index = bisect_right(self._starts, address) - 1
        return self._pieces[index] if index >= 0 and address < self._pieces[index].end else None

    def _next(self, address: int) -> int:
        """Where the core has something again."""
        index = bisect_right(self._starts, address)
        return self._starts[index] if index < len(self._starts) else 1 << 65

    def _of_core(self, piece: _Piece, start: int, end: int) -> bytes:
        try:
            return os.pread(self._stream.fileno(), end - start, piece.offset + start - piece.start)
        except (OSError, OverflowError):
            return b""

    def _mapping(self, address: int) -> Optional[Mapping]:
        index = bisect_right(self._edges, address) - 1
        mapping = self._core.mappings[index] if index >= 0 else None
        return mapping if mapping is not None and address < mapping.end else None

    def _of_files(self, start: int, end: int) -> bytes:
        """What a file has from `start` on: not what the process may have changed."""
        mapping = self._mapping(start)
        if mapping is None or mapping.file is None or mapping.permissions[1] == "w":
            return b""
        if mapping.start not in self._parts:
            self._parts[mapping.start] = self._files_of(mapping) if self._files_of is not None else []
        for part in self._parts[mapping.start]:
            if part.start <= start < part.end:
                return self._of_file(part, start, min(end, part.end, mapping.end))
        return b""

    def _of_file(self, part: FilePart, start: int, end: int) -> bytes:
        if part.path not in self._open:
            try:
                with open_regular(part.path) as file:
                    self._open[part.path] = os.dup(file.fileno())
            except (OSError, ProblemError):
                self._open[part.path] = None
        descriptor = self._open[part.path]
        if descriptor is None:
            return b""
        try:
            return os.pread(descriptor, end - start, part.offset + start - part.start)
        except (OSError, OverflowError):
            return b""

    def _why(self, address: int) -> str:
        mapping = self._mapping(address)
        if mapping is None or not 0 <= mapping.dumped < mapping.size:
            return ""
        return why_missing(mapping, self._core.truncated)


def why_missing(mapping: Mapping, truncated: bool) -> str:
    """Why a core lacks memory of a mapping that no file stands in for; `truncated`: the core is cut off."""
    may_be_cut = mapping.file is None or mapping.permissions[1] == "w"
    return CUT if truncated and may_be_cut else NOT_HELD


def memory_of(core: Core) -> Callable[[int, int], bytes]:
    """A function that reads (address, size) from the core alone. ProblemError, and UnreadableError later."""
    return CoreMemory(core).read
