"""The mappings of a process, as the kernel lists them in /proc/PID/maps or a core records them."""

from __future__ import annotations

from typing import NamedTuple, Optional


class Mapping(NamedTuple):
    """One mapping (vm_area_struct) of the process."""

    start: int
    end: int
    permissions: str  # "rw-p"; the last character is "?" where a core does not say
    file: Optional[str]  # path of the mapped file, None for anonymous memory
    offset: int = 0  # of `start` in the file, bytes
    inode: int = 0
    device: str = ""  # "fe:00", as in maps
    name: str = ""  # the kernel's own name in brackets: "[stack]", "[vdso]", "[anon: Go: heap]"
    dumped: int = -1  # bytes of it that a core file holds, from its start; -1: not a core

    @property
    def size(self) -> int:
        """Bytes of address space."""
        return self.end - self.start
