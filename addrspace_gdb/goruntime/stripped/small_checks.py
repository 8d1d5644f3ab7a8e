"""What the runtime's smaller variables must look like, each for itself: the simple checks of `Shapes`.

As there, True says that the variable lies there, None that nothing speaks for or against it.
"""

from __future__ import annotations

from typing import Iterator, Optional, Tuple

from addrspace_gdb.goruntime.record import Record, Runtime

_CPU_OF_P = 10**9  # nanoseconds: capacityPerProc, src/runtime/mgclimit.go
_FEWEST_ITABS = 512  # itabInitSize, src/runtime/iface.go
_DRAINED = 1 << 31  # sweepDrainedMask, src/runtime/mgcsweep.go
_CLASSES, _ALL_CLASSES = 272, 0xFFFFFFFF  # numSweepClasses: twice numSpanClasses; sweepClassDone
_NEVER = (1 << 64) - 1
_MAX_GOAL = 1 << 46  # bytes: no goal is larger
_BLOCKS = 4  # blocks of finalizers that are looked at
_MAX_WORKERS = 1 << 16
_MAX_WAITERS, _ROOTS = 1 << 28, 16  # goroutines; roots that are looked at
_CRASH_STACK = 16384  # bytes: schedinit, src/runtime/proc.go
_BACKLOG = 512  # bytes of printBacklog, src/runtime/print.go
MEMORY_PROFILE, BLOCK_PROFILE, MUTEX_PROFILE = 1, 2, 3  # bucketType, src/runtime/mprof.go

# Small numbers, and the largest that each can be.
MAX_VALUES = {
    "bubbleGen": 1 << 40,
    "extraMCount": 1 << 20,
    "extraMInUse": 1 << 20,
    "extraMLength": 1 << 20,
    "fingRunning": 1,
    "fingStatus": 31,
    "gcBgMarkWorkerCount": 1 << 16,
    "gcphase": 2,
    "iscgo": 1,
    "MemProfileRate": 1 << 40,
    "mProfCycle": 3 << 27,  # mProfCycleWrap, and a bit
    "panicking": 1 << 20,
    "printBacklogIndex": _BACKLOG - 1,
}


def limiter(record: Record) -> Optional[bool]:
    """gcCPULimiter: it holds a second of each P, whose number it is told first, and what fills it is cut last
    (resetCapacity, src/runtime/mgclimit.go)."""
    fill, capacity = record.number("bucket.fill"), record.number("bucket.capacity")
    if capacity % _CPU_OF_P or not 0 < capacity <= _MAX_WORKERS * _CPU_OF_P:
        return False
    return True if fill <= capacity == record.number("nprocs") * _CPU_OF_P else None


def crash_stack(record: Record) -> bool:
    """gcrash, by the size of its stack."""
    return record.number("stack.hi") - record.number("stack.lo") == _CRASH_STACK


def debug(record: Record) -> Optional[bool]:
    """invalidptr, cgocheck and madvdontneed are 1 unless GODEBUG says otherwise."""
    usual = [record.number(name) for name in ("invalidptr", "cgocheck", "madvdontneed")]
    return True if usual == [1, 1, 1] else None if all(0 <= value <= 2 for value in usual) else False


def ticks(record: Record) -> Optional[bool]:
    """A clock of a megahertz at least; 0 until somebody asks for it."""
    value = record.number("val")
    return None if not value else 10**6 <= value <= 10**11


def sweep(record: Record) -> bool:
    """Few sweepers, and a span class that exists, or none that is left."""
    sweepers, classes = record.number("active.state") & ~_DRAINED, record.number("centralIndex")
    return sweepers <= 1 << 20 and (classes <= _CLASSES or classes == _ALL_CLASSES)


def scavenge(record: Record) -> bool:
    """The goals are off, or sizes; one is rounded to pages (gcPaceScavenger, src/runtime/mgcscavenge.go)."""
    by_heap, by_limit = record.number("gcPercentGoal"), record.number("memoryLimitGoal")
    whole = by_heap == _NEVER or (by_heap % 4096 == 0 and by_heap < _MAX_GOAL)
    return whole and (by_limit == _NEVER or by_limit < _MAX_GOAL)


def idle_reasons(record: Record) -> bool:
    """isIdleInSynctest: a bool for each reason to wait, the first of which is none."""
    return record.data[0] == 0 and set(record.data) == {0, 1}


def backlog(record: Record) -> Optional[bool]:
    """printBacklog, a ring of text: until it is full, all behind the text is 0."""
    text = bytes(record.data).rstrip(b"\0")
    return False if 0 in text else True if len(text) > record.runtime.word else None


def itabs(runtime: Runtime, table: int) -> bool:
    """itabTableType: room for a power of two, no more than three quarters of it used."""
    room, used = runtime.word_at(table), runtime.word_at(table + runtime.word)
    return room >= _FEWEST_ITABS and room & room - 1 == 0 and used <= room * 3 // 4 + 1


def is_bucket(runtime: Runtime, address: int, type_: int) -> bool:
    """Whether the profiler's bucket at `address` is of that bucketType."""
    return runtime.record("runtime.bucket", address).number("typ") == type_


def is_block_of_finalizers(runtime: Runtime, address: int) -> bool:
    """finBlock: no more entries than it has room for; and the next block, if there is one, is one too."""
    return all(0 <= count <= room for count, room in _filled(runtime, address))


def _filled(runtime: Runtime, address: int) -> Iterator[Tuple[int, int]]:
    """How many entries each of the first blocks has, and has room for."""
    layout = runtime.target.type("runtime.finBlock") or runtime.layout("runtime.finblock")
    for _ in range(_BLOCKS):
        block = Record(runtime, layout, address)
        yield block.number("cnt"), layout.locate("fin").type.count
        address = block.number("alllink")
        if not address:
            return


def cleanups(runtime: Runtime, queue: Record) -> Optional[bool]:
    """cleanupQueue: no more goroutines run or sleep than there are, and its first block is one."""
    first, workers = queue.number("all"), queue.number("ng")
    if max(queue.number("asleep"), queue.number("running")) > workers + _BLOCKS or workers > _MAX_WORKERS:
        return False
    if not first:
        return None
    layout = runtime.layout("runtime.cleanupBlock")
    count = Record(runtime, layout, first).number("cleanupBlockHeader.n", "n")
    return bool(workers) and count <= layout.locate("cleanups").type.count


def semaphores(runtime: Runtime, table: Record) -> Optional[bool]:
    """semtable: a root's tree begins with a sudog that waits for an address whose hash is the root's number
    (semTable.rootFor, src/runtime/sema.go); counts of waiters are small. While a tree is turned the first has
    a parent."""
    roots = [element.sub("root") for element in table.elements("")]
    waited = [(number, root.number("treap")) for number, root in enumerate(roots) if root.number("treap")]
    if any(root.number("nwait") > _MAX_WAITERS for root in roots):
        return False
    for number, first in waited[:_ROOTS]:
        sudog = runtime.record("runtime.sudog", first)
        waits_for = sudog.number("elem.vu", "elem")  # since Go 1.26 two words
        if (waits_for >> 3) % len(roots) != number:
            return False
    return True if waited else None
