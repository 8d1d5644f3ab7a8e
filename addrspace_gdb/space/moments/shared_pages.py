"""Which pages two processes share: by page frame where the kernel shows it, else by file and offset."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.process.page_runs import PageRuns
from addrspace_gdb.process.pagemap import EXCLUSIVE, FRAME, OF_FILE, PRESENT, PageWords
from addrspace_gdb.space.moments.snapshot import Snapshot

# How it is known that two pages are one.
BY_FRAME, BY_FILE_PAGE, BY_OFFSET = "page frames", "pages of files", "file and offset"

_CHUNK = 1 << 16  # pages that are compared at a time
_JOIN = 64  # pages between two runs for which reading on is cheaper than reading anew


@dataclass
class Side:
    """One of two address spaces. `pages` and `resident` are None unless it is a process on this machine."""

    name: str
    snapshot: Snapshot
    mappings: List[Mapping]  # ascending; an offset of -1 is not known
    pages: Optional[PageWords] = None
    resident: Optional[PageRuns] = None  # without the zero page


class Overlap(NamedTuple):
    """Addresses that both have mapped."""

    start: int
    end: int
    left: Mapping
    right: Mapping


@dataclass
class Shared:
    """The pages that are the same in both. `hidden`: bytes in memory in both of which that is not known."""

    runs: PageRuns = field(default_factory=PageRuns)
    evidence: str = BY_OFFSET
    hidden: int = 0
    notes: List[str] = field(default_factory=list)


def overlaps(left: Sequence[Mapping], right: Sequence[Mapping]) -> Iterator[Overlap]:
    """Every range that both have mapped, in address order."""
    a = b = 0
    while a < len(left) and b < len(right):
        start, end = max(left[a].start, right[b].start), min(left[a].end, right[b].end)
        if start < end:
            yield Overlap(start, end, left[a], right[b])
        if left[a].end <= right[b].end:
            a += 1
        else:
            b += 1


def same_file_page(one: Overlap, by_path: bool) -> Optional[bool]:
    """Whether both map the same part of the same file there; None where an offset is not known."""
    left, right = one.left, one.right
    if left.file is None or right.file is None or left.file != right.file:
        return False
    if not by_path and (left.device, left.inode) != (right.device, right.inode):
        return False
    if left.offset < 0 or right.offset < 0:
        return None
    return left.offset - left.start == right.offset - right.start


def shared_pages(left: Side, right: Side) -> Shared:
    """The pages that are one and the same at the same address of both."""
    if left.pages is not None and right.pages is not None:
        found = Shared(evidence=BY_FRAME)
        try:
            for one in overlaps(left.mappings, right.mappings):
                _by_words(one, left, right, found)
        except OSError as error:
            reason = error.strerror or str(error)
            return _by_mappings(
                left, right, f"pagemap cannot be read ({reason}): pages are told by their files"
            )
        if found.evidence == BY_FILE_PAGE:
            found.notes.append(
                "the kernel shows page frames to root only: of anonymous memory it is not known whether "
                "pages are shared"
            )
        return found
    return _by_mappings(left, right, "no page frames can be compared: pages are told by file and offset")


def _by_mappings(left: Side, right: Side, note: str) -> Shared:
    """Pages of files that neither can have written to; of others (private, writable) it is not known."""
    found = Shared(notes=[note])
    by_path = left.pages is None or right.pages is None
    for one in overlaps(left.mappings, right.mappings):
        same = same_file_page(one, by_path)
        if same and not copied(one):
            found.runs.append(one.start, one.end)
        elif same is not False or one.left.file is one.right.file is None:
            found.hidden += one.end - one.start
    return found


def copied(one: Overlap) -> bool:
    """Whether either may have a copy of its own there, made when it was written to."""
    return any("w" in m.permissions and not m.permissions.endswith("s") for m in (one.left, one.right))


def _by_words(one: Overlap, left: Side, right: Side, found: Shared) -> None:
    assert left.pages is not None and right.pages is not None
    size = left.pages.page_size
    same_file: Optional[bool] = None
    for start, end in _in_both(left.resident, right.resident, one.start, one.end, size):
        a, b = left.pages.words(start, end), right.pages.words(start, end)
        if _frames_hidden(a):
            found.evidence = BY_FILE_PAGE
            if same_file is None:
                same_file = bool(same_file_page(one, by_path=False))
            mask = (PRESENT | OF_FILE) if same_file else 0
            flags = bytes((x & y & mask) == mask != 0 for x, y in zip(a, b))
            unsure = PRESENT | OF_FILE | EXCLUSIVE
            found.hidden += size * sum(x & unsure == PRESENT == y & unsure for x, y in zip(a, b))
        else:
            # The page frame and the present bit at once: an absent page has neither.
            flags = bytes((x ^ y) & (FRAME | PRESENT) == 0 != x & PRESENT for x, y in zip(a, b))
        for low, high in _runs(flags, start, size):
            # What lies between two runs was read too: the zero page there is nobody's.
            for part in _both(left.resident, right.resident, low, high):
                found.runs.append(*part)


def _frames_hidden(words: array[int]) -> bool:
    return any(word & PRESENT and not word & FRAME for word in words)


def _runs(flags: bytes, start: int, size: int) -> Iterator[Tuple[int, int]]:
    at = flags.find(1)
    while at >= 0:
        past = flags.find(0, at)
        past = len(flags) if past < 0 else past
        yield start + at * size, start + past * size
        at = flags.find(1, past)


def _in_both(
    left: Optional[PageRuns], right: Optional[PageRuns], start: int, end: int, size: int
) -> Iterator[Tuple[int, int]]:
    """Ranges of [start, end) worth looking at: where both have pages, near ones joined, of bounded length."""
    low = high = 0
    for a, b in _both(left, right, start, end):
        a, b = a // size * size, -(-b // size) * size
        if high and a - high <= _JOIN * size and b - low <= _CHUNK * size:
            high = b
            continue
        if high:
            yield low, high
        low, high = a, b
        while high - low > _CHUNK * size:
            yield low, low + _CHUNK * size
            low += _CHUNK * size
    if high:
        yield low, high


def _both(
    left: Optional[PageRuns], right: Optional[PageRuns], start: int, end: int
) -> Iterator[Tuple[int, int]]:
    if left is None or right is None:
        yield start, end
        return
    a = max(0, bisect_right(left.starts, start) - 1)
    b = max(0, bisect_right(right.starts, start) - 1)
    while a < len(left.starts) and b < len(right.starts):
        low = max(left.starts[a], right.starts[b], start)
        high = min(left.ends[a], right.ends[b], end)
        if low >= end:
            return
        if low < high:
            yield low, high
        if left.ends[a] <= right.ends[b]:
            a += 1
        else:
            b += 1
