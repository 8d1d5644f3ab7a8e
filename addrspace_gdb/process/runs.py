"""Runs of pages, and how many bytes of a range lie in them: the index behind resident and swapped bytes."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from itertools import accumulate
from operator import sub
from typing import Iterable, List, NamedTuple, Optional


class Whole(NamedTuple):
    """A mapping of which only the total is known, or (`total` None) nothing."""

    start: int
    end: int
    total: Optional[int]


class PageRuns:
    """Sorted, disjoint [start, end) runs, with mappings laid over them of which only a total is known.

    Runs must be appended in address order. Counting is by bytes, so a range may begin and end inside a
    page: it gets the bytes of the page that it covers, and ranges that make up a mapping add up to the
    mapping's own count.
    """

    def __init__(self) -> None:
        self.starts = array("Q")
        self.ends = array("Q")
        self._sums: Optional[array[int]] = None  # bytes in the runs before each one
        self._wholes: List[Whole] = []
        self._whole_ends: Optional[List[int]] = None

    def append(self, start: int, end: int) -> None:
        """Add a run above all others; one that touches the last run lengthens it."""
        self._sums = None
        if self.ends and self.ends[-1] == start:
            self.ends[-1] = end
        else:
            self.starts.append(start)
            self.ends.append(end)

    def extend(self, starts: Iterable[int], ends: Iterable[int]) -> None:
        """Add many runs above all others, sorted."""
        self._sums = None
        self.starts.extend(starts)
        self.ends.extend(ends)

    def override(self, start: int, end: int, total: Optional[int]) -> None:
        """Let `total` (None: unknown) stand for [start, end), whatever the runs say."""
        self._whole_ends = None
        self._wholes.append(Whole(start, end, total))

    @property
    def splittable(self) -> bool:
        """Whether every range has an answer: no override stands for an amount that cannot be split."""
        return all(whole.total in (0, whole.end - whole.start) for whole in self._wholes)

    def __len__(self) -> int:
        return len(self.starts)

    def count(self, start: int, end: int) -> Optional[int]:
        """Bytes of [start, end) that lie in runs; None where that is not known. O(log n)."""
        if end <= start:
            return 0
        total = self._below(end) - self._below(start)
        if not self._wholes:
            return total
        if self._whole_ends is None:
            self._wholes.sort()
            self._whole_ends = [whole.end for whole in self._wholes]
        for index in range(bisect_right(self._whole_ends, start), len(self._wholes)):
            whole = self._wholes[index]
            if whole.start >= end:
                break
            low, high = max(start, whole.start), min(end, whole.end)
            part = _part(whole, low, high)
            if part is None:
                return None
            total += part - (self._below(high) - self._below(low))
        return total

    def _below(self, address: int) -> int:
        """Bytes in runs below `address`."""
        if self._sums is None:
            self._sums = array("Q", accumulate(map(sub, self.ends, self.starts), initial=0))
        index = bisect_right(self.starts, address) - 1
        if index < 0:
            return 0
        return self._sums[index] + min(address, self.ends[index]) - self.starts[index]


def _part(whole: Whole, low: int, high: int) -> Optional[int]:
    """What [low, high) has of `whole`: all, nothing, or as many bytes as it is long; else unknown."""
    if whole.total is None:
        return None
    if (low, high) == (whole.start, whole.end) or whole.total == 0:
        return whole.total
    return high - low if whole.total == whole.end - whole.start else None
