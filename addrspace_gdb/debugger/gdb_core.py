"""What of the process's memory can be read when gdb looks at a core file.

The kernel leaves out of a core what it can find again (code, files) and what the process's coredump_filter
says (core(5)). gdb fills in from the files that it has. Without them it shows zeroes (gdb 13) or nothing
(18); both are taken for what they are here.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Dict, List, Tuple

import gdb

from addrspace_gdb.problems import NOT_HELD, ProblemError, UnreadableError
from addrspace_gdb.process.corefile import read_core
from addrspace_gdb.process.mappings import Mapping


class HeldMemory:
    """Tells which addresses of a core are in it, or in a file that gdb has in its place."""

    def __init__(self, path: str, has_program: bool) -> None:
        try:
            core = read_core(path)
        except ProblemError:
            core = None  # said by whoever needs its mappings
        mappings = core.mappings if core is not None else []
        self._lost: List[Tuple[int, int, Mapping]] = [
            (m.start + m.dumped, m.end, m) for m in mappings if 0 <= m.dumped < m.size
        ]
        self._ends = [end for _, end, _ in self._lost]
        self._program = core.executable if core is not None and has_program else None
        self._firsts: Dict[str, List[int]] = {}
        for mapping in mappings:
            if mapping.file is not None:
                self._firsts.setdefault(mapping.file, []).append(mapping.start)
        self._known: Dict[str, bool] = {}

    def check(self, address: int, size: int) -> None:
        """UnreadableError if any of [address, address + size) is neither in the core nor in such a file."""
        index = bisect_right(self._ends, address)
        while index < len(self._lost) and self._lost[index][0] < address + size:
            if not self._replaced(self._lost[index][2]):
                raise UnreadableError(address, size, NOT_HELD)
            index += 1

    def _replaced(self, mapping: Mapping) -> bool:
        """Whether gdb reads what is missing from the mapped file: not what the process may have changed."""
        if mapping.file is None or mapping.permissions[1] == "w":
            return False
        known = self._known.get(mapping.file)
        if known is None:
            known = self._known[mapping.file] = mapping.file == self._program or any(
                gdb.solib_name(start) is not None for start in self._firsts[mapping.file]
            )
        return known
