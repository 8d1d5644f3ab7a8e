"""How figures move from sample to sample: a line through all of them, kept as sums, so that a watch of a week
takes no more memory than one of a minute."""

from __future__ import annotations

from typing import Dict, Generic, Hashable, Iterator, Mapping, NamedTuple, Optional, Tuple, TypeVar

MINUTE = 60.0


class Timeline:
    """When samples were taken, in seconds since the first one."""

    def __init__(self) -> None:
        self.count = 0
        self.at = 0.0  # of the last one
        self.total = self.squares = 0.0

    def tick(self, at: float) -> None:
        """One more sample, at `at`."""
        self.count, self.at = self.count + 1, at
        self.total += at
        self.squares += at * at

    @property
    def spread(self) -> float:
        """What the sum of the squared distances from the middle is, times the samples."""
        return self.count * self.squares - self.total * self.total


class Trend:
    """One figure at the samples of a timeline: 0 at those where it is not met."""

    __slots__ = ("_last", "_met", "_products", "_timeline", "_total", "first")

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self.first = 0
        self._last, self._met = 0, 0
        self._total = self._products = 0.0

    def add(self, value: int) -> None:
        """What it is at the sample that the timeline had last."""
        line = self._timeline
        if line.count == 1:
            self.first = value
        self._last, self._met = value, line.count
        self._total += value
        self._products += value * line.at

    @property
    def last(self) -> int:
        """What it was at the last sample."""
        return self._last if self._met == self._timeline.count else 0

    @property
    def growth(self) -> int:
        """By how much it has grown since the first sample."""
        return self.last - self.first

    @property
    def slope(self) -> float:
        """By how much it grows a second: of the line that fits all samples best (least squares)."""
        return self._common / self._timeline.spread if self._timeline.spread > 0 else 0.0

    @property
    def per_minute(self) -> float:
        """By how much it grows a minute."""
        return self.slope * MINUTE

    @property
    def rise(self) -> float:
        """By how much that line rises from the first sample to the last."""
        return self.slope * self._timeline.at

    @property
    def _common(self) -> float:
        return self._timeline.count * self._products - self._timeline.total * self._total


Key = TypeVar("Key", bound=Hashable)


class Leader(NamedTuple):
    """The figure of many that grows most, and how."""

    last: int
    growth: int
    per_minute: float
    rise: float


class Trends(Generic[Key]):
    """Many figures of one kind by a key, at the same samples; of those that are few only some are kept."""

    MOST = 4096  # keys

    def __init__(self) -> None:
        self._timeline = Timeline()
        self._known: Dict[Key, Trend] = {}

    def add(self, at: float, values: Mapping[Key, int]) -> None:
        """What they are at the next sample, `at` seconds after the first; those that are not there are 0."""
        self._timeline.tick(at)
        for key, value in values.items():
            trend = self._known.get(key)
            if trend is None:
                trend = self._known[key] = Trend(self._timeline)
            trend.add(value)
        if len(self._known) > self.MOST:
            kept = sorted(self._known.items(), key=lambda one: -max(one[1].last, one[1].first))
            self._known = dict(kept[: self.MOST // 2])

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[Tuple[Key, Trend]]:
        return iter(self._known.items())

    def first(self, key: Key) -> int:
        """What one was at the first sample."""
        trend = self._known.get(key)
        return trend.first if trend is not None else 0

    def leader(self) -> Optional[Tuple[Key, Leader]]:
        """The one that grows fastest, if any has grown."""
        grown = [(key, trend) for key, trend in self._known.items() if trend.growth > 0 and trend.slope > 0]
        if not grown:
            return None
        key, most = max(grown, key=lambda one: one[1].slope)
        return key, Leader(most.last, most.growth, most.per_minute, most.rise)
