"""Reading /proc/PID/mem: of a process whose bytes are known, this one."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Iterator, Tuple

import pytest

from addrspace_gdb.process.mappings import parse_maps
from addrspace_gdb.process.memfile import read_ranges

PAGES = 64
PATH = "/proc/self/mem"


@pytest.fixture(scope="module")
def block(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tuple[int, bytes]]:
    """An address of this process, and the bytes that are there."""
    path = tmp_path_factory.mktemp("memory") / "bytes of the test"
    path.write_bytes(os.urandom(PAGES * mmap.PAGESIZE))
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ):
        mappings = parse_maps(Path("/proc/self/maps").read_bytes())
        yield next(m.start for m in mappings if m.file == str(path)), path.read_bytes()


def test_bytes_of_any_alignment(block: Tuple[int, bytes]) -> None:
    start, data = block
    ranges = [(start + at, size) for at in (0, 1, 8, 4095, 4096, 9000) for size in (1, 8, 4096, 70_000)]
    found = [bytes(piece) if piece is not None else None for piece in read_ranges(PATH, ranges)]
    assert found == [data[a - start : a - start + size] for a, size in ranges]


def test_what_cannot_be_read_is_none_and_the_rest_is_there(block: Tuple[int, bytes]) -> None:
    start, data = block
    good = (start + 16, 100)
    bad = [(0, 8), (start, 0), (start, -5), (start, 1 << 60), ((1 << 64) - 8, 8), (1 << 70, 8)]
    mixed = [pair for one in bad for pair in (one, good)]
    found = [bytes(piece) if piece is not None else None for piece in read_ranges(PATH, mixed)]
    assert found == [None, data[16:116]] * len(bad)


def test_no_such_process_yields_nothing() -> None:
    assert list(read_ranges("/proc/0/mem", [(4096, 8)])) == []
