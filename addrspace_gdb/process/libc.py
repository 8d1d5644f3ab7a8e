"""glibc's heap, found by what is in memory: brk, the arenas of threads, chunks with a mapping of their own.

Layouts: malloc/arena.c (heap_info, HEAP_MAX_SIZE) and malloc/malloc.c (malloc_chunk) of glibc 2.3 to 2.43.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.process.mappings import NO_ACCESS, Mapping, is_anonymous
from addrspace_gdb.process.pointers import Read, Words

BRK, ARENA, ARENA_RESERVE, MMAPPED = "brk heap", "malloc arena", "malloc arena, reserved", "malloc mmap"

# 2 * DEFAULT_MMAP_THRESHOLD_MAX, which is 4 MiB * sizeof(long) and on 32-bit 512 KiB.
HEAP_MAX = {8: 64 << 20, 4: 1 << 20}  # bytes, by the size of a pointer
_IS_MMAPPED, _FLAGS = 2, 7
_MAX_HEADER = 0x100  # bytes from a heap_info to the arena behind it: 0x20, 0x30 since glibc 2.35 (pagesize)
_MAX_CANDIDATES = 1 << 17  # places where heaps and chunks are looked for
_MAX_CHUNKS = 1 << 20  # in all; malloc maps 65,536 at most (M_MMAP_MAX), if nobody has set that

Range = Tuple[int, int, str]
Excluded = Callable[[int, int], bool]


class _Heap(NamedTuple):
    """A heap_info that looks right."""

    start: int
    arena: int  # ar_ptr
    previous: int
    used: int  # mprotect_size: what has been made readable and writable


def libc_ranges(
    mappings: Sequence[Mapping],
    read: Read,
    page_size: int,
    excluded: Excluded = lambda start, end: False,
    owned: Sequence[Tuple[int, int]] = (),
    pointer_size: int = 8,
    byte_order: str = "little",
    tell: Callable[[str], None] = lambda text: None,
) -> List[Range]:
    """What glibc's malloc holds: sorted, disjoint (start, end, kind).

    Only anonymous read-write mappings are looked at. `excluded(start, end)` says whether somebody else owns
    a byte of the range; such a range is not read and not claimed. `owned` are ranges of others (thread
    stacks, the Go runtime) that may share a mapping with a chunk: chunks are looked for at their ends too.
    Costs one small read a mapping, an owned end, a chunk and a multiple of 64 MiB. Not found: a chunk from
    mmap that merged with a mapping below it whose owner is not known. `tell` takes a line if that is too much
    to look at all of it.
    """
    words = Words(read, pointer_size, byte_order)
    data = [m for m in mappings if is_anonymous(m) and m.permissions[:2] == "rw" and m.permissions[3:] != "s"]
    found: List[Range] = [(m.start, m.end, BRK) for m in data if m.name == "[heap]"]
    data = [m for m in data if m.name != "[heap]"]
    heaps = _arenas(data, words, page_size, excluded, tell)
    found += _arena_ranges(heaps, mappings, HEAP_MAX[pointer_size])
    taken = sorted((start, end) for start, end, _ in found)
    ends = sorted(end for _, end in owned) + [end for _, end in taken]
    room = _MAX_CHUNKS
    for mapping, start in _chunk_starts(data, sorted(ends), tell):
        taken_here = any(low <= start < high for low, high in _near(taken, start))
        if not taken_here and not excluded(start, start + page_size):
            end, chunks = _chunks(start, mapping.end, words, page_size, room)
            room -= chunks
            if end > start and not excluded(start, end):
                found.append((start, end, MMAPPED))
    if not room:
        tell(f"malloc: only the first {_MAX_CHUNKS:,} blocks with a mapping of their own are told apart")
    return _disjoint(found)


def _near(taken: Sequence[Tuple[int, int]], address: int) -> Sequence[Tuple[int, int]]:
    """The range of `taken` that could hold `address`."""
    index = bisect_right(taken, (address, 1 << 64))
    return taken[max(0, index - 1) : index]


def _chunk_starts(
    data: Sequence[Mapping], ends: Sequence[int], tell: Callable[[str], None]
) -> List[Tuple[Mapping, int]]:
    """Where a chunk may begin: at the start of a mapping, and where somebody else's part of it ends."""
    found: List[Tuple[Mapping, int]] = []
    for mapping in data:
        found.append((mapping, mapping.start))
        for end in ends[bisect_right(ends, mapping.start) : bisect_right(ends, mapping.end - 1)]:
            found.append((mapping, end))
    if len(found) > _MAX_CANDIDATES:
        tell(f"malloc: blocks are looked for at {_MAX_CANDIDATES:,} of {len(found):,} places only")
    return found[:_MAX_CANDIDATES]


def _chunks(start: int, limit: int, words: Words, page_size: int, most: int) -> Tuple[int, int]:
    """End of the chunks of malloc that were mapped one by one and lie side by side from `start`, and how many
    they are, at most `most`.

    Each begins on a page: prev_size 0, size a multiple of the page with IS_MMAPPED and no other flag. On i386
    blocks are aligned to 16 bytes since glibc 2.26: the chunk begins 8 bytes on, and prev_size says so. Since
    2.43 the size is without the chunk's header.
    """
    at, chunks = start, 0
    while chunks < most:
        size = _mapped_chunk(words, at, 0) if at < limit else 0
        if not size and words.size == 4 and at < limit:
            size = _mapped_chunk(words, at, 8)
        if (size + 2 * words.size) % page_size == 0:
            size += 2 * words.size
        if size == 0 or size % page_size or at + size > limit:
            break
        at, chunks = at + size, chunks + 1
    return at, chunks


def _mapped_chunk(words: Words, start: int, before: int) -> int:
    """Bytes of the mapping that such a chunk says, which begins `before` bytes behind `start`; 0 for none."""
    header = words.at(start + before, 2)
    if header is None or header[0] != before or header[1] & _FLAGS != _IS_MMAPPED:
        return 0
    return before + (header[1] & ~_FLAGS)


def _arenas(
    data: Sequence[Mapping],
    words: Words,
    page_size: int,
    excluded: Excluded,
    tell: Callable[[str], None],
) -> List[_Heap]:
    """Every heap of a thread arena: the first of an arena by its own header, the rest by their chain."""
    step = HEAP_MAX[words.size]
    candidates: Dict[int, _Heap] = {}
    left = _MAX_CANDIDATES
    for mapping in data:
        first = mapping.start + -mapping.start % step
        for start in range(first, min(mapping.end, first + left * step), step):
            left -= 1
            if excluded(start, start + page_size):
                continue
            heap = _heap(start, mapping, words, page_size)
            if heap is not None and not excluded(start, start + heap.used):
                candidates[start] = heap
    if left <= 0:
        places = f"{_MAX_CANDIDATES:,} multiples of {step >> 20} MiB"
        tell(f"malloc: arenas are looked for at the first {places} only")
    return [heap for heap in candidates.values() if _rooted(heap, candidates)]


def _heap(start: int, mapping: Mapping, words: Words, page_size: int) -> Optional[_Heap]:
    fields = words.at(start, 4)
    if fields is None:
        return None
    arena, previous, size, used = fields
    step = HEAP_MAX[words.size]
    if not 0 < size <= used <= step or used % page_size or start + used > mapping.end:
        return None
    if arena % (2 * words.size) or not arena or previous % step or previous == start:
        return None
    if previous == 0 and not start < arena <= start + _MAX_HEADER:
        return None
    return _Heap(start, arena, previous, used)


def _rooted(heap: _Heap, candidates: Dict[int, _Heap]) -> bool:
    """Whether the chain of previous heaps, all of one arena, ends at the heap that holds the arena."""
    seen = set()
    current = heap
    while current.previous:
        following = candidates.get(current.previous)
        if following is None or following.arena != heap.arena or current.start in seen:
            return False
        seen.add(current.start)
        current = following
    return current.start < heap.arena <= current.start + _MAX_HEADER


def _arena_ranges(heaps: Sequence[_Heap], mappings: Sequence[Mapping], step: int) -> List[Range]:
    """The used part of each heap, and of the rest what is mapped without access."""
    ordered = sorted(mappings)
    ends = [m.end for m in ordered]
    found: List[Range] = []
    for heap in heaps:
        at = heap.start + heap.used
        found.append((heap.start, at, ARENA))
        for mapping in ordered[bisect_right(ends, at) :]:
            if mapping.start >= heap.start + step:
                break
            if mapping.file is None and mapping.permissions[:3] in NO_ACCESS:
                found.append((max(at, mapping.start), min(heap.start + step, mapping.end), ARENA_RESERVE))
    return found


def _disjoint(found: Sequence[Range]) -> List[Range]:
    kept: List[Range] = []
    for item in sorted(found):
        if item[0] < item[1] and (not kept or item[0] >= kept[-1][1]):
            kept.append(item)
    return kept
