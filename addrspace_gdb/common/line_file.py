"""A file that grows by whole lines: whenever its writer is ended, all lines in it are complete."""

from __future__ import annotations

import os
import stat

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.held_signals import held_signals
from addrspace_gdb.common.problems import ProblemError


class LineFile:
    """The file `name`, made anew when the first line is written."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._file = -1
        self._length = 0  # bytes of all lines; regular files only

    def write(self, line: bytes) -> None:
        """Append a line, which ends with a newline. ProblemError if that fails: it is not there then."""
        with held_signals():
            try:
                if self._file < 0:
                    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
                    self._file = os.open(os.path.expanduser(self._name), flags, 0o666)
                self._append(line)
            except OSError as error:
                raise ProblemError(f"cannot write {printable(self._name)}: {error.strerror}") from None

    def _append(self, line: bytes) -> None:
        """In one call: the kernel writes what is short at once, or nothing of it."""
        is_regular = stat.S_ISREG(os.fstat(self._file).st_mode)
        try:
            written = os.write(self._file, line)
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError:
            if is_regular:
                os.ftruncate(self._file, self._length)
            raise
        self._length += written

    def __del__(self) -> None:
        if self._file >= 0:
            os.close(self._file)
