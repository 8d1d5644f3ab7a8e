"""A moment of a process, kept as columns: what every byte was, which spans and goroutines there were.

A million goroutines take some 30 MB; regions are those of the diagram, where neighbouring stacks are one.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from itertools import compress
from operator import sub
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.goruntime.mspan import SpanClass
from addrspace_gdb.goruntime.proc import Goroutines, is_live
from addrspace_gdb.space.diagram.rows import build
from addrspace_gdb.space.goroutines.stack_keys import StackKey, stacks_of
from addrspace_gdb.space.reading.goroutines import GoroutineReading
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.space.regions.model import TargetInfo
from addrspace_gdb.space.regions.region import MAIN_STACK_KIND, Region

UNKNOWN = -1  # in a column of bytes


class What(NamedTuple):
    """What a range of addresses is: all of a region but its place and its pages."""

    area: str
    kind: str
    label: str
    permissions: str
    file: Optional[str]


class Regions:
    """A partition as columns: `starts` and `ends` ascend and do not overlap, `ids` say which of `whats`."""

    def __init__(self, regions: Iterable[Region] = ()) -> None:
        self.starts, self.ends = array("Q"), array("Q")
        self.residents = array("q")  # UNKNOWN where it is not known
        self.ids = array("I")
        self.whats: List[What] = []
        known: Dict[What, int] = {}
        for start, end, area, kind, label, permissions, resident, _, file, _ in regions:
            if kind == MAIN_STACK_KIND:  # it is labelled only while the thread is seen to be on it
                label = ""
            what = What(area, kind, label, permissions, file)
            number = known.get(what)
            if number is None:
                number = known[what] = len(self.whats)
                self.whats.append(what)
            self.starts.append(start)
            self.ends.append(end)
            self.ids.append(number)
            self.residents.append(UNKNOWN if resident is None else resident)

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[Region]:
        for start, end, number, resident in zip(self.starts, self.ends, self.ids, self.residents):
            area, kind, label, permissions, file = self.whats[number]
            bytes_ = None if resident < 0 else resident
            yield Region(start, end, area, kind, label, permissions, bytes_, None, file)


@dataclass
class GoroutineTable:
    """The goroutines that exist, as parallel columns. `ids` say which of `stacks` each has.

    `stacks` is None, and `ids` empty, where that is not known.
    """

    goids: array[int]
    los: array[int]
    sizes: array[int]  # bytes of their stacks; 0 where the bounds are garbage
    ids: array[int]
    stacks: Optional[List[StackKey]] = None

    def __len__(self) -> int:
        return len(self.goids)


@dataclass
class Snapshot:
    """One moment. Times are seconds since the epoch; what is None was not read or is not in the file."""

    name: str
    taken: Optional[float]
    target: TargetInfo
    inferior: Optional[int]  # the debugger's number
    regions: Regions
    goroutines: Optional[GoroutineTable]
    spans: Optional[List[SpanClass]]
    memstats: Optional[Dict[str, int]]
    origin: str = "snapshot"  # or "dump": a file
    notes: List[str] = field(default_factory=list)
    problems: List[str] = field(default_factory=list)

    @property
    def bytes_kept(self) -> int:
        """Memory that the columns take."""
        columns: List[array[int]] = [self.regions.starts, self.regions.ends, self.regions.ids]
        columns.append(self.regions.residents)
        if self.goroutines is not None:
            table = self.goroutines
            columns += [table.goids, table.los, table.sizes, table.ids]
        return sum(column.itemsize * len(column) for column in columns)


def take(
    name: str,
    reading: Reading,
    goroutines: Optional[GoroutineReading],
    taken: Optional[float] = None,
    inferior: Optional[int] = None,
) -> Snapshot:
    """The moment of a reading. Without `goroutines` (they could not be read) their stacks are not known."""
    with no_cycle_collection():
        space = build(reading, each_goroutine=False)
        if goroutines is not None:
            table = _table(goroutines.goroutines)
            positions = _living(goroutines.goroutines)
            table.stacks, table.ids = stacks_of(goroutines, positions)
        else:
            table = _table(reading.go.goroutines)
        problems = list(reading.problems)
        if goroutines is not None:
            problems += [line for line in goroutines.problems if line not in problems]
        return Snapshot(
            name,
            taken,
            reading.info,
            inferior,
            Regions(space.regions),
            table,
            space.spans,
            reading.go.memstats,
            notes=list(reading.notes),
            problems=problems,
        )


def _living(goroutines: Goroutines) -> Sequence[int]:
    statuses = goroutines.column("status")
    living = {status for status in set(statuses) if is_live(status)}
    return list(compress(range(len(statuses)), map(living.__contains__, statuses)))


def _table(goroutines: Goroutines) -> GoroutineTable:
    statuses = goroutines.column("status")
    living = {status for status in set(statuses) if is_live(status)}
    wanted = bytearray(map(living.__contains__, statuses))
    goids, los, his = (array("Q", compress(goroutines.column(name), wanted)) for name in ("goid", "lo", "hi"))
    sizes = array("Q", map(_positive, map(sub, his, los)))
    return GoroutineTable(goids, los, sizes, array("I"))


def _positive(size: int) -> int:
    return max(0, size)


class Moments:
    """The snapshots of one debugger session: those with a name, and the last one taken of each process."""

    MAX_SNAPSHOTS = 100

    def __init__(self) -> None:
        self._named: Dict[str, Snapshot] = {}
        # By inferior: the last two moments, the older one first.
        self._last: Dict[int, List[KeptSnapshot]] = {}

    def __iter__(self) -> Iterator[Snapshot]:
        return iter(list(self._named.values()))

    def __len__(self) -> int:
        return len(self._named)

    def keep(self, snapshot: Snapshot) -> None:
        """Remember it by its name; one of that name is replaced. ProblemError when there are too many."""
        if snapshot.name not in self._named and len(self._named) >= self.MAX_SNAPSHOTS:
            raise ProblemError(
                f"there are {self.MAX_SNAPSHOTS} snapshots; delete some (addrspace snapshot --delete NAME)"
            )
        self._named.pop(snapshot.name, None)
        self._named[snapshot.name] = snapshot

    def get(self, name: str) -> Optional[Snapshot]:
        """The snapshot of that name."""
        return self._named.get(name)

    def delete(self, name: str) -> bool:
        """Forget it; False if there is none."""
        return self._named.pop(name, None) is not None

    def clear(self) -> int:
        """Forget all, the last stops too; how many had a name."""
        count = len(self._named)
        self._named.clear()
        self._last.clear()
        return count

    def here(self, inferior: int, moment: int) -> Optional[Snapshot]:
        """What was taken at this very stop."""
        kept = self._last.get(inferior)
        return kept[-1].snapshot if kept and kept[-1].moment == moment else None

    def before(self, inferior: int, moment: int) -> Optional[Snapshot]:
        """What was taken last at an earlier stop."""
        earlier = [kept.snapshot for kept in self._last.get(inferior, []) if kept.moment != moment]
        return earlier[-1] if earlier else None

    def taken(self, inferior: int, moment: int, snapshot: Snapshot) -> None:
        """Remember what was taken at this stop, and what was taken at the one before."""
        others = [kept for kept in self._last.get(inferior, []) if kept.moment != moment]
        self._last[inferior] = [*others[-1:], KeptSnapshot(moment, snapshot)]


class KeptSnapshot(NamedTuple):
    """A snapshot and the stop it was taken at (a number that grows whenever the process moves)."""

    moment: int
    snapshot: Snapshot
