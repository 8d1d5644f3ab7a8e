"""From regions to the rows of the diagram: few rows for any process, in true address order.

The mapped space falls into zones, parted by the largest gaps. Within a zone memory of one row class may
lie between that of others; it is one row then, which says in how many pieces it comes.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.process import allocators, libc
from addrspace_gdb.space.regions import region as areas
from addrspace_gdb.space.regions import sanitizers
from addrspace_gdb.space.regions.model import Row
from addrspace_gdb.space.regions.partition import total
from addrspace_gdb.space.regions.region import MAIN_STACK_KIND, Region

HEAP_ROW = "Go Heap"
STACKS_ROW = "Goroutine Stacks"
LIBS_ROW = "Shared Libs"
FREE_ROW = "Free / mmap region"
GLOBALS_ROW = "Globals / Data"
CODE_ROW = "Code Segment"
MAIN_STACK_ROW = "Main Thread Stack"
THREADS_ROW = "Thread Stacks"
RUNTIME_ROW = "Go Runtime"
C_HEAP_ROW = "C Heap"
RACE_ROW = "Race Detector"
SANITIZER_ROW = "Sanitizer"
FOREIGN_ROW = "Foreign"

_BY_AREA = {
    areas.HEAP: HEAP_ROW,
    areas.GOROUTINE_STACKS: STACKS_ROW,
    areas.SHARED_LIBS: LIBS_ROW,
    areas.GLOBALS: GLOBALS_ROW,
    areas.CODE: CODE_ROW,
    areas.RUNTIME: RUNTIME_ROW,
    areas.VDSO: "vDSO",
    areas.MAPPED_FILES: "Mapped Files",
}
_LIBC_KINDS = (libc.BRK, libc.ARENA, libc.ARENA_RESERVE, libc.MMAPPED)
_GROWTH = {HEAP_ROW: "up", STACKS_ROW: "down", MAIN_STACK_ROW: "down", THREADS_ROW: "down", C_HEAP_ROW: "up"}

MAX_ROWS = 20
_SMALLEST_BREAK = 1 << 30  # a gap of a GiB or more may part two zones
_MAX_BREAKS = 6


def row_name(region: Region) -> str:
    """Which row a region belongs to."""
    if region.area == areas.THREAD_STACKS:
        return MAIN_STACK_ROW if region.kind == MAIN_STACK_KIND else THREADS_ROW
    if region.area == areas.FOREIGN:
        if region.kind in _LIBC_KINDS or region.kind.startswith(allocators.LIKELY):
            return C_HEAP_ROW
        if region.kind.startswith(sanitizers.RACE):
            return RACE_ROW
        return SANITIZER_ROW if region.kind.startswith(sanitizers.OF_C) else FOREIGN_ROW
    return _BY_AREA[region.area]


class Band(NamedTuple):
    """The memory of one row: its regions within one zone, and in how many runs they come."""

    name: str
    regions: List[Region]
    pieces: int
    start: int
    end: int


def bands(regions: Sequence[Region]) -> List[List[Band]]:
    """Zones from low to high; in each its bands, the one that reaches highest last."""
    for breaks in range(_MAX_BREAKS, -1, -1):
        zones = [_zone(part) for part in _split(regions, breaks)]
        if sum(len(zone) for zone in zones) + len(zones) <= MAX_ROWS - 3 or breaks == 0:
            return zones
    return []


def _split(regions: Sequence[Region], breaks: int) -> List[Sequence[Region]]:
    """Cut the ascending regions at their `breaks` widest gaps."""
    widths = sorted(
        (
            (regions[i + 1].start - regions[i].end, i + 1)
            for i in range(len(regions) - 1)
            if regions[i + 1].start - regions[i].end >= _SMALLEST_BREAK
        ),
        reverse=True,
    )
    cuts = [0, *sorted(at for _, at in widths[:breaks]), len(regions)]
    return [regions[a:b] for a, b in zip(cuts, cuts[1:]) if b > a]


def _zone(regions: Sequence[Region]) -> List[Band]:
    members: Dict[str, List[Region]] = {}
    pieces: Dict[str, int] = {}
    last = ""
    for region in regions:
        name = row_name(region)
        members.setdefault(name, []).append(region)
        # Stacks are carved from the heap: they do not break it into pieces.
        broken = name != last and not (name == HEAP_ROW and last == STACKS_ROW and name in pieces)
        pieces[name] = pieces.get(name, 0) + broken
        last = name
    made = [Band(name, own, pieces[name], own[0].start, own[-1].end) for name, own in members.items()]
    made.sort(key=lambda band: (band.end, band.name != STACKS_ROW))
    return _stacks_below_heap(made)


def _stacks_below_heap(made: List[Band]) -> List[Band]:
    """Goroutine stacks stand right under the heap they are carved from, whichever reaches higher."""
    names = [band.name for band in made]
    if HEAP_ROW in names and STACKS_ROW in names:
        stacks = made.pop(names.index(STACKS_ROW))
        made.insert([band.name for band in made].index(HEAP_ROW), stacks)
    return made


def band_row(band: Band, detail: str, marks: Tuple[str, ...], inside: Optional[str]) -> Row:
    """A mapped row."""

    return Row(
        band.name,
        band.regions[0].area,
        band.start,
        band.end,
        sum(r.size for r in band.regions),
        total(r.resident for r in band.regions),
        band.pieces,
        _GROWTH.get(band.name, ""),
        detail,
        marks,
        True,
        inside,
    )


def gap_row(name: str, area: str, start: int, end: int, detail: str) -> Row:
    """A row for addresses that nothing is mapped at."""
    return Row(name, area, start, end, end - start, None, 1, "", detail, (), False)


def absent_row(name: str, area: str, detail: str) -> Row:
    """A row for one of the tutorial's areas that this process does not have."""
    return Row(name, area, 0, 0, None, None, 0, "", detail, (), False)
