"""Pages of the heap: which are free, and which of those went back to the OS (src/runtime/mpagealloc.go).

Every 4 MiB chunk has a pallocData: 512 bits allocated/free and 512 bits scavenged, one a page. Only the
ranges in mheap_.pages.inUse have been grown into; the rest of an arena is reserved.
"""

from __future__ import annotations

from array import array
from typing import Iterator, List, NamedTuple, Optional, Tuple

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.mheap import base_offset
from addrspace_gdb.goruntime.mspan import PAGE
from addrspace_gdb.goruntime.record import Record, Runtime

CHUNK_PAGES = 512  # pallocChunkPages
CHUNK = CHUNK_PAGES * PAGE
_ALL = (1 << CHUNK_PAGES) - 1
_MAX_RANGES = 1 << 20

FREE, RETURNED, ALLOCATED = 0, 1, 2


class PageRun(NamedTuple):
    """A run of pages in one state: FREE (kept by the runtime), RETURNED (to the OS) or ALLOCATED."""

    start: int
    end: int
    state: int


class Pages(NamedTuple):
    """The page allocator's view of the heap."""

    in_use: List[Tuple[int, int]]  # address ranges grown into
    runs: List[PageRun]  # cover in_use
    cached: List[PageRun]  # free pages held by a P's page cache; ALLOCATED in `runs`
    padding: Optional[Tuple[int, int]] = None  # see `base_padding`


def read_pages(runtime: Runtime, heap: Record) -> Pages:
    """Read the state of every page that the heap has grown into."""
    ranges = _in_use(runtime, heap)
    runs: List[PageRun] = []
    for start, end in ranges:
        for run in _range_runs(runtime, heap, start, end):
            if runs and runs[-1].end == run.start and runs[-1].state == run.state:
                runs[-1] = PageRun(runs[-1].start, run.end, run.state)
            else:
                runs.append(run)
    return Pages(ranges, runs, [])


def base_padding(pages: Pages, first_span: Optional[int]) -> Optional[Tuple[int, int]]:
    """Pages marked allocated that only push the heap's base to a random address.

    Since Go 1.26 (markRandomPaddingPages, src/runtime/mpagealloc.go) they stand at the beginning of the
    first range, below the first span; the runtime counts them as idle and returned.
    """
    if not pages.runs or pages.runs[0].state != ALLOCATED:
        return None
    start, end = pages.runs[0].start, pages.runs[0].end
    if first_span is not None:
        end = min(end, first_span)
    end = min([end, *(run.start for run in pages.cached if run.start >= start)])
    return (start, end) if start < end else None


def _in_use(runtime: Runtime, heap: Record) -> List[Tuple[int, int]]:
    header = heap.slice("pages.inUse.ranges")  # []addrRange{base, limit offAddr}, src/runtime/mranges.go
    if not 0 <= header.length <= min(header.capacity, _MAX_RANGES):
        runtime.problems.add(f"mheap_.pages.inUse: a length of {header.length} is not plausible; left out")
        return []
    words = runtime.words(header.data, 2 * header.length, "mheap_.pages.inUse")
    ranges: List[Tuple[int, int]] = []
    for start, end in zip(words[::2], words[1::2]):
        bad = start % PAGE or end % PAGE or end <= start or (ranges and start < ranges[-1][1])
        if bad or end - start > 1 << 46:
            runtime.problems.add(
                f"mheap_.pages.inUse: the range {start:#x}-{end:#x} is not plausible; left out"
            )
            continue
        ranges.append((start, end))
    return ranges


def _range_runs(runtime: Runtime, heap: Record, start: int, end: int) -> Iterator[PageRun]:
    """Runs of one range, chunk by chunk."""
    first = start // CHUNK * CHUNK
    for base, data in _chunks(runtime, heap, first, end):
        bits = array("Q", bytes(data[: CHUNK_PAGES // 4]))
        if runtime.order == "big":  # they are words, the lowest page in the lowest bit
            bits.byteswap()
        raw = bits.tobytes()
        allocated = int.from_bytes(raw[: CHUNK_PAGES // 8], "little")
        scavenged = int.from_bytes(raw[CHUNK_PAGES // 8 :], "little")
        for state, low, high in _bit_runs(allocated, scavenged):
            at, to = max(start, base + low * PAGE), min(end, base + high * PAGE)
            if at < to:
                yield PageRun(at, to, state)


def _bit_runs(allocated: int, scavenged: int) -> Iterator[Tuple[int, int, int]]:
    """(state, first page, one past the last) over the 512 pages of a chunk."""
    at = 0
    while at < CHUNK_PAGES:
        if allocated >> at & 1:
            state, bits = ALLOCATED, ~allocated & _ALL
        elif scavenged >> at & 1:
            state, bits = RETURNED, ~scavenged & _ALL | allocated
        else:
            state, bits = FREE, scavenged | allocated
        rest = bits >> at
        end = at + (rest & -rest).bit_length() - 1 if rest else CHUNK_PAGES
        yield state, at, end
        at = end


def _chunks(runtime: Runtime, heap: Record, first: int, end: int) -> Iterator[Tuple[int, memoryview]]:
    """(address, pallocData bytes) of each chunk from `first` to `end`, read in bulk per L2 table."""
    table = heap.type.locate("pages.chunks")
    entry = table.type.element.fields["*"][1] if table.type.element is not None else None
    if entry is None or entry.element is None:
        return
    per_table, size, word = entry.count, entry.element.size, runtime.word
    offset, limit = base_offset(runtime), 1 << (8 * word)
    at = first
    while at < end:
        l1, l2 = divmod((at - offset) % limit // CHUNK, per_table)
        count = min(per_table - l2, -(-(end - at) // CHUNK))
        pointer = 0
        if l1 < table.type.count:
            place = table.offset + l1 * word
            pointer = int.from_bytes(heap.data[place : place + word], runtime.order)
        try:
            if not pointer:
                raise UnreadableError(at, count * size)
            data = memoryview(runtime.target.read(pointer + l2 * size, count * size))
            for i in range(count):
                yield at + i * CHUNK, data[i * size : (i + 1) * size]
        except UnreadableError:
            runtime.problems.add(f"mheap_.pages.chunks: page states from {at:#x} cannot be read; left out")
        at += count * CHUNK


def page_cache(record: Record) -> Iterator[PageRun]:
    """Free pages in a P's pageCache {base, cache, scav}: 64 pages, a bit each (src/runtime/mpagecache.go)."""
    base, free, scavenged = record.number("base"), record.number("cache"), record.number("scav")
    if base % PAGE:
        return
    for page in range(64):
        if free >> page & 1:
            state = RETURNED if scavenged >> page & 1 else FREE
            yield PageRun(base + page * PAGE, base + (page + 1) * PAGE, state)
