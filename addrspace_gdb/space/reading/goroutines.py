"""What the goroutine views need of a stopped process, and nothing else: no spans, no images, no libc."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.common.problems import ProblemError, Problems, UnreadableError
from addrspace_gdb.common.progress import Progress
from addrspace_gdb.goruntime import symtab
from addrspace_gdb.goruntime.funcid import FING_RUNNING
from addrspace_gdb.goruntime.proc import (
    GSCAN,
    RUNNING,
    SYSCALL,
    Goroutines,
    M,
    Scheduler,
    is_live,
    read_goroutines,
    read_scheduler,
)
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.stackpool import FreeStacks, read_free_stacks, stack_in_use
from addrspace_gdb.goruntime.synctest import read_bubbles
from addrspace_gdb.goruntime.traceback import Unwinder
from addrspace_gdb.goruntime.versions import unreadable
from addrspace_gdb.goruntime.waitreason import read_clock, read_wait_reasons
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.process.residency import Residency, read_residency
from addrspace_gdb.space.reading.go_program import require_go
from addrspace_gdb.space.reading.opening import Opening
from addrspace_gdb.space.regions.model import TargetInfo
from addrspace_gdb.target.protocol import Target, Thread

if TYPE_CHECKING:
    from addrspace_gdb.goruntime.stack import Stacks
    from addrspace_gdb.space.reading.whole import Reading


class Live(NamedTuple):
    """A thread that has a goroutine as its curg: its M, the debugger's thread, and where its sp points."""

    m: M
    thread: Optional[Thread]  # None: the debugger does not know it (a core that lacks it)
    on: str  # "goroutine", "g0", "signal", "other"; "" where sp is not known


class GoroutineReading:
    """Every goroutine as columns, and what it takes to name and unwind them."""

    def __init__(
        self,
        runtime: Runtime,
        info: TargetInfo,
        goroutines: Goroutines,
        scheduler: Scheduler,
        threads: List[Thread],
        residency: Residency,
    ) -> None:
        """Reads the small tables. KeyError, ProblemError or UnreadableError where the runtime lacks them."""
        self.info, self.runtime, self.goroutines, self.scheduler = info, runtime, goroutines, scheduler
        self.threads, self.residency, self.problems = threads, residency, runtime.problems
        self.tables = symtab.load(runtime.target, runtime.problems)
        self.unwinder = Unwinder(self.tables)
        self.reasons = read_wait_reasons(runtime)
        self.clock = read_clock(runtime, goroutines)
        self.in_use = stack_in_use(runtime)  # MemStats.StackInuse
        self.pools: Optional[FreeStacks] = None
        self.whole: Optional[Reading] = None  # that this one is of
        self.fing_running = _fing_running(runtime)
        self.bubbles = read_bubbles(runtime, goroutines)  # of testing/synctest, by position in the columns
        self.said: List[str] = []
        self._stacks: Optional[Stacks] = None
        self.live: Dict[int, Live] = {}  # by position in the columns
        _find_threads(self)
        # What stackcolumns computes once:
        self.residents: Optional[Sequence[Optional[int]]] = None
        self.disjoint: Optional[bool] = None
        self.odd: Optional[Set[int]] = None
        self.useds: Optional[array[int]] = None
        self.sizes: Optional[array[int]] = None
        self.states: Optional[Dict[Tuple[int, int], int]] = None
        self.system: Optional[List[int]] = None

    def position(self, address: int) -> Optional[int]:
        """Where the g at `address` stands in the columns."""
        return self.goroutines.position(address)

    @property
    def notes(self) -> List[str]:
        """What cannot be known, and why."""
        return self.said if self.whole is None else self.whole.notes

    @property
    def free(self) -> Optional[FreeStacks]:
        """Stack memory that no goroutine has; None if that could not be read."""
        if self.pools is None and self.whole is not None:
            from addrspace_gdb.goruntime.stack import free_stacks

            self.pools = free_stacks(self.whole.go.stacks)
        return self.pools

    def stacks(self) -> Stacks:
        """Every byte of stack memory, piece by piece: this reads the spans, which the rest does not need,
        unless they are read already."""
        if self._stacks is None:
            self._stacks = self.whole.go.stacks if self.whole is not None else self._read_stacks()
        return self._stacks

    def _read_stacks(self) -> Stacks:
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
    require_go(opening)
    runtime = Runtime(target, problems, progress)
    goroutines = read_goroutines(runtime)
    if not len(goroutines):
        _check_none(problems)
    scheduler = read_scheduler(runtime, mappings)
    progress.step("resident pages")
    with_stacks = _holding(mappings, goroutines, scheduler)
    residency = read_residency(opening.proc, with_stacks, opening.page_size, problems, target.byte_order)
    reading = GoroutineReading(runtime, opening.info, goroutines, scheduler, target.threads(), residency)
    reading.pools = _free(runtime, scheduler)
    if residency.reason:
        reading.said.append(residency.reason)
    reading.said += [*opening.notes, *_other_runtimes(opening)]
    return reading


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
        reading = GoroutineReading(
            runtime, whole.info, go.goroutines, go.scheduler, whole.threads, whole.residency
        )
    except (UnreadableError, KeyError) as error:
        raise unreadable(error) from None
    reading.whole = whole
    return reading


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


def _fing_running(runtime: Runtime) -> bool:
    """Whether the finalizer goroutine is in a finalizer: it is the user's then (isSystemGoroutine)."""
    try:
        if runtime.has("runtime.fingRunning"):  # up to Go 1.19
            return bool(runtime.global_number("runtime.fingRunning", 1))
        return bool(runtime.global_number("runtime.fingStatus", 4) & FING_RUNNING)
    except (UnreadableError, ProblemError):
        return False


def _find_threads(reading: GoroutineReading) -> None:
    """Which goroutine each M has, and on which of its stacks the M's thread is."""
    threads = {thread.tid: thread for thread in reading.threads}
    los, his = reading.goroutines.column("lo"), reading.goroutines.column("hi")
    for m in reading.scheduler.ms:
        at = reading.position(m.curg) if m.curg else None
        if at is None:
            continue
        thread = threads.get(m.procid)
        on = where(m, thread.sp if thread is not None else None, (los[at], his[at]))
        reading.live[at] = Live(m, thread, on)


def where(m: M, sp: Optional[int], own: Tuple[int, int]) -> str:
    """Which stack `sp` lies on: `own` is the goroutine's."""
    if sp is None:
        return ""
    places = (("goroutine", own), ("signal", m.gsignal_stack), ("g0", m.g0_stack))
    return next((name for name, (lo, hi) in places if lo < sp <= hi), "other")


def runs(reading: GoroutineReading, at: int) -> bool:
    """Whether its registers, not g.sched, say where the goroutine at that position is."""
    live = reading.live.get(at)
    if live is None:
        return False
    status = reading.goroutines.column("status")[at] & ~GSCAN
    return is_live(status) and (live.on == "goroutine" or status in (RUNNING, SYSCALL))
