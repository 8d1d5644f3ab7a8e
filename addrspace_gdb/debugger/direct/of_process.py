"""What a process that runs and one that is dying have in common as targets: all of it is in /proc."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Dict, List, Optional

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.debugger.direct.base import DirectTarget
from addrspace_gdb.debugger.direct.objects import Objects, Opened, load_objects
from addrspace_gdb.process.elf import read_header
from addrspace_gdb.process.elf_structs import pairs, structs_of
from addrspace_gdb.process.file_backed import FileBacked
from addrspace_gdb.process.loaded import open_path
from addrspace_gdb.process.local_proc import LocalProc
from addrspace_gdb.process.mappings import Mapping, parse_maps
from addrspace_gdb.process.process_memory import ProcessMemory
from addrspace_gdb.process.registers import architecture
from addrspace_gdb.process.regular import open_regular
from addrspace_gdb.target.hints import Hints
from addrspace_gdb.target.protocol import ProcFiles


class ProcessTarget(DirectTarget):
    """Process `pid` of this machine; whoever made this sees to it that it stands still."""

    kind = "live"
    pid: int

    def __init__(self, pid: int, program: Optional[str], hints: Hints) -> None:
        """`program`: the file to take symbols from, where that is not the running one. ProblemError."""
        super().__init__(hints)
        self.pid = pid
        self._proc = LocalProc(pid)
        exe = self._proc.path("exe")
        try:
            self._mem = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
            with open_regular(exe) as file:
                header = read_header(file, exe)
            running = os.readlink(exe)
        except OSError as error:
            raise ProblemError(f"process {pid} cannot be read: {error.strerror}") from None
        self._program = program
        self.executable = program or running
        self.pointer_size, self.byte_order = header.pointer_size, header.byte_order
        self.arch = architecture(header.machine, header.pointer_size, header.byte_order) or header.machine
        self._process = ProcessMemory(pid, self._memory, keep=False)

    def __del__(self) -> None:
        if hasattr(self, "_mem"):
            os.close(self._mem)

    def file_backed(self) -> FileBacked:
        """What it has mapped of files."""
        return self._process.file_backed

    def _read(self, address: int, size: int) -> bytes:
        return self._process.read(address, size)

    def _memory(self, address: int, size: int) -> bytes:
        found: List[bytes] = []
        at, end = address, address + size
        while at < end:
            try:
                data = os.pread(self._mem, end - at, at)
            except (OSError, OverflowError, MemoryError):
                data = b""
            if not data:
                raise UnreadableError(address, size)
            found.append(data)
            at += len(data)
        return found[0] if len(found) == 1 else b"".join(found)

    def _load_objects(self) -> Objects:
        mappings = parse_maps(self._proc.read("maps"))
        first: Dict[str, Mapping] = {}
        for mapping in mappings:
            if mapping.file is not None and "x" in mapping.permissions:
                first.setdefault(mapping.file, mapping)
        running = os.readlink(self._proc.path("exe"))
        names = sorted(first, key=lambda name: name != running)  # the program first
        opened = [Opened(name, self._place(name, name == running, first[name])) for name in names]
        return load_objects(mappings, opened, os.sysconf("SC_PAGE_SIZE"))

    def _place(self, name: str, is_program: bool, mapping: Mapping) -> str:
        if is_program:
            return self._program or self._proc.path("exe")
        return open_path(self._proc, mapping)

    def proc_files(self) -> Optional[ProcFiles]:
        """/proc/PID. LetGoError once the process was let go."""
        return self._process.proc_files()

    @cached_property
    def _auxv(self) -> Dict[int, int]:
        try:
            return pairs(
                structs_of(self.pointer_size, self.byte_order), self._process.proc_files().read("auxv")
            )
        except OSError:
            return {}

    def auxv(self) -> Dict[int, int]:
        """The auxiliary vector, read once."""
        return self._auxv
