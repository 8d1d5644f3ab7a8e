"""Memory that a process has mapped of files, read from the files: what we read does not become resident.

A page of a file that is read through /proc/PID/mem, as debuggers do, is mapped into the process for good,
and up to 15 neighbours with it ("fault-around", mm/memory.c); they count in its Rss. Where the process has
no page of its own (one of a private mapping that it wrote to, or that is in swap) the file says the same.
What it has of its own is read from memory, where it is. Anonymous memory needs no such care: a page that
was never touched is read as the kernel's zero page, which is in no Rss.
"""

from __future__ import annotations

import os
import re
import stat
from bisect import bisect_right
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common.escape import printable, unescaped
from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.process.kept_memory import LetGoError
from addrspace_gdb.process.pagemap import FilePages, file_pages
from addrspace_gdb.target.protocol import ProcFiles

Memory = Callable[
    [int, int], bytes
]  # reads exactly that many bytes of the process, or raises UnreadableError

# A line of /proc/PID/maps with a file behind it: its inode is not 0.
_FILE = re.compile(
    rb"^([0-9a-f]+)-([0-9a-f]+) (r..[ps]) ([0-9a-f]+) ([0-9a-f]+):([0-9a-f]+) ([1-9]\d*) +(/.*)$",
    re.MULTILINE,
)
_PIECE = 1 << 20  # bytes that are read at once
_MAX_COMPARED = 8  # pages by which a file is known for the mapped one where the inode does not tell
_MAX_OPENED = 64  # mappings of files that are looked at in advance


class _Span(NamedTuple):
    """A mapping of a file."""

    start: int
    end: int
    private: bool
    writable: bool
    offset: int
    device: int
    inode: int
    path: str

    @property
    def file(self) -> Tuple[int, int, str]:
        """What all mappings of one file have in common."""
        return self.device, self.inode, self.path


class _Part(NamedTuple):
    """A stretch of a read: of the file `descriptor` at `offset`, or of memory."""

    start: int
    end: int
    descriptor: Optional[int] = None
    offset: int = 0


class FileBacked:
    """The file mappings of a process of this machine that stands still. A file is opened when it is read."""

    def __init__(self, proc: ProcFiles, page_size: int) -> None:
        self._proc, self._page_size = proc, page_size
        self._spans = _spans(proc)
        self._starts = [span.start for span in self._spans]
        self._pages: Dict[_Span, Optional[FilePages]] = {}
        self._files = _Files(proc, page_size)
        self._reasons: Dict[str, str] = {}  # of a file: why it is read from memory
        self._settled = False

    def __del__(self) -> None:
        self._files.close()

    @property
    def notes(self) -> List[str]:
        """One line if anything was read from memory though it has a file, and so may have become resident."""
        if not self._reasons:
            return []
        path, reason = next(iter(self._reasons.items()))
        more = f"; and {len(self._reasons) - 1} more files" if len(self._reasons) > 1 else ""
        what = f"{printable(path)} is read from the process's memory, which may make pages of it resident"
        return [f"{what}: {reason}{more}"]

    @property
    def has_every_file(self) -> bool:
        """Whether all files can be read in place of memory; False if they are very many."""
        if len(self._spans) > _MAX_OPENED:
            return False
        pages = {span: self._pages_of(span) for span in self._spans}
        opened = [one is not None and self._files.open(span, one) is not None for span, one in pages.items()]
        return all(opened)

    def covers(self, address: int, size: int) -> bool:
        """Whether any of that memory is a file's."""
        index = bisect_right(self._starts, address)
        if index and self._spans[index - 1].end > address:
            return True
        return index < len(self._starts) and self._starts[index] < address + size

    def covers_any(self, addresses: Sequence[int], size: int) -> bool:
        """Whether any of `size` bytes at any of the ascending `addresses` is a file's."""
        return any(
            bisect_right(addresses, span.start - size) != bisect_right(addresses, span.end - 1)
            for span in self._spans
        )

    def read(self, address: int, size: int, memory: Memory) -> bytes:
        """Exactly `size` bytes at `address`. Raises UnreadableError, as `memory` does."""
        parts = list(_joined(self._parts(address, address + size)))
        return b"".join(self._read(part, memory) for part in parts)

    def settle(self, memory: Memory) -> None:
        """Of the opened files, ask the kernel now which pages the process has of its own, and read those of
        its constants, which were relocated: it is to be let go, and the kernel is asked no more."""
        for span in self._spans:
            pages = self._pages_of(span) if self._files.is_open(span) else None
            if pages is None or span.writable or not span.private:
                continue
            for low, high in pages.own.settled().pieces(span.start, span.end) or ():
                for start in range(low, high, _PIECE):
                    try:
                        memory(start, min(_PIECE, high - start))
                    except UnreadableError:
                        pass  # it will be missed when it is asked for
        self._settled = True

    def _read(self, part: _Part, memory: Memory) -> bytes:
        size = part.end - part.start
        if part.descriptor is None:
            return memory(part.start, size)
        data = _pread(part.descriptor, size, part.offset)
        # The rest of a file's last page reads as zeroes; behind it there is nothing, as memory will say.
        data += bytes(min(size - len(data), -(part.offset + len(data)) % self._page_size))
        return data if len(data) == size else data + memory(part.start + len(data), size - len(data))

    def _parts(self, start: int, end: int) -> Iterator[_Part]:
        """Where each stretch of [start, end) is read, in order."""
        index = max(0, bisect_right(self._starts, start) - 1)
        for span in self._spans[index:]:
            if span.start >= end:
                break
            low, high = max(start, span.start), min(end, span.end)
            if low >= high:
                continue
            if start < low:
                yield _Part(start, low)
            yield from self._of_span(span, low, high)
            start = high
        if start < end:
            yield _Part(start, end)

    def _of_span(self, span: _Span, start: int, end: int) -> Iterator[_Part]:
        pages = self._pages_of(span)
        descriptor = self._files.open(span, pages) if pages is not None else None
        if pages is None or descriptor is None:
            self._reasons.setdefault(span.path, self._files.reason(span) if pages is not None else _UNKNOWN)
            yield _Part(start, end)
            return
        for low, high in pages.own.settled().pieces(start, end) or () if span.private else ():
            if start < low:
                yield _Part(start, low, descriptor, span.offset + start - span.start)
            yield _Part(low, high)
            start = high
        if start < end:
            yield _Part(start, end, descriptor, span.offset + start - span.start)

    def _pages_of(self, span: _Span) -> Optional[FilePages]:
        """Which pages the process has; None if that cannot be known."""
        if span not in self._pages:
            if self._settled:
                raise LetGoError(f"{printable(span.path)} was not read while the process stood still")
            self._pages[span] = None
            try:
                self._pages[span] = file_pages(self._proc, span.start, span.end, self._page_size)
            except OSError:
                pass
        return self._pages[span]


_UNKNOWN = "its own pages cannot be told from the file's"


def _spans(proc: ProcFiles) -> List[_Span]:
    try:
        text = proc.read("maps")
    except OSError:
        return []
    found = []
    for match in _FILE.finditer(text):
        low, high, permissions, offset, major, minor, inode, name = match.groups()
        path = unescaped(name.decode("utf-8", "surrogateescape"))
        device = os.makedev(int(major, 16), int(minor, 16))
        private, writable = permissions[3:] == b"p", permissions[1:2] == b"w"
        where = (int(offset, 16), device, int(inode), path)
        found.append(_Span(int(low, 16), int(high, 16), private, writable, *where))
    return found


def _joined(parts: Iterator[_Part]) -> Iterator[_Part]:
    """Neighbours that memory has both are one read."""
    last: Optional[_Part] = None
    for part in parts:
        if last is not None and last.descriptor is None and part.descriptor is None:
            last = _Part(last.start, part.end)
            continue
        if last is not None:
            yield last
        last = part
    if last is not None:
        yield last


def _pread(descriptor: int, size: int, offset: int) -> bytes:
    """As much as the file has of it; less where it cannot be read."""
    pieces: List[bytes] = []
    while size > 0:
        try:
            piece = os.pread(descriptor, size, offset)
        except OSError:
            break
        if not piece:
            break
        pieces.append(piece)
        size, offset = size - len(piece), offset + len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class _Files:
    """Opens each mapped file once, if it is the mapped one."""

    def __init__(self, proc: ProcFiles, page_size: int) -> None:
        self._proc, self._page_size = proc, page_size
        self._open: Dict[Tuple[int, int, str], Optional[int]] = {}
        self._reasons: Dict[Tuple[int, int, str], str] = {}

    def open(self, span: _Span, pages: FilePages) -> Optional[int]:
        """A descriptor of the file, None where it cannot be had."""
        if span.file not in self._open:
            self._open[span.file] = self._find(span, pages)
        return self._open[span.file]

    def is_open(self, span: _Span) -> bool:
        """Whether there is a descriptor of the file."""
        return self._open.get(span.file) is not None

    def reason(self, span: _Span) -> str:
        """Why there is no descriptor."""
        return self._reasons.get(span.file, "")

    def close(self) -> None:
        """Close every file."""
        for descriptor in self._open.values():
            if descriptor is not None:
                os.close(descriptor)
        self._open.clear()

    def _find(self, span: _Span, pages: FilePages) -> Optional[int]:
        """By the kernel's own link to it (needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN), else by its path in
        the process's own tree, else as the running program."""
        descriptor, _ = _open_regular(self._proc.path(f"map_files/{span.start:x}-{span.end:x}"))
        if descriptor is not None:
            return descriptor
        self._reasons[span.file] = "it cannot be opened"
        for path in (self._proc.path("root") + span.path, self._proc.path("exe")):
            descriptor, status = _open_regular(path)
            if descriptor is None or status is None:
                continue
            same = (status.st_dev, status.st_ino) == (span.device, span.inode)
            if same or self._looks_the_same(descriptor, span, pages):
                return descriptor
            os.close(descriptor)
            self._reasons[span.file] = "the file there is another now"
        return None

    def _looks_the_same(self, descriptor: int, span: _Span, pages: FilePages) -> bool:
        """On btrfs and, up to Linux 6.5, overlayfs maps has other numbers than stat(2): there the pages that
        the process has in memory as the file's are compared."""
        starts = pages.shared.starts
        some = sorted(
            {starts[len(starts) * part // _MAX_COMPARED] for part in range(_MAX_COMPARED)} if starts else ()
        )
        for start in some:
            theirs = _pread(descriptor, self._page_size, span.offset + start - span.start)
            if theirs != self._of_memory(start)[: len(theirs)] or not theirs:
                return False
        return bool(some)

    def _of_memory(self, start: int) -> bytes:
        """A page that is in memory."""
        try:
            return self._proc.read("mem", start, self._page_size)
        except OSError:
            return b""


def _open_regular(path: str) -> Tuple[Optional[int], Optional[os.stat_result]]:
    """A descriptor of a regular file and its status; never waits for anything else."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None, None
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None, None
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode):
        return descriptor, status
    os.close(descriptor)
    return None, None
