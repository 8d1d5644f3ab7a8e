"""Walks the stacks of goroutines: one, or all of them in bulk."""

from __future__ import annotations

from typing import FrozenSet, NamedTuple, Optional

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime import funcid
from addrspace_gdb.goruntime.proc import GSCAN, MAX_STACK, RUNNING, is_live, status_word
from addrspace_gdb.goruntime.traceback import Registers, Saved, Stack, Walk
from addrspace_gdb.goruntime.waitreason import state_text, wait_reason
from addrspace_gdb.space.goroutines.chosen import GoroutineState
from addrspace_gdb.space.reading.signals import before_signals
from addrspace_gdb.space.reading.walkable import Live, Walkable, runs

CALLS_C = "runtime.cgocall"  # where a goroutine stands whose thread runs C code for it


class Start(NamedTuple):
    """Where a goroutine stands on its own stack, or why that is not known."""

    pc: int
    sp: int
    trap: bool = False  # a thread's registers
    in_syscall: bool = False
    problem: Optional[str] = None
    link: Optional[int] = None  # the link register, where there is one and it counts
    bp: int = 0  # the frame pointer that it saved; 0: not known


def start_of(reading: Walkable, at: int) -> Start:
    """Where the goroutine at position `at` stands: its thread's registers if they are on its stack, else
    what it saved when it entered a system call, C or the system stack, or when it parked. Of a goroutine in
    a system call Go's own traceback uses what it saved even so, and leaves out what it called since.

    The rules are those of traceback1 and tracebackothers in src/runtime/traceback.go.
    """
    columns = reading.goroutines.columns
    pc, sp = columns["pc"][at], columns["sp"][at]
    lo, hi = columns["lo"][at], columns["hi"][at]
    status = columns["status"][at]
    live = reading.live.get(at)
    if not is_live(status):
        return Start(pc, sp, problem="dead")
    if live is not None and live.on == "goroutine" and live.thread is not None:
        thread = live.thread
        return _interrupted(reading, at, Registers(thread.pc or 0, thread.sp or 0, 0, thread.link))
    before = _before_signal(reading, live) if live is not None and live.on == "signal" else None
    if before is not None and lo < before.sp <= hi:
        return _interrupted(reading, at, before)
    called = _into_vdso(reading, live) if live is not None and live.on in ("g0", "signal") else None
    if called is not None and lo < called.sp <= hi:
        return Start(called.pc, called.sp, in_syscall=True)
    if columns["syscallsp"][at]:
        pc, sp = columns["syscallpc"][at], columns["syscallsp"][at]
        found = Start(pc, sp, in_syscall=True, bp=_syscall_bp(reading, pc, sp))
    elif status & ~GSCAN == RUNNING and (live is None or live.thread is None or not live.on):
        found = Start(pc, sp, problem="its thread's registers are not known")
    else:
        found = Start(pc, sp, link=columns["lr"][at] or None, bp=columns["bp"][at])
    if found.problem:
        return found
    if not 0 < lo < hi or hi - lo > MAX_STACK:
        lo, hi = reading.goroutines.misplaced.get(at, (lo, hi))
        return found._replace(problem="it has no stack" if lo == hi else f"bad stack bounds {lo:#x}-{hi:#x}")
    if not lo < found.sp <= hi:
        return found._replace(problem=f"sp {found.sp:#x} is outside its stack")
    return found


def _interrupted(reading: Walkable, at: int, here: Registers) -> Start:
    """Where registers on its own stack say; in gogo, which is on the way to g.sched, there."""
    func = reading.tables.find(here.pc)
    saved = reading.goroutines.columns["pc"][at]
    if func is None or func.name not in funcid.GOGO or not saved:
        return Start(here.pc, here.sp, trap=True, link=here.lr)
    return Start(saved, here.sp, link=reading.goroutines.columns["lr"][at] or here.lr)


def _into_vdso(reading: Walkable, live: Live) -> Optional[Registers]:
    """Where its thread called the vDSO (m.vdsoSP), from the goroutine's stack or g0's; None if it did not."""
    try:
        m = reading.runtime.record("runtime.m", live.m.address)
    except UnreadableError:
        return None
    if not m.has("vdsoSP") or not m.number("vdsoSP"):
        return None
    return Registers(m.number("vdsoPC"), m.number("vdsoSP"), 0)


def _syscall_bp(reading: Walkable, pc: int, sp: int) -> int:
    """The frame pointer of who entered a system call: what the prologue made it, the slot below the return
    address. Go 1.23 added g.syscallbp."""
    tables = reading.tables
    if tables.arch == "arm64":
        return sp - tables.pointer_size  # where frames begin, less a word
    delta = tables.sp_delta(pc) if tables.arch == "amd64" else None
    return sp + delta - tables.pointer_size if delta else 0


def state_of(reading: Walkable, at: int) -> GoroutineState:
    """What the goroutine at that position does."""
    status, number = reading.goroutines.column("status")[at], reading.goroutines.column("waitreason")[at]
    bubble = reading.bubbles.get(at)
    text = state_text(reading.reasons, status, number, bubble is not None and bubble.durable)
    return GoroutineState(status_word(status), wait_reason(reading.reasons, status, number), text)


def functions_of(reading: Walkable, at: int) -> FrozenSet[str]:
    """The linker's names of all functions on its stack, inlined ones too; empty if it cannot be walked."""
    frames = reading.unwinder.frames(walk(reading, at))
    return frozenset(frame.function for frame in frames if frame.function)


def walk(reading: Walkable, at: int, limit: int = 1_000_000) -> Walk:
    """The physical frames of one goroutine. Never raises; `Walk.problem` says what is wrong."""
    start = start_of(reading, at)
    if start.problem:
        return Walk([], [], start.problem, False)
    live = reading.live.get(at)
    try:
        switched = live is not None and live.on in ("g0", "signal") and not start.trap
        if live is not None and switched and not start.in_syscall and runs(reading, at):
            return _across(reading, live, at, start, limit)
        stack = _bytes(reading, start.sp, reading.goroutines.column("hi")[at])
    except UnreadableError:
        return Walk([], [], "its stack cannot be read", False)
    return walk_on(reading, start, stack, limit)


def walk_saved(reading: Walkable, at: int) -> Walk:
    """As `walk`, of a goroutine in a system call from where it entered that: as Go's profile has it."""
    columns = reading.goroutines.columns
    pc, sp, hi = columns["syscallpc"][at], columns["syscallsp"][at], columns["hi"][at]
    if not columns["lo"][at] < sp <= hi <= columns["lo"][at] + MAX_STACK:
        return Walk([], [], f"sp {sp:#x} is outside its stack", False)
    try:
        return walk_on(reading, Start(pc, sp, in_syscall=True), _bytes(reading, sp, hi))
    except UnreadableError:
        return Walk([], [], "its stack cannot be read", False)


def walk_on(reading: Walkable, start: Start, stack: Stack, limit: int = 1_000_000) -> Walk:
    """As `walk`, with the bytes of the stack at hand."""
    return reading.unwinder.walk(
        stack,
        start.pc,
        start.sp,
        lr=start.link,
        trap=start.trap,
        in_syscall=start.in_syscall,
        limit=limit,
    )


def _bytes(reading: Walkable, start: int, end: int) -> Stack:
    return Stack(start, reading.runtime.target.read(start, end - start))


def _across(reading: Walkable, live: Live, at: int, start: Start, limit: int) -> Walk:
    """From a thread on its M's g0 stack, or interrupted there by a signal, through to the goroutine's."""
    hi = reading.goroutines.column("hi")[at]
    saved = Saved(_bytes(reading, start.sp, hi), start.pc, start.sp, start.link or 0)
    thread, (low, top) = live.thread, live.m.g0_stack
    assert thread is not None and thread.sp is not None and thread.pc is not None
    here = Registers(thread.pc, thread.sp, 0, thread.link)
    if live.on == "signal":
        before = _before_signal(reading, live)
        if before is None or not low < before.sp <= top:
            return walk_on(reading, start, saved.stack, limit)
        here = before
    called = _into_vdso(reading, live)
    in_vdso = called is not None and low < called.sp <= top
    if called is not None and in_vdso:
        here = called
    stack = _bytes(reading, here.sp, top)
    return reading.unwinder.walk(
        stack,
        here.pc,
        here.sp,
        bp=here.bp or None,
        lr=here.lr,
        trap=not in_vdso,
        in_syscall=in_vdso,
        saved=saved,
        limit=limit,
    )


def _before_signal(reading: Walkable, live: Live) -> Optional[Registers]:
    """The registers that the first of the signals interrupted whose handlers the thread is in; None if that
    is not known."""
    if live.thread is None:
        return None
    return before_signals(reading.unwinder, reading.runtime.target, live.thread, live.m.gsignal_stack[1])


def is_plain(status: int) -> bool:
    """Whether a goroutine in that state is where g.sched says."""
    return is_live(status) and status & ~GSCAN != RUNNING
