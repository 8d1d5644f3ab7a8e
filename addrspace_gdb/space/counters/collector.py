"""The state of the collector, read without spans or goroutines: a few variables and the Ps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Optional, TypeVar

from addrspace_gdb.common.problems import ProblemError, Problems, UnreadableError, is_older
from addrspace_gdb.goruntime import mgc
from addrspace_gdb.goruntime.mstats import Sources, gc_phase
from addrspace_gdb.goruntime.proc import Goroutines, Scheduler, read_ps
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.symtab import go_minor
from addrspace_gdb.goruntime.waitreason import read_clock
from addrspace_gdb.space.counters.statistics import Statistic, rows_of
from addrspace_gdb.space.reading.go_program import require_go
from addrspace_gdb.space.reading.opening import Opening
from addrspace_gdb.space.reading.other_go import other_go
from addrspace_gdb.space.regions.model import TargetInfo
from addrspace_gdb.target.protocol import Target

_T = TypeVar("_T")


@dataclass
class GCState:
    """What `addrspace gc` shows. A value that cannot be known is None, and its row says why."""

    info: TargetInfo
    phase: Optional[str]  # "off", "mark", "mark termination"
    scavenger: Optional[str]  # "waiting", "sleeping", "running", "about to run", "not started"
    workers: Dict[str, int]  # Ps at work by mode: dedicated, fractional, idle
    age: Optional[int]  # nanoseconds since the last cycle ended
    age_exact: bool  # False: it was that or longer
    has_green_tea: bool  # whether this version of Go can have it: since 1.25
    rows: Dict[str, Statistic]  # by the names in `mgc.VALUES`
    notes: List[str] = field(default_factory=list)
    problems: Problems = field(default_factory=Problems)

    def get(self, name: str) -> Any:
        """The value of a row; None if it is not known."""
        return self.rows[name].value

    def unknown(self) -> Dict[str, str]:
        """Why values are not known that this version of Go has, by name."""
        found = {
            name: row.reason for name, row in self.rows.items() if row.reason and not is_older(row.reason)
        }
        if self.get("cycles.completed") == 0:
            found.pop("last.pause", None)
        return found


def read_gc(target: Target) -> GCState:
    """Read `target`. ProblemError if it is no Go program or its symbols are missing."""
    problems = Problems()
    opening = Opening(target, problems)
    require_go(opening, other_go(opening))
    runtime = Runtime(target, problems)
    ps = _known(lambda: read_ps(runtime), problems, "runtime.allp") or []
    sources = Sources(runtime, Scheduler([], ps))
    state = GCState(
        info=opening.info,
        phase=_known(lambda: gc_phase(runtime), problems, "the collector's phase"),
        scavenger=_known(lambda: mgc.scavenger_state(sources), problems, "the scavenger's goroutine"),
        workers=_known(lambda: mgc.worker_modes(sources), problems, "mark workers") or {},
        age=None,
        age_exact=False,
        has_green_tea=(go_minor(target) or 0) >= 25,
        rows={row.name: row for row in rows_of(mgc.VALUES, sources, {})},
        notes=opening.notes,
        problems=problems,
    )
    _set_age(state, sources)
    return state


def _known(read: Callable[[], _T], problems: Problems, what: str) -> Optional[_T]:
    try:
        return read()
    except (UnreadableError, ProblemError) as error:
        problems.add(f"{what}: {error}")
    except KeyError as error:
        problems.add(f"{what}: the runtime has no {error.args[0]}")
    return None


def _set_age(state: GCState, sources: Sources) -> None:
    """How long ago the last cycle ended. A core does not say when it was made: the scheduler's last sign of
    life is used there, and nothing is said if that is older than the cycle."""
    ended = state.get("last.ended_monotonic")
    if not ended:
        return
    clock = read_clock(sources.runtime, Goroutines())
    now = clock.now or 0
    if not clock.exact:
        now = max(now, _known(lambda: mgc.latest_stamp(sources), state.problems, "sysmon's ticks") or 0)
    if clock.exact or now > ended:
        state.age, state.age_exact = max(0, now - ended), clock.exact
