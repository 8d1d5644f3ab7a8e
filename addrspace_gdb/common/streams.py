"""Standard input, output and error of the ``addrspace-gdb`` command, which may be closed, full, or nobody's.

Everything is written to the descriptors themselves: nothing is left in a buffer that the interpreter would
try to write once more at its end.
"""

from __future__ import annotations

import os
import select
import shutil
import sys
from typing import BinaryIO, Iterable

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError

STDOUT, STDERR = 1, 2
_CHUNK = 1 << 20  # bytes that are copied at once
# Those of the three that were closed when the command was started.
_closed: set[int] = set()


def secure_streams() -> None:
    """Open /dev/null in place of a standard stream that is closed: the next file would take its number."""
    for number in (0, STDOUT, STDERR):
        try:
            os.fstat(number)
        except OSError:
            _closed.add(number)
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)


def to_stdout(pieces: Iterable[bytes]) -> bool:
    """Write to standard output. A reader that goes away early has what it wanted: False.

    ProblemError if it is closed, or cannot take all of it.
    """
    if STDOUT in _closed:
        raise ProblemError("there is no standard output; name a file: -o FILE")
    try:
        for piece in pieces:
            _write(STDOUT, piece)
    except BrokenPipeError:
        return False
    except OSError as error:
        raise ProblemError(f"cannot write to standard output: {error.strerror}") from None
    return True


def chunks(source: BinaryIO) -> Iterable[bytes]:
    """What is in an open file, piece by piece."""
    return iter(lambda: source.read(_CHUNK), b"")


def _write(descriptor: int, data: bytes) -> None:
    """All of `data`, also where the other side of the descriptor asked not to be waited for. OSError."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            select.select([], [descriptor], [])


def tell(line: str) -> None:
    """One line on standard error, under the program's name."""
    say(f"addrspace-gdb: {printable(line)}")


def say(line: str) -> None:
    """One line on standard error; nowhere if nobody takes it."""
    _to_stderr(f"{line}\n")


def show_line(line: str) -> None:
    """On a terminal, one line that the next one takes the place of; "" takes it away."""
    if stderr_is_terminal():
        width = shutil.get_terminal_size((80, 24)).columns - 1
        _to_stderr(f"\r\x1b[K{printable(line)[:width]}")


def stderr_is_terminal() -> bool:
    """Whether a person sees what is written to standard error."""
    return os.isatty(STDERR)


def stdout_is_terminal() -> bool:
    """Whether a person sees what is written to standard output."""
    return os.isatty(STDOUT)


def speaks_unicode() -> bool:
    """Whether standard output takes UTF-8, as the locale says."""
    return (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"


def _to_stderr(text: str) -> None:
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    try:
        _write(STDERR, text.encode(encoding, "backslashreplace"))
    except OSError:
        pass
