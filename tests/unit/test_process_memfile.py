"""Reading a process's memory in bulk: of one whose bytes are known, this one."""

from __future__ import annotations

import ctypes
import mmap
import os
import random
from array import array
from pathlib import Path
from typing import Iterator, Tuple

import pytest

from addrspace_gdb.process import vm_readv
from addrspace_gdb.process.mappings import parse_maps
from addrspace_gdb.process.proc_mem import read_ranges
from addrspace_gdb.process.vm_readv import AT_ONCE, TOGETHER, Pieces, Room, read_runs

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


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("gap", [0, 8])
def test_runs_lie_where_they_are_wanted(gap: int, ahead: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if ahead:
        monkeypatch.setattr(vm_readv, "_MANY", 0)
    chance = random.Random(5)
    size = 3 * TOGETHER
    memory = ctypes.create_string_buffer(chance.randbytes(size), size)
    start = ctypes.addressof(memory)
    offsets, sizes, places = array("Q"), array("Q"), array("Q", [0])
    for _ in range(3 * AT_ONCE):
        sizes.append(chance.choice([1, 40, 300, 3000]))
        offsets.append(chance.randrange(size - sizes[-1]))
        places.append(places[-1] + sizes[-1] + chance.choice([0, 0, gap]))
    seen = 0
    addresses = array("Q", map(start.__add__, offsets))
    for first, after, data in read_runs(os.getpid(), addresses, sizes, places):
        assert first == seen < after <= first + AT_ONCE and data is not None
        assert len(data) == places[after] - places[first] <= TOGETHER
        for at in range(first, after):
            here = places[at] - places[first]
            assert data[here : here + sizes[at]] == memory.raw[offsets[at] : offsets[at] + sizes[at]]
        seen = after
    assert seen == len(sizes)


def test_runs_that_cannot_be_read_are_none() -> None:
    memory = ctypes.create_string_buffer(64)
    addresses = array("Q", [ctypes.addressof(memory), 4096])
    found = list(read_runs(os.getpid(), addresses, array("Q", [64, 64]), array("Q", [0, 64, 128])))
    assert found == [(0, 2, None)]
    assert not list(read_runs(os.getpid(), array("Q"), array("Q"), array("Q", [0])))
    assert list(read_runs(1 << 22, addresses[:1], array("Q", [64]), array("Q", [0, 64]))) == [(0, 1, None)]


def test_pieces_are_copied_as_far_as_there_is_room() -> None:
    chance = random.Random(6)
    memory = ctypes.create_string_buffer(chance.randbytes(1 << 16), 1 << 16)
    start, raw = ctypes.addressof(memory), memory.raw
    sizes = array("Q", (chance.choice([8, 40, 304]) for _ in range(3 * AT_ONCE + 7)))
    offsets = [chance.randrange((1 << 16) - size) for size in sizes]
    addresses = array("Q", map(start.__add__, offsets))
    wanted = b"".join(raw[at : at + size] for at, size in zip(offsets, sizes))
    every = Pieces(os.getpid(), addresses, sizes, Room(1 << 30, 1 << 16))
    assert every.missed == [] and every.count == len(sizes) and bytes(every.data)[: len(wanted)] == wanted
    two = sum(sizes[: 2 * AT_ONCE])
    some = Pieces(os.getpid(), addresses, sizes, Room(two, two))
    assert some.missed == [] and some.count == 2 * AT_ONCE and bytes(some.data)[:two] == wanted[:two]
    none = Pieces(os.getpid(), addresses, sizes, Room(7))
    assert none.count == 0 and none.missed == []
    addresses[AT_ONCE + 1] = 4096
    broken = Pieces(os.getpid(), addresses, sizes, Room(1 << 30, 1 << 16))
    assert broken.missed == [(AT_ONCE, 2 * AT_ONCE)]
    assert bytes(broken.data)[two : len(wanted)] == wanted[two:]
