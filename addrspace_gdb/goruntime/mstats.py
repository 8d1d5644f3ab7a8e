"""runtime.MemStats, rebuilt from the runtime's counters as readmemstats_m does (src/runtime/mstats.go).

The runtime flushes every P's mcache first; here the cached counts are added instead of flushed, and
nothing in the target changes. A count is exact when the process stands still between two allocations.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence

from addrspace_gdb.goruntime.buildinfo import version_of
from addrspace_gdb.goruntime.layouts import layouts_of
from addrspace_gdb.goruntime.proc import Scheduler
from addrspace_gdb.goruntime.record import Record, Runtime
from addrspace_gdb.problems import UnreadableError

_MASK = (1 << 64) - 1
_DELTAS = (
    "committed",
    "released",
    "inHeap",
    "inStacks",
    "inWorkBufs",
    "inPtrScalarBits",  # up to Go 1.25 or so: GC program bitmaps
    "tinyAllocCount",
    "largeAlloc",
    "largeAllocCount",
    "largeFree",
    "largeFreeCount",
)


def read_memstats(runtime: Runtime, heap: Record, scheduler: Scheduler) -> Dict[str, int]:
    """The fields of runtime.MemStats that are counts of bytes, objects or collections."""
    stats = runtime.variable("runtime.memstats")
    control = runtime.variable("runtime.gcController")
    generations = list(stats.elements("heapStats.stats"))
    delta = _deltas(generations)
    small_allocs = _by_class(generations, "smallAllocCount")
    small_frees = _by_class(generations, "smallFreeCount")
    sizes = _class_sizes(runtime, len(small_allocs))
    tiny = delta["tinyAllocCount"] + _add_cached(runtime, scheduler, small_allocs)
    mallocs = delta["largeAllocCount"] + sum(small_allocs)
    frees = delta["largeFreeCount"] + sum(small_frees)
    allocated = delta["largeAlloc"] + sum(n * size for n, size in zip(small_allocs, sizes))
    freed = delta["largeFree"] + sum(n * size for n, size in zip(small_frees, sizes))
    in_use, free, returned = (control.number(n) for n in ("heapInUse", "heapFree", "heapReleased"))
    system = {n: stats.number(n) for n in _SYSTEM}
    bitmaps = delta["inWorkBufs"] + delta["inPtrScalarBits"]
    return {
        "Alloc": allocated - freed,
        "TotalAlloc": allocated,
        "Sys": in_use + free + returned + sum(system.values()) + delta["inStacks"] + bitmaps,
        "Mallocs": mallocs + tiny,
        "Frees": frees + tiny,
        "HeapAlloc": allocated - freed,
        "HeapSys": in_use + free + returned,
        "HeapIdle": free + returned,
        "HeapInuse": in_use,
        "HeapReleased": returned,
        "HeapObjects": mallocs - frees,
        "StackInuse": delta["inStacks"],
        "StackSys": delta["inStacks"] + system["stacks_sys"],
        "MSpanInuse": heap.number("spanalloc.inuse"),
        "MSpanSys": system["mspan_sys"],
        "MCacheInuse": heap.number("cachealloc.inuse"),
        "MCacheSys": system["mcache_sys"],
        "BuckHashSys": system["buckhash_sys"],
        "GCSys": system["gcMiscSys"] + bitmaps,
        "OtherSys": system["other_sys"],
        "LastGC": stats.number("last_gc_unix"),
        "PauseTotalNs": stats.number("pause_total_ns"),
        "NumGC": stats.number("numgc"),
        "NumForcedGC": stats.number("numforcedgc"),
    }


_SYSTEM = ("stacks_sys", "mspan_sys", "mcache_sys", "buckhash_sys", "gcMiscSys", "other_sys")


def _deltas(generations: List[Record]) -> Dict[str, int]:
    """heapStats: three generations of counters that add up to the truth (consistentHeapStats)."""
    return {name: sum(g.number(name) for g in generations if g.has(name)) & _MASK for name in _DELTAS}


def _by_class(generations: List[Record], name: str) -> List[int]:
    """A counter for each size class, the generations added up."""
    return [sum(values) & _MASK for values in zip(*(_numbers(g, name) for g in generations))]


def _numbers(record: Record, path: str) -> Sequence[int]:
    place = record.type.locate(path)
    width = place.size // max(1, place.type.count)
    raw = record.data[place.offset : place.offset + place.size]
    return [int.from_bytes(raw[i : i + width], record.runtime.order) for i in range(0, place.size, width)]


def _class_sizes(runtime: Runtime, count: int) -> Sequence[int]:
    """Object size of each size class. Go 1.25 moved class_to_size to internal/runtime/gc."""
    for name in ("runtime.class_to_size", "internal/runtime/gc.SizeClassToSize"):
        if runtime.has(name):
            raw = runtime.target.read(runtime.address(name), 2 * count)
            return [int.from_bytes(raw[i : i + 2], runtime.order) for i in range(0, 2 * count, 2)]
    layouts = layouts_of(version_of(runtime.target) or "", runtime.target.arch)[0]
    if layouts is None:
        raise KeyError("runtime.class_to_size")
    return layouts.size_classes


def _add_cached(runtime: Runtime, scheduler: Scheduler, allocs: List[int]) -> int:
    """Add what sits in the Ps' mcaches (mcache.releaseAll); returns tiny allocations not yet counted."""
    layout = runtime.layout("runtime.mcache")
    span = runtime.layout("runtime.mspan")
    now, before = span.scalar("allocCount").offset, span.scalar("allocCountBeforeCache").offset
    tiny = 0
    for p in scheduler.ps:
        if not p.mcache:
            continue
        try:
            cache = Record(runtime, layout, p.mcache)
            tiny += cache.number("tinyAllocs")
            for class_, pointer in enumerate(_numbers(cache, "alloc")):
                data = runtime.target.read(pointer, span.size)
                used = int.from_bytes(data[now : now + 2], runtime.order)
                allocs[class_ >> 1] += used - int.from_bytes(data[before : before + 2], runtime.order)
        except UnreadableError:
            runtime.problems.add(f"mcache of P {p.id}: cannot be read; object counts are short of it")
    return tiny


def gc_phase(runtime: Runtime) -> Optional[str]:
    """The collector's phase: off, sweep, mark or mark termination (_GCoff ..., src/runtime/mgc.go).

    None if the variable was not found in a program without symbols.
    """
    if not runtime.has("runtime.gcphase"):
        return None
    phase = runtime.global_number("runtime.gcphase", 4)
    return {0: "off", 1: "mark", 2: "mark termination"}.get(phase, f"unknown ({phase})")
