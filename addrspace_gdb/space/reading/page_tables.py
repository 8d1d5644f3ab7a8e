"""What the kernel says of a process's pages after a walk of all its page tables, read beside other work."""

from __future__ import annotations

from functools import partial
from typing import Dict, Optional, Sequence

from addrspace_gdb.common.later import Later
from addrspace_gdb.common.problems import Problems
from addrspace_gdb.process.kernelcounts import KernelCounts, count_at_once, read_walk, with_walk
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.process.residency import Residency, swap_in_use
from addrspace_gdb.target.protocol import MapsFiles, ProcFiles, Target


class PageTables:
    """smaps and the kernel's counts. With `check` they are begun at once, of a process of this machine in
    threads; of another they are read by `count`."""

    def __init__(self, proc: Optional[ProcFiles], check: bool) -> None:
        self._proc = proc
        self._smaps: Optional[Later[bytes]] = None
        self._walk: Optional[Later[Dict[str, int]]] = None
        self._counts: Optional[KernelCounts] = None
        if check and proc is not None:
            self._smaps = Later(partial(proc.read, "smaps"), beside=proc.local)
            self._walk = Later(partial(read_walk, proc), beside=proc.local)

    def count(self, target: Target, mappings: Sequence[Mapping], residency: Residency) -> None:
        """Read what takes no walk. From now on the process's memory may be read, which may make more of it
        resident: unless that leaves its pages as they are, the walks are over when this returns."""
        if self._proc is None:
            return
        self._counts = count_at_once(self._proc, mappings)
        if not (self._proc.local and _leaves_pages(target, residency)):
            if self._walk is not None:
                self._walk.end()
            if self._smaps is not None:
                self._smaps.end()

    @property
    def counts(self) -> Optional[KernelCounts]:
        """The kernel's counts, if they were read."""
        if self._counts is None or self._walk is None:
            return self._counts
        return with_walk(self._counts, self._walk.found)

    def smaps(self, problems: Problems) -> Optional[bytes]:
        """What the kernel says of each mapping."""
        if self._proc is None:
            return None
        try:
            return self._smaps.found if self._smaps is not None else self._proc.read("smaps")
        except OSError as error:
            why = f"{self._proc.path('smaps')} cannot be read ({error.strerror or error})"
            problems.add(f"{why}: resident bytes are not checked")
            return None


def _leaves_pages(target: Target, residency: Residency) -> bool:
    """Whether reading the process's memory makes no more of it resident: none is in swap, and what it has
    mapped of files is read from these."""
    if not isinstance(target, MapsFiles) or swap_in_use(residency):
        return False
    files = target.file_backed()
    return files is not None and files.has_every_file
