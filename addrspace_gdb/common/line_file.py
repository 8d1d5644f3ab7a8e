"""A file that grows by whole lines: whenever its writer is ended, all lines in it are complete."""

from __future__ import annotations

import os
import stat
from contextlib import nullcontext

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.held_signals import held_signals
from addrspace_gdb.common.problems import ProblemError


class LineFile:
    """The file `name`, made anew when the first line is written. A pipe waits now for somebody to read it."""

    def __init__(self, name: str) -> None:
        """ProblemError if it is a pipe that cannot be opened."""
        self._name, self._path = name, os.path.expanduser(name)
        self._file = -1
        self._is_regular = False
        self._length = 0  # bytes of all lines; regular files only
        try:
            if stat.S_ISFIFO(os.stat(self._path).st_mode):
                self._open()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise self._problem(error) from None

    def write(self, line: bytes) -> None:
        """Append a line, which ends with a newline. ProblemError if that fails: it is not there then."""
        try:
            if self._file < 0:
                self._open()
            # A pipe may have to wait for its reader, which only a signal ends.
            with held_signals() if self._is_regular else nullcontext():
                self._append(line)
        except OSError as error:
            raise self._problem(error) from None

    def _problem(self, error: OSError) -> ProblemError:
        return ProblemError(f"cannot write {printable(self._name)}: {error.strerror}")

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o666)
        self._is_regular = stat.S_ISREG(os.fstat(self._file).st_mode)

    def _append(self, line: bytes) -> None:
        """In one call: the kernel writes what is short at once, or nothing of it."""
        try:
            written = os.write(self._file, line)
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError:
            if self._is_regular:
                os.ftruncate(self._file, self._length)
            raise
        self._length += written

    def __del__(self) -> None:
        if self._file >= 0:
            os.close(self._file)
