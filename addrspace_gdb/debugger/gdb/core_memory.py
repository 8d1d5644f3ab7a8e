"""What of the process's memory can be read when gdb looks at a core file.

The kernel leaves out of a core what it can find again (code, files) and what the process's coredump_filter
says (core(5)). gdb fills in from the files that it has. Without them it shows zeroes (gdb 13) or nothing
(18); both are taken for what they are here.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import List, Optional, Tuple

from addrspace_gdb.common.problems import NOT_HELD, ProblemError, UnreadableError
from addrspace_gdb.debugger.gdb.text import output_of
from addrspace_gdb.process.core_memory import FilePart, program_parts, why_missing
from addrspace_gdb.process.corefile import Core, part_of, read_core
from addrspace_gdb.process.corenotes import AT_ENTRY
from addrspace_gdb.process.mappings import Mapping

# `info files` lists the sections of everything gdb reads from; those of the core itself are called load1 ...
_SECTION = re.compile(r"^\t0x([0-9a-f]+) - 0x([0-9a-f]+) is (?!load\d)", re.MULTILINE)
_ENTRY = re.compile(r"^\tEntry point: 0x([0-9a-f]+)$", re.MULTILINE)


class HeldMemory:
    """Which addresses of a core are in it, or in a file in its place."""

    def __init__(self, path: str, program: Optional[str]) -> None:
        try:
            core: Optional[Core] = read_core(path, program)
        except ProblemError:
            core = None  # said by whoever needs its mappings
        mappings = core.mappings if core is not None else []
        self._lost: List[Tuple[int, int, Mapping]] = [
            (m.start + m.dumped, m.end, m) for m in mappings if 0 <= m.dumped < m.size
        ]
        self._truncated = core is not None and core.truncated
        self._ends = [end for _, end, _ in self._lost]
        text = output_of("info files")
        self._sections = sorted((int(a, 16), int(b, 16)) for a, b in _SECTION.findall(text))
        entry = _ENTRY.search(text)
        self._program = core.executable if core is not None else None
        expected = core.auxv.get(AT_ENTRY) if core is not None else None
        # gdb leaves a position-independent program where the linker put it if its program headers are not the
        # core's to the byte: strip(1) changes them.
        self.misplaced = bool(program and entry and expected and int(entry.group(1), 16) != expected)
        self._parts: List[FilePart] = []  # of the program's file, where gdb has it in the wrong place
        if self.misplaced and program is not None and core is not None:
            self._parts = program_parts(program, core)

    def check(self, address: int, size: int) -> Optional[bytes]:
        """The memory there, if that must be read from the program's file; None: gdb reads it.

        UnreadableError if any of it is neither in the core nor in a file.
        """
        index = bisect_right(self._ends, address)
        while index < len(self._lost) and self._lost[index][0] < address + size:
            low, high, mapping = self._lost[index]
            if not self._replaced(mapping, max(low, address), min(high, address + size)):
                raise UnreadableError(address, size, why_missing(mapping, self._truncated))
            if self._parts and mapping.file == self._program:
                return self._of_file(address, size)
            index += 1
        return None

    def _replaced(self, mapping: Mapping, start: int, end: int) -> bool:
        """Whether a file has what is missing: not what the process may have changed."""
        if mapping.file is None or mapping.permissions[1] == "w":
            return False
        if self._parts and mapping.file == self._program:
            return True
        index = bisect_right(self._sections, (start, 1 << 64)) - 1
        # Between sections there is padding, which nobody reads for its own sake.
        return any(low < end and start < high for low, high in self._sections[max(0, index) : index + 2])

    def _of_file(self, address: int, size: int) -> bytes:
        for part in self._parts:
            if part.start <= address and address + size <= part.end:
                data = part_of(part.path, part.offset + address - part.start, size)
                if len(data) == size:
                    return data
        raise UnreadableError(address, size, NOT_HELD)
