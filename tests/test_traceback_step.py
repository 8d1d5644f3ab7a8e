"""A thread is stepped one instruction at a time through calls, allocations, stack growth and the scheduler.

At every instruction its frames must lead to the goroutine's start: prologues, epilogues, leaf functions,
assembly and both sides of each stack switch. What each call pushed is the oracle, kept as a shadow stack.
"""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest
from symtab_programs import build, cases, running
from symtab_target import Stepper, words
from test_traceback_dump import G, Inspected

from addrspace_gdb.goruntime.traceback import Frame, Stack

STEPS = 12_000
EXPECTED = {"main.deep", "main.leaf", "main.small"}
EXPECTED |= {"runtime.gopanic", "runtime.newstack", "runtime.mallocgc", "runtime.sigtramp"}
# While these run, g.sched or sp is of the goroutine before a switch and the other already of the one after.
_BETWEEN = {"gogo", "runtime.gogo", "runtime.mcall", "runtime.systemstack", "runtime.morestack"}
_BETWEEN |= {"runtime.copystack", "runtime.recovery"}


@pytest.fixture(scope="module")
def binaries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("steps")


@pytest.fixture(params=cases())
def stopped(request: pytest.FixtureRequest, binaries: Path) -> Iterator[Inspected]:
    version, flavour = request.param
    with running(build("stepped", version, flavour, binaries), binaries) as program:
        process = Inspected(program)
        yield process
        process.close()


def start(process: Inspected) -> Tuple[Stepper, G]:
    """The thread that stopped the program, in package main again, and its goroutine."""
    g = next(g for g in process.gs if process.symtab.function_name(g.startpc) == "main.calling")
    tid = next(t.tid for t in process.threads if t.sp is not None and g.lo <= t.sp < g.hi)
    thread = Stepper(tid)
    for _ in range(1000):
        name = process.symtab.function_name(thread.registers()[0])
        if name and name.startswith("main."):
            return thread, g
        thread.step()
    raise AssertionError("the program does not come back from its system call")


def unwind(process: Inspected, m: int, pc: int, sp: int) -> List[Frame]:
    """The frames of whatever the thread of the M at `m` does; none while its goroutine's stack is changed."""
    curg = process.field("runtime.m", m, "curg")
    g = process.g(curg) if curg else None
    if g and g.hi < g.lo:
        return []
    if g and g.lo <= sp < g.hi:
        return process.unwinder.unwind(process.stack(g), pc, sp, trap=True)
    on_g0, on_signal = (process.g(process.field("runtime.m", m, name)) for name in ("g0", "gsignal"))
    top = (on_g0 if on_g0.lo <= sp < on_g0.hi else on_signal).hi
    stack = Stack(sp, process.target.read(sp, top - sp))
    if g and top == on_g0.hi:
        return process.across(g, stack, pc, sp)
    return process.unwinder.unwind(stack, pc, sp, trap=True, on_g0=True)


def test_frames_are_whole_at_every_instruction(stopped: Inspected) -> None:
    thread, g = start(stopped)
    m = g.m
    seen: Counter[str] = Counter()
    broken: Counter[str] = Counter()
    between = 0
    try:
        for number in range(4 * STEPS):
            if number > STEPS and set(seen) >= EXPECTED:
                break
            pc, sp, _ = thread.registers()
            frames = unwind(stopped, m, pc, sp)
            if not frames:
                thread.step()
                continue
            first, last = frames[0], frames[-1]
            seen[str(first.function)] += 1
            whole = last.problem is None and last.kind in ("goexit", "mstart", "rt0_go", "normal")
            scheduler = last.kind == "mcall" and len(frames) > 1
            if whole or scheduler:
                pass
            elif first.function in _BETWEEN:
                between += 1
            else:
                broken[f"{[f.function for f in frames]} {pc:#x} {sp:#x}: {last.problem}"] += 1
            thread.step()
    finally:
        thread.close()
    assert broken == Counter()
    assert between < 60
    assert set(seen) >= EXPECTED


def test_calls_and_returns_agree_with_a_shadow_stack(stopped: Inspected) -> None:
    """Whenever sp falls by a word and the word is the address behind the instruction, a call was made: the
    frames must be the old ones with the new function on top; a return must restore the frames before."""
    thread, g = start(stopped)
    calls = returns = 0
    try:
        pc, sp, _ = thread.registers()
        shadow: List[Tuple[int, List[int]]] = []
        for _ in range(STEPS):
            thread.step()
            now, new, _ = thread.registers()
            if not g.lo <= new < g.hi or not g.lo <= sp < g.hi:
                break
            old_pc, old_sp, pc, sp = pc, sp, now, new
            walk = stopped.unwinder.walk(stopped.stack(g), pc, sp, trap=True)
            top = words(stopped.target.read(sp, 8))[0]
            if sp == old_sp - 8 and 0 < top - old_pc <= 8 and not old_pc <= pc < old_pc + 8:
                calls += 1
                shadow.append((sp, walk.pcs[1:]))
                assert walk.pcs[1] == top
            elif shadow and sp == shadow[-1][0] + 8 and pc == shadow[-1][1][0]:
                returns += 1
                assert walk.pcs == shadow.pop()[1]
                continue
            while shadow and sp > shadow[-1][0]:  # recovery and the like
                shadow.pop()
            if shadow and sp <= shadow[-1][0]:
                assert walk.pcs[1:] == shadow[-1][1], [stopped.symtab.function_name(pc) for pc in walk.pcs]
    finally:
        thread.close()
    assert calls > 20 and returns > 20


def test_a_signal_handler_shows_what_it_interrupted(stopped: Inspected) -> None:
    thread, g = start(stopped)
    try:
        before = thread.registers()
        thread.step(signal.SIGURG)
        gsignal = stopped.g(stopped.field("runtime.m", g.m, "gsignal"))
        for _ in range(400):
            pc, sp, _ = thread.registers()
            if not gsignal.lo <= sp < gsignal.hi:
                break
            stack = Stack(sp, stopped.target.read(sp, gsignal.hi - sp))
            walk = stopped.unwinder.walk(stack, pc, sp, trap=True, on_g0=True)
            assert walk.problem is None
            found = stopped.unwinder.interrupted(stack, walk)
            assert found is not None and (found.pc, found.sp, found.bp) == before
            thread.step()
        else:
            pc, sp, _ = thread.registers()
    finally:
        thread.close()
