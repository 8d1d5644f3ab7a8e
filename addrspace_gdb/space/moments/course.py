"""Whether what was measured again and again goes on growing, rose once and stands, or only swings.

Like is compared with like: the lows with the lows and the highs with the highs of parts of the time. A
saw-tooth has the same lows in all of them, and a single step leaves two of them alike.
"""

from __future__ import annotations

from typing import List, NamedTuple, Sequence

STANDS, ROSE, GROWS, UNEVEN = "stands", "rose", "grows", "uneven"

_LEAST_POINTS = 3  # of fewer a step and a growth look the same
_GOES_ON = 0.2  # of the whole rise: what each part of the time must add
_BY_HALVES = 0.4  # of the rise from the first third to the last: what the second half must add
_FLAT = 0.2  # of the whole rise: what a figure that stands still may vary by
_REACHED = 0.1  # of the whole rise: as near as this it has begun, or ended


class Point(NamedTuple):
    """A figure in a short time: at one sample, or at several neighbours."""

    at: float  # seconds, of the first of them
    low: int
    high: int


class Course(NamedTuple):
    """How a figure went."""

    kind: str  # STANDS, ROSE, GROWS, or UNEVEN: it rose, and whether it goes on is not certain
    rise: int = 0  # from the level at first to that at the end
    ended: float = 0.0  # the first time that it was at the last level
    at_once: bool = False  # there is nothing between the two

    @property
    def grows(self) -> bool:
        """Whether its growth goes on."""
        return self.kind == GROWS


class Series:
    """The points of a figure: never more than MOST, however many samples there are."""

    MOST = 256

    def __init__(self) -> None:
        self.points: List[Point] = []
        self._stride, self._in_last = 1, 0  # samples in a point, and in the last one

    def add(self, at: float, value: int) -> None:
        """One more sample."""
        if self.points and self._in_last < self._stride:
            self.points[-1] = _merged(self.points[-1], Point(at, value, value))
            self._in_last += 1
            return
        if len(self.points) == self.MOST:
            self.points = list(map(_merged, self.points[::2], self.points[1::2]))
            self._stride *= 2
        self.points.append(Point(at, value, value))
        self._in_last = 1


def _merged(one: Point, other: Point) -> Point:
    return Point(one.at, min(one.low, other.low), max(one.high, other.high))


def course(points: Sequence[Point], least: float) -> Course:
    """How the figure went; a rise of less than `least` is none."""
    found = _course(points, least)
    return Course(UNEVEN) if found.kind == STANDS and _climbed(points, least) else found


def _course(points: Sequence[Point], least: float) -> Course:
    if len(points) < _LEAST_POINTS:
        return Course(STANDS)
    begin, end, rise = points[0].at, points[-1].at, points[-1].high - points[0].low
    if _goes_on(points, least):
        return Course(GROWS, rise, end)
    if rise < least:
        return Course(STANDS)
    begun = max(one.at for one in points if one.low <= points[0].low + _REACHED * rise)
    before = [one for one in points if one.at <= begun]
    if _varies(before) > _FLAT * rise:
        return Course(STANDS)
    if begun <= (begin + end) / 2 and _goes_on(points[len(before) - 1 :], least):
        return Course(GROWS, rise, end)
    return _stands(points, begun)


def _climbed(points: Sequence[Point], least: float) -> bool:
    """Whether it has risen and not come down again."""
    if len(points) < _LEAST_POINTS or points[-1].low - points[0].high < least:
        return False
    first, second = map(_lowest, _parts(points, 2))
    return second - first >= _FLAT * _varies(points)


def _goes_on(points: Sequence[Point], least: float) -> bool:
    """Whether the lows and the highs rise from each third of the time to the next, and from half to half."""
    if len(points) < _LEAST_POINTS:
        return False
    thirds, halves = _parts(points, 3), _parts(points, 2)
    for level in (_lowest, _highest):
        first, second, third = map(level, thirds)
        whole = third - first
        if whole < least / 2 or min(second - first, third - second) < _GOES_ON * whole:
            return False
        if level(halves[1]) - level(halves[0]) < _BY_HALVES * whole:
            return False
    return True


def _parts(points: Sequence[Point], count: int) -> List[List[Point]]:
    """The points of equal parts of the time; of equal numbers where nothing was measured in one of those."""
    begin, length = points[0].at, (points[-1].at - points[0].at) / count
    parts: List[List[Point]] = [[] for _ in range(count)]
    for one in points:
        parts[min(count - 1, int((one.at - begin) / length)) if length > 0 else 0].append(one)
    if all(parts):
        return parts
    many = len(points)
    return [list(points[many * at // count : many * (at + 1) // count]) for at in range(count)]


def _lowest(points: Sequence[Point]) -> int:
    return min(one.low for one in points)


def _highest(points: Sequence[Point]) -> int:
    return max(one.high for one in points)


def _stands(points: Sequence[Point], begun: float) -> Course:
    """Whether it stands still since it rose, or it swings."""
    rise = points[-1].low - points[0].high
    ended = next(one.at for one in points if one.high >= points[-1].low - _REACHED * rise)
    after = [one for one in points if one.at >= ended]
    if ended <= begun or len(after) < 2 or _varies(after) > _FLAT * rise:
        return Course(STANDS)
    between = any(begun < one.at < ended for one in points)
    return Course(ROSE, rise, ended, not between)


def _varies(points: Sequence[Point]) -> int:
    return _highest(points) - _lowest(points)
