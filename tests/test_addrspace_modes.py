"""`addrspace` in every way to come to a process, with each gdb; and what it leaves behind."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Tuple

import invariants
import pytest
from harness import full_matrix
from harness.build import Binary, Builder
from harness.command import cli
from harness.debuggers import Gdb, gdbs
from harness.gdbrun import Scene, run_gdb
from harness.oracles import read_oracle
from harness.processes import Process, Processes
from harness.scenes import (
    attach,
    gcore,
    gdbserver_attach,
    gdbserver_launch,
    kernel_core,
    launch_to_breakpoint,
    start,
)
from harness.smaps import smaps
from harness.toolchains import NEWEST, Toolchain, Unavailable
from invariants import Snapshot, number

EACH_ONCE = True  # not every combination: tests/conftest.py

LIVE = ("attach", "gdbserver", "gdbserver-attach")
CORES = ("gcore", "kernel-panic", "kernel-abort")


class Taken(NamedTuple):
    """A snapshot in one of the modes."""

    snapshot: Snapshot
    mode: str
    pid: int  # 0 where nobody else knows it
    core: Path


@pytest.fixture(scope="module")
def taken(
    request: pytest.FixtureRequest,
    gdb_exe: Gdb,
    go: Toolchain,
    build_program: Builder,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Taken]:
    """One look in the mode of the parameter. Oldest Go with the second gdb: only in the full matrix."""
    if not full_matrix() and go.version != NEWEST and gdb_exe != gdbs()[0]:
        pytest.skip("ADDRSPACE_MATRIX=1 runs it")
    folder = tmp_path_factory.mktemp("mode")
    processes = Processes()
    try:
        yield _take(request.param, gdb_exe, go, build_program, processes, folder)
    except Unavailable as problem:
        pytest.skip(str(problem))
    finally:
        processes.kill_all()
        remove_cores(folder)


def remove_cores(folder: Path) -> None:
    """gdb 13 writes a gigabyte of zeros for what Go has reserved: not for pytest to keep."""
    for core in folder.glob("core*"):
        core.unlink()


def _take(
    mode: str, gdb: Gdb, go: Toolchain, build_program: Builder, processes: Processes, folder: Path
) -> Taken:
    oracle, core = folder / "oracle", folder / "core.gdb"
    if mode.startswith("kernel"):
        made = kernel_core(build_program("crash", go), folder, oracle, mode.partition("-")[2])
        look = invariants.take_scene(gdb, made.scene, folder)
        return Taken(look._replace(oracle=read_oracle(oracle)), mode, read_oracle(oracle).pid, made.path)
    binary = build_program("shapes", go)
    if mode == "gcore":
        scene = gcore(gdb, launch_to_breakpoint(binary, oracle), core)
        return Taken(invariants.take_scene(gdb, scene, folder), mode, 0, core)
    if mode == "gdbserver":
        scene = gdbserver_launch(gdb, processes, binary, oracle)
        return Taken(invariants.take_scene(gdb, scene, folder, live=True), mode, 0, core)
    process = start(processes, binary, oracle)
    scene = attach(process, binary)
    if mode == "gdbserver-attach":
        scene = gdbserver_attach(gdb, processes, process, binary)
    look = invariants.take_scene(gdb, scene, folder, live=True)
    if mode == "gdbserver-attach":
        undo_gdbserver_stop(process)
    assert process.running()
    return Taken(look._replace(oracle=read_oracle(oracle)), mode, process.pid, core)


def undo_gdbserver_stop(process: Process) -> None:
    """gdbserver 13.1 and 18.1 now and then leave a process of many threads with their own SIGSTOP pending
    when they detach, whatever gdb did (seen with nothing but a second of waiting in between)."""
    if not process.running() and process.state() == "T":
        os.kill(process.pid, signal.SIGCONT)


every_mode = pytest.mark.parametrize("taken", [*LIVE, *CORES], indirect=True, scope="module")
live_modes = pytest.mark.parametrize("taken", LIVE, indirect=True, scope="module")
core_modes = pytest.mark.parametrize("taken", CORES, indirect=True, scope="module")


@every_mode
def test_partition_holds(taken: Taken) -> None:
    invariants.assert_partition(taken.snapshot.document)
    invariants.assert_no_problems(taken.snapshot.document)


@every_mode
def test_target_is_named(taken: Taken, go: Toolchain) -> None:
    target = taken.snapshot.document["target"]
    kind = "core" if taken.mode in CORES else "remote" if "gdbserver" in taken.mode else "live"
    assert (target["kind"], target["arch"]) == (kind, "amd64")
    assert target["go_version"].split()[0] == f"go{go.version}"
    assert target["pid"] == taken.pid or (not taken.pid and target["pid"] > 1)
    assert Path(target["executable"]).name == ("crash" if "kernel" in taken.mode else "shapes")


@every_mode
def test_memstats_are_those_of_go(taken: Taken) -> None:
    later = {"kernel-panic": 5, "kernel-abort": 1, "attach": 1, "gdbserver-attach": 1}.get(taken.mode, 0)
    invariants.assert_memstats(taken.snapshot.document, taken.snapshot.memstats, later)


@every_mode
def test_heap_and_stacks_are_the_arenas(taken: Taken) -> None:
    # By our own MemStats, as Go's are older than the stop; the test above compares the two.
    invariants.assert_arenas(taken.snapshot.document, taken.snapshot.document["memstats"])


@every_mode
def test_each_goroutine_has_its_own_stack_region(taken: Taken) -> None:
    invariants.assert_stack_bounds(taken.snapshot.document, taken.snapshot.stacks)
    invariants.assert_goroutines_of_dump(taken.snapshot.document, taken.snapshot)


@every_mode
def test_goroutines_are_counted_by_status(taken: Taken) -> None:
    stacks = taken.snapshot.stacks
    counts: Dict[str, int] = {}
    for stack in stacks:
        word = invariants.STATUS[stack.status]
        counts[word] = counts.get(word, 0) + 1
    assert taken.snapshot.document["goroutines"] == {"total": len(stacks), "by_status": counts}


@every_mode
def test_modules_are_code_and_globals(taken: Taken) -> None:
    invariants.assert_modules(taken.snapshot.document, taken.snapshot.modules)


@every_mode
def test_threads_run_code_on_stacks(taken: Taken) -> None:
    invariants.assert_threads(taken.snapshot.document, taken.snapshot.threads)


@live_modes
def test_resident_bytes_are_those_of_smaps(taken: Taken) -> None:
    invariants.assert_smaps(taken.snapshot.document, taken.snapshot.before, taken.snapshot.after)


@live_modes
def test_resident_bytes_of_regions_are_known_unless_the_stub_cannot_seek(taken: Taken, gdb_exe: Gdb) -> None:
    document = taken.snapshot.document
    unknown = [r for r in document["regions"] if r["resident"] is None]
    # gdbserver reads files past 2 GiB since version 14 (require_int in its hostio.cc).
    if taken.mode == "attach" or int(gdb_exe.version.split(".")[0]) >= 14:
        assert unknown == []
    elif unknown:
        assert [n for n in document["notes"] if "pagemap" in n and "gdbserver" in n]


@core_modes
def test_resident_bytes_in_a_core_are_unknown_and_a_note_says_why(taken: Taken) -> None:
    invariants.assert_unknown_resident(taken.snapshot.document)


@core_modes
def test_mappings_of_a_core_are_its_segments_and_files(taken: Taken) -> None:
    invariants.assert_core_mappings(taken.snapshot.document, taken.core)
    # gdb marks what nobody may touch as readable, and the kernel as what it is.
    reserved = {m["permissions"] for m in taken.snapshot.document["mappings"] if m["file"] is None}
    assert ("---?" in reserved) == ("kernel" in taken.mode)


@pytest.mark.parametrize("taken", ["kernel-panic"], indirect=True, scope="module")
def test_the_runtime_s_dying_words_name_the_same_goroutines(taken: Taken) -> None:
    """At a crash Go prints every goroutine, the runtime's own too."""
    folder = taken.core.parent
    assert taken.snapshot.dump
    total = taken.snapshot.document["goroutines"]["total"]
    assert taken.snapshot.oracle is not None
    assert total > len(taken.snapshot.dump) == taken.snapshot.oracle.goroutines, folder


# What is left behind.


def tracer(process: Process) -> int:
    """The process that traces it, 0 for none."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(r"^TracerPid:\s*(\d+)$", status, re.MULTILINE)
    assert found
    return int(found.group(1))


def ticks(process: Process) -> int:
    """Processor time that it has used, in clock ticks."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def assert_goes_on(process: Process) -> None:
    """It runs, nobody traces it, and it gets on with its work."""
    assert process.running()
    assert tracer(process) == 0
    before, deadline = ticks(process), time.monotonic() + 90
    while ticks(process) <= before:
        assert time.monotonic() < deadline, "it makes no progress"
        time.sleep(0.02)


def contents(process: Process, oracle: Path) -> Dict[str, str]:
    """Digests of what the program itself does not change: code, constants, and the memory it has mapped."""
    ranges = {
        m.name: (m.start, m.start + m.size) for m in read_oracle(oracle).mappings if m.name != "reservation"
    }
    for smap in smaps(process.pid):
        if ("x" in smap.perms and smap.path.startswith("/")) or (
            smap.perms == "r--p" and smap.path.startswith("/")
        ):
            ranges[f"{smap.path} {smap.perms} {smap.start:x}"] = (smap.start, smap.end)
    found = {}
    with open(f"/proc/{process.pid}/mem", "rb") as memory:
        for name, (low, high) in ranges.items():
            memory.seek(low)
            found[name] = hashlib.sha256(memory.read(high - low)).hexdigest()
    return found


def in_gdb(gdb: Gdb, scene: Scene) -> Tuple[int, str]:
    """All that the commands have, in the scene, and away again."""
    commands = ["addrspace", "addrspace --check", "addrspace --classic", "addrspace regions --summary"]
    run = run_gdb(gdb, commands, scene, load=True)
    return run.status, run.stdout


def dump(gdb: Gdb, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`addrspace-gdb dump ARGUMENTS` with this gdb."""
    return cli("dump", "--gdb", gdb.path, *arguments)


@pytest.fixture
def busy(
    processes: Processes, build_program: Builder, newest_go: Toolchain, tmp_path: Path
) -> Tuple[Process, Binary]:
    """A running `shapes` whose spinning goroutines use the processor."""
    binary = build_program("shapes", newest_go)
    return start(processes, binary, tmp_path / "oracle"), binary


def test_attach_and_detach_leave_the_process_running(gdb_exe: Gdb, busy: Tuple[Process, Binary]) -> None:
    process, binary = busy
    status, shown = in_gdb(gdb_exe, attach(process, binary))
    assert status == 0 and "Kernel Space" in shown
    assert_goes_on(process)


def test_gdbserver_leaves_the_process_running(
    gdb_exe: Gdb, busy: Tuple[Process, Binary], processes: Processes
) -> None:
    process, binary = busy
    status, shown = in_gdb(gdb_exe, gdbserver_attach(gdb_exe, processes, process, binary))
    assert status == 0 and "Kernel Space" in shown
    undo_gdbserver_stop(process)
    assert_goes_on(process)


def test_dump_of_a_process_leaves_it_running(
    gdb_exe: Gdb, busy: Tuple[Process, Binary], tmp_path: Path
) -> None:
    process, binary = busy
    done = dump(gdb_exe, str(process.pid), "--format", "json", "-o", str(tmp_path / "space.json"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    document = json.loads((tmp_path / "space.json").read_text())
    invariants.assert_valid(document)
    invariants.assert_covers(document)
    invariants.assert_no_problems(document)
    assert (document["target"]["pid"], document["target"]["executable"]) == (process.pid, str(binary.path))
    assert_goes_on(process)


def test_dump_says_how_long_the_process_was_stopped(gdb_exe: Gdb, busy: Tuple[Process, Binary]) -> None:
    done = dump(gdb_exe, str(busy[0].pid), "--stats", "--check")
    assert done.returncode == 0
    assert re.search(r"stopped for \d+ ms", done.stderr)
    assert re.search(r"10 checks: 10 ok, 0 mismatched", done.stdout)
    assert_goes_on(busy[0])


@pytest.mark.parametrize("how", ["attach", "dump"])
def test_memory_is_as_before(
    gdb_exe: Gdb, processes: Processes, build_program: Builder, newest_go: Toolchain, tmp_path: Path, how: str
) -> None:
    binary = build_program("foreign", newest_go)
    process = start(processes, binary, tmp_path / "oracle")
    before, layout = contents(process, tmp_path / "oracle"), [s[:3] for s in smaps(process.pid)]
    if how == "attach":
        assert in_gdb(gdb_exe, attach(process, binary))[0] == 0
    else:
        assert dump(gdb_exe, str(process.pid)).returncode == 0
    assert contents(process, tmp_path / "oracle") == before
    assert [s[:3] for s in smaps(process.pid)] == layout
    assert process.running() and tracer(process) == 0


@pytest.mark.parametrize("form", ["text", "classic", "json"])
def test_dump_of_a_core_is_what_gdb_shows(gdb_exe: Gdb, taken_core: Tuple[Path, Binary], form: str) -> None:
    core, binary = taken_core
    done = dump(gdb_exe, str(core), "--exe", str(binary.path), "--format", form, "--width", "100")
    scene = Scene("core", binary.path, [f"core-file {core}"])
    run = run_gdb(gdb_exe, ["echo begin\\n", f"addrspace --format {form}"], scene, load=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "core" in done.stdout
    assert done.stdout == run.stdout.partition("begin\n")[2]


@pytest.fixture(scope="module")
def taken_core(
    gdb_exe: Gdb, build_program: Builder, newest_go: Toolchain, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tuple[Path, Binary]]:
    """A core made by gdb, and its program."""
    folder = tmp_path_factory.mktemp("core")
    binary = build_program("foreign", newest_go)
    gcore(gdb_exe, launch_to_breakpoint(binary, folder / "oracle"), folder / "core")
    yield folder / "core", binary
    remove_cores(folder)


# One reading serves until the process moves.


def written(folder: Path, name: str) -> str:
    """The gdb command that writes the document NAME.json."""
    return f"addrspace --format json --output {folder / name}.json"


def read(folder: Path, name: str) -> invariants.Document:
    document: invariants.Document = json.loads((folder / f"{name}.json").read_text())
    return document


def test_the_same_stop_twice_gives_the_same_output(
    gdb_exe: Gdb, build_program: Builder, newest_go: Toolchain, tmp_path: Path
) -> None:
    scene = launch_to_breakpoint(build_program("shapes", newest_go), tmp_path / "oracle")
    show = ["addrspace", "echo ====\\n", "addrspace", "echo ====\\n"]
    run = run_gdb(gdb_exe, [written(tmp_path, "one"), *show, written(tmp_path, "two")], scene, load=True)
    assert read(tmp_path, "one") == read(tmp_path, "two")
    first, second = run.stdout.split("====\n")[:2]
    assert first.endswith(second) and "Kernel Space" in second


def test_another_stop_is_another_reading(
    gdb_exe: Gdb, build_program: Builder, newest_go: Toolchain, tmp_path: Path
) -> None:
    binary = build_program("shapes", newest_go)
    # First where nothing has been started yet, then at the breakpoint, each against gdb's own view of it.
    quiet = "handle SIGSEGV nostop noprint pass"  # `shapes` recovers from one on its way
    enter = [quiet, "tbreak main.main", f"run {tmp_path / 'oracle'} </dev/null >/dev/null"]
    early = [
        f"source {invariants.SIDE}",
        written(tmp_path, "early"),
        f"stop-facts {tmp_path / 'early.facts'}",
    ]
    late = [
        "break main.breakpoint",
        "continue",
        written(tmp_path, "late"),
        f"stop-facts {tmp_path / 'late.facts'}",
    ]
    run = run_gdb(gdb_exe, early + late, Scene("live", binary.path, enter, ("kill",)), load=True)
    counts = []
    for name in ("early", "late"):
        document = read(tmp_path, name)
        facts = json.loads((tmp_path / f"{name}.facts").read_text())
        alive = [g for g in facts["goroutines"] if g[3] not in (0, 6, 11)]
        assert document["goroutines"]["total"] == len(alive), run.stderr
        invariants.assert_covers(document)
        counts.append(len(alive))
    assert counts[0] < 10 < counts[1]


def test_a_step_is_another_reading(
    gdb_exe: Gdb, build_program: Builder, newest_go: Toolchain, tmp_path: Path
) -> None:
    scene = launch_to_breakpoint(build_program("foreign", newest_go), tmp_path / "oracle")
    show = ["addrspace", 'printf "pc is %#lx\\n", $pc']
    # With the other threads held no signal of the scheduler can carry the goroutine away from the step.
    alone = ["delete", "set scheduler-locking on", "stepi"]
    run = run_gdb(gdb_exe, [*show, *alone, *show, "stepi", *show], scene, load=True)
    said = re.findall(r"^[◀<] thread \d+ \(\d+\) at (0x[0-9a-f]+)", run.stdout, re.MULTILINE)
    assert said == re.findall(r"^pc is (0x[0-9a-f]+)", run.stdout, re.MULTILINE), run.stdout
    assert len(set(said)) == 3


def test_marks_follow_the_selected_thread(
    gdb_exe: Gdb, build_program: Builder, newest_go: Toolchain, tmp_path: Path
) -> None:
    scene = launch_to_breakpoint(build_program("cgo", newest_go, "cgo"), tmp_path / "oracle")
    commands = [written(tmp_path, "space")]
    for thread in range(1, 9):
        commands += [f"thread {thread}", 'printf "==== %lu %lu\\n", $pc, $sp', "addrspace"]
    run = run_gdb(gdb_exe, commands, scene, load=True)
    document = read(tmp_path, "space")
    parts: List[str] = re.split(r"^==== ", run.stdout, flags=re.MULTILINE)[1:]
    assert len(parts) == 8, run.stderr
    stacks = set()
    for thread, part in enumerate(parts, 1):
        pc, sp = (int(word) for word in part.split("\n", 1)[0].split())
        invariants.assert_marks(part, document, pc, sp)
        assert f"thread {thread} (" in part and f" at {pc:#x}" in part
        stacks.add(invariants.marks(part).sp)
    assert len(stacks) >= 2


def test_the_selection_is_left_alone(
    gdb_exe: Gdb, build_program: Builder, newest_go: Toolchain, tmp_path: Path
) -> None:
    scene = launch_to_breakpoint(build_program("shapes", newest_go), tmp_path / "oracle")
    where = ['printf "at %d %lu\\n", $_thread, $pc']
    commands = ["frame 1", *where, "addrspace", *where, "thread 2", *where, "addrspace regions code", *where]
    run = run_gdb(gdb_exe, commands, scene, load=True)
    said = re.findall(r"^at .*$", run.stdout, re.MULTILINE)
    assert len(said) == 4
    assert said[0] == said[1] != said[2] == said[3]


def test_an_address_is_looked_up_in_the_stop_of_now(
    gdb_exe: Gdb, build_program: Builder, newest_go: Toolchain, tmp_path: Path
) -> None:
    scene = launch_to_breakpoint(build_program("foreign", newest_go), tmp_path / "oracle")
    on = ["delete", "tbreak addrspace.test/kit.Ready", "continue"]
    commands = ["addrspace regions $pc --format json", *on, "addrspace regions $sp --format json"]
    run = run_gdb(gdb_exe, commands, scene, load=True)
    documents = [json.loads(text) for text in re.findall(r"^\{.*?^\}$", run.stdout, re.MULTILINE | re.DOTALL)]
    assert [[r["area"] for r in d["regions"]] for d in documents] == [["code"], ["goroutine-stacks"]]
    assert all(number(d["regions"][0]["start"]) for d in documents)
