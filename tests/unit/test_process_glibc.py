"""Arenas of glibc's malloc as other releases and machines lay them out, and damaged ones."""

from __future__ import annotations

from typing import Dict, List, Tuple

import pytest

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.process.glibc.heap import Malloc, OddHeapError, Place, read_malloc
from addrspace_gdb.process.libc import MMAPPED, libc_ranges
from addrspace_gdb.process.mappings import Mapping

DATA, HEAP, END = 0x10000, 0x400000, 0x440000
MAIN = DATA + 0x440


class Memory:
    """A main arena with 3 chunks of one bin, 2 of a fast one, and a top."""

    def __init__(self, word: int = 8, order: str = "little", fast: bool = True, mixed: bool = True) -> None:
        self.word, self.order, self.fast, self.mixed = word, order, fast, mixed
        self.ranges: Dict[int, bytearray] = {DATA: bytearray(0x4000), HEAP: bytearray(END - HEAP)}
        before, count = (8, 0) if not fast else (16, 10) if word == 8 else (12, 11)
        self.fastbins = MAIN + before
        self.top = MAIN + before + count * word
        self.bins = self.top + 2 * word
        for number in range(127):
            own = self.bin(number)
            self.put(own + 2 * word, own, own)
        self.size = 32 * word
        self.chunks = [HEAP + 0x1000 * n for n in (3, 1, 7)]
        self.link(5, self.chunks)
        if fast:
            self.push(1, [HEAP + 0x9000, HEAP + 0xA000])
        self.put(self.top, END - 0x1000)
        self.put(END - 0x1000 + word, 0x1000 | 1)
        self.put(self.bins + 254 * word + 16, MAIN, 0, 1, END - HEAP, END - HEAP)

    def bin(self, number: int) -> int:
        return self.bins + 2 * number * self.word - 2 * self.word

    def link(self, number: int, chunks: List[int]) -> None:
        ring = [self.bin(number), *chunks]
        for before, at, after in zip([ring[-1], *ring], ring, [*ring[1:], ring[0]]):
            if at in chunks:
                self.put(at + self.word, self.size | 1)
            self.put(at + 2 * self.word, after, before)

    def push(self, number: int, chunks: List[int]) -> None:
        self.put(self.fastbins + number * self.word, chunks[0])
        size = (number + 2) << (4 if self.word == 8 else 3)
        for at, after in zip(chunks, [*chunks[1:], 0]):
            place = at + 2 * self.word
            self.put(at + self.word, size | 1, after ^ (place >> 12) if self.mixed else after)

    def put(self, address: int, *values: int) -> None:
        for number, value in enumerate(values):
            start, data = self._at(address + number * self.word, self.word)
            data[start : start + self.word] = value.to_bytes(self.word, self.order)  # type: ignore[arg-type]

    def _at(self, address: int, size: int) -> Tuple[int, bytearray]:
        for start, data in self.ranges.items():
            if start <= address and address + size <= start + len(data):
                return address - start, data
        raise UnreadableError(address, size)

    def read(self, address: int, size: int) -> bytes:
        start, data = self._at(address, size)
        return bytes(data[start : start + size])

    def malloc(self, symbol: bool = False) -> Malloc:
        data = [] if symbol else [(DATA, DATA + 0x4000)]
        address = MAIN if symbol else None
        found = read_malloc(Place(self.read, self.word, self.order, data, [], [(HEAP, END)], address))
        assert found is not None
        return found


@pytest.mark.parametrize("symbol", [False, True])
@pytest.mark.parametrize("mixed", [True, False], ids=["2.32", "2.31"])
@pytest.mark.parametrize("fast", [True, False], ids=["2.42", "2.43"])
@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("word", [8, 4])
def test_an_arena_is_read_whatever_its_layout(
    word: int, order: str, fast: bool, mixed: bool, symbol: bool
) -> None:
    memory = Memory(word, order, fast, mixed)
    found = memory.malloc(symbol)
    fast_bytes = 2 * (48 if word == 8 else 24) * fast
    assert (found.arenas, found.system, found.top) == (1, END - HEAP, 0x1000)
    assert found.free == 3 * memory.size + fast_bytes
    assert found.in_use == END - HEAP - 0x1000 - found.free
    assert list(found.lists)[:3] == sorted(memory.chunks) and found.main == (HEAP, END)


def break_back(memory: Memory) -> None:
    memory.put(memory.chunks[1] + 3 * memory.word, memory.chunks[1])


def break_round(memory: Memory) -> None:
    memory.put(memory.chunks[1] + 2 * memory.word, memory.chunks[0])


def break_size(memory: Memory) -> None:
    memory.put(memory.chunks[1] + memory.word, (END - HEAP) | 1)


def break_overlap(memory: Memory) -> None:
    memory.put(memory.chunks[1] + memory.word, 0x2800 | 1)


def break_top(memory: Memory) -> None:
    memory.put(memory.top, HEAP + 0x100000)


def break_fast(memory: Memory) -> None:
    place = HEAP + 0xA000 + 2 * memory.word
    memory.put(place, (HEAP + 0x9000) ^ (place >> 12))


def break_fast_size(memory: Memory) -> None:
    memory.put(HEAP + 0x9000 + memory.word, 0x71)


def break_system(memory: Memory) -> None:
    memory.put(memory.bins + 254 * memory.word + 16 + 3 * memory.word, 0x1000, END - HEAP)


def break_next(memory: Memory) -> None:
    memory.put(memory.bins + 254 * memory.word + 16, HEAP)


@pytest.mark.parametrize(
    "damage",
    [
        break_back, break_round, break_size, break_overlap, break_top, break_fast, break_fast_size,
        break_system, break_next,
    ],
)  # fmt: skip
def test_a_damaged_arena_is_an_error(damage: object) -> None:
    memory = Memory()
    assert callable(damage)
    damage(memory)
    with pytest.raises(OddHeapError):
        memory.malloc()


def test_nothing_is_found_where_there_is_none() -> None:
    memory = Memory()
    memory.ranges[DATA] = bytearray(0x4000)
    data = [(DATA, DATA + 0x4000), (1 << 50, (1 << 50) + 4096)]
    assert read_malloc(Place(memory.read, 8, "little", data, [], [], None)) is None


def test_a_list_that_does_not_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("addrspace_gdb.process.glibc.heap.MOST", 3)
    with pytest.raises(OddHeapError, match="more than 3 free chunks"):
        Memory().malloc()


@pytest.mark.parametrize("without", [False, True], ids=["2.42", "2.43"])
@pytest.mark.parametrize(("word", "before"), [(8, 0), (4, 0), (4, 8)])
def test_a_chunk_with_a_mapping_of_its_own(word: int, before: int, without: bool) -> None:
    """On i386 it may begin 8 bytes behind the page; its size may be `without` its header."""
    page = bytearray(0x3000)
    fields = (before, (0x3000 - before - 2 * word * without) | 2)
    for number, value in enumerate(fields):
        at = before + number * word
        page[at : at + word] = value.to_bytes(word, "little")
    mapping = Mapping(0x7000000, 0x7003000, "rw-p", None)

    def read(address: int, size: int) -> bytes:
        return bytes(page[address - 0x7000000 :][:size])

    assert libc_ranges([mapping], read, 4096, pointer_size=word) == [(0x7000000, 0x7003000, MMAPPED)]
