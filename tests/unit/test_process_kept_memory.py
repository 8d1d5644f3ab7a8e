"""What was read of a process before it was let go, and nothing else, is there afterwards."""

from __future__ import annotations

import os
from typing import List, Tuple

import pytest

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.process.kept_memory import KeptMemory, LetGoError
from addrspace_gdb.process.process_memory import ProcessMemory

BASE = 0x1000


class Memory:
    """A byte at an address is made from the address; nothing below BASE can be read."""

    def __init__(self) -> None:
        self.reads: List[Tuple[int, int]] = []

    def read(self, address: int, size: int) -> bytes:
        self.reads.append((address, size))
        if address < BASE:
            raise UnreadableError(address, size)
        return bytes(at & 255 for at in range(address, address + size))


def test_what_was_read_is_there_afterwards() -> None:
    memory = Memory()
    kept = KeptMemory(memory.read)
    first, second = kept.read(BASE, 100), kept.read(BASE + 60, 80)
    assert kept.read(BASE, 100) == first
    kept.release()
    assert kept.whole and len(memory.reads) == 2
    assert kept.read(BASE, 100) == first and kept.read(BASE + 60, 80) == second
    assert kept.read(BASE + 10, 20) == first[10:30]
    assert kept.read(BASE + 130, 10) == second[70:]
    for address, size in ((BASE, 101), (BASE + 99, 50), (BASE - 1, 2), (BASE + 500, 1)):
        with pytest.raises(LetGoError, match="were not read while the process stood still"):
            kept.read(address, size)
    assert len(memory.reads) == 2


def test_what_could_not_be_read_then_cannot_now() -> None:
    memory = Memory()
    kept = KeptMemory(memory.read)
    for _ in range(2):
        with pytest.raises(UnreadableError):
            kept.read(0, 8)
        kept.release()
    assert len(memory.reads) == 1


def test_more_than_is_kept_is_told() -> None:
    """However large a single read is, as a stack that a goroutine on a thread has."""
    kept = KeptMemory(Memory().read, most=1000)
    assert len(kept.read(BASE, 900)) == 900 and kept.whole
    assert len(kept.read(BASE + 900, 101)) == 101 and not kept.whole
    assert len(kept.read(BASE + 2000, 100)) == 100 and not kept.whole
    usual = KeptMemory(lambda address, size: bytes(size))
    assert len(usual.read(BASE, 64 << 20)) == 64 << 20 and usual.whole


def test_a_process_that_was_let_go_is_not_asked() -> None:
    """Of our own: files are read from the files, before and after, and the rest is what was read."""
    memory = Memory()
    own = ProcessMemory(os.getpid(), memory.read, keep=True)
    with open("/proc/self/maps") as maps:
        fields = next(line.split() for line in maps if " r--p " in line and ".so" in line)
    start = int(fields[0].split("-")[0], 16)
    head = own.read(start, 64)
    assert head[:4] == b"\x7fELF" and memory.reads == []
    data = own.read(BASE, 64)
    assert own.proc_files().path("maps") == f"/proc/{os.getpid()}/maps"
    own.let_go()
    assert own.read(start, 64) == head and own.read(BASE, 64) == data
    with pytest.raises(LetGoError, match="/proc is asked for"):
        own.proc_files()
    with pytest.raises(LetGoError):
        own.read(BASE + 64, 1)


def test_files_that_were_not_read_in_time_are_not_opened() -> None:
    own = ProcessMemory(os.getpid(), Memory().read, keep=True)
    with open("/proc/self/maps") as maps:
        starts = [int(line.split("-")[0], 16) for line in maps if " r--p " in line and ".so" in line]
    own.let_go()
    with pytest.raises(LetGoError, match="was not read while the process stood still"):
        own.read(starts[0], 8)


def test_one_that_stays_is_asked_each_time() -> None:
    memory = Memory()
    own = ProcessMemory(os.getpid(), memory.read, keep=False)
    assert own.kept is None
    for _ in range(2):
        assert own.read(BASE, 8) == memory.read(BASE, 8)
    own.let_go()
    assert own.read(BASE, 8) and own.proc_files()
    assert len(memory.reads) == 5
