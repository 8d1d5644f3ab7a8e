"""Resident bytes of many stacks at once."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import Dict, Optional, Sequence

from addrspace_gdb.process.page_runs import PageRuns
from addrspace_gdb.process.residency import Residency

FEW = 4  # ranges a run from which on it pays to look at what is not resident only


def resident_many(
    residency: Residency, los: Sequence[int], his: Sequence[int], order: Sequence[int]
) -> Sequence[Optional[int]]:
    """`residency.resident` of each [lo, hi); 0 where hi <= lo. `order`: the positions by ascending lo.

    One sweep over stacks and runs side by side, if the runs alone say it; else each is asked for.
    """
    if not residency.known:
        return [None] * len(los)
    runs = residency.resident_runs
    if not runs_alone(residency):
        return [residency.resident(lo, hi) for lo, hi in zip(los, his)]
    found = array("Q", bytes(8 * len(los)))
    if not len(runs):
        return found
    starts, ends, run, last = runs.starts, runs.ends, 0, len(runs) - 1
    start, end = starts[0], ends[0]
    for at in order:
        lo, hi = los[at], his[at]
        while end <= lo and run < last:
            run += 1
            start, end = starts[run], ends[run]
        if start <= lo and hi <= end:
            if lo < hi:
                found[at] = hi - lo
        elif start < hi:
            found[at] = _in_runs(runs, lo, hi, run)
    return found


def resident_sum(residency: Residency, los: Sequence[int], his: Sequence[int], size: int) -> Optional[int]:
    """All of the ascending, disjoint [lo, hi) together, which are `size` bytes; None if that of one is not
    known."""
    runs = residency.resident_runs
    if residency.known and runs_alone(residency) and len(runs) * FEW < len(los):
        some = not_resident(runs, los, his).items()
        return size - sum(his[at] - los[at] - size for at, size in some)
    each = resident_many(residency, los, his, range(len(los)))
    return None if None in each else sum(filter(None, each))


def runs_alone(residency: Residency) -> bool:
    """Whether the runs of resident pages say all that is known."""
    return residency.exact and not residency.notes and residency.resident_runs.splittable


def not_resident(runs: PageRuns, los: Sequence[int], his: Sequence[int]) -> Dict[int, int]:
    """Which of the ascending, disjoint [lo, hi) are not resident as a whole, and how many bytes of each are.

    `runs` must say it alone. Time goes with what is not resident: gaps between runs, and ranges in them.
    """
    found: Dict[int, int] = {}
    done = 0
    for before, after in zip([0, *runs.ends], [*runs.starts, 1 << 64]):
        first = bisect_right(his, before, done)
        done = bisect_left(los, after, first)
        for index in range(first, done):
            inside = before <= los[index] and his[index] <= after
            found[index] = 0 if inside else runs.count(los[index], his[index]) or 0
        if first < done:
            done -= 1  # the last may reach into the next gap as well
    return found


def _in_runs(runs: PageRuns, lo: int, hi: int, run: int) -> int:
    """Bytes of [lo, hi) in runs, from the run with that number on."""
    total = 0
    while run < len(runs) and runs.starts[run] < hi:
        total += max(0, min(hi, runs.ends[run]) - max(lo, runs.starts[run]))
        run += 1
    return total


def resident_total(residency: Residency, los: Sequence[int], his: Sequence[int]) -> Optional[int]:
    """All of them together; None if that of one is not known. Overlapping ranges count once."""
    total = 0
    start = end = 0
    for lo, hi in [*sorted(zip(los, his)), (1 << 65, 1 << 65)]:
        if hi <= lo:
            hi = lo
        if lo <= end:
            end = max(end, hi)
            continue
        part = residency.resident(start, end) if start < end else 0
        if part is None:
            return None
        total += part
        start, end = lo, hi
    return total
