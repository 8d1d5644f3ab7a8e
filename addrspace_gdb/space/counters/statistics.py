"""runtime.MemStats and runtime/metrics as rows: what the counters say, and what a walk finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Tuple, TypeVar, Union

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.common.problems import ProblemError, Problems, UnreadableError
from addrspace_gdb.goruntime import mstats
from addrspace_gdb.goruntime.in_motion import unsettled
from addrspace_gdb.goruntime.metrics import metrics
from addrspace_gdb.goruntime.mspan import ADDRESS_BITS
from addrspace_gdb.goruntime.mstats import BySize, Field, Sources
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.space.counters.walks import Walked, recount, unowned
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.space.regions.image_claims import other_runtimes
from addrspace_gdb.space.regions.model import TargetInfo
from addrspace_gdb.target.protocol import Target

_MAX_HEAP = 1 << ADDRESS_BITS  # bytes of address space that a process can have
_MAX_BY_UNIT = {
    mstats.BYTES: _MAX_HEAP,
    mstats.SIGNED_BYTES: _MAX_HEAP,
    mstats.TOTAL_BYTES: 1 << 63,
    mstats.OBJECTS: 1 << 63,
    mstats.COUNT: 1 << 63,
    mstats.NANOSECONDS: 1 << 63,
    mstats.UNIX_TIME: 1 << 63,
}
_T = TypeVar("_T")


class Statistic(NamedTuple):
    """One row. A number that cannot be known is None, and `reason` says why."""

    name: str
    unit: str
    counted: Optional[Union[int, float]]
    source: str  # which counters of the runtime
    walked: Optional[int]
    over: str  # over which structures; empty where there is no walk for it
    reason: Optional[str]

    @property
    def agrees(self) -> Optional[bool]:
        """Whether walk and counter say the same; None where one of them is missing."""
        if self.counted is None or self.walked is None:
            return None
        return self.counted == self.walked

    @property
    def value(self) -> Optional[Union[int, float]]:
        """The counter, or else the walk."""
        return self.counted if self.counted is not None else self.walked


@dataclass
class Statistics:
    """What `addrspace memstats` shows."""

    info: TargetInfo
    phase: Optional[str]  # of the collector
    memstats: List[Statistic]  # in the order of runtime.MemStats
    by_size: Optional[BySize]
    pauses: Optional[Tuple[List[int], List[int]]]  # PauseNs, PauseEnd
    metrics: List[Statistic]  # by name
    unsettled: List[str]  # why two of them may differ
    notes: List[str] = field(default_factory=list)
    problems: Problems = field(default_factory=Problems)

    @property
    def differing(self) -> List[Statistic]:
        """Rows whose walk and counter differ."""
        return [row for row in [*self.memstats, *self.metrics] if row.agrees is False]


def read_statistics(target: Target, reading: Reading) -> Statistics:
    """Compute every statistic; `reading` is of the same stop of the same process."""
    problems = Problems()
    for line in reading.problems:
        problems.add(line)
    runtime = Runtime(target, problems)
    sources = Sources(runtime, reading.go.scheduler)
    with no_cycle_collection():
        walked = recount(reading.go, sources)
        return Statistics(
            info=reading.info,
            phase=reading.go.gc_phase,
            memstats=rows_of(mstats.FIELDS, sources, walked),
            by_size=_array("BySize", lambda: mstats.read_by_size(sources), problems),
            pauses=_array("PauseNs and PauseEnd", lambda: mstats.read_pauses(sources), problems),
            metrics=rows_of(metrics(sources), sources, walked),
            unsettled=[*unsettled(sources), *filter(None, [unowned(reading.go)])],
            notes=other_runtimes(reading.loaded),
            problems=problems,
        )


def _array(name: str, read: Callable[[], _T], problems: Problems) -> Optional[_T]:
    try:
        return read()
    except (UnreadableError, ProblemError, KeyError) as error:
        problems.add(f"{name}: {error}")
        return None


def rows_of(fields: Iterable[Field], sources: Sources, walked: Dict[str, Walked]) -> List[Statistic]:
    """A row for each field, with the walk that goes with it if `walked` has one."""
    return [_row(one, sources, walked.get(one.walk, Walked(None, ""))) for one in fields]


def _row(one: Field, sources: Sources, walked: Walked) -> Statistic:
    """Computed on its own: what one row cannot read costs no other row."""
    counted: Optional[Union[int, float]] = None
    reason = walked.reason
    try:
        counted = one.compute(sources)
        reason = _impossible(one, counted) or reason
    except (UnreadableError, ProblemError) as error:
        reason = str(error)
    except KeyError as error:
        reason = f"the runtime has no {error.args[0]}"
    if reason is not None and reason != walked.reason:
        counted = None
    return Statistic(one.name, one.unit, counted, one.source, walked.value, walked.over, reason)


def _impossible(one: Field, counted: Union[int, float]) -> Optional[str]:
    """A counter that cannot be true: it went below zero, or is more than there are addresses."""
    if one.unit == mstats.FRACTION:
        return None if 0 <= counted <= 1 else f"the counter holds {counted}, which is no fraction"
    if one.unit == mstats.RATIO:
        return None if 0 <= counted < _MAX_HEAP else f"the counter holds {counted}, which is no ratio"
    least = {mstats.SIGNED_BYTES: -_MAX_HEAP, mstats.PERCENT: -1}.get(one.unit, 0)
    if least <= counted < _MAX_BY_UNIT.get(one.unit, 1 << 64):
        return None
    return f"the counter holds {counted:,}, which is impossible"
