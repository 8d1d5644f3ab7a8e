"""What many ranges of memory amount to."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import Dict, List, Optional, Tuple

from addrspace_gdb.process.residency import Residency
from addrspace_gdb.space.goroutines.residency import resident_sum
from addrspace_gdb.space.regions.region import Region
from addrspace_gdb.space.rss.tree import Amount, Leaves, Path


def amount_of(residency: Residency, starts: array[int], ends: array[int]) -> Amount:
    """Of ascending, disjoint ranges that the process keeps."""
    size = sum(ends) - sum(starts)
    resident: Optional[int] = None
    swapped: Optional[int] = None
    if residency.known:
        resident = resident_sum(residency, starts, ends, size)
        swapped = 0
        if len(residency.swapped_runs) or not residency.swapped_runs.splittable:
            some = [residency.swapped(start, end) for start, end in zip(starts, ends)]
            swapped = None if None in some else sum(filter(None, some))
    return Amount(size, resident, swapped, size)


def within(starts: array[int], ends: array[int], own: List[Region]) -> Tuple[array[int], array[int]]:
    """Those of the ascending ranges that lie in one of the ascending regions."""
    some, their_ends = array("Q"), array("Q")
    for region in own:
        first, after = bisect_left(starts, region.start), bisect_left(starts, region.end)
        some += starts[first:after]
        their_ends += ends[first:after]
    return some, their_ends


def split_off(leaves: Leaves, path: Path, parts: Dict[Path, Amount], rest: Path) -> Optional[str]:
    """Put `parts` in place of the leaf at `path`, and what they leave of it at `rest`. What of a part is not
    kept is not kept of the leaf either. Why that cannot be done, in words; then the leaf stays as it was."""
    leaf = leaves.amounts[path]
    gone = sum(part.size - part.kept for part in parts.values())
    left = lean = leaf._replace(kept=leaf.kept - gone)
    for part in parts.values():
        left = left.minus(part)
    if not left.possible:
        return "its parts are more than the whole"
    leaves.amounts[path] = lean
    why = leaves.split(path, {**parts, rest: left} if left.size else parts)
    if why is not None:
        leaves.amounts[path] = leaf
    return why
