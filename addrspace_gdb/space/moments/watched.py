"""A process that is watched: how each of its figures moves, and what it is that grows."""

from __future__ import annotations

from collections import Counter
from typing import Dict, List, NamedTuple, Optional, Tuple

from addrspace_gdb.space.moments.course import GROWS, STANDS, UNEVEN, Course, Series, course
from addrspace_gdb.space.moments.sampled import (
    COUNTS,
    FIGURES,
    GOROUTINES,
    IN_USE,
    LIVE,
    PARTS,
    RSS,
    STACKS,
    Crowd,
    CrowdKey,
    Makers,
    Sample,
)
from addrspace_gdb.space.moments.trends import Leader, Timeline, Trend, Trends
from addrspace_gdb.space.regions.model import TargetInfo

_LEAST = 1 << 20  # bytes: a rise of less is none
_LEAST_SHARE = 0.01  # of what there was
_LEAST_COUNT = 10  # goroutines or threads
_LEAST_SAMPLES = 3  # of two a step and a growth look the same
_LEAST_CYCLES = 2  # collections: of fewer it is not known what survives the next one
Site = Tuple[str, str]  # a function, and FILE:LINE


class CrowdGrowth(NamedTuple):
    """The crowd of goroutines that grows fastest."""

    crowd: Crowd
    many: Leader


class ObjectGrowth(NamedTuple):
    """The size of objects whose bytes grow fastest; 0: large ones."""

    size: int
    bytes: Leader


class SiteGrowth(NamedTuple):
    """Where the objects in use that grow fastest were allocated, by the program's heap profile."""

    site: Site
    bytes: Leader


class Watched:
    """What the samples of a process say together; how many there were does not matter for the memory."""

    def __init__(self) -> None:
        self._lines: Dict[str, Timeline] = {name: Timeline() for name in FIGURES}
        self._trends = {name: Trend(line) for name, line in self._lines.items()}
        self._series = {name: Series() for name in FIGURES}
        self._crowds: Trends[CrowdKey] = Trends()
        self._objects: Trends[int] = Trends()
        self._sites: Trends[Site] = Trends()
        self._names: Dict[CrowdKey, Crowd] = {}
        self._cycles: List[int] = []  # at the first sample and at the last
        self.samples = 0
        self.seconds = 0.0  # from the first sample to the last
        self.last: Optional[Sample] = None
        self.born_after = self.born_before = 0  # numbers of goroutines at the first sample and at the last
        self.lowest: Optional[int] = None  # RSS
        self.highest: Optional[int] = None

    def add(self, at: float, sample: Sample) -> None:
        """One more, `at` seconds after the first."""
        self.samples, self.seconds, self.last = self.samples + 1, at, sample
        for name, value in sample.figures.items():
            if value is not None:
                self._lines[name].tick(at)
                self._trends[name].add(value)
                if name != LIVE or self._collected(sample.cycles):
                    self._series[name].add(at, value)
        self._crowds.add(at, sample.crowds)
        self._objects.add(at, sample.objects)
        self._sites.add(at, sample.sites)
        if sample.leading is not None:
            self._name(*sample.leading)
        if sample.cycles is not None:
            self._cycles = [*self._cycles[:1], sample.cycles]
        self.born_before = sample.newest
        if self.samples == 1:
            self.born_after = sample.newest
        rss = sample.figures[RSS]
        if rss is not None:
            self.lowest = rss if self.lowest is None else min(self.lowest, rss)
            self.highest = rss if self.highest is None else max(self.highest, rss)

    def _collected(self, cycles: Optional[int]) -> bool:
        """Whether one was completed since the sample before: only then what survived is another amount."""
        return cycles is None or not self._cycles or cycles != self._cycles[-1]

    def _name(self, key: CrowdKey, crowd: Crowd) -> None:
        self._names.pop(key, None)
        self._names[key] = crowd
        while len(self._names) > Trends.MOST:
            del self._names[next(iter(self._names))]

    def first_of(self, key: CrowdKey) -> int:
        """How many goroutines a crowd had at the first sample."""
        return self._crowds.first(key)

    def trend(self, name: str) -> Trend:
        """How one of FIGURES moves."""
        return self._trends[name]

    @property
    def collections(self) -> Optional[int]:
        """How many the collector has completed since the first sample; None: not known."""
        return self._cycles[-1] - self._cycles[0] if self._cycles else None

    @property
    def crowd(self) -> Optional[CrowdGrowth]:
        """The goroutines that grow fastest in number, of those that were looked at."""
        found = self._crowds.leader()
        if found is None:
            return None
        return CrowdGrowth(self._names.get(found[0], _NOBODY), found[1])

    @property
    def objects(self) -> Optional[ObjectGrowth]:
        """The objects that grow fastest, garbage and all."""
        found = self._objects.leader()
        return ObjectGrowth(*found) if found is not None else None

    @property
    def site(self) -> Optional[SiteGrowth]:
        """The place that allocates what grows fastest."""
        found = self._sites.leader()
        return SiteGrowth(*found) if found is not None else None

    @property
    def largest_crowds(self) -> List[Tuple[Makers, int]]:
        """How many goroutines there are by who started them: the largest groups, most first."""
        found: Counter[Makers] = Counter()
        if self.last is not None:
            for key, makers in self.last.makers.items():
                found[makers] += self.last.crowds[key]
        return found.most_common()

    def course(self, name: str) -> Course:
        """How a figure went. A rise of less than 1 MiB, of 10 goroutines or threads, or of 1 % is none."""
        least = max(_LEAST_COUNT if name in COUNTS else _LEAST, _LEAST_SHARE * self._trends[name].first)
        return course(self._series[name].points, least)

    def grows(self, name: str) -> bool:
        """Whether a figure rises, and goes on to."""
        return self._trends[name].rise > 0 and self.course(name).grows

    @property
    def largest_rise(self) -> Optional[str]:
        """Which of PARTS is most of what RSS has risen by; None where it does not grow.

        Goroutines that pile up take more than stacks: if those grow with RSS, and what they have in the heap
        is not several times as much, they are the cause.
        """
        if not self.grows(RSS):
            return None
        parts = [name for name in PARTS if self.grows(name)] or PARTS
        most = max(parts, key=lambda name: self._trends[name].rise)
        stacks = self._trends[STACKS].rise
        if most == IN_USE and self.grows(GOROUTINES) and stacks * _HELD >= self._trends[IN_USE].rise:
            return STACKS
        return most if self._trends[most].rise > 0 else None

    @property
    def may_be_garbage(self) -> bool:
        """Whether what has risen is the heap, between two collections: the next one may take it all."""
        few = self.collections is not None and self.collections < _LEAST_CYCLES
        return few and self.largest_rise == IN_USE

    @property
    def cause(self) -> Optional[str]:
        """Which of PARTS is most of the growth; None where RSS does not grow, or that is not known."""
        return None if self.may_be_garbage else self.largest_rise

    @property
    def rss_course(self) -> Optional[str]:
        """The kind of its course; None: whether it grows is not known."""
        known = self._series[RSS].points and self.samples >= _LEAST_SAMPLES and not self.may_be_garbage
        if not known:
            return None
        found = self.course(RSS).kind
        if found == UNEVEN:
            return None
        return found if found != GROWS or self.cause is not None else STANDS

    @property
    def live_grows(self) -> bool:
        """Whether it is what survives collections that grows, and not what waits for the next one."""
        live, used = self._trends[LIVE], self._trends[IN_USE]
        return live.rise > 0 and 2 * live.rise >= used.rise


_NOBODY = Crowd(None, "", None, None)
_HELD = 3.0  # times as much in the heap as in stacks


class Held(NamedTuple):
    """For how many seconds the process stood still."""

    last: float  # at the last sample
    longest: float
    total: float
    seconds: float  # that it was watched, from the first stop to the end of the last

    @property
    def share(self) -> float:
        """Of the time that it was watched."""
        return self.total / self.seconds if self.seconds > 0 else 0.0


class Moment(NamedTuple):
    """Everything that is shown after a sample, and at the end."""

    info: TargetInfo
    watched: Watched
    time: float  # of the last sample, in seconds since the epoch
    held: Held
    end: Optional[str] = None  # why there is no further sample: one of ENDS; None: there may be one


TIME, INTERRUPTED, EXITED, REPLACED = "time", "interrupted", "exited", "replaced"
ENDS = (TIME, INTERRUPTED, EXITED, REPLACED)
