"""Private folders in $TMPDIR that do not outlive who made them, even if that was ended by SIGKILL.

A folder is locked (flock(2)) for as long as somebody has it open. One that nobody locks was left behind, and
whoever makes the next one takes it away.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Optional, Type

from addrspace_gdb.common.held_signals import held_signals
from addrspace_gdb.common.problems import ProblemError

_IN_MEMORY = "/dev/shm"
_PLACES = "$TMPDIR, /tmp, /var/tmp or /dev/shm (docker run --tmpfs /tmp)"
PREFIX = "addrspace-gdb-run-"
_NAME = re.compile(re.escape(PREFIX) + r"[A-Za-z0-9_]{8}")


def temporary() -> str:
    """The folder for temporary files: $TMPDIR or the system's, or in memory where no file system can be
    written, as in many containers. ProblemError if there is none."""
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        if not os.access(_IN_MEMORY, os.W_OK | os.X_OK):
            raise ProblemError(f"no folder for temporary files can be written: {_PLACES}") from None
        tempfile.tempdir = _IN_MEMORY
        return _IN_MEMORY


class PrivateFolder:
    """A new empty folder that only this user can enter, gone when the block ends. Raises OSError,
    ProblemError.

    The lock is shared with children that inherit the descriptor: they hold the folder too.
    """

    def __init__(self) -> None:
        self._lock = -1
        sweep(temporary())
        try:
            with held_signals():
                self._make()
        except BaseException:  # one came meanwhile
            self.remove()
            raise

    def _make(self) -> None:
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
            self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX)
            except OSError:
                pass  # a file system without locks: a sweep fails on it too
            if os.path.isdir(self.path):
                return
            os.close(self._lock)  # another one's sweep came between

    def __enter__(self) -> Path:
        return self.path

    def __del__(self) -> None:
        """An end that comes between the two lines of a `with` must not leave it behind either."""
        self.remove()

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        value: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """Take it away, with all that is in it. Doing it twice is harmless."""
        if self._lock < 0:
            return
        with held_signals():
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1


def sweep(temporary: str) -> None:
    """Take away what commands of this user that are gone have left in the folder `temporary`."""
    try:
        with os.scandir(temporary) as entries:
            left = [entry.path for entry in entries if _NAME.fullmatch(entry.name)]
    except OSError:
        return
    for path in left:
        _remove_if_left(path)


def _remove_if_left(path: str) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        status = os.fstat(descriptor)
        if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) == 0o700:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
    except OSError:
        pass  # it is in use
    finally:
        os.close(descriptor)


def is_only_ours(path: str) -> bool:
    """Whether only this user, its own group and root can change what is in a folder, or put another one in
    its place. `path` has no symbolic links. OSError."""
    ours = (0, os.geteuid())
    for place in (path, *map(str, Path(path).parents)):
        status = os.stat(place)
        others = stat.S_IWOTH | (0 if status.st_gid == os.getegid() else stat.S_IWGRP)
        sticky = place != path and status.st_mode & stat.S_ISVTX  # as /tmp: what is in it stays its owner's
        if status.st_uid not in ours or (status.st_mode & others and not sticky):
            return False
    return True
