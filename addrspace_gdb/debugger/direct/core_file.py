"""A core file as a target, with the program's file for what the core leaves out."""

from __future__ import annotations

from typing import Dict, List, Optional

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.debugger.direct.base import DirectTarget, Stopped
from addrspace_gdb.debugger.direct.objects import Objects, Opened, load_objects
from addrspace_gdb.process.core_memory import CoreMemory, FilePart, program_parts
from addrspace_gdb.process.corefile import read_core
from addrspace_gdb.process.elf import build_ids
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.process.registers import architecture
from addrspace_gdb.process.regular import open_regular, read_at
from addrspace_gdb.target.hints import Hints
from addrspace_gdb.target.protocol import Facts, StopSignal


class CoreTarget(DirectTarget):
    """The core file at `path`."""

    kind = "core"

    def __init__(
        self, path: str, program: Optional[str], sysroot: str, shown: Optional[str], hints: Hints
    ) -> None:
        """`program`: its executable, None if it is not here; `sysroot`: the folder with the files that it had
        mapped, "" for this machine's; `shown`: how the core is called. ProblemError."""
        super().__init__(hints)
        self._core = read_core(path, program)
        self.core_file, self._shown = path, shown or path
        self.pid = self._core.pid
        self.executable, self._sysroot = program, sysroot
        self.pointer_size, self.byte_order = self._core.pointer_size, self._core.byte_order
        machine = self._core.machine
        self.arch = architecture(machine, self.pointer_size, self.byte_order) or machine
        self._right: Dict[str, bool] = {}  # by a file's name in the core
        self._memory = CoreMemory(self._core, self._files_of)

    @property
    def facts(self) -> Facts:
        """How it is called."""
        return Facts(core_name=self._shown)

    def _read(self, address: int, size: int) -> bytes:
        return self._memory.read(address, size)

    def _files_of(self, mapping: Mapping) -> List[FilePart]:
        """Where a mapped file has what the core does not."""
        if mapping.file is None:
            return []
        if mapping.file == self._core.executable:
            return program_parts(self.executable, self._core) if self.executable is not None else []
        path = self._sysroot + mapping.file
        return [FilePart(path, mapping.start, mapping.end, mapping.offset)] if self._is_right(mapping) else []

    def _is_right(self, mapping: Mapping) -> bool:
        """Whether the file of that name here is the one that was mapped, as far as the core tells."""
        name = mapping.file or ""
        if name not in self._right:
            self._right[name] = self._has_same_notes(name)
        return self._right[name]

    def _has_same_notes(self, name: str) -> bool:
        try:
            with open_regular(self._sysroot + name) as file:
                head = read_at(file, 0, self._core.page_size)
            first = next((m for m in self._core.mappings if m.file == name and not m.offset), None)
            if first is None or first.dumped < len(head):
                return True
            return build_ids(head) == build_ids(self._memory.read(first.start, len(head)))
        except (OSError, ProblemError, UnreadableError):
            return False

    def _load_objects(self) -> Objects:
        names = dict.fromkeys(m.file for m in self._core.mappings if m.file is not None)
        program = self._core.executable
        opened = [Opened(program or "", self.executable)] if self.executable is not None else []
        for name in names:
            mapping = next(m for m in self._core.mappings if m.file == name)
            if name != program and self._is_code(name) and self._is_right(mapping):
                opened.append(Opened(name, self._sysroot + name))
        return load_objects(self._core.mappings, opened, self._core.page_size, self._sysroot)

    def _is_code(self, name: str) -> bool:
        return any(m.file == name and m.permissions[2] in "x?" for m in self._core.mappings)

    def _read_threads(self) -> List[Stopped]:
        return [self._of_notes(thread) for thread in self._core.threads]

    def signal(self) -> Optional[StopSignal]:
        """The signal that ended the process."""
        return StopSignal(*self._core.signal) if self._core.signal is not None else None

    def auxv(self) -> Dict[int, int]:
        """The auxiliary vector."""
        return self._core.auxv
