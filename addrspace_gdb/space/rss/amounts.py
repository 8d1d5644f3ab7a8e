"""What many ranges of memory amount to."""

from __future__ import annotations

from array import array
from typing import Optional

from addrspace_gdb.process.residency import Residency
from addrspace_gdb.space.goroutines.residency import resident_sum
from addrspace_gdb.space.rss.tree import Amount


def amount_of(residency: Residency, starts: array[int], ends: array[int]) -> Amount:
    """Of ascending, disjoint ranges that the process keeps."""
    size = sum(ends) - sum(starts)
    resident: Optional[int] = None
    swapped: Optional[int] = None
    if residency.known:
        resident = resident_sum(residency, starts, ends)
        swapped = 0
        if len(residency.swapped_runs) or not residency.swapped_runs.splittable:
            some = [residency.swapped(start, end) for start, end in zip(starts, ends)]
            swapped = None if None in some else sum(filter(None, some))
    return Amount(size, resident, swapped, size)
