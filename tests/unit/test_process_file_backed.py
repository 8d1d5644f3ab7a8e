"""Reading what a process has mapped of files: the bytes are its own, and nothing becomes resident."""

from __future__ import annotations

import ctypes
import mmap
import os
import random
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

import pytest
from harness.smaps import smaps

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.process.file_backed import FileBacked
from addrspace_gdb.process.pagemap import PageWords, _file_pages_by_words, file_pages

PAGE = mmap.PAGESIZE
PAGES = 256


class Proc:
    """The files of this process; those in `hidden` cannot be opened."""

    local = True

    def __init__(self, *hidden: str, elsewhere: Optional[Dict[str, str]] = None) -> None:
        self._hidden, self._elsewhere = hidden, elsewhere or {}

    def path(self, name: str) -> str:
        if name in self._elsewhere:
            return self._elsewhere[name]
        return "/nowhere" if name.split("/")[0] in self._hidden else f"/proc/self/{name}"

    def read(self, name: str, offset: int = 0, size: Optional[int] = None) -> bytes:
        with open(self.path(name), "rb", buffering=0) as file:
            file.seek(offset)
            return file.read() if size is None else file.read(size)


def memory(address: int, size: int) -> bytes:
    """Through /proc/self/mem, as debuggers read."""
    with open("/proc/self/mem", "rb", buffering=0) as file:
        try:
            file.seek(address)
            data = file.read(size)
        except OSError:
            data = b""
    if len(data) != size:
        raise UnreadableError(address, size)
    return data


def forbidden(address: int, size: int) -> bytes:
    raise AssertionError(f"{size} bytes at {address:#x} were read from memory")


class Mapped(NamedTuple):
    """A file of random bytes that is mapped, of which no page was touched."""

    path: Path
    data: bytes
    map: mmap.mmap
    start: int

    def rss(self) -> int:
        return sum(
            one.rss for one in smaps(os.getpid()) if self.start <= one.start < self.start + len(self.map)
        )

    def is_present(self, page: int) -> bool:
        """Whether a page is in memory by pagemap: the kernel may take away others at any moment."""
        with open("/proc/self/pagemap", "rb") as file:
            file.seek((self.start // PAGE + page) * 8)
            return bool(file.read(8)[7] & 0x80)


Mapper = Callable[..., Mapped]


@pytest.fixture
def mapped(tmp_path: Path) -> Iterator[Mapper]:
    kept: List[mmap.mmap] = []

    def make(flags: int, protection: int, size: int = PAGES * PAGE, holds: int = PAGES * PAGE) -> Mapped:
        path = tmp_path / f"file {len(kept)}"
        data = random.Random(len(kept)).randbytes(holds)
        path.write_bytes(data.ljust(size, b"\0"))
        with open(path, "r+b") as file:
            found = mmap.mmap(file.fileno(), size, flags=flags, prot=protection)
            os.truncate(path, holds)
        kept.append(found)
        text = Path("/proc/self/maps").read_text()
        start = next(int(line.split("-")[0], 16) for line in text.splitlines() if line.endswith(str(path)))
        return Mapped(path, data, found, start)

    yield make
    for one in kept:
        one.close()


KINDS = {
    "private": (mmap.MAP_PRIVATE, mmap.PROT_READ),
    "private and writable": (mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE),
    "shared": (mmap.MAP_SHARED, mmap.PROT_READ),
    "shared and writable": (mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hidden", [(), ("map_files",)])
def test_untouched_pages_stay_untouched(mapped: Mapper, kind: str, hidden: Tuple[str, ...]) -> None:
    one = mapped(*KINDS[kind])
    backed = FileBacked(Proc(*hidden), PAGE)
    chance = random.Random(1)
    for _ in range(100):
        at, size = chance.randrange(len(one.data) - 70_000), chance.randrange(1, 70_000)
        assert backed.read(one.start + at, size, forbidden) == one.data[at : at + size]
    assert one.rss() == 0
    assert backed.notes == []
    assert memory(one.start, len(one.data)) == one.data  # what would have happened
    assert one.rss() == len(one.data)


def test_own_pages_are_read_from_memory(mapped: Mapper) -> None:
    """What was written to a private mapping is not in the file; also once it may be written to no more."""
    one = mapped(*KINDS["private and writable"])
    expected = bytearray(one.data)
    for page in (3, 4, 100, 255):
        one.map[page * PAGE + 7] = expected[page * PAGE + 7] = expected[page * PAGE + 7] ^ 0xFF
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mprotect(ctypes.c_void_p(one.start), ctypes.c_size_t(len(one.data)), mmap.PROT_READ) == 0
    before = one.rss()
    asked: List[Tuple[int, int]] = []

    def noted(address: int, size: int) -> bytes:
        asked.append((address - one.start, size))
        return memory(address, size)

    assert FileBacked(Proc(), PAGE).read(one.start, len(one.data), noted) == bytes(expected)
    assert asked == [(3 * PAGE, 2 * PAGE), (100 * PAGE, PAGE), (255 * PAGE, PAGE)]
    assert one.rss() == before


def test_memory_around_a_file_is_read_with_it(tmp_path: Path) -> None:
    """One read may reach over mappings of both kinds; what is no file's is asked for as it is."""
    data = random.Random(2).randbytes(4 * PAGE)
    (tmp_path / "file").write_bytes(data)
    with mmap.mmap(-1, 12 * PAGE, flags=mmap.MAP_PRIVATE) as whole, open(tmp_path / "file", "rb") as file:
        whole.write(random.Random(3).randbytes(12 * PAGE))
        start = ctypes.addressof(ctypes.c_char.from_buffer(whole))
        expected = whole[: 4 * PAGE] + data + whole[8 * PAGE :]
        call = ctypes.CDLL(None).mmap
        call.restype, size = ctypes.c_void_p, ctypes.c_size_t
        call.argtypes = (ctypes.c_void_p, size, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
        fixed = mmap.MAP_PRIVATE | 0x10  # MAP_FIXED
        assert call(start + 4 * PAGE, 4 * PAGE, mmap.PROT_READ, fixed, file.fileno(), 0) == start + 4 * PAGE
        asked: List[Tuple[int, int]] = []

        def noted(address: int, size: int) -> bytes:
            asked.append((address - start, size))
            return memory(address, size)

        assert FileBacked(Proc(), PAGE).read(start + 10, 12 * PAGE - 20, noted) == expected[10:-10]
        assert asked == [(10, 4 * PAGE - 10), (8 * PAGE, 4 * PAGE - 10)]


def test_the_last_page_of_a_file_ends_in_zeroes_and_behind_it_is_nothing(mapped: Mapper) -> None:
    one = mapped(*KINDS["private"], size=8 * PAGE, holds=2 * PAGE + 100)
    backed = FileBacked(Proc(), PAGE)
    assert backed.read(one.start + 2 * PAGE, PAGE, forbidden) == one.data[2 * PAGE :].ljust(PAGE, b"\0")
    with pytest.raises(UnreadableError):
        backed.read(one.start + 2 * PAGE, PAGE + 1, memory)


def test_covers_says_what_is_a_files(mapped: Mapper) -> None:
    one = mapped(*KINDS["private"])
    backed = FileBacked(Proc(), PAGE)
    end = one.start + len(one.data)
    heap = bytearray(100)
    address = ctypes.addressof(ctypes.c_char.from_buffer(heap))
    assert backed.covers(one.start, 1) and backed.covers(end - 1, 1) and backed.covers(one.start - 8, 9)
    assert not backed.covers(address, 100)
    assert backed.covers_any([one.start - 9, end - 1], 8) and backed.covers_any([one.start - 7], 8)
    assert not backed.covers_any([address, address + 8], 8)


@pytest.mark.parametrize("what", ["another file", "a FIFO", "nothing"])
def test_another_file_in_its_place_is_not_read(mapped: Mapper, what: str) -> None:
    """Without the kernel's links only the path is left, and there may be anything now."""
    one = mapped(*KINDS["private"])
    one.path.unlink()
    if what == "another file":
        one.path.write_bytes(b"x" * len(one.data))
    elif what == "a FIFO":
        os.mkfifo(one.path)
    backed = FileBacked(Proc("map_files"), PAGE)
    assert backed.read(one.start + 5, 5000, memory) == one.data[5:5005]
    (note,) = backed.notes
    assert str(one.path) in note and "which may make pages of it resident" in note


def test_a_deleted_file_is_read_by_the_kernels_link(mapped: Mapper) -> None:
    one = mapped(*KINDS["private"])
    one.path.unlink()
    if not os.access(f"/proc/self/map_files/{one.start:x}-{one.start + len(one.data):x}", os.R_OK):
        pytest.skip("only with CAP_CHECKPOINT_RESTORE")
    assert FileBacked(Proc(), PAGE).read(one.start, 5000, forbidden) == one.data[:5000]


@pytest.mark.parametrize("same", [True, False])
def test_a_file_with_another_inode_is_known_by_its_pages(mapped: Mapper, tmp_path: Path, same: bool) -> None:
    """As on btrfs, where maps and stat(2) do not agree: a copy has another inode too."""
    large = 512  # pages of the largest folio, all of which one fault may bring in
    one = mapped(*KINDS["private"], size=4 * large * PAGE, holds=4 * large * PAGE)
    copy = tmp_path / "copy"
    half = 2 * large * PAGE
    copy.write_bytes(one.data if same else one.data[:half] + one.data[:half])
    elsewhere = Proc("map_files", elsewhere={"exe": str(copy)})
    one.path.unlink()
    assert FileBacked(elsewhere, PAGE).notes == []
    for page in (10, 2 * large + 20, 3 * large + 200):  # what the process has touched can be compared
        assert one.map[page * PAGE] == one.data[page * PAGE]
    assert not one.is_present(large + 60)
    backed = FileBacked(elsewhere, PAGE)
    start = (large + 60) * PAGE + 9
    assert backed.read(one.start + start, 5000, memory) == one.data[start : start + 5000]
    assert backed.notes == [] if same else len(backed.notes) == 1
    assert one.is_present(large + 60) != same


def test_without_pagemap_memory_is_read_and_that_is_said(mapped: Mapper) -> None:
    one = mapped(*KINDS["private"])
    backed = FileBacked(Proc("pagemap"), PAGE)
    assert backed.read(one.start, 5000, memory) == one.data[:5000]
    assert len(backed.notes) == 1


def test_older_kernels_words_say_the_same(mapped: Mapper) -> None:
    one = mapped(*KINDS["private and writable"])
    for page in (3, 100):
        one.map[page * PAGE] = 1
    assert one.map[50 * PAGE] == one.data[50 * PAGE]
    end = one.start + len(one.data)
    scanned = file_pages(Proc(), one.start, end, PAGE)
    words = _file_pages_by_words(PageWords(Proc(), PAGE), one.start, end)
    assert [list(zip(runs.starts, runs.ends)) for runs in scanned] == [
        list(zip(runs.starts, runs.ends)) for runs in words
    ]
    assert [at - one.start for at in scanned.own.starts] == [3 * PAGE, 100 * PAGE]
