"""jemalloc's extents: runs of pages in use, kept for later, or given back.

The first page of an extent leads to it through a radix tree of two levels (rtree.h), whose root lies in the
library's .bss. The root is found by what it leads to: an edata_t (edata.h), in jemalloc 5.2 an extent_t
(extent_structs.h), which says that its memory begins at that very page, and has the state that the leaf has,
in 5.2 the size class. Nothing is found of older releases, and of a library that was built for addresses of 57
bits: its tree has three levels.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.process.paged_words import PagedWords

ACTIVE, DIRTY, MUZZY, RETAINED = range(4)  # extent_state_t

_PAGE = 4096  # LG_PAGE of amd64
_LEAF, _LEVEL = 30, 18  # bits of an address below a leaf's, and bits that a level decides
_SLAB = 12  # the bit of e_bits
_NO_CLASS = 232  # SC_NSIZES of amd64, for extents that are not in use
_SAMPLES = 64  # mappings whose beginnings are tried
_AGREED = 3  # of them so many must lead to the same root
_MOST = 1 << 20  # pages and extents that are looked at

Range = Tuple[int, int]


class Extents(NamedTuple):
    """Ascending starts and ends of extents by their state, and the bytes of free slots in those in use."""

    starts: List[array[int]]
    ends: List[array[int]]
    free_slots: int
    whole: bool  # False: there are more than were looked at


class _Form(NamedTuple):
    """Where in e_bits, and how a leaf vouches for it."""

    state: int
    states: int  # a mask
    size_class: int
    free: int
    by_state: bool  # whether leaves have the state

    def agrees(self, entry: int, bits: int) -> bool:
        """Whether a leaf says what its extent does."""
        state, size_class = bits >> self.state & self.states, bits >> self.size_class & 0xFF
        if self.by_state:
            return entry >> 2 & 7 == state
        if state != ACTIVE:  # the leaf still has what the extent was before
            return size_class == _NO_CLASS and not bits >> _SLAB & 1
        return entry >> 48 == size_class and entry & 1 == bits >> _SLAB & 1


_FORMS = (_Form(17, 7, 20, 28, True), _Form(16, 3, 18, 26, False))  # 5.3, 5.2


class _Extent(NamedTuple):
    start: int
    end: int
    state: int
    free: int  # bytes of free slots, of a slab


def read_extents(words: PagedWords, data: Sequence[Range], memory: Sequence[Range]) -> Optional[Extents]:
    """The extents in `memory`, ascending anonymous ranges. `data`: the library's variables. None where no
    root is found that enough of the ranges agree on."""
    if words.size != 8:
        return None
    trees = [_Tree(words, memory, form) for form in _FORMS]
    found = [(*tree.root(data), tree) for tree in trees]
    most = max(_AGREED, *(votes for votes, _, _ in found))
    read = [tree.extents(root) for votes, root, tree in found if votes == most]
    return max(read, key=lambda one: sum(map(len, one.starts)), default=None)


class _Tree:
    def __init__(self, words: PagedWords, memory: Sequence[Range], form: _Form) -> None:
        self._words, self._memory, self._form = words, memory, form
        self._starts = [start for start, _ in memory]

    def _word(self, address: int) -> int:
        return self._words.at(address) or 0

    def root(self, data: Sequence[Range]) -> Tuple[int, int]:
        """How many of the samples agree where the first level is, and where."""
        samples = self._starts[:: max(1, len(self._starts) // _SAMPLES)]
        votes: Dict[int, int] = {}
        for start, end in data:
            for place, leaf in self._pointers(start, end):
                for page in samples:
                    root = place - 8 * (page >> _LEAF)
                    if start <= root and root + (8 << _LEVEL) <= end and self._at(leaf, page) is not None:
                        votes[root] = votes.get(root, 0) + 1
        best = max(votes, key=votes.__getitem__, default=0)
        return votes.get(best, 0), best

    def _pointers(self, start: int, end: int) -> Iterator[Tuple[int, int]]:
        """Words of a range that may lead to a leaf."""
        for page in range(start, end, _PAGE):
            for at, word in enumerate(self._words.some(page, _PAGE // 8) or ()):
                if word and word % 64 == 0 and self._is_memory(word, word + (8 << _LEVEL)):
                    yield page + 8 * at, word

    def _is_memory(self, start: int, end: int) -> bool:
        at = bisect_right(self._starts, start) - 1
        return at >= 0 and end <= self._memory[at][1]

    def _at(self, leaf: int, page: int) -> Optional[_Extent]:
        """The extent that begins at that page."""
        entry = self._word(leaf + 8 * (page // _PAGE & ((1 << _LEVEL) - 1)))
        place = entry & ((1 << 48) - 1) & ~0x3F
        if not place:
            return None
        bits, start, size = (self._word(place + offset) for offset in (0, 8, 16))
        size -= size % _PAGE
        state = bits >> self._form.state & self._form.states
        right = start - start % _PAGE == page and size and self._form.agrees(entry, bits)
        if not right or not self._is_memory(page, page + size):
            return None
        slab = entry & 1 and state == ACTIVE
        form = self._form
        free = (bits >> form.free & 0x3FF) * _size_of(bits >> form.size_class & 0xFF) if slab else 0
        return _Extent(page, page + size, state, free if free <= size else 0)

    def extents(self, root: int) -> Extents:
        """All of them."""
        starts, ends = ([array("Q") for _ in range(RETAINED + 1)] for _ in range(2))
        free, left = 0, _MOST
        for first, last in self._memory:
            page = first
            while page < last and left:
                left -= 1
                leaf = self._word(root + 8 * (page >> _LEAF)) if page >> 48 == 0 else 0
                found = self._at(leaf, page) if leaf else None
                if found is not None:
                    state = (
                        found.state if found.state <= RETAINED else ACTIVE
                    )  # between two: about to be used
                    starts[state].append(page)
                    ends[state].append(found.end)
                    free += found.free
                page = found.end if found is not None else self._next(leaf, page)
        return Extents(starts, ends, free, left > 0)

    def _next(self, leaf: int, page: int) -> int:
        """The next page that may lead to an extent."""
        if not leaf:
            return (page >> _LEAF) + 1 << _LEAF
        entry = leaf + 8 * (page // _PAGE & ((1 << _LEVEL) - 1))
        if self._words.at(entry) is not None:
            return page + _PAGE
        return page + (_PAGE - entry % _PAGE) // 8 * _PAGE  # that page of the leaf was never written


def _size_of(index: int) -> int:
    """Bytes of a size class (sz_index2size): 8, then sixteens up to 64, then four to each doubling."""
    if index < 5:
        return 16 * index or 8
    group, step = divmod(index - 1, 4)
    return (64 << group - 1) + (step + 1) * (16 << group - 1)
