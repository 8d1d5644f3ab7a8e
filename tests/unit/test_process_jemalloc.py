"""jemalloc's radix tree, as jemalloc 5.3 and 5.2 have it in memory."""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

import pytest

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.process.jemalloc import ACTIVE, DIRTY, RETAINED, Extents, read_extents
from addrspace_gdb.process.paged_words import PagedWords

BSS, ROOT = 0x7F0000000000, 0x7F0000003018
METADATA = 0x7F1000000000  # leaves and the structs of extents
LEAF, STRUCTS = METADATA + 0xC0, METADATA + 0x300000
HEAP = 0x7F1040000000  # the beginning of a GiB, so that one leaf has all
MAPPINGS = [(HEAP + n * 0x100000, HEAP + n * 0x100000 + 0x80000) for n in range(5)]
PAGE = 4096


class Memory:
    """Words by their addresses; what was never written cannot be read."""

    def __init__(self, old: bool = False) -> None:
        self.old = old
        self.pages: Dict[int, bytearray] = {}
        self.structs = STRUCTS
        self.put(ROOT + 8 * (HEAP >> 30), LEAF)

    def put(self, address: int, value: int) -> None:
        page = self.pages.setdefault(address // PAGE, bytearray(PAGE))
        page[address % PAGE : address % PAGE + 8] = value.to_bytes(8, "little")

    def extent(self, start: int, size: int, state: int, slab: int = 0, free: int = 0) -> None:
        index, self.structs = 4, self.structs + 128  # size class 4: 64 bytes
        if self.old:
            self.old_extent(start, size, state, slab, free)
            return
        self.put(self.structs, 1 << 13 | slab << 12 | state << 17 | index << 20 | free << 28)
        self.put(self.structs + 8, start)
        self.put(self.structs + 16, size | 7)
        place = LEAF + 8 * (start // PAGE & 0x3FFFF)
        self.put(place, index << 48 | self.structs | state << 2 | slab)

    def old_extent(self, start: int, size: int, state: int, slab: int, free: int) -> None:
        """Of what is not in use the leaf still has size class and slab of before."""
        index = 4 if state == ACTIVE else 232
        self.put(self.structs, 1 << 13 | slab << 12 | state << 16 | index << 18 | free << 26)
        self.put(self.structs + 8, start)
        self.put(self.structs + 16, size | 7)
        self.put(LEAF + 8 * (start // PAGE & 0x3FFFF), 4 << 48 | self.structs | (slab or state != ACTIVE))

    def read(self, address: int, size: int) -> bytes:
        assert size == PAGE and address % PAGE == 0
        if address // PAGE not in self.pages:
            raise UnreadableError(address, size)
        return bytes(self.pages[address // PAGE])

    def extents(self) -> Extents:
        found = self.found()
        assert found is not None
        return found

    def found(self) -> Optional[Extents]:
        memory = [(METADATA, METADATA + 0x400000), *MAPPINGS]
        return read_extents(PagedWords(self.read, 8, "little"), [(BSS, BSS + 0x220000)], memory)


def filled(old: bool) -> Memory:
    made = Memory(old)
    for start, _ in MAPPINGS:
        made.extent(start, 0x3000, ACTIVE)
        made.extent(start + 0x3000, 0x1000, ACTIVE, 1, 10)
        made.extent(start + 0x8000, 0x10000, DIRTY)  # behind pages that are nobody's
        made.extent(start + 0x18000, 0x20000, RETAINED)
    return made


@pytest.fixture
def memory() -> Memory:
    return filled(False)


def sums(found: Extents) -> List[Tuple[int, int]]:
    return [(len(s), sum(e) - sum(s)) for s, e in zip(found.starts, found.ends)]


@pytest.mark.parametrize("old", [False, True], ids=["5.3", "5.2"])
def test_every_extent_is_found_in_its_state(old: bool) -> None:
    found = filled(old).extents()
    assert sums(found) == [(10, 5 * 0x4000), (5, 5 * 0x10000), (0, 0), (5, 5 * 0x20000)]
    assert found.free_slots == 5 * 10 * 64 and found.whole


def test_an_extent_that_says_otherwise_is_none(memory: Memory) -> None:
    start = MAPPINGS[4][0]
    memory.extent(start, 0x3000, ACTIVE)
    memory.put(memory.structs + 8, start + PAGE)  # begins elsewhere
    memory.extent(start + 0x8000, 0x100000, DIRTY)  # is longer than the memory
    memory.put(LEAF + 8 * ((start + 0x18000) // PAGE & 0x3FFFF), memory.structs)  # has another state
    assert sums(memory.extents()) == [(9, 4 * 0x4000 + 0x1000), (4, 4 * 0x10000), (0, 0), (4, 4 * 0x20000)]


def test_too_few_that_agree_are_none() -> None:
    memory = Memory()
    assert memory.found() is None
    for start, _ in MAPPINGS[:2]:
        memory.extent(start, 0x1000, ACTIVE)
    assert memory.found() is None
    memory.extent(MAPPINGS[2][0], 0x1000, ACTIVE)
    assert sums(memory.extents())[ACTIVE] == (3, 0x3000)


def test_a_bound_is_told(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("addrspace_gdb.process.jemalloc._MOST", 20)
    assert not memory.extents().whole
