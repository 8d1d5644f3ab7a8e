"""The heap of glibc's malloc: every arena, and what of it is in use, free in lists, and free at its end."""

from __future__ import annotations

from array import array
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.process.glibc.free import MOST, Chunk, FreeChunks, OddError, TooManyError
from addrspace_gdb.process.glibc.state import Arena, Reader, find_bins
from addrspace_gdb.process.libc import HEAP_MAX
from addrspace_gdb.process.paged_words import PagedWords
from addrspace_gdb.process.pointers import Read

_MOST_ARENAS = 1 << 12  # eight a processor, if nobody sets MALLOC_ARENA_MAX
_MAX_HEADER = 0x100  # bytes from a heap_info to the arena behind it

Range = Tuple[int, int]


class Malloc(NamedTuple):
    """What malloc has of the system in arenas, and what it has not handed out. Bytes."""

    arenas: int
    system: int
    main: Range  # where the main arena is, as long as nobody else has moved the end of the data segment (brk)
    lists: array[int]  # ascending starts of the free chunks in lists
    list_ends: array[int]
    tops: array[int]  # ascending starts of the free chunks at the ends of arenas
    top_ends: array[int]
    returned: array[int]  # ascending starts of what heaps of threads had and gave back (shrink_heap)
    returned_ends: array[int]

    @property
    def free(self) -> int:
        """In lists: fordblks of mallinfo2(3), without the chunks at the ends."""
        return sum(self.list_ends) - sum(self.lists)

    @property
    def top(self) -> int:
        """At the ends of arenas."""
        return sum(self.top_ends) - sum(self.tops)

    @property
    def in_use(self) -> int:
        """Handed out, or kept by a thread for itself (tcache): uordblks of mallinfo2(3)."""
        return self.system - self.free - self.top


class Place(NamedTuple):
    """Where to look."""

    read: Read
    pointer_size: int
    byte_order: str
    data: Sequence[Range]  # what the C library has for its variables
    heaps: Sequence[int]  # starts of heap_info, as `process.libc` found them
    writable: Sequence[Range]  # ascending anonymous memory, which chunks may lie in
    symbol: Optional[int]  # main_arena, where a symbol table has it


class OddHeapError(Exception):
    """There is a heap of glibc's that cannot be walked; in one line why."""


def read_malloc(place: Place) -> Optional[Malloc]:
    """None where there is no arena of glibc's to be found. OddHeapError."""
    words = PagedWords(place.read, place.pointer_size, place.byte_order)
    reader = Reader(words, place.byte_order)
    is_there = bool(place.heaps)
    for main, bins in _candidates(place, reader):
        is_there = True
        arenas = _ring(place, reader, main, bins)
        if arenas is not None:
            return _counted(place, reader, arenas)
    if is_there:
        raise OddHeapError("its arenas cannot be followed (damaged, or a thread was in the middle of malloc)")
    return None


def _candidates(place: Place, reader: Reader) -> Iterator[Tuple[int, int]]:
    """Addresses that main_arena may have, each with that of its bins."""
    word = place.pointer_size
    distances = (_distance(word, True), _distance(word, False))
    if place.symbol is not None:
        yield from ((place.symbol, place.symbol + distance) for distance in distances)
    for start, end in place.data:
        for bins in find_bins(place.read, reader.words, place.byte_order, start, end):
            yield from ((bins - distance, bins) for distance in distances)


def _distance(word: int, fast: bool) -> int:
    """Bytes from an arena to its bins; since 2.43 it has no fast bins, and no word that there are some."""
    before, count = (16, 10) if word == 8 else (12, 11)
    return before + (count + 2) * word if fast else 8 + 2 * word


def _ring(place: Place, reader: Reader, main: int, bins: int) -> Optional[List[Arena]]:
    """The main arena and those that follow it, till it comes round. None if it is no ring, or lacks an arena
    that a heap names."""
    found: List[Arena] = []
    at, seen = main, set()
    while at not in seen and len(found) < _MOST_ARENAS:
        seen.add(at)
        arena = reader.arena(at, at + bins - main)
        if arena is None or (found and not _heap_of(place, reader, arena)):
            return None
        found.append(arena)
        at = arena.next
    named = {reader.words.at(start) for start in place.heaps}
    return found if at == main and named <= seen else None


def _heap_of(place: Place, reader: Reader, arena: Arena) -> bool:
    """Whether an arena stands at the beginning of a heap that names it."""
    start = arena.address - arena.address % HEAP_MAX[place.pointer_size]
    return arena.address - start <= _MAX_HEADER and reader.words.at(start) == arena.address


def _counted(place: Place, reader: Reader, arenas: Sequence[Arena]) -> Malloc:
    free = FreeChunks(reader, _Owned(place, reader, arenas[0].address).holds, MOST)
    listed: List[Chunk] = []
    tops: List[Chunk] = []
    for arena in arenas:
        try:
            top = free.top(arena)
            tops += [top] if top is not None else []
            listed += free.listed(arena)
        except OddError as error:
            why = "a thread was in the middle of malloc" if arena.busy else "damaged"
            raise OddHeapError(f"{error} ({why})") from None
        except TooManyError:
            raise OddHeapError(f"it has more than {MOST:,} free chunks") from None
    chunks = sorted([*listed, *tops])
    if any(after[0] < before[1] for before, after in zip(chunks, chunks[1:])):
        raise OddHeapError("its free chunks overlap (damaged)")
    system = sum(arena.system for arena in arenas)
    if sum(end - start for start, end in chunks) > system:
        raise OddHeapError("more of it is free than there is (damaged)")
    returned = list(_returned(place, reader))
    main = (tops[0][1] - arenas[0].system, tops[0][1]) if arenas[0].system else (0, 0)
    return Malloc(len(arenas), system, main, *_columns(listed), *_columns(tops), *_columns(returned))


def _returned(place: Place, reader: Reader) -> Iterator[Chunk]:
    """Of each heap_info what lies between its size and its mprotect_size."""
    for start in place.heaps:
        fields = reader.words.some(start, 4)
        if fields is not None and fields[2] < fields[3]:
            yield start + fields[2], start + fields[3]


def _columns(chunks: List[Chunk]) -> Tuple[array[int], array[int]]:
    chunks.sort()
    return array("Q", (start for start, _ in chunks)), array("Q", (end for _, end in chunks))


class _Owned:
    """Which memory may be whose: that of a thread's arena lies in its heaps, the main one's elsewhere."""

    def __init__(self, place: Place, reader: Reader, main: int) -> None:
        self._writable, self._words, self._main = place.writable, reader.words, main
        self._step = HEAP_MAX[place.pointer_size]
        self._heaps: Dict[int, Optional[int]] = {}
        self._last: Range = (0, 0)

    def holds(self, arena: Arena, start: int, end: int) -> bool:
        """Whether [start, end) may be chunks of `arena`."""
        if arena.address == self._main:
            return self._is_writable(start, end)
        heap = start - start % self._step
        if heap not in self._heaps:
            self._heaps[heap] = self._words.at(heap)
        return self._heaps[heap] == arena.address and end <= heap + self._step

    def _is_writable(self, start: int, end: int) -> bool:
        if not self._last[0] <= start < end <= self._last[1]:
            self._last = next((r for r in self._writable if r[0] <= start < r[1]), (0, 0))
        return self._last[0] <= start < end <= self._last[1]
