"""struct malloc_state, found and read by what must be true of it, not by a release's number.

malloc/malloc.c has, in glibc 2.27 to 2.43: mutex, flags, have_fastchunks (int each), fastbinsY, top,
last_remainder, bins (a pair of pointers for each of 127), binmap, next, next_free, attached_threads,
system_mem, max_system_mem. Since 2.43 have_fastchunks and fastbinsY are gone.
"""

from __future__ import annotations

import sys
from array import array
from typing import Iterator, List, NamedTuple, Optional, Sequence

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.process.paged_words import PagedWords
from addrspace_gdb.process.pointers import Read

BINS = 127
_BINMAP = 16  # bytes
_FASTBINS = {8: 10, 4: 11}  # by the size of a pointer: fastbin_index(request2size(MAX_FAST_SIZE)) + 1
_BEFORE = {8: 16, 4: 12}  # bytes of mutex, flags and have_fastchunks
_CHUNKS_ALIGNED = 16  # MALLOC_ALIGNMENT: 2 * SIZE_SZ, and 16 on i386 since 2.26
_MOST = 1 << 24  # bytes of memory that is searched


class Arena(NamedTuple):
    """A malloc_state. Bytes and addresses."""

    address: int
    fastbins: List[int]
    top: int
    bins: int  # where the pairs of pointers begin
    next: int  # the arena after it, in a ring
    system: int  # what it has of the system
    most: int  # and the most that it had
    busy: bool  # a thread holds its lock: its lists may be half changed


class Reader:
    """Reads arenas."""

    def __init__(self, words: PagedWords, byte_order: str) -> None:
        self.words, self.word = words, words.size
        self._low = 32 if byte_order == "big" and self.word == 8 else 0  # where the first int of a word is

    def bin(self, bins: int, number: int) -> int:
        """The chunk that bin `number`, from 0, pretends to be: its fd is the first pointer of the pair."""
        return bins + 2 * number * self.word - 2 * self.word

    def is_bin(self, bins: int, number: int) -> bool:
        """Whether a pair of pointers is an empty list, or leads into one whose ends lead back."""
        pair = self.words.some(bins + 2 * number * self.word, 2)
        own = self.bin(bins, number)
        if pair is None:
            return False
        first, last = pair
        if first == own or last == own:
            return first == last
        if not first or not last or first % (2 * self.word) or last % (2 * self.word):
            return False
        return self.words.at(first + 3 * self.word) == own and self.words.at(last + 2 * self.word) == own

    def arena(self, address: int, bins: int) -> Optional[Arena]:
        """The arena at `address` whose bins are at `bins`; None if that cannot be one."""
        word, after = self.word, bins + 2 * BINS * self.word + _BINMAP
        before = bins - 2 * word - address
        fast = _FASTBINS[word] if before >= _BEFORE[word] + _FASTBINS[word] * word else 0
        lists = self.words.some(bins - (2 + fast) * word, fast + 1)
        rest = self.words.some(after, 5)
        state = self.words.at(address)
        if lists is None or rest is None or state is None or not all(self._bins(bins)):
            return None
        following, _, _, system, most = rest
        if not following or following % word or system > most:
            return None
        return Arena(
            address,
            lists[:-1],
            lists[-1],
            bins,
            following,
            system,
            most,
            bool(state >> self._low & 0xFFFFFFFF),
        )

    def _bins(self, bins: int) -> Iterator[bool]:
        return (self.is_bin(bins, number) for number in range(BINS))


def find_bins(read: Read, words: PagedWords, byte_order: str, start: int, end: int) -> Iterator[int]:
    """Where in [start, end) there may be the bins of an arena: most of an arena's lists are empty, and an
    empty one points to itself."""
    word = words.size
    reader = Reader(words, byte_order)
    tried = set()
    for place in _empty_bins(_contents(read, word, byte_order, start, min(end, start + _MOST)), start, word):
        for number in range(BINS):
            bins = place - 2 * number * word
            if bins < start or bins in tried or not reader.is_bin(bins, 0):
                continue
            tried.add(bins)
            if reader.is_bin(bins, BINS - 1) and not reader.is_bin(bins - 2 * word, 0):
                yield bins


def _contents(read: Read, word: int, byte_order: str, start: int, end: int) -> array[int]:
    try:
        found = array("Q" if word == 8 else "I", read(start, (end - start) // word * word))
    except UnreadableError:
        return array("Q")
    if byte_order != sys.byteorder:
        found.byteswap()
    return found


def _empty_bins(contents: Sequence[int], start: int, word: int) -> Iterator[int]:
    wanted = range(start - 2 * word, start + len(contents) * word, word)
    for at, (value, own) in enumerate(zip(contents, wanted)):
        if value == own and at + 1 < len(contents) and contents[at + 1] == own:
            yield start + at * word
