"""The collector's state: phase, pacing, workers, sweeper and scavenger, one `Field` a value.

From src/runtime/mgc.go (work), mgcpacer.go (gcController), mgcsweep.go (sweep, mheap_.sweep...),
mgcscavenge.go (scavenge, scavenger), mgclimit.go (gcCPULimiter), Go 1.21 to 1.27. The names of the fields
are the paths in the JSON of `addrspace gc`.
"""

from __future__ import annotations

from typing import Callable, Dict, Tuple

from addrspace_gdb.common.problems import SINCE, ProblemError
from addrspace_gdb.goruntime.gcbits import green_tea
from addrspace_gdb.goruntime.mgcpacer import NEVER
from addrspace_gdb.goruntime.mstats import (
    BOOL,
    BYTES,
    COUNT,
    FRACTION,
    GOAL,
    NANOSECONDS,
    PAUSES,
    PERCENT,
    RATIO,
    SIGNED_BYTES,
    UNIX_TIME,
    Field,
    Sources,
    numbers,
)
from addrspace_gdb.goruntime.proc import GSCAN, RUNNING, WAITING
from addrspace_gdb.goruntime.waitreason import read_wait_reasons, wait_reason

_DRAINED = 1 << 31  # sweepDrainedMask, src/runtime/mgcsweep.go
_RUNNING_P = 1  # _Prunning, src/runtime/runtime2.go
_MAX_QUEUED = 1 << 22  # goroutines

# Names of p.gcMarkWorkerMode, src/runtime/mgc.go.
WORKER_MODES = {1: "dedicated", 2: "fractional", 3: "idle"}


def _of(variable: str, *paths: str) -> Callable[[Sources], int]:
    """The sum of fields of one of the runtime's variables."""

    def compute(s: Sources) -> int:
        record = s.variable(f"runtime.{variable}")
        return sum(record.number(path) for path in paths)

    return compute


def _real(variable: str, path: str) -> Callable[[Sources], float]:
    return lambda s: s.variable(f"runtime.{variable}").real(path)


def _of_scavenge(path: str) -> Callable[[Sources], int]:
    def compute(s: Sources) -> int:
        record = s.variable("runtime.scavenge")
        if not record.has(path):
            raise ProblemError(f"scavenge.{path} {SINCE}20")
        return record.number(path)

    return compute


def last_pause(s: Sources) -> int:
    """The pauses of the last cycle, in nanoseconds. ProblemError if there was none."""
    cycles = s.memstats.number("numgc")
    if cycles == 0:
        raise ProblemError("no cycle has ended yet")
    return numbers(s.memstats, "pause_ns")[(cycles - 1) % PAUSES]


def is_sweep_done(s: Sources) -> bool:
    """isSweepDone: nothing is left to sweep, and nobody is sweeping."""
    return s.variable("runtime.sweep").number("active.state") == _DRAINED


def _sweepers(s: Sources) -> int:
    return s.variable("runtime.sweep").number("active.state") & ~_DRAINED


def spans_to_sweep(s: Sources) -> int:
    """Spans in the central lists of the unswept; some of them may have been swept out of turn."""
    unswept = 1 - s.heap.number("sweepgen") // 2 % 2  # mcentral.partialUnswept and fullUnswept
    total = 0
    for central in s.heap.elements("central"):
        for name in ("mcentral.partial", "mcentral.full"):
            index = list(central.elements(name))[unswept].number("index")
            head, tail = index >> 32, index & 0xFFFFFFFF  # headTailIndex, src/runtime/mspanset.go
            total += max(0, tail - head)
    return total


def _assist_queue(s: Sources) -> int:
    """Goroutines that wait until background workers have done their share of marking for them."""
    follow = s.runtime.layout("runtime.g").scalar("schedlink").offset
    first = s.variable("runtime.work").number("assistQueue.q.head")
    return sum(1 for _ in s.runtime.chain(first, follow, "work.assistQueue", _MAX_QUEUED))


def worker_modes(s: Sources) -> Dict[str, int]:
    """How many Ps run a mark worker of each mode."""
    found: Dict[str, int] = {}
    for p in s.ps:
        mode = WORKER_MODES.get(p.number("gcMarkWorkerMode"))
        if mode is not None and p.number("status") == _RUNNING_P:
            found[mode] = found.get(mode, 0) + 1
    return found


def _idle_workers(s: Sources) -> Tuple[int, int]:
    """gcController.idleMarkWorkers: how many there are, and how many there may be."""
    packed = s.pacer.number("idleMarkWorkers") & NEVER
    return packed & 0xFFFFFFFF, packed >> 32


def scavenger_state(s: Sources) -> str:
    """What the background scavenger does, by its goroutine: waiting, sleeping, running ..."""
    scavenger = s.variable("runtime.scavenger")
    g = scavenger.number("g")
    if not g:
        return "not started"
    record = s.runtime.record("runtime.g", g)
    status = record.number("atomicstatus")
    if status & ~GSCAN == RUNNING:
        return "running"
    if status & ~GSCAN != WAITING:
        return "about to run"
    reason = wait_reason(read_wait_reasons(s.runtime), status, record.number("waitreason"))
    return "sleeping" if reason == "sleep" else "waiting"


def latest_stamp(s: Sources) -> int:
    """The latest nanotime at which sysmon saw a P change (p.sysmontick); 0 if it never did."""
    stamps = [p.number(f"sysmontick.{name}") for p in s.ps for name in ("schedwhen", "syscallwhen")]
    return max([0, *(stamp for stamp in stamps if 0 < stamp < 1 << 62)])


_WORK_DONE = ("heapScanWork", "stackScanWork", "globalsScanWork")

VALUES: Tuple[Field, ...] = (
    Field("cycles.completed", COUNT, "memstats.numgc", _of("memstats", "numgc")),
    Field("cycles.forced", COUNT, "memstats.numforcedgc", _of("memstats", "numforcedgc")),
    Field("cycles.started", COUNT, "work.cycles", _of("work", "cycles")),
    Field("last.ended", UNIX_TIME, "memstats.last_gc_unix", _of("memstats", "last_gc_unix")),
    Field(
        "last.ended_monotonic", NANOSECONDS, "memstats.last_gc_nanotime", _of("memstats", "last_gc_nanotime")
    ),
    Field("last.pause", NANOSECONDS, "memstats.pause_ns", last_pause),
    Field("last.heap_at_start", BYTES, "work.heap0", _of("work", "heap0")),
    Field("last.heap_at_end", BYTES, "work.heap1", _of("work", "heap1")),
    Field("last.heap_marked", BYTES, "work.heap2", _of("work", "heap2")),
    Field("last.goal", GOAL, "gcController.lastHeapGoal", _of("gcController", "lastHeapGoal")),
    Field("pauses.total", NANOSECONDS, "memstats.pause_total_ns", _of("memstats", "pause_total_ns")),
    Field("cpu_fraction", FRACTION, "memstats.gc_cpu_fraction", _real("memstats", "gc_cpu_fraction")),
    Field("settings.enabled", BOOL, "memstats.enablegc", _of("memstats", "enablegc")),
    Field("settings.gogc", PERCENT, "gcController.gcPercent", _of("gcController", "gcPercent")),
    Field("settings.gogc_off", BOOL, "gcController.gcPercent", lambda s: s.pacer.percent is None),
    Field("settings.memory_limit", GOAL, "gcController.memoryLimit", _of("gcController", "memoryLimit")),
    Field("settings.memory_limit_set", BOOL, "gcController.memoryLimit", lambda s: s.pacer.limit is not None),
    Field("settings.green_tea", BOOL, "runtime.gcWork.spanq", lambda s: green_tea(s.runtime)),
    Field("heap.live", BYTES, "gcController.heapLive", _of("gcController", "heapLive")),
    Field("heap.marked", BYTES, "gcController.heapMarked", _of("gcController", "heapMarked")),
    Field("heap.trigger", GOAL, "gcController.trigger()", lambda s: s.pacer.trigger().trigger),
    Field("heap.goal", GOAL, "gcController.heapGoal()", lambda s: s.pacer.heap_goal()),
    Field(
        "heap.goal_of_gogc", GOAL, "gcController.gcPercentHeapGoal", _of("gcController", "gcPercentHeapGoal")
    ),
    Field("heap.goal_of_limit", GOAL, "gcController.memoryLimitHeapGoal()", lambda s: s.pacer.limit_goal()),
    Field("heap.minimum", GOAL, "gcController.heapMinimum", _of("gcController", "heapMinimum")),
    Field("heap.triggered", GOAL, "gcController.triggered", _of("gcController", "triggered")),
    Field("roots.stacks", BYTES, "gcController.lastStackScan", _of("gcController", "lastStackScan")),
    Field("roots.globals", BYTES, "gcController.globalsScan", _of("gcController", "globalsScan")),
    Field("limited.bytes", BYTES, "gcController.mappedReady", _of("gcController", "mappedReady")),
    Field("limited.cpu_limiter", BOOL, "gcCPULimiter.enabled", _of("gcCPULimiter", "enabled")),
    Field("mark.work_done", BYTES, "gcController.heapScanWork ...", _of("gcController", *_WORK_DONE)),
    Field(
        "mark.work_expected",
        BYTES,
        "gcController.lastHeapScan ...",
        _of("gcController", "lastHeapScan", "lastStackScan", "globalsScan"),
    ),
    Field("assist.waiting", COUNT, "work.assistQueue", _assist_queue),
    Field(
        "assist.work_per_byte",
        RATIO,
        "gcController.assistWorkPerByte",
        _real("gcController", "assistWorkPerByte"),
    ),
    Field("assist.time", NANOSECONDS, "gcController.assistTime", _of("gcController", "assistTime")),
    Field("assist.credit", SIGNED_BYTES, "gcController.bgScanCredit", _of("gcController", "bgScanCredit")),
    Field(
        "workers.started",
        COUNT,
        "runtime.gcBgMarkWorkerCount",
        lambda s: s.runtime.global_number("runtime.gcBgMarkWorkerCount", 4),
    ),
    Field("workers.running", COUNT, "p.gcMarkWorkerMode", lambda s: sum(worker_modes(s).values())),
    Field(
        "workers.dedicated_needed",
        COUNT,
        "gcController.dedicatedMarkWorkersNeeded",
        _of("gcController", "dedicatedMarkWorkersNeeded"),
    ),
    Field(
        "workers.fraction",
        FRACTION,
        "gcController.fractionalUtilizationGoal",
        _real("gcController", "fractionalUtilizationGoal"),
    ),
    Field("workers.idle", COUNT, "gcController.idleMarkWorkers", lambda s: _idle_workers(s)[0]),
    Field("workers.idle_most", COUNT, "gcController.idleMarkWorkers", lambda s: _idle_workers(s)[1]),
    Field("sweep.done", BOOL, "sweep.active.state", is_sweep_done),
    Field("sweep.generation", COUNT, "mheap_.sweepgen", _of("mheap_", "sweepgen")),
    Field("sweep.sweepers", COUNT, "sweep.active.state", _sweepers),
    Field("sweep.pages_swept", COUNT, "mheap_.pagesSwept", _of("mheap_", "pagesSwept")),
    Field("sweep.pages_in_use", COUNT, "mheap_.pagesInUse", _of("mheap_", "pagesInUse")),
    Field("sweep.pages_per_byte", RATIO, "mheap_.sweepPagesPerByte", _real("mheap_", "sweepPagesPerByte")),
    Field("sweep.spans_left", COUNT, "mheap_.central: unswept", spans_to_sweep),
    Field("scavenger.gogc_goal", GOAL, "scavenge.gcPercentGoal", _of("scavenge", "gcPercentGoal")),
    Field("scavenger.limit_goal", GOAL, "scavenge.memoryLimitGoal", _of("scavenge", "memoryLimitGoal")),
    Field("scavenger.retained", BYTES, "heapInUse + heapFree", _of("gcController", "heapInUse", "heapFree")),
    Field("scavenger.free", BYTES, "gcController.heapFree", _of("gcController", "heapFree")),
    Field("scavenger.returned", BYTES, "gcController.heapReleased", _of("gcController", "heapReleased")),
    Field(
        "scavenger.background_time", NANOSECONDS, "scavenge.backgroundTime", _of_scavenge("backgroundTime")
    ),
    Field("scavenger.assist_time", NANOSECONDS, "scavenge.assistTime", _of_scavenge("assistTime")),
)
