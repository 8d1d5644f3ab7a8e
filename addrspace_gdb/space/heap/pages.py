"""What the pages of the heap's arenas are used for, arena by arena, and how broken up the free ones are."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.goruntime.all_of_go import GoView
from addrspace_gdb.goruntime.mheap import Arena
from addrspace_gdb.goruntime.mspan import PAGE
from addrspace_gdb.process.residency import Residency
from addrspace_gdb.space.regions import go_claims
from addrspace_gdb.space.regions.go_claims import heap_claims
from addrspace_gdb.space.regions.region import GOROUTINE_STACKS

OBJECTS = "objects"
STACKS = "stacks"
OTHER = "other"  # GC work buffers, pointer bitmaps, pages in transit
FREE = "free"  # kept by the runtime
RETURNED = "returned"  # to the OS
RESERVED = "reserved"  # addresses of an arena that the heap has not grown into
USES = (OBJECTS, STACKS, OTHER, FREE, RETURNED, RESERVED)

_BY_KIND = {
    go_claims.SMALL_OBJECTS: OBJECTS,
    go_claims.LARGE_OBJECTS: OBJECTS,
    go_claims.USER_ARENA: OBJECTS,
    go_claims.STACK_SPAN: STACKS,
    go_claims.FREE_PAGES: FREE,
    go_claims.RETURNED_PAGES: RETURNED,
    go_claims.FREED_ARENA: RESERVED,
    go_claims.RESERVED: RESERVED,
}


class UseRun(NamedTuple):
    """A run of pages of one use."""

    start: int
    end: int
    use: str

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.start


class ArenaUse(NamedTuple):
    """One arena: bytes by use, and how many of all are in memory (None where that is not known)."""

    arena: Arena
    uses: Dict[str, int]
    resident: Optional[int]

    @property
    def size(self) -> int:
        """Bytes of address space."""
        return self.arena.end - self.arena.start


class FreeLength(NamedTuple):
    """Runs of free pages, kept or returned, of at least `pages` and less than twice as many."""

    pages: int
    runs: int
    size: int
    returned: int  # bytes


class FreeRuns(NamedTuple):
    """How broken up the free pages are."""

    runs: int
    size: int
    longest: Optional[UseRun]
    by_length: List[FreeLength]


def page_runs(go: GoView) -> List[UseRun]:
    """Every page of every arena in address order, neighbours of one use joined."""
    made: List[UseRun] = []
    start = end = 0
    use = ""
    for claim in heap_claims(go, each_goroutine=False):
        what = STACKS if claim.area == GOROUTINE_STACKS else _BY_KIND.get(claim.kind, OTHER)
        if claim.start == end and what == use:
            end = claim.end
            continue
        if end:
            made.append(UseRun(start, end, use))
        start, end, use = claim.start, claim.end, what
    if end:
        made.append(UseRun(start, end, use))
    return made


def arena_uses(arenas: Sequence[Arena], runs: Sequence[UseRun], residency: Residency) -> List[ArenaUse]:
    """What each arena is used for; arenas and runs ascend."""
    made = []
    at = 0
    for arena in arenas:
        uses = dict.fromkeys(USES, 0)
        while at < len(runs) and runs[at].end <= arena.start:
            at += 1
        scan = at
        while scan < len(runs) and runs[scan].start < arena.end:
            run = runs[scan]
            uses[run.use] += min(run.end, arena.end) - max(run.start, arena.start)
            scan += 1
        made.append(ArenaUse(arena, uses, residency.resident(arena.start, arena.end)))
    return made


def free_runs(runs: Sequence[UseRun], padding: Optional[Tuple[int, int]] = None) -> FreeRuns:
    """Runs of free pages. Pages that went back to the OS are as free as others for the allocator, but for the
    `padding` of the heap's base, which it never uses."""
    found: Dict[int, List[int]] = {}
    longest: Optional[UseRun] = None
    count = size = 0
    for run, returned in _joined(runs, padding):
        pages = run.size // PAGE
        row = found.setdefault(1 << max(0, pages.bit_length() - 1), [0, 0, 0])
        for index, amount in enumerate((1, run.size, returned)):
            row[index] += amount
        count, size = count + 1, size + run.size
        if longest is None or run.size > longest.size:
            longest = run
    return FreeRuns(count, size, longest, [FreeLength(pages, *found[pages]) for pages in sorted(found)])


def _joined(runs: Sequence[UseRun], padding: Optional[Tuple[int, int]]) -> List[Tuple[UseRun, int]]:
    """Neighbouring free and returned runs as one, with how many bytes of it are returned."""
    made: List[Tuple[UseRun, int]] = []
    for run in runs:
        if run.use not in (FREE, RETURNED):
            continue
        if padding is not None and run.start <= padding[0] < run.end:
            run = run._replace(start=padding[1])  # it is where the heap begins
            if not run.size:
                continue
        returned = run.size if run.use == RETURNED else 0
        if made and made[-1][0].end == run.start:
            last, before = made[-1]
            made[-1] = (last._replace(end=run.end), before + returned)
        else:
            made.append((run, returned))
    return made
