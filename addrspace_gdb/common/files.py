"""Output files: one appears complete or stays as it was. The one way in which this project writes them."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import Iterable, Optional, Sequence

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError

_BUFFER = 1 << 18  # bytes


class OutputFile:
    """The file `name`, checked before the work begins, written when all of the answer is there.

    It is written beside its place and then moved there. Where the name is a symbolic link the file that it
    leads to is replaced; mode and, as far as one may, owner stay. What is not a regular file (/dev/stdout, a
    pipe) is written to directly.
    """

    def __init__(self, name: str, inputs: Sequence[str] = ()) -> None:
        """ProblemError if it cannot be written, or is one of `inputs`, the files that are read."""
        self._name = name
        self._place = os.path.realpath(os.path.expanduser(name))
        self._refuse_inputs(inputs)
        self._check()

    def _refuse_inputs(self, inputs: Sequence[str]) -> None:
        for path in inputs:
            try:
                same = os.path.samefile(self._place, path)
            except (OSError, ValueError):
                continue
            if same:
                raise ProblemError(
                    f"cannot write {printable(self._name)}: it is what is read ({printable(path)}); "
                    "name another file"
                )

    def _check(self) -> None:
        """Say what can be said without leaving a trace: nobody may come back to take one away."""
        folder = os.path.dirname(self._place)
        if self._name.startswith("--"):
            raise self._problem(f"it looks like an option; ./{self._name} is a file")
        if self._name.endswith(os.sep) or os.path.isdir(self._place):
            raise self._problem("it is a directory")
        try:
            mode = os.stat(self._place).st_mode
        except FileNotFoundError:
            mode = 0
        except (OSError, ValueError) as error:
            raise self._problem(getattr(error, "strerror", None) or str(error)) from None
        if mode and not os.access(self._place, os.W_OK):
            raise self._problem("permission denied")
        if mode and not stat.S_ISREG(mode):
            return
        if not os.path.isdir(folder):
            raise self._problem(f"no directory {folder}")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise self._problem("permission denied")

    def _problem(self, reason: str) -> ProblemError:
        return ProblemError(f"cannot write {printable(self._name)}: {printable(reason)}")

    def write(self, pieces: Iterable[bytes]) -> None:
        """Put the answer into the file. ProblemError, and the old file is still there, if that fails.

        What makes the pieces may raise what it likes: that passes through, and nothing has changed.
        """
        status = self._status()
        try:
            if status is not None and not stat.S_ISREG(status.st_mode):
                whole = list(pieces)
                with open(self._place, "wb", buffering=_BUFFER) as file:
                    file.writelines(whole)
            else:
                self._replace(pieces, status)
        except BrokenPipeError:
            pass  # the reader of a pipe had what it wanted
        except OSError as error:
            raise self._problem(error.strerror or str(error)) from None

    def _status(self) -> Optional[os.stat_result]:
        try:
            return os.stat(self._place)
        except OSError:
            return None

    def _replace(self, pieces: Iterable[bytes], status: Optional[os.stat_result]) -> None:
        beside = os.path.join(os.path.dirname(self._place), f".addrspace-{os.getpid()}-{os.urandom(6).hex()}")
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb", buffering=_BUFFER) as file:
                file.writelines(pieces)
                _dress(file.fileno(), status)
            os.replace(beside, self._place)
        except BaseException:  # also an end that came after `open`, or after `replace`
            with suppress(FileNotFoundError):
                os.unlink(beside)
            raise


def _dress(descriptor: int, old: Optional[os.stat_result]) -> None:
    """Owner and mode of the file that is replaced, or those of a new one."""
    if old is None:
        mask = os.umask(0o077)
        os.umask(mask)
        os.fchmod(descriptor, 0o666 & ~mask)
        return
    if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
        try:
            os.fchown(descriptor, old.st_uid, old.st_gid)
        except OSError:
            pass  # only root may give a file away
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
