"""Memory of a process of this machine: what it has mapped of files from the files, the rest as somebody reads
it; and, if it is to be let go before all is worked out, kept."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Optional

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.process.file_backed import FileBacked
from addrspace_gdb.process.kept_memory import KeptMemory, LetGoError, Read
from addrspace_gdb.process.local_proc import LocalProc


class ProcessMemory:
    """Of one process that stands still; `kept` is None where it stays as long as it is asked."""

    def __init__(self, pid: int, read: Read, keep: bool) -> None:
        """`read`: memory itself, UnreadableError where there is none. `keep`: the process is to be let go."""
        self._proc = LocalProc(pid)
        self.kept: Optional[KeptMemory] = KeptMemory(read) if keep else None
        self._memory = self.kept.read if self.kept is not None else read

    @cached_property
    def file_backed(self) -> FileBacked:
        """What the process has mapped of files."""
        return FileBacked(self._proc, os.sysconf("SC_PAGE_SIZE"))

    def read(self, address: int, size: int) -> bytes:
        """Exactly `size` bytes. UnreadableError; LetGoError for what was not read in time."""
        if not self.file_backed.covers(address, size):
            return self._memory(address, size)
        try:
            return self.file_backed.read(address, size, self._memory)
        except UnreadableError:
            raise UnreadableError(address, size) from None

    def proc_files(self) -> LocalProc:
        """/proc/PID. LetGoError once the process was let go."""
        self.check_held("/proc")
        return self._proc

    def check_held(self, what: str) -> None:
        """LetGoError, which says what was asked for, once the process was let go."""
        if self.kept is not None and self.kept.let_go:
            raise LetGoError(f"{what} is asked for after the process was let go")

    def let_go(self) -> None:
        """The process is about to run on: from now on there is what was read of it, and its files."""
        if self.kept is not None and not self.kept.let_go:
            self.file_backed.settle(self.kept.read)
            self.kept.release()
