"""What the goroutine views need of a stopped process, and nothing else: no spans, no images, no libc."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.common.problems import ProblemError, Problems, UnreadableError
from addrspace_gdb.common.progress import Progress
from addrspace_gdb.goruntime.proc import Goroutines, Scheduler, read_goroutines, read_scheduler
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.stackpool import FreeStacks, read_free_stacks, stack_in_use
from addrspace_gdb.goruntime.versions import unreadable
from addrspace_gdb.goruntime.waitreason import Clock, read_clock
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.process.residency import Residency, read_residency
from addrspace_gdb.space.reading.at_work import finalizes
from addrspace_gdb.space.reading.forked import forked
from addrspace_gdb.space.reading.go_program import require_go
from addrspace_gdb.space.reading.opening import Opening
from addrspace_gdb.space.reading.other_go import other_go
from addrspace_gdb.space.reading.walkable import Walkable, read_walkable
from addrspace_gdb.space.regions.model import TargetInfo
from addrspace_gdb.target.protocol import Target

if TYPE_CHECKING:
    from addrspace_gdb.goruntime.stack import Stacks
    from addrspace_gdb.space.reading.whole import Reading


@dataclass(frozen=True, eq=False)
class GoroutineReading(Walkable):
    """What else it takes to list goroutines and to add up their stacks."""

    info: TargetInfo
    residency: Residency
    clock: Clock
    in_use: Optional[int]  # MemStats.StackInuse
    pools: Optional[FreeStacks]
    fing_running: bool  # the finalizer goroutine is in a finalizer
    whole: Optional[Reading]  # that this one is of
    said: List[str] = field(default_factory=list)
    kept: Dict[object, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def notes(self) -> List[str]:
        """What cannot be known, and why."""
        return self.said if self.whole is None else self.whole.notes

    @cached_property
    def free(self) -> Optional[FreeStacks]:
        """Stack memory that no goroutine has; None if that could not be read."""
        if self.whole is None:
            return self.pools
        from addrspace_gdb.goruntime.stack import free_stacks

        return free_stacks(self.whole.go.stacks)

    @cached_property
    def stacks(self) -> Stacks:
        """Every byte of stack memory, piece by piece: this reads the spans, which the rest does not need,
        unless they are read already."""
        if self.whole is not None:
            return self.whole.go.stacks
        from addrspace_gdb.goruntime.mpagealloc import read_pages
        from addrspace_gdb.goruntime.mspan import read_spans
        from addrspace_gdb.goruntime.stack import read_stacks

        heap = self.runtime.variable("runtime.mheap_")
        with no_cycle_collection():
            grown = sum(end - start for start, end in read_pages(self.runtime, heap).in_use)
            spans = read_spans(self.runtime, heap, grown)
            return read_stacks(self.runtime, spans, self.goroutines, self.scheduler)


def read_for_goroutines(target: Target, progress: Optional[Progress] = None) -> GoroutineReading:
    """Read `target`. ProblemError if it is no Go program or its symbols are missing."""
    problems = Problems()
    with no_cycle_collection():
        try:
            return _read(target, problems, progress or Progress())
        except (UnreadableError, KeyError) as error:
            raise unreadable(error) from None


def _read(target: Target, problems: Problems, progress: Progress) -> GoroutineReading:
    opening = Opening(target, problems)
    mappings = opening.mappings  # none of which is needed: without a list, residency is not known
    require_go(opening, other_go(opening))
    runtime = Runtime(target, problems, progress)
    goroutines = read_goroutines(runtime)
    if not len(goroutines):
        _check_none(problems)
    scheduler = read_scheduler(runtime, mappings)
    progress.step("resident pages")
    with_stacks = _holding(mappings, goroutines, scheduler)
    residency = read_residency(opening.proc, with_stacks, opening.page_size, problems, target.byte_order)
    found = read_walkable(runtime, goroutines, scheduler, target.threads())
    reading = _with_rest(found, opening.info, residency)
    if residency.reason:
        reading.said.append(residency.reason)
    reading.said.extend(
        [*opening.notes, *_other_runtimes(opening), *forked(target, scheduler, target.threads())]
    )
    return reading


def _with_rest(
    found: Walkable, info: TargetInfo, residency: Residency, whole: Optional[Reading] = None
) -> GoroutineReading:
    """Read what `found` lacks, the registers of the threads that have goroutines too."""
    runtime = found.runtime
    for live in found.live.values():
        live.look()
    return GoroutineReading(
        runtime,
        found.goroutines,
        found.scheduler,
        found.threads,
        found.tables,
        found.unwinder,
        found.reasons,
        found.bubbles,
        found.live,
        info,
        residency,
        read_clock(runtime, found.goroutines),
        stack_in_use(runtime),
        _free(runtime, found.scheduler) if whole is None else None,
        finalizes(runtime),
        whole,
    )


def _other_runtimes(opening: Opening) -> List[str]:
    """A note if there is more than one Go runtime; a process of one file is not looked at."""
    target, core, mappings = opening.target, opening.core, opening.mappings
    if len({m.file for m in mappings if m.file is not None and "x" in m.permissions}) < 2:
        return []
    from addrspace_gdb.goruntime.moduledata import modules
    from addrspace_gdb.space.regions.image_claims import find_images, other_runtimes

    return other_runtimes(find_images(mappings, target, core, modules(target, Problems()), opening.page_size))


def of_reading(target: Target, whole: Reading, none_too: bool = False) -> GoroutineReading:
    """The same from a reading of the whole process: what that has is not read again, free stacks neither.

    Problems stay apart from those of `whole`. ProblemError as `read_for_goroutines`, but with `none_too` not
    for goroutines none of which could be read.
    """
    runtime, go = Runtime(target, Problems()), whole.go
    if not whole.goroutines_known and not none_too:
        _check_none(whole.problems)
    try:
        found = read_walkable(runtime, go.goroutines, go.scheduler, whole.threads)
        return _with_rest(found, whole.info, whole.residency, whole)
    except (UnreadableError, KeyError) as error:
        raise unreadable(error) from None


def _check_none(problems: Problems) -> None:
    """ProblemError if that there are no goroutines may be damage."""
    why = next(iter([*problems, *problems.left_out]), None)
    if why is not None:
        raise ProblemError(f"the goroutines cannot be read: {why}")


def _holding(mappings: Sequence[Mapping], goroutines: Goroutines, scheduler: Scheduler) -> List[Mapping]:
    """The mappings between the lowest and the highest stack: residency of the rest is not asked for."""
    own = [pair for m in scheduler.ms for pair in (m.g0_stack, m.gsignal_stack) if pair[0]]
    lowest = min(filter(None, goroutines.column("lo")), default=0)
    if lowest:
        own.append((lowest, max(goroutines.column("hi"))))
    return [m for m in mappings if any(m.start < hi and lo < m.end for lo, hi in own)]


def _free(runtime: Runtime, scheduler: Scheduler) -> Optional[FreeStacks]:
    try:
        return read_free_stacks(runtime, scheduler)
    except (UnreadableError, ProblemError, KeyError) as error:
        runtime.problems.add(f"free stacks: {error}")
        return None
