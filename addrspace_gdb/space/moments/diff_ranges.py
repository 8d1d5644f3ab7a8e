"""Two partitions side by side: which addresses came, which went, and what became of the others.

Both are sorted lists of disjoint ranges, so this is one merge, linear in their number.
"""

from __future__ import annotations

from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.space.moments.snapshot import UNKNOWN, Regions, What
from addrspace_gdb.space.regions.region import GOROUTINE_STACKS, HEAP

CARVED = (
    HEAP,
    GOROUTINE_STACKS,
)  # areas the runtime cuts anew all the time: told by kind, not range by range

Kind = Tuple[str, str]  # area, kind
_ARENA = What(HEAP, "arena", "", "", None)


class RangeChange(NamedTuple):
    """Addresses that are something else than before; None: not mapped.

    How much is resident is known of ranges that were or are a whole region, or lie in one that is all or
    nothing resident.
    """

    start: int
    end: int
    was: Optional[What]
    now: Optional[What]
    was_resident: Optional[int]
    now_resident: Optional[int]


class Flow(NamedTuple):
    """Bytes that were one kind and are another; None: not mapped."""

    was: Optional[Kind]
    now: Optional[Kind]
    bytes: int
    ranges: int


class RangeChanges(NamedTuple):
    """`ranges` in address order, without what moved within heap and goroutine stacks; `flows` have all bytes,
    the largest first."""

    ranges: List[RangeChange]
    flows: List[Flow]


def changes(before: Regions, after: Regions) -> RangeChanges:
    """What differs between two partitions."""
    ranges: List[RangeChange] = []
    sums: Dict[Tuple[Optional[Kind], Optional[Kind]], List[int]] = {}
    for start, end, a, b in _differing(before, after):
        was = before.whats[before.ids[a]] if a is not None else None
        now = after.whats[after.ids[b]] if b is not None else None
        key = was[:2] if was else None, now[:2] if now else None
        if key[0] != key[1]:
            entry = sums.setdefault(key, [0, 0])
            entry[0] += end - start
            entry[1] += 1
        if _carved(was, now):
            continue
        residents = _resident(before, a, start, end), _resident(after, b, start, end)
        _append(ranges, RangeChange(start, end, _whole(was), _whole(now), *residents))
    flows = [Flow(*key, *entry) for key, entry in sums.items()]
    flows.sort(key=lambda flow: (-flow.bytes, flow.was or ("",), flow.now or ("",)))
    return RangeChanges(ranges, flows)


def _carved(was: Optional[What], now: Optional[What]) -> bool:
    return was is not None and now is not None and was.area in CARVED and now.area in CARVED


def _whole(what: Optional[What]) -> Optional[What]:
    """An arena that comes or goes is one thing, whatever it is cut into."""
    return _ARENA if what is not None and what.area in CARVED else what


def _append(ranges: List[RangeChange], one: RangeChange) -> None:
    """Add a range, joined to the one before it if both tell the same."""
    last = ranges[-1] if ranges else None
    if last is None or last.end != one.start or (last.was, last.now) != (one.was, one.now):
        ranges.append(one)
        return
    ranges[-1] = last._replace(
        end=one.end,
        was_resident=_add(last.was_resident, one.was_resident),
        now_resident=_add(last.now_resident, one.now_resident),
    )


def _add(a: Optional[int], b: Optional[int]) -> Optional[int]:
    return None if a is None or b is None else a + b


def _resident(regions: Regions, at: Optional[int], start: int, end: int) -> Optional[int]:
    """Resident bytes of a range that is a whole region, or lies in one that is all or nothing resident."""
    if at is None:
        return 0
    low, high, resident = regions.starts[at], regions.ends[at], regions.residents[at]
    if resident == UNKNOWN or (low, high) == (start, end):
        return None if resident == UNKNOWN else resident
    return 0 if resident == 0 else end - start if resident == high - low else None


def _differing(before: Regions, after: Regions) -> Iterator[Tuple[int, int, Optional[int], Optional[int]]]:
    """(start, end, index before, index after) of every range that is not the same in both."""
    same = _translated(before.whats, after.whats)
    a_starts, a_ends, a_ids = before.starts, before.ends, before.ids
    b_starts, b_ends, b_ids = after.starts, after.ends, after.ids
    a = b = at = 0
    a_count, b_count = len(a_starts), len(b_starts)
    while a < a_count or b < b_count:
        if a < a_count and a_ends[a] <= at:
            a += 1
            continue
        if b < b_count and b_ends[b] <= at:
            b += 1
            continue
        in_a = a < a_count and a_starts[a] <= at
        in_b = b < b_count and b_starts[b] <= at
        edges = []
        if a < a_count:
            edges.append(a_ends[a] if in_a else a_starts[a])
        if b < b_count:
            edges.append(b_ends[b] if in_b else b_starts[b])
        end = min(edges)
        if (in_a or in_b) and not (in_a and in_b and same[a_ids[a]] == b_ids[b]):
            yield at, end, a if in_a else None, b if in_b else None
        at = end


def _translated(before: Sequence[What], after: Sequence[What]) -> List[int]:
    """Of each thing of `before`, its number in `after`; -1 where it is not there."""
    numbers = {what: number for number, what in enumerate(after)}
    return [numbers.get(what, -1) for what in before]
