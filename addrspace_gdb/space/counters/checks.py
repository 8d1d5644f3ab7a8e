"""Invariants: sums that must agree with the kernel's or the runtime's own counters."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Tuple

from addrspace_gdb.goruntime.all_of_go import GoView
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.space.counters.walks import idle_bytes, returned_bytes, unowned, unowned_bytes
from addrspace_gdb.space.regions.model import Check
from addrspace_gdb.space.regions.partition import total
from addrspace_gdb.space.regions.region import GOROUTINE_STACKS, HEAP, Region

_CHUNK = 4 << 20  # pallocChunkBytes, src/runtime/mpagealloc.go, all versions

SmapsTotals = Dict[int, Tuple[int, int]]  # mapping start to (Rss, Swap) in bytes


def checks(
    mappings: Sequence[Mapping],
    regions: Sequence[Region],
    go: GoView,
    smaps: Optional[SmapsTotals],
    in_motion: Sequence[str] = (),
) -> List[Check]:
    """Every invariant that can be checked here; `smaps` is None where there is none (cores).

    `in_motion`: what the runtime was in the middle of, when its counters may be behind.
    """
    made = _cover(mappings, regions)
    if smaps is not None:
        made += _resident(mappings, regions, smaps)
    made.append(_arenas(mappings, regions, go))
    made += [_excused(check, go, in_motion) for check in _runtime(go)]
    return made


def _excused(check: Check, go: GoView, in_motion: Sequence[str]) -> Check:
    """With the reasons for a difference: a lock that was held, or a few pages on their way.

    Those the scavenger and the allocator move without a lock (scavengeOne in src/runtime/mgcscavenge.go,
    mheap.allocSpan).
    """
    if check.ok is not False or check.ours is None or check.theirs is None:
        return check
    reasons, moved = list(in_motion), abs(unowned_bytes(go))
    if moved == abs(check.ours - check.theirs) and moved <= _CHUNK:
        reasons += filter(None, [unowned(go)])
    return check._replace(because=tuple(reasons))


def _by_mapping(mappings: Sequence[Mapping], regions: Sequence[Region]) -> List[List[Region]]:
    """Regions grouped by the mapping they lie in (both ascend)."""
    groups: List[List[Region]] = []
    at = 0
    for mapping in mappings:
        group: List[Region] = []
        while at < len(regions) and regions[at].start < mapping.end:
            group.append(regions[at])
            at += 1
        groups.append(group)
    return groups


def _cover(mappings: Sequence[Mapping], regions: Sequence[Region]) -> List[Check]:
    """Regions cover each mapping exactly: sizes add up, no overlap, no hole."""
    wrong = 0
    for mapping, group in zip(mappings, _by_mapping(mappings, regions)):
        at = mapping.start
        for region in group:
            wrong += region.start != at
            at = region.end
        wrong += at != mapping.end
    return [
        Check("bytes in regions", sum(r.size for r in regions), sum(m.size for m in mappings), "mappings"),
        Check("mappings not covered exactly", wrong, 0, "mappings"),
    ]


def _resident(mappings: Sequence[Mapping], regions: Sequence[Region], smaps: SmapsTotals) -> List[Check]:
    """Resident and swapped bytes of each mapping's regions against smaps, mapping by mapping."""
    rss: List[Optional[int]] = []
    swap: List[Optional[int]] = []
    differ = 0
    for mapping, group in zip(mappings, _by_mapping(mappings, regions)):
        ours = total(r.resident for r in group)
        rss.append(ours)
        swap.append(total(r.swapped for r in group))
        differ += ours is not None and ours != smaps.get(mapping.start, (0, 0))[0]
    known = {m.start for m in mappings}
    theirs = [counts for start, counts in smaps.items() if start in known]
    return [
        Check("resident bytes", total(rss), sum(t[0] for t in theirs), "smaps Rss"),
        Check("swapped bytes", total(swap), sum(t[1] for t in theirs), "smaps Swap"),
        Check("mappings whose resident bytes differ", differ, 0, "smaps Rss"),
    ]


def _arenas(mappings: Sequence[Mapping], regions: Sequence[Region], go: GoView) -> Check:
    """Heap and goroutine-stack regions fill what is mapped of the arenas."""
    ours = sum(r.size for r in regions if r.area in (HEAP, GOROUTINE_STACKS))
    theirs, at = 0, 0
    for arena in go.arenas.arenas:
        while at < len(mappings) and mappings[at].end <= arena.start:
            at += 1
        scan = at
        while scan < len(mappings) and mappings[scan].start < arena.end:
            theirs += min(arena.end, mappings[scan].end) - max(arena.start, mappings[scan].start)
            scan += 1
    return Check("heap and goroutine stacks", ours, theirs, "mapped bytes of the arenas")


def _runtime(go: GoView) -> List[Check]:
    """Spans, stacks and pages against the runtime's counters (exact unless stopped inside the allocator)."""
    stats = go.memstats
    if stats is None:
        return []
    # A heap without a span or a page is one that a core lacks.
    spans, pages = bool(go.spans.runs), bool(go.pages.in_use)
    walked: List[Tuple[str, Optional[int], str]] = [
        ("bytes of spans in use", go.spans.in_use_bytes if spans else None, "HeapInuse"),
        ("bytes of stack spans", go.stacks.in_use if spans else None, "StackInuse"),
        ("bytes returned to the OS", returned_bytes(go) if pages else None, "HeapReleased"),
        ("bytes of free pages", idle_bytes(go) if pages else None, "HeapIdle"),
    ]
    return [Check(name, ours, stats[field], f"MemStats.{field}") for name, ours, field in walked]
