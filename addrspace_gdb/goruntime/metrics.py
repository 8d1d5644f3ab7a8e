"""runtime/metrics: the classes of memory and the collector's numbers, as src/runtime/metrics.go has them.

metrics.Read does not flush the Ps' mcaches as ReadMemStats does: what counts objects is short of those
that were allocated from spans which a P still holds.
"""

from __future__ import annotations

from typing import Callable, List, Tuple

from addrspace_gdb.goruntime.mstats import (
    BYTES,
    COUNT,
    GOAL,
    OBJECTS,
    PERCENT,
    TOTAL_BYTES,
    Field,
    Sources,
)
from addrspace_gdb.goruntime.record import Record
from addrspace_gdb.goruntime.symtab import go_minor

_MASK = (1 << 64) - 1


def _delta(name: str) -> Callable[[Sources], int]:
    return lambda s: s.counted.delta[name]


def _stat(name: str) -> Callable[[Sources], int]:
    return lambda s: s.memstats.number(name)


def _pacer(*names: str) -> Callable[[Sources], int]:
    return lambda s: sum(s.pacer.number(name) for name in names)


def _spare(kind: str) -> Callable[[Sources], int]:
    """Bytes of a fixalloc (mspan, mcache) that are not in use."""
    allocator = {"mspan": "spanalloc", "mcache": "cachealloc"}[kind]
    return lambda s: s.memstats.number(f"{kind}_sys") - s.heap.number(f"{allocator}.inuse")


def _free(s: Sources) -> int:
    stats = s.counted
    return stats.delta["committed"] - stats.delta["inHeap"] - stats.delta["inStacks"] - stats.not_heap


def _total(s: Sources) -> int:
    stats = s.counted
    own = ("stacks_sys", "mspan_sys", "mcache_sys", "buckhash_sys", "gcMiscSys", "other_sys")
    return stats.delta["committed"] + stats.delta["released"] + sum(s.memstats.number(name) for name in own)


def goroutine_count(s: Sources, with_system: bool) -> int:
    """gcount (src/runtime/proc.go): every g that is not free, the runtime's own only if asked for."""
    free = [s.sched] + s.ps
    count = s.runtime.global_word("runtime.allglen") - sum(_free_gs(record) for record in free)
    if not with_system:
        count -= s.sched.number("ngsys")
    return max(1, count)


def _free_gs(record: Record) -> int:
    """gFree's length. Up to Go 1.24 it is counted as `n`; since 1.25 every gList counts itself."""
    if record.has("gFree.n"):
        return record.number("gFree.n")
    if record.has("gFree.stack"):
        return record.number("gFree.stack.size") + record.number("gFree.noStack.size")
    return record.number("gFree.size")


def counts_system(s: Sources) -> bool:
    """Whether /sched/goroutines has the runtime's own goroutines too: since Go 1.26."""
    return (go_minor(s.runtime.target) or 0) >= 26


def _created(s: Sources) -> int:
    """Go 1.26."""
    return s.sched.number("goroutinesCreated") + sum(p.number("goroutinesCreated") for p in s.ps)


def _threads(s: Sources) -> int:
    """Go 1.26: every M but those that wait for C to call Go, and those in such a call."""
    made = s.sched.number("mnext") - s.sched.number("nmfreed")
    extra = [s.runtime.global_number(f"runtime.extraM{name}", 4) for name in ("InUse", "Length")]
    return made - sum(extra)


_HEAP = "/memory/classes/heap/"
_META = "/memory/classes/metadata/"
_NO_CACHES = "memstats.heapStats, mcaches not flushed"

_ALWAYS: Tuple[Field, ...] = (
    Field(
        "/gc/cycles/automatic:gc-cycles",
        COUNT,
        "memstats.numgc - numforcedgc",
        lambda s: s.memstats.number("numgc") - s.memstats.number("numforcedgc"),
    ),
    Field("/gc/cycles/forced:gc-cycles", COUNT, "memstats.numforcedgc", _stat("numforcedgc")),
    Field("/gc/cycles/total:gc-cycles", COUNT, "memstats.numgc", _stat("numgc")),
    Field(
        "/gc/gogc:percent",
        PERCENT,
        "gcController.gcPercent; 2^64 - 1 is off",
        lambda s: s.pacer.number("gcPercent") & _MASK,
    ),
    Field("/gc/gomemlimit:bytes", GOAL, "gcController.memoryLimit", _pacer("memoryLimit")),
    Field("/gc/heap/allocs:bytes", TOTAL_BYTES, _NO_CACHES, lambda s: s.counted.allocated),
    Field("/gc/heap/allocs:objects", OBJECTS, _NO_CACHES, lambda s: s.counted.allocs),
    Field("/gc/heap/frees:bytes", TOTAL_BYTES, _NO_CACHES, lambda s: s.counted.freed),
    Field("/gc/heap/frees:objects", OBJECTS, _NO_CACHES, lambda s: s.counted.frees),
    Field("/gc/heap/goal:bytes", GOAL, "gcController.heapGoal()", lambda s: s.pacer.heap_goal()),
    Field("/gc/heap/live:bytes", BYTES, "gcController.heapMarked", _pacer("heapMarked")),
    Field("/gc/heap/objects:objects", OBJECTS, _NO_CACHES, lambda s: s.counted.allocs - s.counted.frees),
    Field("/gc/heap/tiny/allocs:objects", OBJECTS, _NO_CACHES, _delta("tinyAllocCount")),
    Field(
        "/gc/limiter/last-enabled:gc-cycle",
        COUNT,
        "gcCPULimiter.lastEnabledCycle",
        lambda s: s.runtime.variable("runtime.gcCPULimiter").number("lastEnabledCycle"),
    ),
    Field("/gc/scan/globals:bytes", BYTES, "gcController.globalsScan", _pacer("globalsScan")),
    Field("/gc/scan/heap:bytes", BYTES, "gcController.heapScan", _pacer("heapScan")),
    Field("/gc/scan/stack:bytes", BYTES, "gcController.lastStackScan", _pacer("lastStackScan")),
    Field(
        "/gc/scan/total:bytes", BYTES, "the three above", _pacer("globalsScan", "heapScan", "lastStackScan")
    ),
    Field(
        "/gc/stack/starting-size:bytes",
        BYTES,
        "runtime.startingStackSize",
        lambda s: s.runtime.global_number("runtime.startingStackSize", 4),
    ),
    Field(_HEAP + "free:bytes", BYTES, "heapStats: committed less what is in use", _free, "HeapFree"),
    Field(_HEAP + "objects:bytes", BYTES, _NO_CACHES, lambda s: s.counted.allocated - s.counted.freed),
    Field(_HEAP + "released:bytes", BYTES, "heapStats.released", _delta("released"), "HeapReleased"),
    Field(_HEAP + "stacks:bytes", BYTES, "heapStats.inStacks", _delta("inStacks"), "StackInuse"),
    Field(
        _HEAP + "unused:bytes",
        BYTES,
        "heapStats.inHeap - objects",
        lambda s: s.counted.delta["inHeap"] - s.counted.allocated + s.counted.freed,
    ),
    Field(
        _META + "mcache/free:bytes", BYTES, "mcache_sys - cachealloc.inuse", _spare("mcache"), "MCacheFree"
    ),
    Field(
        _META + "mcache/inuse:bytes",
        BYTES,
        "mheap_.cachealloc.inuse",
        lambda s: s.heap.number("cachealloc.inuse"),
        "MCacheInuse",
    ),
    Field(_META + "mspan/free:bytes", BYTES, "mspan_sys - spanalloc.inuse", _spare("mspan"), "MSpanFree"),
    Field(
        _META + "mspan/inuse:bytes",
        BYTES,
        "mheap_.spanalloc.inuse",
        lambda s: s.heap.number("spanalloc.inuse"),
        "MSpanInuse",
    ),
    Field(
        _META + "other:bytes",
        BYTES,
        "memstats.gcMiscSys + heapStats.inWorkBufs",
        lambda s: s.memstats.number("gcMiscSys") + s.counted.not_heap,
        "GCSys",
    ),
    Field("/memory/classes/os-stacks:bytes", BYTES, "memstats.stacks_sys", _stat("stacks_sys")),
    Field("/memory/classes/other:bytes", BYTES, "memstats.other_sys", _stat("other_sys")),
    Field(
        "/memory/classes/profiling/buckets:bytes",
        BYTES,
        "memstats.buckhash_sys",
        _stat("buckhash_sys"),
        "BuckHashSys",
    ),
    Field("/memory/classes/total:bytes", BYTES, "the sum of the classes", _total, "Sys"),
    Field(
        "/sched/gomaxprocs:threads",
        COUNT,
        "runtime.gomaxprocs",
        lambda s: s.runtime.global_number("runtime.gomaxprocs", 4),
    ),
    Field(
        "/sched/goroutines:goroutines",
        COUNT,
        "allglen less free and the runtime's own",
        lambda s: goroutine_count(s, counts_system(s)),
        "goroutines",
    ),
)

_GO_1_26: Tuple[Field, ...] = (
    Field("/sched/goroutines-created:goroutines", COUNT, "sched and Ps: goroutinesCreated", _created),
    Field("/sched/threads/total:threads", COUNT, "sched.mnext - nmfreed - extra Ms", _threads),
)


def metrics(sources: Sources) -> List[Field]:
    """The metrics that this version of Go has, by name."""
    found = [*_ALWAYS, *(_GO_1_26 if counts_system(sources) else ())]
    return sorted(found, key=lambda field: field.name)


NAMES: Tuple[str, ...] = tuple(field.name for field in (*_ALWAYS, *_GO_1_26))
