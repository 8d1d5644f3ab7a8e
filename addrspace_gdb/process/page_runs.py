"""Runs of pages, and how many bytes of a range lie in them: the index behind resident and swapped bytes."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from itertools import accumulate
from operator import sub
from typing import Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple


class Whole(NamedTuple):
    """A mapping of which only the total is known, or (`total` None) nothing."""

    start: int
    end: int
    total: Optional[int]


class Settled(NamedTuple):
    """Sorted, disjoint runs, and the ranges of which it is not known where in them pages lie."""

    starts: array[int]
    ends: array[int]
    unknown: List[Tuple[int, int]]

    def pieces(self, start: int, end: int) -> Optional[List[Tuple[int, int]]]:
        """The parts of [start, end) that lie in runs, ascending; None where that is not known."""
        if any(low < end and start < high for low, high in self.unknown):
            return None
        index = max(0, bisect_right(self.starts, start) - 1)
        found: List[Tuple[int, int]] = []
        while index < len(self.starts) and self.starts[index] < end:
            low, high = max(start, self.starts[index]), min(end, self.ends[index])
            if low < high:
                found.append((low, high))
            index += 1
        return found

    def run_at(self, address: int) -> Tuple[int, int]:
        """The run that holds `address`; empty if there is none."""
        return run_at(self.starts, self.ends, address)


def run_at(starts: Sequence[int], ends: Sequence[int], address: int) -> Tuple[int, int]:
    """The one of the ascending runs that holds `address`; empty if there is none."""
    index = bisect_right(starts, address) - 1
    if index < 0 or address >= ends[index]:
        return 0, 0
    return starts[index], ends[index]


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

    def settled(self) -> Settled:
        """The runs with what is laid over them worked in: for who walks many ranges by himself."""
        starts, ends = self.starts, self.ends
        unknown: List[Tuple[int, int]] = []
        for whole in sorted(self._wholes):
            starts, ends = _without(starts, ends, whole)
            if whole.total == whole.end - whole.start:
                index = bisect_right(starts, whole.start)
                starts.insert(index, whole.start)
                ends.insert(index, whole.end)
            elif whole.total != 0:
                unknown.append((whole.start, whole.end))
        return Settled(starts, ends, unknown)

    def __len__(self) -> int:
        return len(self.starts)

    def count(self, start: int, end: int) -> Optional[int]:
        """Bytes of [start, end) that lie in runs; None where that is not known. O(log n)."""
        if end <= start or not (self.starts or self._wholes):
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

    def counts(self, starts: Iterable[int], ends: Iterable[int]) -> Iterator[Optional[int]]:
        """`count` of each of many ranges, the quicker the more neighbours lie in one run."""
        low = high = 0
        for start, end in zip(starts, ends):
            if low <= start < end <= high:
                yield end - start
                continue
            if not self._wholes:
                low, high = run_at(self.starts, self.ends, start)
            yield self.count(start, end)

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


def _without(starts: array[int], ends: array[int], whole: Whole) -> Tuple[array[int], array[int]]:
    """The runs without what they have of `whole`."""
    first, last = bisect_right(ends, whole.start), bisect_left(starts, whole.end)
    if first >= last:
        return starts[:], ends[:]
    kept = []
    if starts[first] < whole.start:
        kept.append((starts[first], whole.start))
    if ends[last - 1] > whole.end:
        kept.append((whole.end, ends[last - 1]))
    lows, highs = array("Q", (low for low, _ in kept)), array("Q", (high for _, high in kept))
    return starts[:first] + lows + starts[last:], ends[:first] + highs + ends[last:]
