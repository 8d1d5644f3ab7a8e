"""The difference of two moments: areas and kinds, ranges, the heap's growth, spans, goroutines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.goruntime.mspan import SpanClass
from addrspace_gdb.space.diagram import bands
from addrspace_gdb.space.moments.diff_goroutines import GoroutineChanges, compare_goroutines
from addrspace_gdb.space.moments.diff_ranges import CARVED, Flow, Kind, RangeChange, changes
from addrspace_gdb.space.moments.snapshot import UNKNOWN, Regions, Snapshot
from addrspace_gdb.space.regions import go_claims
from addrspace_gdb.space.regions.partition import total
from addrspace_gdb.space.regions.region import AREAS, Region

BEFORE, AFTER = "before", "after"


class Bytes(NamedTuple):
    """Some memory at one moment: bytes mapped, bytes resident (None: not known), regions."""

    size: int
    resident: Optional[int]
    regions: int


NOTHING = Bytes(0, 0, 0)


class Change(NamedTuple):
    """The same memory at both moments. `kind` is None for a whole area; `area` too for everything."""

    area: Optional[str]
    kind: Optional[str]
    before: Bytes
    after: Bytes

    @property
    def size(self) -> int:
        """Growth in bytes."""
        return self.after.size - self.before.size

    @property
    def resident(self) -> Optional[int]:
        """Growth of what is resident; None where that is not known."""
        if self.before.resident is None or self.after.resident is None:
            return None
        return self.after.resident - self.before.resident

    @property
    def growth(self) -> int:
        """Of what is resident, or where that is not known of what is mapped."""
        return self.size if self.resident is None else self.resident

    @property
    def differs(self) -> bool:
        """Whether anything is known to be different."""
        return bool(self.size or self.resident)


class HeapGrowth(NamedTuple):
    """Where the heap that is in use ended: the highest byte of its arenas that is not merely reserved."""

    top_before: int
    top_after: int
    above: int  # bytes of heap and goroutine stacks above the old top


class ClassChange(NamedTuple):
    """The spans of one span class at both moments; None: there were none."""

    size: int  # of an object; 0: large objects
    noscan: bool
    before: Optional[SpanClass]
    after: Optional[SpanClass]

    def growth(self, name: str) -> int:
        """Growth of "spans", "bytes" or "objects"."""
        was: int = getattr(self.before, name) if self.before is not None else 0
        now: int = getattr(self.after, name) if self.after is not None else 0
        return now - was


class RowChange(NamedTuple):
    """A row of the diagram at both moments, and from where to where it reaches over both."""

    name: str
    start: int
    end: int
    change: Change


@dataclass
class Difference:
    """All that differs. Lists that are None could not be compared; `lacking` says why."""

    before: Snapshot
    after: Snapshot
    same_process: bool
    total: Change
    areas: List[Change]
    kinds: List[Change]
    rows: List[RowChange]  # the highest first
    ranges: List[RangeChange]
    flows: List[Flow]
    heap: Optional[HeapGrowth]
    spans: Optional[List[ClassChange]]
    goroutines: Optional[GoroutineChanges]
    lacking: List[str] = field(default_factory=list)

    @property
    def minutes(self) -> Optional[float]:
        """Between the two; None where that is not known, or is none."""
        before, after = self.before.taken, self.after.taken
        if not self.same_process or before is None or after is None or after <= before:
            return None
        return (after - before) / 60

    @property
    def fastest(self) -> List[Change]:
        """The kinds that have grown, by `growth`: most first."""
        grown = [one for one in self.kinds if one.growth > 0]
        return sorted(grown, key=lambda one: -one.growth)

    @property
    def memory(self) -> bool:
        """Whether any memory is different, or resident where it was not."""
        return bool(self.ranges or self.flows or any(kind.differs for kind in self.kinds))

    @property
    def anything(self) -> bool:
        """Whether there is any difference."""
        found = bool(self.memory or self.spans)
        if self.goroutines is not None:
            one = self.goroutines
            found = found or bool(one.born or one.gone or one.moved or one.groups or one.before != one.after)
        return found


def difference(before: Snapshot, after: Snapshot) -> Difference:
    """What became of `before` until `after`."""
    with no_cycle_collection():
        same = _same_process(before, after)
        ranges = changes(before.regions, after.regions)
        kinds = _kinds(before.regions, after.regions)
        areas = _areas(kinds)
        goroutines = None
        if before.goroutines is not None and after.goroutines is not None:
            goroutines = compare_goroutines(before.goroutines, after.goroutines, same)
        return Difference(
            before,
            after,
            same,
            _sum(None, None, areas),
            areas,
            kinds,
            _rows(before.regions, after.regions),
            ranges.ranges,
            ranges.flows,
            _heap(before.regions, after.regions),
            _spans(before, after),
            goroutines,
            _lacking(before, after, same),
        )


def _same_process(before: Snapshot, after: Snapshot) -> bool:
    a, b = before.target, after.target
    return (a.pid, a.executable, a.arch, a.go_version) == (b.pid, b.executable, b.arch, b.go_version)


def _by_kind(regions: Regions) -> Dict[Kind, Bytes]:
    sums: List[List[int]] = [[0, 0, 0, 0] for _ in regions.whats]  # size, resident, unknown ones, regions
    for start, end, number, resident in zip(regions.starts, regions.ends, regions.ids, regions.residents):
        one = sums[number]
        one[0] += end - start
        if resident == UNKNOWN:
            one[2] += 1
        else:
            one[1] += resident
        one[3] += 1
    found: Dict[Kind, Bytes] = {}
    for what, (size, resident, unknown, count) in zip(regions.whats, sums):
        other = found.get(what[:2], NOTHING)
        bytes_ = None if unknown or other.resident is None else other.resident + resident
        found[what[:2]] = Bytes(other.size + size, bytes_, other.regions + count)
    return found


def _kinds(before: Regions, after: Regions) -> List[Change]:
    """Every kind of either moment, areas in their usual order and the largest kind of each first."""
    was, now = _by_kind(before), _by_kind(after)
    found = [Change(*key, was.get(key, NOTHING), now.get(key, NOTHING)) for key in {**was, **now}]
    order = {area: place for place, area in enumerate(AREAS)}
    found.sort(key=lambda c: (order.get(c.area or "", 99), -c.after.size, -c.before.size, c.kind or ""))
    return found


def _areas(kinds: Iterable[Change]) -> List[Change]:
    by_area: Dict[str, List[Change]] = {}
    for one in kinds:
        by_area.setdefault(one.area or "", []).append(one)
    return [_sum(area, None, members) for area, members in by_area.items()]


def _sum(area: Optional[str], kind: Optional[str], members: List[Change]) -> Change:
    before, after = ([getattr(one, side) for one in members] for side in (BEFORE, AFTER))
    return Change(area, kind, _add(before), _add(after))


def _add(parts: List[Bytes]) -> Bytes:
    return Bytes(
        sum(one.size for one in parts),
        total(one.resident for one in parts),
        sum(one.regions for one in parts),
    )


def _rows(before: Regions, after: Regions) -> List[RowChange]:
    """The rows of a diagram of both moments: `picture` lays out what either of them has."""
    both: List[Region] = [region._replace(label=BEFORE) for region in before]
    both += [region._replace(label=AFTER) for region in after]
    both.sort()
    found = []
    for zone in reversed(bands.bands(both)):
        for band in reversed(zone):
            sides = [[r for r in band.regions if r.label == side] for side in (BEFORE, AFTER)]
            was, now = (
                Bytes(sum(r.size for r in side), total(r.resident for r in side), len(side)) for side in sides
            )
            change = Change(band.regions[0].area, None, was, now)
            found.append(RowChange(band.name, band.start, max(r.end for r in band.regions), change))
    return found


def _tops(regions: Regions) -> Optional[int]:
    used = [what.area in CARVED and what.kind != go_claims.RESERVED for what in regions.whats]
    for at in range(len(regions) - 1, -1, -1):
        if used[regions.ids[at]]:
            return regions.ends[at]
    return None


def _heap(before: Regions, after: Regions) -> Optional[HeapGrowth]:
    was, now = _tops(before), _tops(after)
    if was is None or now is None:
        return None
    above = 0
    for at in range(len(after) - 1, -1, -1):
        if after.ends[at] <= was:
            break
        what = after.whats[after.ids[at]]
        if what.area in CARVED and what.kind != go_claims.RESERVED:
            above += after.ends[at] - max(after.starts[at], was)
    return HeapGrowth(was, now, above)


def _spans(before: Snapshot, after: Snapshot) -> Optional[List[ClassChange]]:
    """Classes that differ, most bytes first."""
    if before.spans is None or after.spans is None:
        return None
    was, now = (_by_class(side.spans or []) for side in (before, after))
    found = [
        ClassChange(*key, was.get(key), now.get(key))
        for key in {**was, **now}
        if was.get(key) != now.get(key)
    ]
    found.sort(key=lambda c: (-abs(c.growth("bytes")), -abs(c.growth("objects")), c.size, c.noscan))
    return found


def _by_class(spans: Iterable[SpanClass]) -> Dict[Tuple[int, bool], SpanClass]:
    return {(one.size, one.noscan): one for one in spans}


def _lacking(before: Snapshot, after: Snapshot, same: bool) -> List[str]:
    """What cannot be compared, and why."""
    found = []
    for side in (before, after):
        where = f"the dump {side.name}" if side.origin == "dump" else f"the snapshot {side.name}"
        if side.spans is None:
            found.append(f"spans by class are not in {where}")
        if side.goroutines is None:
            found.append(f"goroutines are not in {where}")
        elif side.goroutines.stacks is None:
            how = " (dump with --stacks)" if side.origin == "dump" else ""
            found.append(f"the goroutines' frames are not in {where}{how}: they are not grouped")
    if not same:
        found.append(
            "the two moments are of different processes: goroutines cannot be matched by their number"
        )
    return list(dict.fromkeys(found))
