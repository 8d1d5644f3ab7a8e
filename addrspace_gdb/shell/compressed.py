"""Core files as systemd-coredump and crash handlers keep them: compressed by zstd, lz4, xz or gzip.

A debugger reads a core at any place, so it must be unpacked, into a private folder that goes away again
however the command ends. xz and gzip are read here; the others by their own program.
"""

from __future__ import annotations

import importlib
import os
import re
import select
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Callable, Iterator, List, NamedTuple, Optional

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.common.progress import Progress
from addrspace_gdb.common.sizes import size
from addrspace_gdb.process.corefile import promised_size
from addrspace_gdb.process.regular import open_regular

Tell = Callable[[str], None]

_CHUNK = 1 << 20  # bytes that are unpacked at once
_PATIENCE = 100  # milliseconds that a signal may have to wait for its handler
_SILENCE = 60  # seconds that a program may take for the next piece
_HOLE = bytes(1 << 16)  # as much of zeroes is left out of the file, where the file system can
_HEADERS = 1 << 26  # bytes from which the size of the whole must be known
# What the programs say of a stream that stops early, as against one that is damaged.
_CUT = re.compile("premature|unexpected end|unfinished|truncated", re.IGNORECASE)


class Format(NamedTuple):
    """A way to compress: how such a file begins, and the program and the Debian package that read it."""

    name: str
    magic: bytes
    command: List[str]
    package: str


FORMATS = (
    Format("zstd", b"\x28\xb5\x2f\xfd", ["zstd", "-d", "-c", "-q", "--no-progress"], "zstd"),
    Format("lz4", b"\x04\x22\x4d\x18", ["lz4", "-d", "-c", "-q"], "lz4"),
    Format("xz", b"\xfd7zXZ\0", ["xz", "-d", "-c", "-q"], "xz-utils"),
    Format("gzip", b"\x1f\x8b\x08", ["gzip", "-d", "-c", "-q"], "gzip"),
)


def format_of(path: str) -> Optional[Format]:
    """How the file is compressed, by its first bytes; None if it is not, or cannot be read."""
    try:
        with open_regular(path) as file:
            start = file.read(8)
    except (OSError, ProblemError):
        return None
    return next((form for form in FORMATS if start.startswith(form.magic)), None)


class _StreamError(Exception):
    """The compressed stream cannot be read to its end. `cut`: it is right as far as it goes."""

    def __init__(self, cut: bool, text: str) -> None:
        super().__init__(text)
        self.cut = cut


@contextmanager
def unpacked(path: str, warn: Tell, progress: Progress, folder: Path) -> Iterator[str]:
    """A file in `folder` with what is compressed in `path`, for as long as the block runs.

    A stream that stops early gives what it has, and `warn` is told. ProblemError, one line, if it is damaged,
    is not a core, or has no room.
    """
    form = format_of(path)
    if form is None:
        raise ProblemError(f"{printable(path)} is not compressed")
    place = str(folder / "unpacked")
    try:
        _unpack(path, form, place, warn, progress)
    except OSError as error:
        what = printable(error.filename or str(folder))
        raise ProblemError(f"cannot unpack {printable(path)}: {what}: {error.strerror}") from None
    finally:
        progress.finish()
    try:
        yield place
    finally:
        os.unlink(place)


def _unpack(path: str, form: Format, place: str, warn: Tell, progress: Progress) -> None:
    shown = printable(path)
    with open_regular(path) as source, open(place, "w+b", buffering=0) as target, ExitStack() as stack:
        writer = _Writer(target, os.path.dirname(place), shown, progress)
        try:
            for data in stack.enter_context(_opened(source, form, shown)):
                if writer.full:  # not sooner: the checksum is read after the last piece
                    warn(f"{shown} has more in it than the core in it says: it may be damaged")
                    break
                writer.add(data)
        except _StreamError as error:
            if not error.cut or not writer.written:
                raise ProblemError(f"{shown} cannot be unpacked: {error}") from None
            warn(f"{shown} ends early: what is in its first {size(writer.written)} is all there is")
        finally:
            writer.finish()


class _Writer:
    """Writes a core with holes for zeroes, never more than its own headers promise, and sees to the room."""

    def __init__(self, file: IO[bytes], folder: str, shown: str, progress: Progress) -> None:
        self._file, self._folder, self._shown, self._progress = file, folder, shown, progress
        self.written = 0
        self._promised: Optional[int] = None

    @property
    def full(self) -> bool:
        """Whether everything that the headers promise is there."""
        return self._promised is not None and self.written >= self._promised

    def add(self, data: bytes) -> None:
        """The next bytes. ProblemError if there is no room, or if it cannot be a core."""
        if self._promised is not None:
            data = data[: self._promised - self.written]
        for at in range(0, len(data), len(_HOLE)):
            part = data[at : at + len(_HOLE)]
            if part != _HOLE[: len(part)]:
                os.pwrite(self._file.fileno(), part, self.written + at)
        self.written += len(data)
        if self._promised is None:
            self._ask_headers()
        self._progress.step(self._shown, self.written, self._promised or 0)

    def _ask_headers(self) -> None:
        os.ftruncate(self._file.fileno(), self.written)
        self._promised = promised_size(self._file, f"what is in {self._shown}")
        if self._promised is None:
            if self.written > _HEADERS:
                raise ProblemError(f"{self._shown}: what is in it is not a core file that makes sense")
            return
        free = shutil.disk_usage(self._folder).free
        if self._promised - self.written > free:
            raise ProblemError(
                f"{self._shown} unpacks to {size(self._promised)}, and {printable(tempfile.gettempdir())} "
                f"has {size(free)} free; name a larger place: TMPDIR=DIR addrspace-gdb ..."
            )
        self.written = min(self.written, self._promised)

    def finish(self) -> None:
        """Give the file its size, also where it ends in a hole."""
        os.ftruncate(self._file.fileno(), self.written)


@contextmanager
def _opened(source: IO[bytes], form: Format, shown: str) -> Iterator[Iterator[bytes]]:
    """What is compressed in `source`, in pieces."""
    module = _module(form)
    if module is not None:
        with module.open(source) as stream:
            yield _by_module(stream)
        return
    if shutil.which(form.command[0]) is None:
        raise ProblemError(
            f"{shown} is compressed by {form.name}, and there is no {form.command[0]} to unpack it: install "
            f"it (apt-get install {form.package})"
        )
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            form.command, stdin=source, stdout=subprocess.PIPE, stderr=said, start_new_session=True
        ) as process,
    ):
        try:
            yield _by_program(process, said)
        finally:
            process.kill()


def _module(form: Format) -> Optional[Any]:
    """The module of Python's library that reads such a file, None where there is none. zstd's own program
    is preferred: Python has it since 3.14 only."""
    name = {"gzip": "gzip", "xz": "lzma", "zstd": "compression.zstd"}.get(form.name)
    if name is None or (form.name == "zstd" and shutil.which("zstd")):
        return None
    try:
        return importlib.import_module(name)
    except ImportError:  # Python may have been built without it
        return None


def _by_module(stream: Any) -> Iterator[bytes]:
    while True:
        try:
            data = stream.read1(_CHUNK)
        except EOFError as error:
            raise _StreamError(True, str(error)) from None
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise _StreamError(False, str(error)) from None
        if not data:
            return
        yield data


def _by_program(process: subprocess.Popen[bytes], said: IO[bytes]) -> Iterator[bytes]:
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    ready = select.poll()
    ready.register(pipe, select.POLLIN)
    while True:
        # A signal just before a read that blocks does not end it, and Python handles it only after that.
        until = time.monotonic() + _SILENCE
        while not ready.poll(_PATIENCE):
            if time.monotonic() > until:
                raise _StreamError(False, f"its program has given nothing for {_SILENCE} s")
        data = os.read(pipe, _CHUNK)
        if not data:
            break
        yield data
    status = process.wait()
    if status:
        said.seek(0)
        words = said.read(1 << 12).decode("utf-8", "replace").split()
        text = printable(" ".join(words)) or f"status {status}"
        raise _StreamError(bool(_CUT.search(text)), text)
