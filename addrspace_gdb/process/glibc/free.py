"""What of an arena is free: chunks in its lists, and the one at its end."""

from __future__ import annotations

from typing import Callable, Iterator, List, Optional, Tuple

from addrspace_gdb.process.glibc.state import BINS, Arena, Reader

_FLAGS = 7
MOST = 1 << 19  # chunks that are looked at in all

Chunk = Tuple[int, int]  # [start, end)
Holds = Callable[[Arena, int, int], bool]  # whether memory from one address to another is the arena's


class OddError(Exception):
    """A list that cannot be one: damaged, or being changed."""


class TooManyError(Exception):
    """There are more chunks than are looked at."""


class FreeChunks:
    """Reads the lists of arenas."""

    def __init__(self, reader: Reader, holds: Holds, most: int) -> None:
        self._reader, self._words, self._word = reader, reader.words, reader.word
        self._holds, self._left = holds, most
        self._shift = 12  # PROTECT_PTR, since 2.32

    def top(self, arena: Arena) -> Optional[Chunk]:
        """The chunk at the end; None where the arena has not begun. OddError."""
        return self._chunk(arena, arena.top) if arena.system else None

    def listed(self, arena: Arena) -> List[Chunk]:
        """Every chunk in a list. OddError, TooManyError."""
        if not arena.system:
            return []
        found = [chunk for number in range(BINS) for chunk in self._bin(arena, number)]
        for number, first in enumerate(arena.fastbins):
            found += self._fast(arena, number, first)
        return found

    def _chunk(self, arena: Arena, at: int) -> Chunk:
        header = self._words.at(at + self._word) if at % (2 * self._word) == 0 else None
        size = header & ~_FLAGS if header is not None else 0
        if size < 4 * self._word or not self._holds(arena, at, at + size):
            raise OddError(f"a chunk at {at:#x} of {size} bytes")
        return at, at + size

    def _spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise TooManyError

    def _bin(self, arena: Arena, number: int) -> Iterator[Chunk]:
        own = before = self._reader.bin(arena.bins, number)
        at = self._words.at(own + 2 * self._word)
        while at != own:
            self._spend()
            if at is None or self._words.at(at + 3 * self._word) != before:
                raise OddError(f"bin {number} at {own:#x} does not lead back")
            yield self._chunk(arena, at)
            before, at = at, self._words.at(at + 2 * self._word)

    def _fast(self, arena: Arena, number: int, first: int) -> Iterator[Chunk]:
        size, at, seen = self._fast_size(number), first, set()
        while at:
            self._spend()
            start, end = self._chunk(arena, at)
            if at in seen or end - start != size:
                raise OddError(f"fast bin {number} has a chunk of {end - start} bytes")
            seen.add(at)
            yield start, end
            at = self._after(arena, at, size)

    def _fast_size(self, number: int) -> int:
        """Bytes of the chunks in a fast bin (fastbin_index)."""
        return (number + 2) << (4 if self._word == 8 else 3)

    def _after(self, arena: Arena, at: int, size: int) -> int:
        """The next one: as it is, or since 2.32 mixed with the place where it stands (PROTECT_PTR)."""
        place = at + 2 * self._word
        stored = self._words.at(place)
        if stored is None:
            raise OddError(f"a fast chunk at {at:#x}")
        for following in (stored ^ (place >> self._shift), stored):
            if not following or self._is(arena, following, size):
                return following
        raise OddError(f"a fast chunk at {at:#x}")

    def _is(self, arena: Arena, at: int, size: int) -> bool:
        try:
            start, end = self._chunk(arena, at)
        except OddError:
            return False
        return end - start == size
