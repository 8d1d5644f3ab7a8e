"""Every `Target` keeps one contract: of a process and of a core, in gdb and without; and the fakes do."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, Iterator, List, NamedTuple, Tuple

import pytest
from contract import Known, broken
from elftools.elf.elffile import ELFFile
from harness.build import Binary, Builder
from harness.debuggers import Gdb
from harness.gdbrun import Scene, run_gdb
from harness.held import state, stop, until
from harness.lldbs import Lldb, for_lldb, lldbs, run_lldb
from harness.processes import Process, Processes
from harness.scenes import attach, gcore, start
from harness.toolchains import Toolchain
from symtab_target import FakeTarget, ProcessTarget

from addrspace_gdb.debugger.direct.base import DirectTarget
from addrspace_gdb.debugger.direct.core_file import CoreTarget
from addrspace_gdb.debugger.direct.live import LiveTarget
from addrspace_gdb.goruntime.stripped.target import with_runtime
from addrspace_gdb.shell.hints import SHELL
from addrspace_gdb.target.protocol import Target

EVERY_GDB = True

SIDE = Path(__file__).with_name("contract_side.py")
LLDB_SIDE = Path(__file__).with_name("contract_lldb.py")


class Stopped(NamedTuple):
    """A program that stands still for all who look at it."""

    binary: Binary
    process: Process
    known: Known


@pytest.fixture(params=["plain", "pie", "cgo"])
def stopped(
    request: pytest.FixtureRequest,
    newest_go: Toolchain,
    build_program: Builder,
    processes: Processes,
    oracle_file: Path,
) -> Iterator[Stopped]:
    name = "cgo" if request.param == "cgo" else "sample"
    binary = build_program(name, newest_go, request.param)
    process = stop(start(processes, binary, oracle_file))
    yield Stopped(binary, process, known_of(process.pid, binary))
    until(process.pid, "T")
    assert state(process.pid) == ("T", "0")


def known_of(pid: int, binary: Binary) -> Known:
    mappings = mappings_of(pid)
    first = mappings_of(pid, str(binary.path))[0][0]
    with open(binary.path, "rb") as file:
        elf = ELFFile(file)
        loads = [s.header for s in elf.iter_segments() if s["p_type"] == "PT_LOAD"]
        bias = first - loads[0]["p_vaddr"]
        code = next(s for s in loads if s["p_flags"] & 1)
        table: Any = elf.get_section_by_name(".symtab")
        symbol = table.get_symbol_by_name("runtime.mheap_")[0]
        file.seek(0)
        return Known(
            kind="live",
            pid=pid,
            executable=str(binary.path),
            core_file=None,
            arch="amd64",
            pointer_size=8,
            mheap=symbol["st_value"] + bias,
            mheap_size=symbol["st_size"],
            entry=elf.header["e_entry"] + bias,
            page=os.sysconf("SC_PAGE_SIZE"),
            head=file.read(256).hex(),
            head_at=first,
            code=(code["p_vaddr"] + bias, code["p_vaddr"] + bias + code["p_filesz"]),
            mappings=mappings,
            tids=[int(name) for name in os.listdir(f"/proc/{pid}/task")],
            stand=[stand_of(pid, name) for name in os.listdir(f"/proc/{pid}/task")],
            evaluates=True,
            has_proc=True,
        )


def stand_of(pid: int, tid: str) -> Tuple[int, int, int]:
    """Where a thread stands that was stopped, once it does: the last two words (proc_pid_syscall(5))."""
    deadline = time.monotonic() + 30
    while len(words := Path(f"/proc/{pid}/task/{tid}/syscall").read_text().split()) < 3:  # "running"
        assert time.monotonic() < deadline, words
        time.sleep(0.01)
    return int(tid), int(words[-2], 16), int(words[-1], 16)


def mappings_of(pid: int, name: str = "") -> List[Tuple[int, int]]:
    """Where mappings of that name begin and end; all, without one."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    lines = [line for line in lines if line.endswith(name) and "[vsyscall]" not in line]
    starts_ends = (line.split()[0].split("-") for line in lines)
    return [(int(start, 16), int(end, 16)) for start, end in starts_ends]


def of_core(known: Known, core: Path) -> Known:
    return known._replace(kind="core", core_file=str(core), has_proc=False)


def in_gdb(gdb: Gdb, scene: Scene, known: Known, folder: Path) -> List[str]:
    given, out = folder / "known", folder / "out"
    given.write_text(json.dumps(known._asdict()))
    run = run_gdb(gdb, [f"source {SIDE}", f"target-contract {SIDE.parent} {given} {out}"], scene, load=True)
    assert out.exists(), run.stdout[-2000:] + run.stderr[-2000:]
    found: List[str] = json.loads(out.read_text())
    return found


def in_lldb(lldb: Lldb, enter: List[str], known: Known, folder: Path) -> List[str]:
    given, out = folder / "known", folder / "out-lldb"
    given.write_text(json.dumps(known._asdict()))
    ask = f"target-contract {LLDB_SIDE.parent} {given} {out}"
    run = run_lldb(lldb, [*enter, f"command script import {LLDB_SIDE}", ask])
    assert out.exists(), run.stdout[-2000:] + run.stderr[-2000:]
    found: List[str] = json.loads(out.read_text())
    return found


def test_a_process_in_lldb(stopped: Stopped, lldb_exe: Lldb, tmp_path: Path) -> None:
    enter = [f"process attach --pid {stopped.process.pid}"]
    assert in_lldb(lldb_exe, enter, stopped.known, tmp_path) == []
    stop(stopped.process)  # a detach of lldb's lets also that go on


def test_a_process(stopped: Stopped) -> None:
    target = LiveTarget(stopped.process.pid, None, SHELL)
    target.hold(10, lambda: "late")
    try:
        base: DirectTarget = target
        assert broken(base, stopped.known) == []
        assert broken(with_runtime(base), stopped.known) == []
    finally:
        target.release()


def test_a_process_in_gdb(stopped: Stopped, gdb_exe: Gdb, tmp_path: Path) -> None:
    assert in_gdb(gdb_exe, attach(stopped.process, stopped.binary), stopped.known, tmp_path) == []


def test_a_core(stopped: Stopped, gdb_exe: Gdb, tmp_path: Path) -> None:
    """Without a debugger, in gdb and in lldb."""
    core = tmp_path / "core"
    scene = gcore(gdb_exe, attach(stopped.process, stopped.binary), core)
    for_lldb(core)
    known = of_core(stopped.known, core)
    target = CoreTarget(str(core), str(stopped.binary.path), "", None, SHELL)
    assert broken(target, known) == []
    assert broken(with_runtime(target), known) == []
    assert in_gdb(gdb_exe, scene, known, tmp_path) == []
    for lldb in lldbs():
        enter = [f"target create --core {core} {stopped.binary.path}"]
        assert in_lldb(lldb, enter, known, tmp_path) == []


def test_the_fakes(
    newest_go: Toolchain, build_program: Builder, processes: Processes, oracle_file: Path
) -> None:
    """What the tests of the upper rooms stand on keeps what it has of the contract."""
    binary = build_program("sample", newest_go)
    process = stop(start(processes, binary, oracle_file))
    known = known_of(process.pid, binary)._replace(evaluates=False, has_proc=False)
    inner = ProcessTarget(process.pid, binary.path)
    assert broken(inner, known) == []
    first = (known.head_at, known.code[1])
    fake = FakeTarget({first[0]: bytearray(inner.read(first[0], first[1] - first[0]))}, inner)
    unlike = known._replace(kind="core", pid=None, executable=None, mappings=[first], tids=[])
    assert broken(fake, unlike) == []


def test_a_broken_target_is_found(stopped: Stopped) -> None:
    """Each part can fail."""

    class Wrong(FakeTarget):
        kind = "remote"

        def threads(self) -> List[object]:  # type: ignore[override]
            raise ValueError

    parts = {text.partition(":")[0] for text in broken(cast_target(Wrong({}, None)), stopped.known)}
    assert {"attributes", "reads", "symbols", "threads", "proc_files", "evaluates"} <= parts


def cast_target(target: object) -> Target:
    """It is none, which is the point."""
    return target  # type: ignore[return-value]
