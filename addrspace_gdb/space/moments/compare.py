"""Two address spaces side by side: what the same address is in each, and whether it is the same page."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.process.pagemap import EXCLUSIVE, FRAME, OF_FILE, PRESENT
from addrspace_gdb.space.diagram import bands
from addrspace_gdb.space.moments.shared_pages import (
    Overlap,
    Shared,
    Side,
    copied,
    overlaps,
    same_file_page,
    shared_pages,
)
from addrspace_gdb.space.moments.snapshot import Regions, What
from addrspace_gdb.space.regions.region import Region

LEFT, RIGHT = "left", "right"
_USER_END = 1 << 63

# What can be said of one address in both.
SAME_PAGE = "the same page"
SAME_FILE = "the same page of the file"
ZERO_PAGE = "the kernel's zero page"
OTHER = "different pages"
ABSENT = "not in memory"
ONE_ONLY = "mapped in one only"
NEITHER = "mapped in neither"
UNKNOWN = "not known"


class Extent(NamedTuple):
    """A row of one side: from where to where, and how many bytes of it are mapped."""

    start: int
    end: int
    size: int


class PairRow(NamedTuple):
    """A row of the two diagrams: the same kind of memory in each, None where one has none there.

    `both` are bytes mapped in both at the same addresses, `same` those of pages that are one.
    """

    name: str
    left: Optional[Extent]
    right: Optional[Extent]
    both: int
    same: int


class ComparedPlace(NamedTuple):
    """What an address is in one of the two. The page frame is None where it is not known or there is none."""

    what: What
    start: int
    end: int
    file: Optional[str]
    offset: Optional[int]  # of the address in the file
    frame: Optional[int]


class Point(NamedTuple):
    """One address in both; `reason` says why the verdict is no better."""

    address: int
    left: Optional[ComparedPlace]
    right: Optional[ComparedPlace]
    verdict: str
    reason: str


@dataclass
class Comparison:
    """Two address spaces. Rows have the highest first; `points` answer the addresses that were asked for."""

    left: Side
    right: Side
    rows: List[PairRow]
    points: List[Point]
    both: int  # bytes mapped in both
    shared: Shared
    notes: List[str] = field(default_factory=list)


def compare(left: Side, right: Side, addresses: Sequence[int] = ()) -> Comparison:
    """Compare two sides; the pages of `addresses` one by one."""
    with no_cycle_collection():
        points = [_point(left, right, address) for address in addresses]
        shared = shared_pages(left, right)
        both = sum(one.end - one.start for one in overlaps(left.mappings, right.mappings))
        rows = _rows(left, right, shared)
        notes = list(dict.fromkeys([*shared.notes, *left.snapshot.notes, *right.snapshot.notes]))
        return Comparison(left, right, rows, points, both, shared, notes)


def _rows(left: Side, right: Side, shared: Shared) -> List[PairRow]:
    regions = [
        region._replace(label=side)
        for side, regions in ((LEFT, left.snapshot.regions), (RIGHT, right.snapshot.regions))
        for region in regions
        if region.start < _USER_END
    ]
    regions.sort()
    found: List[PairRow] = []
    for zone in reversed(bands.bands(regions)):
        for band in reversed(zone):
            found += _pair(band, shared)
    found.sort(key=_height, reverse=True)
    return found


def _height(row: PairRow) -> int:
    return max(side.start for side in (row.left, row.right) if side is not None)


def _pair(band: bands.Band, shared: Shared) -> List[PairRow]:
    """The row of a band; where the sides do not meet, a row for each."""
    lefts, rights = ([r for r in band.regions if r.label == side] for side in (LEFT, RIGHT))
    met = _met(lefts, rights)
    a, b = _extent(lefts), _extent(rights)
    if a is not None and b is not None and (a.end <= b.start or b.end <= a.start):
        return [PairRow(band.name, a, None, 0, 0), PairRow(band.name, None, b, 0, 0)]
    both = sum(end - start for start, end in met)
    same = sum(shared.runs.count(start, end) or 0 for start, end in met)
    return [PairRow(band.name, a, b, both, same)]


def _met(lefts: Sequence[Region], rights: Sequence[Region]) -> List[Tuple[int, int]]:
    found = []
    a = b = 0
    while a < len(lefts) and b < len(rights):
        start, end = max(lefts[a].start, rights[b].start), min(lefts[a].end, rights[b].end)
        if start < end:
            found.append((start, end))
        if lefts[a].end <= rights[b].end:
            a += 1
        else:
            b += 1
    return found


def _extent(regions: Sequence[Region]) -> Optional[Extent]:
    if not regions:
        return None
    return Extent(regions[0].start, regions[-1].end, sum(r.size for r in regions))


def _point(left: Side, right: Side, address: int) -> Point:
    words = _word(left, address), _word(right, address)
    a, b = _place(left, address, words[0]), _place(right, address, words[1])
    if a is None or b is None:
        return Point(address, a, b, NEITHER if a is b is None else ONE_ONLY, "")
    mappings = _mapping(left.mappings, address), _mapping(right.mappings, address)
    if mappings[0] is None or mappings[1] is None:
        return Point(address, a, b, UNKNOWN, "the mapping is not in the dump")
    one = Overlap(address, address + 1, mappings[0], mappings[1])
    if words[0] is None or words[1] is None:
        return Point(address, a, b, *_by_mapping(one, left, right))
    return Point(address, a, b, *_by_words(one, left, right, words[0], words[1]))


def _by_mapping(one: Overlap, left: Side, right: Side) -> Tuple[str, str]:
    """What the mappings alone tell."""
    if one.left.file is None or one.right.file is None:
        if one.left.file != one.right.file:
            return OTHER, "a file in one, anonymous memory in the other"
        return UNKNOWN, "page frames are not known"
    same = same_file_page(one, left.pages is None or right.pages is None)
    if same is None:
        return UNKNOWN, "the dump has no offset in the file"
    if not same:
        return OTHER, "another file or another part of it"
    if copied(one):
        return UNKNOWN, "the same page of the file, unless one has written to it"
    return SAME_FILE, ""


def _by_words(one: Overlap, left: Side, right: Side, a: int, b: int) -> Tuple[str, str]:
    """What the pagemap words tell, with the mappings where frames are hidden."""
    if not (a & PRESENT and b & PRESENT):
        where = " and ".join(side.name for side, word in ((left, a), (right, b)) if not word & PRESENT)
        same = same_file_page(one, by_path=False)
        return ABSENT, f"in {where}" + ("; the same page of the file" if same else "")
    if a & FRAME and b & FRAME:
        if a & FRAME != b & FRAME:
            return OTHER, _copies(one, left, right, a, b)
        zero = all(_is_zero_page(side, one.start) for side in (left, right))
        return (ZERO_PAGE, "") if zero else (SAME_PAGE, "")
    if a & b & OF_FILE and same_file_page(one, by_path=False):
        return SAME_FILE, "page frames are shown to root only"
    if (a ^ b) & OF_FILE or (a | b) & EXCLUSIVE:
        return OTHER, "at least one has a copy of its own"
    if a & b & OF_FILE and one.left.file is not None and one.right.file is not None:
        return OTHER, "another file or another part of it"
    return UNKNOWN, "page frames are shown to root only"


def _copies(one: Overlap, left: Side, right: Side, a: int, b: int) -> str:
    """Who has a private copy of a page that would be the file's."""
    if not same_file_page(one, by_path=False):
        return ""
    sides = [side.name for side, word in ((left, a), (right, b)) if not word & OF_FILE]
    return f"{' and '.join(sides)} wrote to {'their' if len(sides) > 1 else 'its'} own copy" if sides else ""


def _is_zero_page(side: Side, address: int) -> bool:
    """A page that is present but not resident is the zero page: Rss leaves it out."""
    assert side.pages is not None
    start = address // side.pages.page_size * side.pages.page_size
    return side.resident is not None and side.resident.count(start, start + side.pages.page_size) == 0


def _word(side: Side, address: int) -> Optional[int]:
    if side.pages is None or address >= _USER_END:
        return None
    start = address // side.pages.page_size * side.pages.page_size
    try:
        return side.pages.words(start, start + side.pages.page_size)[0]
    except OSError:
        return None


def _place(side: Side, address: int, word: Optional[int]) -> Optional[ComparedPlace]:
    regions: Regions = side.snapshot.regions
    at = bisect_right(regions.starts, address) - 1
    if at < 0 or address >= regions.ends[at]:
        return None
    mapping = _mapping(side.mappings, address)
    file = mapping.file if mapping is not None else None
    offset = None
    if mapping is not None and file is not None and mapping.offset >= 0:
        offset = mapping.offset + address - mapping.start
    frame = word & FRAME if word is not None and word & PRESENT and word & FRAME else None
    return ComparedPlace(
        regions.whats[regions.ids[at]], regions.starts[at], regions.ends[at], file, offset, frame
    )


def _mapping(mappings: Sequence[Mapping], address: int) -> Optional[Mapping]:
    low, high = 0, len(mappings)
    while low < high:
        middle = (low + high) // 2
        if mappings[middle].end <= address:
            low = middle + 1
        else:
            high = middle
    found = mappings[low] if low < len(mappings) else None
    return found if found is not None and found.start <= address else None
