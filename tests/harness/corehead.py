"""Cores as the kernel writes them into a pipe: headers and notes first. (gdb's gcore has the notes last.)"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import List, Sequence, Tuple

from addrspace_gdb.process.elf import Segment, read_header, read_segments
from addrspace_gdb.process.elf_structs import PT_LOAD, PT_NOTE

_PROGRAM = struct.Struct("<IIQQQQQQ")  # elf(5), 64 bits
_FILE = struct.Struct("<16sHHIQQQIHHHHHH")
_IDENT = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
_CORE, _X86_64 = 4, 62


def kernel_head(core: Path) -> bytes:
    """The headers and the notes of a core of amd64, as they come first through a pipe."""
    with core.open("rb") as file:
        segments = read_segments(file, read_header(file, str(core)), str(core))
        texts = []
        for segment in segments:
            if segment.type == PT_NOTE:
                file.seek(segment.offset)
                texts.append(file.read(segment.filesz))
    return _head(b"".join(texts), [segment for segment in segments if segment.type == PT_LOAD])


def _head(notes: bytes, loads: Sequence[Segment]) -> bytes:
    size = _FILE.size + _PROGRAM.size * (1 + len(loads))
    header = _FILE.pack(
        *(_IDENT, _CORE, _X86_64, 1, 0, _FILE.size, 0, 0, _FILE.size, _PROGRAM.size, 1 + len(loads), 0, 0, 0)
    )
    programs = [_PROGRAM.pack(PT_NOTE, 0, size, 0, 0, len(notes), 0, 1)]
    at = size + len(notes)
    for load in loads:
        programs.append(_PROGRAM.pack(PT_LOAD, load.flags, at, load.vaddr, 0, load.filesz, load.memsz, 4096))
        at += load.filesz
    return header + b"".join(programs) + notes


def made_head(pid: int, threads: int = 1, number: int = 11, address: int = 0x28) -> bytes:
    """A head for a process that is there: its own auxiliary vector, all else made up."""
    auxv = Path(f"/proc/{pid}/auxv").read_bytes()
    siginfo = struct.pack("<3i4xQ", number, 0, 1, address).ljust(128, b"\0")
    process = bytes(24) + struct.pack("<i", pid) + bytes(108)
    notes: List[Tuple[int, bytes]] = [
        (1, _status(pid, number)),
        (3, process),
        (0x53494749, siginfo),
        (6, auxv),
    ]
    notes += [(1, _status(pid + more, 0)) for more in range(1, threads)]
    text = b"".join(_note(kind, data) for kind, data in notes)
    return _head(text, [Segment(PT_LOAD, 6, 0, 0x10000, 1 << 20, 1 << 20)])


def _status(tid: int, number: int) -> bytes:
    """elf_prstatus with rip 0x401000 and the rest of the registers their own index."""
    registers = [0x401000 if index == 16 else index for index in range(27)]
    head = bytes(12) + struct.pack("<h", number) + bytes(18) + struct.pack("<i", tid)
    return head.ljust(112, b"\0") + struct.pack("<27Q", *registers) + bytes(8)


def _note(kind: int, text: bytes) -> bytes:
    padded = text + bytes(-len(text) % 4)
    return struct.pack("<3I", 5, len(text), kind) + b"CORE\0\0\0\0" + padded
