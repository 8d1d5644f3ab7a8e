"""How much of its stack each goroutine uses, and which goroutine a thread runs."""

from __future__ import annotations

from typing import Dict, NamedTuple, Optional, Sequence

from addrspace_gdb.goruntime.proc import GSCAN, RUNNING, SYSCALL, Goroutines, M, Scheduler, is_live
from addrspace_gdb.target.protocol import OSThread


class StackUse(NamedTuple):
    """Totals over the live goroutines; `unknown` ones (sp outside the stack) are not in `used`."""

    goroutines: int
    allocated: int  # bytes of their stacks
    used: int  # hi - sp
    unknown: int
    largest: int  # bytes


def stack_use(goroutines: Goroutines, scheduler: Scheduler, threads: Sequence[OSThread]) -> StackUse:
    """Add up the stacks of live goroutines, with the registers of threads that run one."""
    running = running_sp(scheduler, threads)
    count = allocated = used = unknown = largest = 0
    dead = {status for status in set(goroutines.column("status")) if not is_live(status)}
    for address, lo, hi, sp, syscallsp, status in goroutines.rows(
        "address", "lo", "hi", "sp", "syscallsp", "status"
    ):
        if status in dead:
            continue
        count += 1
        size = hi - lo if hi > lo else 0
        allocated += size
        largest = max(largest, size)
        state = status & ~GSCAN
        if state == SYSCALL and syscallsp:
            sp = syscallsp
        elif state == RUNNING:
            sp = best_sp(running.get(address), sp, lo, hi)
        if lo < sp <= hi:
            used += hi - sp
        else:
            unknown += 1
    return StackUse(count, allocated, used, unknown, largest)


def stack_pointers(
    goroutines: Goroutines, scheduler: Scheduler, threads: Sequence[OSThread]
) -> Dict[int, int]:
    """Low end of the stack of each live goroutine to its sp; those whose sp is not on it are left out."""
    running = running_sp(scheduler, threads)
    dead = {status for status in set(goroutines.column("status")) if not is_live(status)}
    found: Dict[int, int] = {}
    for address, lo, hi, sp, syscallsp, status in goroutines.rows(
        "address", "lo", "hi", "sp", "syscallsp", "status"
    ):
        if status in dead:
            continue
        state = status & ~GSCAN
        if state == SYSCALL and syscallsp:
            sp = syscallsp
        elif state == RUNNING:
            sp = best_sp(running.get(address), sp, lo, hi)
        if lo < sp <= hi:
            found[lo] = sp
    return found


def best_sp(register: Optional[int], saved: int, lo: int, hi: int) -> int:
    """The thread's sp if it is on the goroutine's stack, else what was saved on leaving it for g0 or C."""
    return register if register is not None and lo < register <= hi else saved


def running_sp(scheduler: Scheduler, threads: Sequence[OSThread]) -> Dict[int, int]:
    """g address to the sp register of the thread that has it as its curg."""
    sps = {t.tid: t.sp for t in threads if t.sp is not None}
    return {m.curg: sps[m.procid] for m in scheduler.ms if m.curg and m.procid in sps}


class Selected(NamedTuple):
    """What a thread is doing: on which stack of which M, and for which goroutine (None: none)."""

    m: Optional[M]
    goid: Optional[int]
    stack: str  # "goroutine", "g0", "signal", "other"
    start_pc: int


def what_runs(thread: OSThread, goroutines: Goroutines, scheduler: Scheduler) -> Selected:
    """Which goroutine `thread` runs, and whether it is on that goroutine's own stack."""
    m = next((m for m in scheduler.ms if m.procid == thread.tid), None)
    if m is None or thread.sp is None:
        return Selected(m, None, "other", 0)
    goid: Optional[int] = None
    stack, start_pc = "other", 0
    if m.curg:
        for address, lo, hi, goroutine, start in goroutines.rows("address", "lo", "hi", "goid", "startpc"):
            if address == m.curg:
                goid, start_pc = goroutine, start
                stack = "goroutine" if lo < thread.sp <= hi else stack
                break
    if m.g0_stack[0] < thread.sp <= m.g0_stack[1]:
        stack = "g0"
    elif m.gsignal_stack[0] < thread.sp <= m.gsignal_stack[1]:
        stack = "signal"
    return Selected(m, goid, stack, start_pc)
