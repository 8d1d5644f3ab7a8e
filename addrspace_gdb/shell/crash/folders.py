"""Where crashes are kept: a folder that is its owner's alone, with a folder for each of them.

Nothing in there is opened through a link, and no file is written that was there before.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import time
from typing import Iterable, List, NamedTuple

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError

_NAME = re.compile(r"\d{8}T\d{6}Z-[A-Za-z0-9_.%+-]+-\d+(\.\d+)?")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SMALL = 1 << 20  # bytes
_SAME_NAME = 100  # crashes of a process id in a second


class Kept(NamedTuple):
    """A crash that is kept."""

    name: str
    size: int  # bytes


def folder_name(command: str, pid: int, when: float) -> str:
    """What the folder of a crash is called: its time (UTC), the command's name, escaped, and the pid."""
    raw = os.fsencode(command)[:64] or b"unknown"
    safe = "".join(chr(b) if re.match(rb"[A-Za-z0-9_.+-]", bytes([b])) else f"%{b:02x}" for b in raw)
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(when))}-{safe}-{pid}"


class Crashes:
    """The folder of all crashes."""

    def __init__(self, path: str, make: bool = False) -> None:
        """ProblemError if it is not there, is a link, or is not this user's alone."""
        self.path = path
        try:
            if make:
                _make(path)
            self.descriptor = os.open(path, _FOLDER)
        except OSError as error:
            raise ProblemError(f"the folder {printable(path)} cannot be opened: {error.strerror}") from None
        status = os.fstat(self.descriptor)
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
            raise ProblemError(f"the folder {printable(path)} is not this user's alone (mode 0700)")

    def names(self) -> List[str]:
        """The crashes in it, oldest first."""
        return sorted(name for name in os.listdir(self.descriptor) if _NAME.fullmatch(name))

    def kept(self) -> List[Kept]:
        """The same with what they take."""
        return [Kept(name, self._size(name)) for name in self.names()]

    def _size(self, name: str) -> int:
        try:
            with os.scandir(os.path.join(self.path, name)) as entries:
                return sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
        except OSError:
            return 0  # it has gone meanwhile

    def prune(self, most: int, spared: str = "") -> None:
        """Take the oldest away until all take at most so many bytes; not those that are being written, nor
        the one that is `spared`."""
        found = self.kept()
        total = sum(one.size for one in found)
        for one in found:
            if total <= most:
                return
            if one.name != spared and self._remove(one.name):
                total -= one.size

    def _remove(self, name: str) -> bool:
        try:
            descriptor = os.open(name, _FOLDER, dir_fd=self.descriptor)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(os.path.join(self.path, name), ignore_errors=True)
            return True
        except OSError:
            return False  # somebody writes it
        finally:
            os.close(descriptor)


def _make(path: str) -> None:
    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass


class CrashFolder:
    """The folder of a crash that is being written: until it is closed nobody takes it away."""

    def __init__(self, crashes: Crashes, name: str, room: int) -> None:
        """`room`: bytes that it may take at most. OSError."""
        self.name, self._room = _new(crashes.descriptor, name), room
        self.path = os.path.join(crashes.path, self.name)
        self._descriptor = os.open(self.name, _FOLDER, dir_fd=crashes.descriptor)
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def close(self) -> None:
        """From now on it may be taken away."""
        os.close(self._descriptor)

    def share(self) -> None:
        """Have half of the room from now on: another process has the other half."""
        self._room //= 2

    def write(self, name: str, pieces: Iterable[str], anyway: bool = False) -> int:
        """A file, which has its name when all of it is there; its size in bytes. ProblemError, OSError.

        `anyway`: it is small, is written again and again, and takes none of the room.
        """
        beside = name + ".part"
        try:
            size = self._write(beside, pieces, _SMALL if anyway else self._room)
        except BaseException:
            os.unlink(beside, dir_fd=self._descriptor)
            raise
        os.replace(beside, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        self._room -= 0 if anyway else size
        return size

    def _write(self, name: str, pieces: Iterable[str], room: int) -> int:
        size = 0
        descriptor = os.open(name, _NEW_FILE, 0o600, dir_fd=self._descriptor)
        with os.fdopen(descriptor, "wb", buffering=1 << 18) as file:
            for piece in pieces:
                data = piece.encode("utf-8", "surrogateescape")
                size += len(data)
                if size > room:
                    raise ProblemError("it is too large for the room that there is (--keep)")
                file.write(data)
        return size


def _new(within: int, name: str) -> str:
    """Make a folder of that name, or of one like it if there is one. OSError."""
    for number in range(_SAME_NAME):
        chosen = f"{name}.{number}" if number else name
        try:
            os.mkdir(chosen, 0o700, dir_fd=within)
            return chosen
        except FileExistsError:
            continue
    raise FileExistsError(17, "there are too many of this name", name)
