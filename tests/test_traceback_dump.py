"""Every frame of every goroutine against Go's own dump of the same process (runtime.Stack(buf, true))."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

import pytest
from symtab_programs import (
    PLUGIN,
    DumpFrame,
    DumpGoroutine,
    Running,
    build,
    cases,
    minor,
    parse_dump,
    running,
    versions,
)
from symtab_target import ProcessTarget, words

from addrspace_gdb.common.problems import Problems
from addrspace_gdb.goruntime.funcid import FING_RUNNING
from addrspace_gdb.goruntime.symtab import Symtab, load, modules
from addrspace_gdb.goruntime.traceback import Frame, Saved, Stack, Unwinder

# src/runtime/runtime2.go: goroutine states
_RUNNING, _SYSCALL, _DEAD = 2, 3, 6


class G(NamedTuple):
    """The fields of a runtime.g that the tests need."""

    address: int
    goid: int
    status: int
    lo: int
    hi: int
    pc: int
    sp: int
    syscallpc: int
    syscallsp: int
    startpc: int
    gopc: int
    parent: Optional[int]
    cleanups: bool
    m: int


class Inspected:
    """A stopped program, read with the code under test."""

    def __init__(self, program: Running) -> None:
        self.program = program
        self.target = ProcessTarget(program.pid, program.executable)
        self.problems = Problems()
        self.symtab: Symtab = load(self.target, self.problems)
        self.unwinder = Unwinder(self.symtab)
        self.threads = self.target.threads()
        self.gs = [self.g(address) for address in self._allgs()]
        self.dump = parse_dump(program.dump)

    def _word(self, address: int) -> int:
        return words(self.target.read(address, 8))[0]

    def _allgs(self) -> Tuple[int, ...]:
        symbol = self.target.symbol("runtime.allgs")
        assert symbol
        address, count, _ = words(self.target.read(symbol.address, 24))
        return words(self.target.read(address, 8 * count))

    def field(self, layout: str, address: int, path: str) -> int:
        """A scalar of the struct `layout` at `address`."""
        found = self.target.type(layout)
        assert found
        place = found.scalar(path)
        return int.from_bytes(self.target.read(address + place.offset, place.size), "little")

    def g(self, address: int) -> G:
        """Decode the g at `address`."""
        layout = self.target.type("runtime.g")
        assert layout
        raw = self.target.read(address, layout.size)

        def get(path: str) -> int:
            place = layout.scalar(path)
            return int.from_bytes(raw[place.offset : place.offset + place.size], "little")

        return G(
            address,
            get("goid"),
            get("atomicstatus") & ~0x1000,
            get("stack.lo"),
            get("stack.hi"),
            get("sched.pc"),
            get("sched.sp"),
            get("syscallpc"),
            get("syscallsp"),
            get("startpc"),
            get("gopc"),
            get("parentGoid") if layout.has("parentGoid") else None,
            bool(get("runningCleanups")) if layout.has("runningCleanups") else False,
            get("m"),
        )

    def stack(self, g: G) -> Stack:
        return Stack(g.lo, self.target.read(g.lo, g.hi - g.lo))

    def frames(self, g: G) -> List[Frame]:
        """Unwind `g` from where Go would start."""
        if g.syscallsp:
            return self.unwinder.unwind(self.stack(g), g.syscallpc, g.syscallsp, in_syscall=True)
        if g.status != _RUNNING:
            return self.unwinder.unwind(self.stack(g), g.pc, g.sp)
        for thread in self.threads:
            assert thread.pc is not None and thread.sp is not None
            if g.lo <= thread.sp < g.hi:
                return self.unwinder.unwind(self.stack(g), thread.pc, thread.sp, trap=True)
        return self.on_g0(g)

    def on_g0(self, g: G) -> List[Frame]:
        """Unwind a running `g` whose thread is on g0's or the signal stack, through to `g`'s own."""
        for name in ("gsignal", "g0"):
            other = self.g(self.field("runtime.m", g.m, name))
            for thread in self.threads:
                assert thread.pc is not None and thread.sp is not None
                if other.lo <= thread.sp < other.hi:
                    stack = Stack(thread.sp, self.target.read(thread.sp, other.hi - thread.sp))
                    return self.across(g, stack, thread.pc, thread.sp)
        raise AssertionError(f"no thread runs goroutine {g.goid}")

    def across(self, g: G, stack: Stack, pc: int, sp: int) -> List[Frame]:
        """Unwind from registers on another stack than `g`'s own."""
        saved = Saved(self.stack(g), g.pc, g.sp)
        walk = self.unwinder.walk(stack, pc, sp, trap=True, saved=saved)
        before = self.unwinder.interrupted(stack, walk)
        if before and g.lo <= before.sp < g.hi:
            return self.unwinder.unwind(self.stack(g), before.pc, before.sp, trap=True)
        if before:
            g0 = self.g(self.field("runtime.m", g.m, "g0"))
            stack = Stack(before.sp, self.target.read(before.sp, g0.hi - before.sp))
            return self.unwinder.unwind(stack, before.pc, before.sp, trap=True, saved=saved)
        return self.unwinder.frames(walk)

    def is_system(self, g: G) -> bool:
        symbol = self.target.symbol("runtime.fingStatus")
        assert symbol
        status = int.from_bytes(self.target.read(symbol.address, 4), "little")
        return self.symtab.is_system_goroutine(g.startpc, bool(status & FING_RUNNING), g.cleanups)

    def close(self) -> None:
        self.target.close()


@pytest.fixture(scope="module")
def binaries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tracebacks")


@pytest.fixture(scope="module", params=cases())
def inspected(request: pytest.FixtureRequest, binaries: Path) -> Iterator[Inspected]:
    version, flavour = request.param
    with running(build("parked", version, flavour, binaries), binaries) as program:
        process = Inspected(program)
        yield process
        process.close()


@pytest.fixture(scope="module", params=cases())
def verbose(request: pytest.FixtureRequest, binaries: Path) -> Iterator[Inspected]:
    """The same program with GOTRACEBACK=system: Go prints every frame with its fp, sp and pc."""
    version, flavour = request.param
    with running(build("parked", version, flavour, binaries), binaries, "system") as program:
        process = Inspected(program)
        yield process
        process.close()


def as_dump(frame: Frame, registers: bool) -> DumpFrame:
    """A frame in the form the dump's parser gives."""
    assert frame.name is not None and frame.entry is not None
    if frame.inlined:
        return DumpFrame(frame.name, frame.file, frame.line, None, None, None, None)
    exact = (frame.cfa, frame.sp, frame.pc) if registers else (None, None, None)
    return DumpFrame(frame.name, frame.file, frame.line, frame.pc - frame.entry, *exact)


def elide(frames: List[DumpFrame], dumped: DumpGoroutine) -> List[DumpFrame]:
    """Leave out what the dump leaves out."""
    if dumped.elided:
        assert len(frames) == len(dumped.frames) + dumped.elided
        return frames[: dumped.head] + frames[dumped.head + dumped.elided :]
    return frames


def position(frames: List[DumpFrame]) -> List[DumpFrame]:
    """The frames of package main, by name only."""
    return [
        DumpFrame(frame.name, frame.file, 0, None, None, None, None)
        for frame in frames
        if "main." in frame.name
    ]


def compare(process: Inspected, level: int) -> Dict[int, str]:
    """Goroutines whose frames or creator differ from the dump, with what differs. Main ran: left out."""
    wrong: Dict[int, str] = {}
    for g in process.gs:
        if g.goid not in process.dump or g.goid == 1:
            continue
        dumped = process.dump[g.goid]
        frames = process.frames(g)
        mine = elide([as_dump(f, level > 1) for f in process.unwinder.printed(frames, level)], dumped)
        theirs = dumped.frames
        if any(frame.name == "main.spin" for frame in theirs):  # it goes on: only the user's frame stays
            mine, theirs = position(mine), position(theirs)
        if mine != theirs:
            wrong[g.goid] = f"\n{mine}\n{theirs}\n{frames[-1].problem}"
        if frames[-1].problem:
            wrong[g.goid] = frames[-1].problem
        made = process.unwinder.creator(g.gopc, g.parent or 0)
        created = (made.name, made.goid or None, made.file, made.line) if made and made.shown else None
        if level > 1 and made:
            created = (made.name, made.goid or None, made.file, made.line)
        if created != dumped.creator:
            wrong[g.goid] = f"created by {created}, dump {dumped.creator}"
    return wrong


def test_every_printed_frame_is_gos_own(inspected: Inspected) -> None:
    assert len(inspected.dump) > 40
    assert compare(inspected, 1) == {}
    assert not list(inspected.problems)


def test_every_frame_with_its_registers_is_gos_own(verbose: Inspected) -> None:
    names = {frame.name for dumped in verbose.dump.values() for frame in dumped.frames}
    assert {"runtime.goexit", "runtime.gopark", "panic", "runtime.sigpanic", "runtime.forcegchelper"} <= names
    assert compare(verbose, 2) == {}


def test_system_goroutines_are_those_the_dump_hides(inspected: Inspected) -> None:
    alive = [g for g in inspected.gs if g.status not in (0, _DEAD) and g.startpc]
    users = {g.goid for g in alive if not inspected.is_system(g)}
    names = {g.goid: inspected.symtab.function_name(g.startpc) for g in alive}
    users -= {goid for goid, name in names.items() if name == "main.onSystemStack"}  # started after the dump
    assert users == set(inspected.dump)
    assert any(name and name.startswith("runtime.") for name in names.values())
    finalizer = [goid for goid, name in names.items() if name in ("runtime.runfinq", "runtime.runFinalizers")]
    assert finalizer and set(finalizer) <= set(inspected.dump)  # it runs a finalizer that blocks


def test_a_goroutine_on_the_system_stack_continues_on_its_own(inspected: Inspected) -> None:
    g = next(g for g in inspected.gs if inspected.symtab.function_name(g.startpc) == "main.onSystemStack")
    frames = inspected.frames(g)
    names = [frame.function for frame in frames if not frame.inlined and frame.kind != "wrapper"]
    assert frames[-1].problem is None
    assert names == [
        "main.onSystemStack.func1",
        "runtime.systemstack",
        "main.onSystemStack",
        "runtime.goexit",
    ]
    assert g.lo <= frames[-1].sp < g.hi


def test_idle_threads_unwind_to_the_scheduler(inspected: Inspected) -> None:
    """g0 stacks of every M: no stack has frames that cannot be explained."""
    seen = 0
    symbol = inspected.target.symbol("runtime.allm")
    assert symbol
    m = words(inspected.target.read(symbol.address, 8))[0]
    while m:
        g0 = inspected.g(inspected.field("runtime.m", m, "g0"))
        m = inspected.field("runtime.m", m, "alllink")
        for thread in inspected.threads:
            assert thread.sp is not None and thread.pc is not None
            if not g0.lo <= thread.sp < g0.hi:
                continue
            stack = Stack(thread.sp, inspected.target.read(thread.sp, g0.hi - thread.sp))
            frames = inspected.unwinder.unwind(stack, thread.pc, thread.sp, trap=True, on_g0=True)
            last = frames[-1]
            assert last.kind in ("mcall", "mstart", "morestack", "systemstack", "rt0_go"), [
                f.function for f in frames
            ]
            assert last.problem is None or "switches stacks" in last.problem
            seen += 1
    assert seen >= 2


@pytest.mark.parametrize("version", versions())
def test_callbacks_from_c(version: str, binaries: Path) -> None:
    with running(build("cgo", version, "plain", binaries, cgo=True), binaries) as program:
        process = Inspected(program)
        wrong = compare(process, 1)
        names = {frame.name for dumped in process.dump.values() for frame in dumped.frames}
        process.close()
    assert wrong == {}
    assert {"main.goCallback", "main._Cfunc_fromC", "main._Cfunc_waitInC"} <= names


@pytest.mark.parametrize("version", versions())
def test_a_plugin_is_a_module_of_its_own(version: str, binaries: Path) -> None:
    plugin = build("plugged", version, PLUGIN, binaries, cgo=True)
    host = build("host", version, "plain", binaries, cgo=True)
    with running(host, binaries, None, str(plugin)) as program:
        process = Inspected(program)
        found = modules(process.target, Problems())
        wrong = compare(process, 1)
        names = {frame.name for dumped in process.dump.values() for frame in dumped.frames}
        process.close()
    assert wrong == {}
    assert "plugged.(*pair[...]).call" in names
    assert [module.has_main for module in found] == [True, False]
    assert found[1].pluginpath == "plugged" and not found[1].bad
    assert found[1]["text"] != found[0]["text"]


def test_the_version_read_is_the_toolchains(inspected: Inspected) -> None:
    found = re.search(r"-(1\.\d+\.\d+)-", inspected.program.executable.name)
    assert found and inspected.symtab.minor == minor(found[1])
