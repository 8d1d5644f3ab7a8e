"""How much of its stack each goroutine uses, and which goroutine a thread runs."""

from __future__ import annotations

from array import array
from collections import Counter
from itertools import compress
from operator import and_, le, lt, not_, sub
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from addrspace_gdb.common import lanes
from addrspace_gdb.goruntime.columns import ones, pick
from addrspace_gdb.goruntime.proc import GSCAN, RUNNING, SYSCALL, Goroutines, M, Scheduler
from addrspace_gdb.target.protocol import Thread


class StackUse(NamedTuple):
    """Totals over the live goroutines; `unknown` ones (sp outside the stack) are not in `used`."""

    goroutines: int
    allocated: int  # bytes of their stacks
    used: int  # hi - sp
    unknown: int
    largest: int  # bytes


def stack_use(goroutines: Goroutines, running: Mapping[int, int]) -> StackUse:
    """Add up the stacks of live goroutines. `running` is what `running_sp` says."""
    los, his, sps = map(lanes.wide, _stacks(goroutines, running))
    dead = goroutines.dead.count(1)
    if dead:  # as stacks of one byte, all used: leaving them out costs more
        los, his = los[:], his[:]
        for at in ones(goroutines.dead):
            los[at], his[at], sps[at] = 0, 1, 1
    sizes = _sizes(his, los)
    sizes[1] -= dead
    allocated = sum(size * count for size, count in sizes.items() if size > 0)
    largest = max(0, max((size for size, count in sizes.items() if count), default=0))
    used = lanes.differences(his, sps)
    deep = lanes.differences(sps, los)
    if used is not None and deep is not None and all(deep):
        return StackUse(len(los) - dead, allocated, sum(used), 0, largest)
    known = bytes(map(and_, map(lt, los, sps), map(le, sps, his)))
    his, sps = (array("Q", compress(column, known)) for column in (his, sps))
    return StackUse(len(los) - dead, allocated, sum(his) - sum(sps), known.count(0), largest)


def _sizes(his: array[int], los: array[int]) -> Counter[int]:
    """How many stacks have each size."""
    sizes = lanes.differences(his, los)
    codes = lanes.exponents(sizes) if sizes is not None else None
    if codes is None:
        return Counter(map(sub, his, los))
    return Counter({1 << code >> 1: codes.count(code) for code in set(codes)})


def ascending_sps(goroutines: Goroutines, running: Mapping[int, int]) -> array[int]:
    """Where the sp of each live goroutine is, ascending."""
    sps = _stacks(goroutines, running)[2]
    return array("Q", sorted(compress(sps, goroutines.dead.translate(_NOT)) if 1 in goroutines.dead else sps))


_NOT = bytes([1, 0]) + bytes(254)


def live_stacks(
    goroutines: Goroutines, running: Mapping[int, int]
) -> Tuple[array[int], array[int], array[int]]:
    """Low and high end of the stack of each live goroutine, and where its sp is, be that on it or not; in
    the order of the low ends."""
    los, his, sps = _stacks(goroutines, running)
    order = goroutines.by_stack
    if 1 in goroutines.dead:
        alive = map(not_, pick(goroutines.dead, order))
        order = array("I", compress(order, alive))
    low, high, used = (array("Q", pick(column, order)) for column in (los, his, sps))
    return low, high, used


def _stacks(goroutines: Goroutines, running: Mapping[int, int]) -> Tuple[array[int], array[int], array[int]]:
    """The bounds of all stacks and where each sp is, by position."""
    columns = goroutines.columns
    statuses, los, his, sps = columns["status"], columns["lo"], columns["hi"], columns["sp"][:]
    for at in compress(range(len(statuses)), columns["syscallsp"]):
        if statuses[at] & ~GSCAN == SYSCALL:
            sps[at] = columns["syscallsp"][at]
    for address, sp in running.items():
        found = goroutines.position(address)
        if found is not None and statuses[found] & ~GSCAN in (RUNNING, SYSCALL):
            sps[found] = best_sp(sp, sps[found], los[found], his[found])
    return los, his, sps


def best_sp(register: Optional[int], saved: int, lo: int, hi: int) -> int:
    """The thread's sp if it is on the goroutine's stack, else what was saved on leaving it for g0 or C."""
    return register if register is not None and lo < register <= hi else saved


def running_sp(
    scheduler: Scheduler, threads: List[Thread], before_signal: Callable[[M, Thread], Optional[int]]
) -> Dict[int, int]:
    """g address to the sp register of the thread that has it as its curg; of one that handles a signal, what
    `before_signal` says it was when that came."""
    by_tid = {thread.tid: thread for thread in threads}
    found: Dict[int, int] = {}
    for m in scheduler.ms:
        thread = by_tid.get(m.procid) if m.curg else None
        sp = thread.sp if thread is not None else None
        if thread is None or sp is None:
            continue
        (low, top) = m.gsignal_stack
        found[m.curg] = (before_signal(m, thread) or sp) if low < sp <= top else sp
    return found


class Selected(NamedTuple):
    """What a thread is doing: on which stack of which M, and for which goroutine (None: none)."""

    m: Optional[M]
    goid: Optional[int]
    stack: str  # "goroutine", "g0", "signal", "other"
    start_pc: int


def what_runs(thread: Thread, goroutines: Goroutines, scheduler: Scheduler) -> Selected:
    """Which goroutine `thread` runs, and whether it is on that goroutine's own stack."""
    m = next((m for m in scheduler.ms if m.procid == thread.tid), None)
    if m is None or thread.sp is None:
        return Selected(m, None, "other", 0)
    goid: Optional[int] = None
    stack, start_pc = "other", 0
    if m.curg:
        at = goroutines.position(m.curg)
        if at is not None:
            lo, hi, goid, start_pc = (goroutines.column(name)[at] for name in ("lo", "hi", "goid", "startpc"))
            stack = "goroutine" if lo < thread.sp <= hi else stack
    if m.g0_stack[0] < thread.sp <= m.g0_stack[1]:
        stack = "g0"
    elif m.gsignal_stack[0] < thread.sp <= m.gsignal_stack[1]:
        stack = "signal"
    return Selected(m, goid, stack, start_pc)
