"""The one way to open a file whose name comes from outside: from a core, a process, a link map, its user.

Such a name may be anything: a FIFO, which waits for a writer, a device, whose opening does something, a file
of /proc that waits when it is read, a terminal.
"""

from __future__ import annotations

import os
import stat
from typing import IO, Optional

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError

# Should the name be another file's by the time it is opened: do not wait for a writer, do not become the
# terminal of this process (open(2)).
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


def open_regular(path: str, shown: Optional[str] = None) -> IO[bytes]:
    """Open a file for reading. ProblemError, one line that calls it `shown`, where that fails or where it is
    a pipe, a device or a directory, or empty, as those of /proc are that wait. Nobody waits."""
    name = printable(path if shown is None else shown)
    try:
        _check(os.stat(path), name)
        descriptor = os.open(path, _FLAGS)
        try:
            _check(os.fstat(descriptor), name)
            return os.fdopen(descriptor, "rb")
        except BaseException:
            os.close(descriptor)
            raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path, or what no path can have
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ProblemError(f"cannot read {name}: {reason}") from error


def _check(status: os.stat_result, name: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ProblemError(f"{name} is not a regular file")
    if not status.st_size:
        raise ProblemError(f"{name} is empty")


def read_at(stream: IO[bytes], offset: int, size: int) -> bytes:
    """What the file holds of [offset, offset + size); nothing for an offset that no file can have.

    `size` must have been checked against a bound: the buffer is allocated at once. Raises OSError.
    """
    if size <= 0 or not 0 <= offset < 1 << 63:
        return b""
    try:
        stream.seek(offset)
    except OSError:  # EINVAL: beyond what the file system can store
        return b""
    return stream.read(size)
