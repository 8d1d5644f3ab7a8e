"""Each test program builds, reaches its breakpoint, and its oracle is what gdb reads there."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Tuple

import pytest
from harness.build import Binary, Builder, build
from harness.debuggers import Gdb
from harness.dumps import Goroutine, goroutine_dump_parse
from harness.gdbrun import run_gdb
from harness.oracles import Oracle, dump_command, memstats_command, read_memstats, read_oracle
from harness.processes import Processes
from harness.scenes import attach, launch_to_breakpoint, start
from harness.smaps import smaps
from harness.toolchains import Toolchain, Unavailable

VARIANTS = ["plain", "pie", "cgo", "noopt"]
OTHERS: List[Tuple[str, str, List[str]]] = [
    ("nodes", "plain", ["20000"]),
    ("parked", "plain", ["500"]),
    ("maps60k", "plain", ["3000"]),
    ("threads", "plain", ["300"]),
    ("foreign", "plain", []),
    ("cgo", "cgo", []),
    ("crash", "plain", ["panic"]),
]
NEWEST_ONLY: List[Tuple[str, str, List[str]]] = [
    ("shapes", "race", []),
    ("shapes", "386", []),
    ("cshared", "c-shared", []),
    ("pluginhost", "plugin", []),
    ("cgo", "pie", []),
]


def stop_and_read(
    gdb: Gdb, binary: Binary, folder: Path, arguments: List[str]
) -> Tuple[Dict[str, object], str]:
    """MemStats and the dump as gdb reads them at the breakpoint, where the program wrote nothing yet."""
    scene = launch_to_breakpoint(binary, folder / "oracle", *arguments)
    memstats, dump = folder / "memstats.json", folder / "dump.txt"
    run = run_gdb(gdb, [memstats_command(memstats), dump_command(dump)], scene, cwd=folder)
    assert memstats.exists(), run.stdout + run.stderr
    return read_memstats(memstats), dump.read_text()


def consistent(memstats: Dict[str, object]) -> None:
    """The sums that runtime/mstats.go promises."""
    m = {name: value for name, value in memstats.items() if isinstance(value, int)}
    assert m["HeapSys"] == m["HeapIdle"] + m["HeapInuse"]
    assert m["HeapObjects"] == m["Mallocs"] - m["Frees"]
    parts = ("HeapSys", "StackSys", "MSpanSys", "MCacheSys", "BuckHashSys", "GCSys", "OtherSys")
    assert m["Sys"] == sum(m[name] for name in parts)
    assert m["HeapObjects"] > 0


def written(processes: Processes, binary: Binary, folder: Path, arguments: List[str]) -> Oracle:
    """The oracle of a free run; the program itself ends with status 3 if it changed before "ready"."""
    process = start(processes, binary, folder / "free", *arguments)
    assert process.running()
    oracle = read_oracle(folder / "free")
    assert oracle.pid == process.pid
    return oracle


@pytest.mark.parametrize("variant", VARIANTS)
def test_shapes_stops_with_a_readable_oracle(
    gdb_exe: Gdb, go: Toolchain, build_program: Builder, tmp_path: Path, variant: str
) -> None:
    memstats, dump = stop_and_read(gdb_exe, build_program("shapes", go, variant), tmp_path, [])
    consistent(memstats)
    statuses = {g.status for g in goroutine_dump_parse(dump)}
    assert statuses >= {"running", "chan receive", "chan send", "select", "sleep", "IO wait", "syscall"}


@pytest.mark.parametrize(("program", "variant", "arguments"), OTHERS)
def test_program_stops_with_a_readable_oracle(
    gdb_exe: Gdb,
    go: Toolchain,
    build_program: Builder,
    tmp_path: Path,
    program: str,
    variant: str,
    arguments: List[str],
) -> None:
    consistent(stop_and_read(gdb_exe, build_program(program, go, variant), tmp_path, arguments)[0])


@pytest.mark.parametrize(("program", "variant", "arguments"), NEWEST_ONLY)
def test_variant_stops_with_a_readable_oracle(
    gdb_exe: Gdb,
    newest_go: Toolchain,
    build_program: Builder,
    tmp_path: Path,
    program: str,
    variant: str,
    arguments: List[str],
) -> None:
    consistent(stop_and_read(gdb_exe, build_program(program, newest_go, variant), tmp_path, arguments)[0])


@pytest.mark.parametrize(("program", "variant"), [("shapes", "plain"), ("shapes", "pie"), ("cgo", "cgo")])
def test_the_file_is_what_gdb_reads(
    gdb_exe: Gdb,
    go: Toolchain,
    build_program: Builder,
    processes: Processes,
    tmp_path: Path,
    program: str,
    variant: str,
) -> None:
    binary = build_program(program, go, variant)
    process = start(processes, binary, tmp_path / "oracle")
    memstats, dump = tmp_path / "memstats.json", tmp_path / "dump.txt"
    run = run_gdb(gdb_exe, [memstats_command(memstats), dump_command(dump)], attach(process, binary))
    assert run.status == 0, run.stderr
    oracle, read = read_oracle(tmp_path / "oracle"), read_memstats(memstats)
    for name, value in oracle.memstats.items():
        if name != "BySize":
            assert read[name] == value, name
    for mine, theirs in zip(oracle.memstats["BySize"], read["BySize"]):
        assert mine == theirs
    assert dump.read_text() == oracle.dump
    assert process.running()


@pytest.mark.parametrize("variant", ["plain", "cgo", "stripped"])
def test_the_oracle_holds_to_ready(
    go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path, variant: str
) -> None:
    oracle = written(processes, build_program("shapes", go, variant), tmp_path, [])
    consistent(oracle.memstats)
    assert oracle.metrics["/memory/classes/total:bytes"] == oracle.memstats["Sys"]
    assert oracle.metrics["/memory/classes/heap/stacks:bytes"] == oracle.memstats["StackInuse"]
    assert oracle.metrics["/memory/classes/heap/released:bytes"] == oracle.memstats["HeapReleased"]
    # freed and resident; freed and returned; buckets of the memory profile
    assert oracle.memstats["HeapIdle"] - oracle.memstats["HeapReleased"] > 8 << 20
    assert oracle.memstats["HeapReleased"] > 8 << 20
    assert oracle.memstats["BuckHashSys"] > 0


def test_shapes_has_every_state(
    go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path
) -> None:
    oracle = written(processes, build_program("shapes", go), tmp_path, [])
    goroutines = goroutine_dump_parse(oracle.dump)
    assert len(goroutines) == len({g.goid for g in goroutines})
    # The finalizer goroutine is in the dump while it runs a finalizer; NumGoroutine never counts it.
    in_finalizer = [g for g in goroutines if any("startFinalizer" in f.function for f in g.frames)]
    assert len(in_finalizer) == 1
    assert len(goroutines) == oracle.goroutines + 1
    states = {g.status for g in goroutines}
    missing = {
        "running",
        "runnable",
        "chan receive (nil chan)",
        "chan send (nil chan)",
        "select (no cases)",
        "semacquire",
        "sync.Cond.Wait",
        "sync.Mutex.Lock",
        "sync.RWMutex.Lock",
        "sync.RWMutex.RLock",
        "syscall",
    } - states
    assert not missing
    assert ("sync.WaitGroup.Wait" in states) == (go.release >= (1, 24))
    assert ("coroutine" in states) == (go.release >= (1, 23))
    assert {g.status for g in goroutines if g.locked} == {"chan receive", "syscall"}
    functions = {f.function for g in goroutines for f in g.frames}
    assert functions >= {"panic", "main.generic[...]", "main.(*byPointer).wait", "main.spin", "main.block"}
    assert any(g.elided for g in goroutines)
    assert any(f.inlined for g in goroutines for f in g.frames)


def test_both_dumps_agree(
    go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path
) -> None:
    oracle = written(processes, build_program("shapes", go), tmp_path, ["quiet"])

    def stacks(text: str) -> Dict[int, object]:
        return {
            g.goid: (g.status, g.frames, g.created_by) for g in map(_settled, goroutine_dump_parse(text)) if g
        }

    def _settled(goroutine: Goroutine) -> Goroutine | None:
        return goroutine if goroutine.goid != 1 else None  # main is at two different calls

    assert stacks(oracle.dump) == stacks(oracle.pprof)
    assert len(stacks(oracle.dump)) >= 60


def test_parked_has_as_many_as_asked_for(
    newest_go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path
) -> None:
    assert written(processes, build_program("parked", newest_go), tmp_path, ["800"]).goroutines == 801


def test_foreign_says_where_its_mappings_are(
    go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path
) -> None:
    process = start(processes, build_program("foreign", go), tmp_path / "free")
    own = {m.name: m for m in read_oracle(tmp_path / "free").mappings}
    kernel = smaps(process.pid)

    def under(name: str) -> List[str]:
        end = own[name].start + own[name].size
        return [m.perms + " " + m.path for m in kernel if m.start < end and own[name].start < m.end]

    assert set(own) == {"anonymous", "shared anonymous", "memfd", "reservation", "file"}
    assert under("memfd") == ["rw-s /memfd:addrspace test (deleted)"]
    assert under("shared anonymous") == ["rw-s /dev/zero (deleted)"]
    assert under("file")[0].endswith("/foreign")
    resident = next(m.rss for m in kernel if m.start <= own["memfd"].start < m.end)
    assert resident == 1 << 20


def test_c_only_stops_without_any_go(gdb_exe: Gdb, build_program: Builder, tmp_path: Path) -> None:
    binary = build_program("c_only")
    run = run_gdb(gdb_exe, ["bt"], launch_to_breakpoint(binary, tmp_path / "none"), cwd=tmp_path)
    assert "breakpoint ()" in run.stdout
    assert "main" in run.stdout


@pytest.mark.parametrize(
    ("program", "variant"),
    [("cgo", "386"), ("cshared", "plain"), ("pluginhost", "pie"), ("shapes", "plugin")],
)
def test_impossible_combinations_say_why(newest_go: Toolchain, program: str, variant: str) -> None:
    with pytest.raises(Unavailable, match=program):
        build(program, newest_go, variant)
