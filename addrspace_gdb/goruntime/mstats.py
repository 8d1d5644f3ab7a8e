"""runtime.MemStats, rebuilt from the runtime's counters as readmemstats_m does (src/runtime/mstats.go).

The runtime flushes every P's mcache first; here the cached counts are added instead of flushed, and
nothing in the target changes. A count is exact when the process stands still between two allocations.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.mgcpacer import Pacer
from addrspace_gdb.goruntime.proc import Scheduler
from addrspace_gdb.goruntime.record import Record, Runtime
from addrspace_gdb.goruntime.sizeclasses import class_sizes
from addrspace_gdb.goruntime.symtab import go_minor

Value = Union[int, float]
BySize = List[Tuple[int, int, int]]

PAUSES = 256  # length of MemStats.PauseNs and PauseEnd
BY_SIZE = 61  # length of MemStats.BySize; the runtime has more size classes since Go 1.2

# Units of values.
BYTES, TOTAL_BYTES, GOAL, OBJECTS, COUNT = "bytes", "bytes in all", "bytes or more", "objects", "count"
NANOSECONDS, UNIX_TIME, FRACTION, BOOL, PERCENT = "ns", "unix ns", "fraction", "bool", "percent"
RATIO, SIGNED_BYTES = "ratio", "bytes or fewer than none"

_MASK = (1 << 64) - 1
# mspan.sweepgen less the heap's (src/runtime/mheap.go): cached before the sweep began, or since.
_STALE, _CACHED = 1, 3
_DELTAS = (
    "committed",
    "released",
    "inHeap",
    "inStacks",
    "inWorkBufs",
    "inPtrScalarBits",  # up to Go 1.24: GC program bitmaps
    "tinyAllocCount",
    "largeAlloc",
    "largeAllocCount",
    "largeFree",
    "largeFreeCount",
)


@dataclass
class HeapStats:
    """heapStatsDelta, the generations added up, and what heapStatsAggregate (metrics.go) derives from it."""

    delta: Dict[str, int]  # by the names in `_DELTAS`; 0 for one that this version has not
    sizes: Sequence[int]  # bytes of an object of each size class
    small_allocs: List[int]  # objects ever allocated, by size class
    small_frees: List[int]

    @cached_property
    def allocated(self) -> int:
        """Bytes of objects ever allocated."""
        return self.delta["largeAlloc"] + sum(n * size for n, size in zip(self.small_allocs, self.sizes))

    @cached_property
    def freed(self) -> int:
        """Bytes of objects ever freed."""
        return self.delta["largeFree"] + sum(n * size for n, size in zip(self.small_frees, self.sizes))

    @cached_property
    def allocs(self) -> int:
        """Objects ever allocated, tiny ones by their block."""
        return self.delta["largeAllocCount"] + sum(self.small_allocs)

    @cached_property
    def frees(self) -> int:
        """Objects ever freed."""
        return self.delta["largeFreeCount"] + sum(self.small_frees)

    @property
    def not_heap(self) -> int:
        """Bytes of manual spans that belong to the collector: work buffers and GC program bitmaps."""
        return self.delta["inWorkBufs"] + self.delta["inPtrScalarBits"]


class Cached(NamedTuple):
    """Allocations from the spans that Ps hold, which are counted when a P gives its span back."""

    allocs: List[int]  # objects, by size class
    tiny: int
    stale: int  # spans that were cached before the sweep began: a flush would sweep them


class Sources:
    """What MemStats and runtime/metrics are computed from, each read when it is first asked for.

    Any property may raise UnreadableError, ProblemError or KeyError (a field this version has not).
    """

    def __init__(self, runtime: Runtime, scheduler: Scheduler, heap: Optional[Record] = None) -> None:
        self.runtime = runtime
        self.scheduler = scheduler
        self._variables: Dict[str, Record] = {} if heap is None else {"runtime.mheap_": heap}

    def variable(self, name: str) -> Record:
        """A variable of the runtime, read once."""
        if name not in self._variables:
            self._variables[name] = self.runtime.variable(name)
        return self._variables[name]

    @property
    def heap(self) -> Record:
        """runtime.mheap_."""
        return self.variable("runtime.mheap_")

    @property
    def memstats(self) -> Record:
        """runtime.memstats."""
        return self.variable("runtime.memstats")

    @property
    def pacer(self) -> Pacer:
        """runtime.gcController."""
        return Pacer(self.variable("runtime.gcController"), go_minor(self.runtime.target))

    @property
    def sched(self) -> Record:
        """runtime.sched."""
        return self.variable("runtime.sched")

    @cached_property
    def ps(self) -> List[Record]:
        """Every runtime.p of allp."""
        return [self.runtime.record("runtime.p", p.address) for p in self.scheduler.ps]

    @cached_property
    def counted(self) -> HeapStats:
        """What the counters say now: runtime/metrics does not look into the mcaches."""
        generations = list(self.memstats.elements("heapStats.stats"))
        small_allocs = _by_class(generations, "smallAllocCount")
        sizes = class_sizes(self.runtime, len(small_allocs))
        return HeapStats(_deltas(generations), sizes, small_allocs, _by_class(generations, "smallFreeCount"))

    @cached_property
    def caches(self) -> Cached:
        """What the Ps' mcaches hold that is not counted yet."""
        sweepgen = self.heap.number("sweepgen")
        return _read_cached(self.runtime, self.scheduler, len(self.counted.small_allocs), sweepgen)

    @cached_property
    def flushed(self) -> HeapStats:
        """What the counters would say if every P's mcache were flushed, as ReadMemStats does."""
        counted, caches = self.counted, self.caches
        allocs = [n + more for n, more in zip(counted.small_allocs, caches.allocs)]
        tiny = counted.delta["tinyAllocCount"] + caches.tiny
        return HeapStats(
            {**counted.delta, "tinyAllocCount": tiny}, counted.sizes, allocs, counted.small_frees
        )

    @property
    def cached_bytes(self) -> int:
        """Bytes of objects that the mcaches' flush would add to gcController.totalAlloc."""
        return self.flushed.allocated - self.counted.allocated


class Field(NamedTuple):
    """A statistic: its name, its unit, where the runtime keeps it, and how it is computed there."""

    name: str
    unit: str
    source: str
    compute: Callable[[Sources], Value]
    walk: str = ""  # the statistic of which a walk over the structures gives this one too


def _stat(name: str) -> Callable[[Sources], int]:
    return lambda s: s.memstats.number(name)


def _pacer(*names: str) -> Callable[[Sources], int]:
    return lambda s: sum(s.pacer.number(name) for name in names)


def system_bytes(s: Sources) -> int:
    """MemStats.Sys: everything that the runtime has from the OS."""
    stats = s.counted
    own = sum(s.memstats.number(name) for name in _SYSTEM)
    return heap_system(s) + own + stats.delta["inStacks"] + stats.not_heap


def heap_system(s: Sources) -> int:
    """MemStats.HeapSys."""
    return s.pacer.number("heapInUse") + s.pacer.number("heapFree") + s.pacer.number("heapReleased")


_SYSTEM = ("stacks_sys", "mspan_sys", "mcache_sys", "buckhash_sys", "gcMiscSys", "other_sys")
_LIVE = "allocated less freed of memstats.heapStats and mcaches"
_COUNTS = "memstats.heapStats and mcaches"
_THREE = "heapInUse + heapFree + heapReleased"

# In the order of runtime.MemStats, without the arrays.
FIELDS: Tuple[Field, ...] = (
    Field("Alloc", BYTES, _LIVE, lambda s: s.flushed.allocated - s.flushed.freed, "HeapAlloc"),
    Field("TotalAlloc", TOTAL_BYTES, _COUNTS, lambda s: s.flushed.allocated),
    Field("Sys", BYTES, "the sum of what is counted below", system_bytes, "Sys"),
    Field("Lookups", COUNT, "always 0: Go no longer counts them", lambda s: 0),
    Field("Mallocs", OBJECTS, _COUNTS, lambda s: s.flushed.allocs + s.flushed.delta["tinyAllocCount"]),
    Field("Frees", OBJECTS, _COUNTS, lambda s: s.flushed.frees + s.flushed.delta["tinyAllocCount"]),
    Field("HeapAlloc", BYTES, _LIVE, lambda s: s.flushed.allocated - s.flushed.freed, "HeapAlloc"),
    Field("HeapSys", BYTES, _THREE, heap_system, "HeapSys"),
    Field("HeapIdle", BYTES, "heapFree + heapReleased", _pacer("heapFree", "heapReleased"), "HeapIdle"),
    Field("HeapInuse", BYTES, "gcController.heapInUse", _pacer("heapInUse"), "HeapInuse"),
    Field("HeapReleased", BYTES, "gcController.heapReleased", _pacer("heapReleased"), "HeapReleased"),
    Field(
        "HeapObjects", OBJECTS, "Mallocs - Frees", lambda s: s.flushed.allocs - s.flushed.frees, "HeapObjects"
    ),
    Field("StackInuse", BYTES, "heapStats.inStacks", lambda s: s.counted.delta["inStacks"], "StackInuse"),
    Field(
        "StackSys",
        BYTES,
        "StackInuse + memstats.stacks_sys",
        lambda s: s.counted.delta["inStacks"] + s.memstats.number("stacks_sys"),
        "StackSys",
    ),
    Field(
        "MSpanInuse",
        BYTES,
        "mheap_.spanalloc.inuse",
        lambda s: s.heap.number("spanalloc.inuse"),
        "MSpanInuse",
    ),
    Field("MSpanSys", BYTES, "memstats.mspan_sys", _stat("mspan_sys"), "MSpanSys"),
    Field(
        "MCacheInuse",
        BYTES,
        "mheap_.cachealloc.inuse",
        lambda s: s.heap.number("cachealloc.inuse"),
        "MCacheInuse",
    ),
    Field("MCacheSys", BYTES, "memstats.mcache_sys", _stat("mcache_sys"), "MCacheSys"),
    Field("BuckHashSys", BYTES, "memstats.buckhash_sys", _stat("buckhash_sys"), "BuckHashSys"),
    Field(
        "GCSys",
        BYTES,
        "memstats.gcMiscSys + heapStats.inWorkBufs",
        lambda s: s.memstats.number("gcMiscSys") + s.counted.not_heap,
        "GCSys",
    ),
    Field("OtherSys", BYTES, "memstats.other_sys", _stat("other_sys")),
    Field("NextGC", GOAL, "gcController.heapGoal()", lambda s: s.pacer.heap_goal(s.cached_bytes)),
    Field("LastGC", UNIX_TIME, "memstats.last_gc_unix", _stat("last_gc_unix")),
    Field("PauseTotalNs", NANOSECONDS, "memstats.pause_total_ns", _stat("pause_total_ns")),
    Field("NumGC", COUNT, "memstats.numgc", _stat("numgc")),
    Field("NumForcedGC", COUNT, "memstats.numforcedgc", _stat("numforcedgc")),
    Field(
        "GCCPUFraction", FRACTION, "memstats.gc_cpu_fraction", lambda s: s.memstats.real("gc_cpu_fraction")
    ),
    Field("EnableGC", BOOL, "always true, even with GOGC=off", lambda s: 1),
    Field("DebugGC", BOOL, "always false: unused", lambda s: 0),
)

_NOT_COUNTS = ("Lookups", "GCCPUFraction", "EnableGC", "DebugGC")


def read_memstats(runtime: Runtime, heap: Record, scheduler: Scheduler) -> Dict[str, int]:
    """The fields of runtime.MemStats that are counts of bytes, objects, collections or nanoseconds."""
    sources = Sources(runtime, scheduler, heap)
    return {field.name: int(field.compute(sources)) for field in FIELDS if field.name not in _NOT_COUNTS}


def read_by_size(sources: Sources) -> BySize:
    """MemStats.BySize: (object size, allocated, freed) of the first 61 size classes."""
    stats = sources.flushed
    return list(zip(stats.sizes, stats.small_allocs, stats.small_frees))[:BY_SIZE]


def read_pauses(sources: Sources) -> Tuple[List[int], List[int]]:
    """MemStats.PauseNs and PauseEnd: the last 256 pauses, a ring whose newest entry is (NumGC+255)%256."""
    return list(numbers(sources.memstats, "pause_ns")), list(numbers(sources.memstats, "pause_end"))


def _deltas(generations: List[Record]) -> Dict[str, int]:
    """heapStats: three generations of counters that add up to the truth (consistentHeapStats)."""
    return {name: sum(g.number(name) for g in generations if g.has(name)) & _MASK for name in _DELTAS}


def _by_class(generations: List[Record], name: str) -> List[int]:
    """A counter for each size class, the generations added up."""
    return [sum(values) & _MASK for values in zip(*(numbers(g, name) for g in generations))]


def numbers(record: Record, path: str) -> Sequence[int]:
    """The unsigned integers of the array at `path`."""
    place = record.type.locate(path)
    width = place.size // max(1, place.type.count)
    raw = record.data[place.offset : place.offset + place.size]
    return [int.from_bytes(raw[i : i + width], record.runtime.order) for i in range(0, place.size, width)]


def _read_cached(runtime: Runtime, scheduler: Scheduler, classes: int, sweepgen: int) -> Cached:
    """What mcache.releaseAll would add to the counters (src/runtime/mcache.go)."""
    layout = runtime.layout("runtime.mcache")
    span = runtime.layout("runtime.mspan")
    now, before = span.scalar("allocCount").offset, span.scalar("allocCountBeforeCache").offset
    generation = span.scalar("sweepgen").offset
    allocs, tiny, stale = [0] * classes, 0, 0
    for p in scheduler.ps:
        if not p.mcache:
            continue
        try:
            cache = Record(runtime, layout, p.mcache)
            tiny += cache.number("tinyAllocs")
            for class_, pointer in enumerate(numbers(cache, "alloc")):
                data = runtime.target.read(pointer, span.size)
                swept = int.from_bytes(data[generation : generation + 4], runtime.order)
                # A span in refill is not cached any more: its objects are counted, it was not replaced yet.
                if swept in (sweepgen + _CACHED, sweepgen + _STALE):
                    stale += swept == sweepgen + _STALE
                    used = int.from_bytes(data[now : now + 2], runtime.order)
                    allocs[class_ >> 1] += used - int.from_bytes(data[before : before + 2], runtime.order)
        except UnreadableError:
            runtime.problems.add(f"mcache of P {p.id}: cannot be read; object counts are short of it")
    return Cached(allocs, tiny, stale)


def returns_lazily(runtime: Runtime) -> bool:
    """Whether pages go back with MADV_FREE, which leaves them resident: GODEBUG=madvdontneed=0 (sysUnusedOS,
    src/runtime/mem_linux.go). False where that cannot be read."""
    try:
        return runtime.variable("runtime.debug").number("madvdontneed") == 0
    except (UnreadableError, ProblemError, KeyError):
        return False


def gc_phase(runtime: Runtime) -> Optional[str]:
    """The collector's phase: off, mark or mark termination (_GCoff ..., src/runtime/mgc.go).

    None if the variable was not found in a program without symbols.
    """
    if not runtime.has("runtime.gcphase"):
        return None
    phase = runtime.global_number("runtime.gcphase", 4)
    return {0: "off", 1: "mark", 2: "mark termination"}.get(phase, f"unknown ({phase})")
