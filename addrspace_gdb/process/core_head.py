"""The head of a core that comes through a pipe: its headers and its notes, and not a byte more.

The kernel writes them first (elf_core_dump in fs/binfmt_elf.c); gdb's gcore writes the notes last.
"""

from __future__ import annotations

import io
from typing import Callable, List, NamedTuple

from addrspace_gdb.common.problems import ProblemError, Problems
from addrspace_gdb.process.corefile import counted
from addrspace_gdb.process.corenotes import CoreNotes, read_notes
from addrspace_gdb.process.elf import Header, Segment, read_header, read_segments
from addrspace_gdb.process.elf_structs import PT_NOTE, structs_of
from addrspace_gdb.process.regular import read_at

_FILE_HEADER = 64  # bytes: of a 64-bit machine, the longer one
_MOST = 256 << 20  # bytes: a thread has 3 to 14 KiB of notes, a mapping about 150 bytes in all
_NAME = "the core on standard input"


class CoreHead(NamedTuple):
    """What the head says."""

    machine: str  # "EM_X86_64" ...
    pointer_size: int
    byte_order: str
    notes: CoreNotes
    problems: List[str]


class ComingCore:
    """A core of which as little is read as its head takes; `data` is what was."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        """`read` gives at most that many bytes more, none at the end."""
        self._read = read
        self._store = io.BytesIO()
        self._size = 0

    @property
    def data(self) -> memoryview:
        """All that was read by now."""
        return self._store.getbuffer()

    def head(self) -> CoreHead:
        """Read it. ProblemError where it is no core, or not one that has threads."""
        header = self._header()
        structs = structs_of(header.pointer_size, header.byte_order)
        self._fill(header.phoff + structs.program.size)
        header = counted(self._store, header, _NAME)
        self._fill(header.phoff + header.phnum * structs.program.size)
        segments = read_segments(self._store, header, _NAME)
        if len(segments) < max(1, header.phnum):
            raise ProblemError(f"{_NAME} ends within its program headers")
        return self._notes(header, [segment for segment in segments if segment.type == PT_NOTE])

    def _header(self) -> Header:
        self._fill(_FILE_HEADER)
        header = read_header(self._store, _NAME)
        if header.type != "CORE":
            raise ProblemError(f"{_NAME} is an ELF file but not a core")
        return header

    def _notes(self, header: Header, places: List[Segment]) -> CoreHead:
        problems = Problems()
        end = max((place.offset + place.filesz for place in places), default=0)
        self._fill(end)
        if self._size < end:
            problems.add(f"{_NAME} ends within its notes: {end - self._size:,} bytes of them are missing")
        parts = [read_at(self._store, place.offset, place.filesz) for place in places]
        machine, pointer_size, order = header.machine, header.pointer_size, header.byte_order
        notes = read_notes([part for part in parts if part], machine, pointer_size, order, problems)
        if not notes.threads:
            raise ProblemError(f"{_NAME} tells of no thread")
        return CoreHead(machine, pointer_size, order, notes, list(problems))

    def _fill(self, size: int) -> None:
        """Read on until there are `size` bytes in all, or no more come."""
        if size > _MOST:
            raise ProblemError(f"{_NAME} claims more than {_MOST >> 20} MiB of headers and notes: damaged")
        self._store.seek(0, io.SEEK_END)
        while self._size < size:
            piece = self._read(size - self._size)
            if not piece:
                return
            self._size += self._store.write(piece)
