"""The head of a core that comes through a pipe: its headers and its notes, and not a byte more.

The kernel writes them first (elf_core_dump in fs/binfmt_elf.c); gdb's gcore writes the notes last.
"""

from __future__ import annotations

import io
from typing import Callable, List, NamedTuple

from addrspace_gdb.common.problems import ProblemError, Problems
from addrspace_gdb.common.sizes import size
from addrspace_gdb.process.corefile import counted
from addrspace_gdb.process.corenotes import CoreNotes, read_notes
from addrspace_gdb.process.elf import Header, Segment, read_header, read_segments
from addrspace_gdb.process.elf_structs import PT_LOAD, PT_NOTE, structs_of
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
        places = [segment for segment in segments if segment.type == PT_NOTE]
        _refuse_distant(places, [one.offset for one in segments if one.type == PT_LOAD and one.filesz])
        return self._notes(header, places)

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

    def _fill(self, wanted: int) -> None:
        """Read on until there are `wanted` bytes in all, or no more come."""
        if wanted > _MOST:
            raise ProblemError(f"{_NAME} claims more than {_MOST >> 20} MiB of headers and notes: damaged")
        self._store.seek(0, io.SEEK_END)
        while self._size < wanted:
            piece = self._read(wanted - self._size)
            if not piece:
                return
            self._size += self._store.write(piece)


def _refuse_distant(places: List[Segment], memory: List[int]) -> None:
    """ProblemError where the notes come too long after the memory that begins at the offsets `memory`."""
    first = min((place.offset for place in places), default=0)
    if first > _MOST and memory and min(memory) < first:
        raise ProblemError(
            f"{_NAME} has {size(first)} of memory before its threads, as debuggers write cores (the kernel "
            "has them first): save it to a file, and run `addrspace-gdb fault FILE`"
        )
