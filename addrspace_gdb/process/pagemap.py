"""Which pages are in memory: /proc/PID/pagemap, by the PAGEMAP_SCAN ioctl and by its 64-bit words.

Layouts are those of Documentation/admin-guide/mm/pagemap.rst and include/uapi/linux/fs.h (Linux 6.18).
"""

from __future__ import annotations

import errno
import re
import struct
from array import array
from itertools import compress
from typing import Dict, Iterator, List, NamedTuple, Tuple

from addrspace_gdb.process.page_runs import PageRuns
from addrspace_gdb.target.protocol import ProcFiles

_SCAN = 0xC0606610  # _IOWR('f', 16, struct pm_scan_arg), Linux >= 6.7
_ARG = struct.Struct("=12Q")  # struct pm_scan_arg: size flags start end walk_end vec vec_len max_pages masks…
_FILE, _PRESENT, _SWAPPED, _PFNZERO, _HUGE = 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6
_GUARD = 1 << 8  # MADV_GUARD_INSTALL; Linux >= 6.15 (6.13 has the pages, and calls them swapped)
_REGIONS = 1 << 15  # struct page_region (start, end, categories) a call

# Top byte of a pagemap word: what each page is. Words are in the target's byte order.
ABSENT, REAL, MAYBE_ZERO, SWAPPED = b".", b"R", b"Z", b"S"
_BIT_PRESENT, _BIT_SWAPPED, _BIT_FILE, _BIT_GUARD, _BIT_EXCLUSIVE = 0x80, 0x40, 0x20, 0x04, 0x01


def scan(path: str, start: int, end: int) -> Tuple[PageRuns, PageRuns]:
    """Resident and swapped runs of [start, end) of the process whose pagemap is at `path`.

    The shared zero page is left out, as Rss leaves it out. Raises OSError: ENOTTY or EINVAL where the
    kernel has no PAGEMAP_SCAN (before 6.7), EACCES or EPERM without ptrace permission.
    """
    with open(path, "rb", buffering=0) as file:
        try:
            return _scan(file.fileno(), start, end, _PFNZERO | _GUARD)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return _scan(file.fileno(), start, end, _PFNZERO)


class PageKinds(NamedTuple):
    """Pages that are more than just resident."""

    zero: PageRuns  # the kernel's shared zero page: only ever read, in no Rss
    huge: PageRuns  # mapped by one entry of 2 MiB or more
    file: PageRuns  # of a file or of shared memory, not the process's own copy


def scan_kinds(path: str, start: int, end: int) -> PageKinds:
    """Those pages of [start, end) of the process whose pagemap is at `path`. Raises OSError as `scan`."""
    kinds = PageKinds(PageRuns(), PageRuns(), PageRuns())
    with open(path, "rb", buffering=0) as file:
        wanted = _FILE | _PFNZERO | _HUGE
        for regions in _walk(file.fileno(), start, end, (0, _PRESENT, wanted, wanted)):
            starts, ends, categories = regions[0::3], regions[1::3], regions[2::3]
            for runs, bit in ((kinds.zero, _PFNZERO), (kinds.huge, _HUGE), (kinds.file, _FILE)):
                chosen = [category & bit for category in categories]
                runs.extend(compress(starts, chosen), compress(ends, chosen))
    return kinds


class FilePages(NamedTuple):
    """The pages of a mapping of a file that are in memory or in swap."""

    own: PageRuns  # the process's own: copies that it wrote to, pages in swap
    shared: PageRuns  # the file's


def file_pages(proc: ProcFiles, start: int, end: int, page_size: int) -> FilePages:
    """Those pages of [start, end), a mapping of a file in a process of this machine. Raises OSError."""
    try:
        with open(proc.path("pagemap"), "rb", buffering=0) as file:
            return FilePages(
                _in_categories(file.fileno(), start, end, (_FILE, _FILE, _PRESENT | _SWAPPED, _PRESENT)),
                _in_categories(file.fileno(), start, end, (0, _FILE | _PRESENT, 0, _PRESENT)),
            )
    except OSError as error:
        if error.errno not in (errno.ENOTTY, errno.EINVAL):
            raise
    return _file_pages_by_words(PageWords(proc, page_size), start, end)


def _in_categories(descriptor: int, start: int, end: int, masks: Tuple[int, int, int, int]) -> PageRuns:
    runs = PageRuns()
    for regions in _walk(descriptor, start, end, masks):
        runs.extend(regions[0::3], regions[1::3])
    return runs


def _file_pages_by_words(reader: PageWords, start: int, end: int) -> FilePages:
    """Where the kernel has no PAGEMAP_SCAN (before 6.7)."""
    found = FilePages(PageRuns(), PageRuns())
    for number, word in enumerate(reader.words(start, end)):
        if not word & (PRESENT | IN_SWAP):
            continue
        runs = found.shared if word & PRESENT and word & OF_FILE else found.own
        runs.append(start + number * reader.page_size, start + (number + 1) * reader.page_size)
    return found


def _scan(descriptor: int, start: int, end: int, without: int) -> Tuple[PageRuns, PageRuns]:
    """Pages that are present or swapped and in none of the categories `without`."""
    resident, swapped = PageRuns(), PageRuns()
    either = _PRESENT | _SWAPPED
    for regions in _walk(descriptor, start, end, (without, without, either, either)):
        _split(regions, resident, swapped)
    return resident, swapped


def _walk(descriptor: int, start: int, end: int, masks: Tuple[int, int, int, int]) -> Iterator[array[int]]:
    """Triples (start, end, categories). `masks`: inverted, all of, any of, which categories to return."""
    import fcntl  # not on every platform that can read a core

    vector = array("Q", bytes(24 * _REGIONS))
    while start < end:
        arg = bytearray(_ARG.pack(_ARG.size, 0, start, end, 0, vector.buffer_info()[0], _REGIONS, 0, *masks))
        found = fcntl.ioctl(descriptor, _SCAN, arg, True)
        if not found:
            break
        yield vector[: 3 * found]
        # Not walk_end: a walk that reaches its end after a stop for its inner buffer leaves it at that stop.
        past = vector[3 * found - 2]
        if past <= start:
            raise OSError(errno.EIO, "PAGEMAP_SCAN does not advance")
        start = past


def _split(regions: array[int], resident: PageRuns, swapped: PageRuns) -> None:
    starts, ends, categories = regions[0::3], regions[1::3], regions[2::3]
    if categories.count(_PRESENT) == len(categories):
        resident.extend(starts, ends)
        return
    for runs, bit in ((resident, _PRESENT), (swapped, _SWAPPED)):
        chosen = [category & bit for category in categories]
        runs.extend(compress(starts, chosen), compress(ends, chosen))


def _classify(top: int) -> int:
    if top & _BIT_SWAPPED:
        return ABSENT[0] if top & _BIT_GUARD else SWAPPED[0]  # bit 58: a guard, Linux >= 6.15
    if not top & _BIT_PRESENT:
        return ABSENT[0]
    return REAL[0] if top & (_BIT_FILE | _BIT_EXCLUSIVE) else MAYBE_ZERO[0]


_CLASSES = bytes(_classify(top) for top in range(256))


class PagemapReader:
    """The words of pagemap, one byte a page, read in bounded windows that neighbours share."""

    MIN_PAGES = 1 << 10
    MAX_PAGES = 1 << 17  # 1 MiB of pagemap, 512 MiB of 4 KiB pages

    def __init__(self, proc: ProcFiles, page_size: int, byte_order: str) -> None:
        self._proc = proc
        self._page_size = page_size
        self._top = 7 if byte_order == "little" else 0
        self._base = self._limit = 0
        self._window = b""

    def classes(self, start: int, end: int) -> bytes:
        """One byte a page of [start, end): ABSENT, REAL, MAYBE_ZERO (the zero page, or a page shared
        by fork) or SWAPPED. Raises OSError."""
        parts: List[bytes] = []
        while start < end:
            if not self._base <= start < self._limit:
                self._fill(start, end)
            stop = min(end, self._limit)
            first = (start - self._base) // self._page_size
            parts.append(self._window[first : (stop - self._base) // self._page_size])
            start = stop
        return b"".join(parts)

    def _fill(self, start: int, end: int) -> None:
        pages = min(max((end - start) // self._page_size, self.MIN_PAGES), self.MAX_PAGES)
        data = self._proc.read("pagemap", start // self._page_size * 8, pages * 8)
        if not data or len(data) % 8 or len(data) > pages * 8:
            raise OSError(errno.EIO, "pagemap ends early")
        self._window = data[self._top :: 8].translate(_CLASSES)
        self._base = start
        self._limit = start + len(self._window) * self._page_size


_RUN = re.compile(rb"R+|Z+|S+")


def runs_of(classes: bytes, base: int, page_size: int) -> Iterator[Tuple[bytes, int, int]]:
    """(class, start, end) of each run of equal pages that are not absent, in address order."""
    for match in _RUN.finditer(classes):
        first, past = match.span()
        yield classes[first : first + 1], base + first * page_size, base + past * page_size


def bytes_by_class(classes: bytes, page_size: int) -> Dict[bytes, int]:
    """Bytes in each class of page."""
    return {kind: classes.count(kind) * page_size for kind in (REAL, MAYBE_ZERO, SWAPPED)}


# Fields of a pagemap word (pagemap.rst): bits 0-54 the page frame number, which the kernel shows as 0 to who
# lacks CAP_SYS_ADMIN (Linux >= 4.2); bit 61: a page of a file, or of shared memory.
FRAME = (1 << 55) - 1
PRESENT, IN_SWAP, OF_FILE, EXCLUSIVE = 1 << 63, 1 << 62, 1 << 61, 1 << 56


class PageWords:
    """The words of pagemap of a process on this machine: which page frame is behind each page."""

    def __init__(self, proc: ProcFiles, page_size: int) -> None:
        self._proc = proc
        self.page_size = page_size

    def words(self, start: int, end: int) -> array[int]:
        """One word a page of [start, end), which are multiples of the page size. Raises OSError."""
        first, past = start // self.page_size, end // self.page_size
        data = self._proc.read("pagemap", first * 8, (past - first) * 8)
        if len(data) != (past - first) * 8:
            raise OSError(errno.EIO, "pagemap ends early")
        return array("Q", data)
