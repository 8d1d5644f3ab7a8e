"""Resident bytes of many stacks at once."""

from __future__ import annotations

from typing import List, Optional, Sequence

from addrspace_gdb.process.residency import Residency


def resident_many(residency: Residency, los: Sequence[int], his: Sequence[int]) -> List[Optional[int]]:
    """`residency.resident` of each [lo, hi); 0 where hi <= lo.

    One sweep over ranges and runs side by side, if the runs alone say it; else each is asked for.
    """
    if not residency.known:
        return [None] * len(los)
    if not (residency.exact and not residency.notes and residency.resident_runs.splittable):
        return [residency.resident(lo, hi) for lo, hi in zip(los, his)]
    order = sorted(range(len(los)), key=los.__getitem__)
    starts, ends = residency.resident_runs.starts, residency.resident_runs.ends
    found: List[Optional[int]] = [0] * len(los)
    run, count = 0, len(starts)
    for at in order:
        lo, hi = los[at], his[at]
        while run < count and ends[run] <= lo:
            run += 1
        if run < count and starts[run] <= lo and hi <= ends[run]:
            found[at] = max(0, hi - lo)
            continue
        total, scan = 0, run
        while scan < count and starts[scan] < hi:
            total += max(0, min(hi, ends[scan]) - max(lo, starts[scan]))
            scan += 1
        found[at] = total
    return found


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
