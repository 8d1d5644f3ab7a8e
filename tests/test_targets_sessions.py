"""Sessions with more than one process in them, one after the other or at once, and a gdbserver for many."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any, Dict, List

import invariants
import pytest
from harness.build import Binary, Builder
from harness.debuggers import Gdb
from harness.gdbrun import Scene, run_gdb
from harness.oracles import read_oracle
from harness.processes import Process, Processes
from harness.scenes import attach, launch_to_breakpoint, start
from harness.toolchains import Toolchain, Unavailable

Json = Dict[str, Any]
NO_PROCESS = "addrspace: no process: "
PASS = "handle SIGSEGV nostop noprint pass"  # Go makes a panic of it


class Asked:
    """Commands that write what is asked of the selected inferior, and what came of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def now(self) -> str:
        """The command that asks at this point of the session."""
        self._count += 1
        return f"addrspace --check --format json --output {self._folder / str(self._count)}"

    def answers(self) -> List[Json]:
        """One for each time: the whole document, with nothing wrong in it."""
        found: List[Json] = []
        for number in range(1, self._count + 1):
            document = json.loads((self._folder / str(number)).read_text())
            invariants.assert_valid(document)
            invariants.assert_covers(document)
            invariants.assert_no_problems(document)
            invariants.assert_checks_ok(document)
            found.append(document)
        return found


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    return Asked(tmp_path)


@pytest.fixture(scope="module")
def crash(newest_go: Toolchain, build_program: Builder) -> Binary:
    return build_program("crash", newest_go)


@pytest.fixture
def running(processes: Processes, newest_go: Toolchain, build_program: Builder, tmp_path: Path) -> Process:
    """`shapes`, stripped and at rest; its oracle is beside."""
    binary = build_program("shapes", newest_go, "stripped")
    return start(processes, binary, tmp_path / "oracle", "quiet")


def identity(document: Json) -> List[Any]:
    """Whose memory it is, by what no two processes have the same and the runtime at rest does not change: its
    scavenger works at times, and a thread more takes memory."""
    memstats = {name: document["memstats"][name] for name in ("NumGC", "BuckHashSys", "HeapSys")}
    places = [r["start"] for r in document["regions"] if r["area"] in ("heap", "globals", "code")][:3]
    return [document["target"]["pid"], memstats, places, document["goroutines"]["total"]]


def test_a_server_for_many_processes(
    gdb_exe: Gdb, crash: Binary, running: Process, processes: Processes, asked: Asked, tmp_path: Path
) -> None:
    """gdbserver --multi: one process after the other, attached to and started; in between there is none."""
    try:
        server = processes.start([str(gdb_exe.gdbserver()), "--multi", "127.0.0.1:0"])
    except Unavailable as problem:
        pytest.skip(str(problem))
    port = re.search(r"Listening on port (\d+)\n", server.wait_for("\n", "stderr"))
    assert port
    commands = [
        "addrspace",
        f"attach {running.pid}",
        asked.now(),
        "goroutine 2",
        "bt 1",
        "detach",
        "addrspace",
        f"file {crash.path}",
        f"set remote exec-file {crash.path}",
        f"set args {tmp_path / 'oracle2'} panic",
        PASS,
        f"break {crash.breakpoint}",
        "run",
        asked.now(),
        "goroutine-stacks --limit 1",
        "kill",
        "goroutine-stacks",
        f"file /proc/{running.pid}/exe",
        f"attach {running.pid}",
        asked.now(),
        "detach",
    ]
    connect = [f"target extended-remote 127.0.0.1:{port.group(1)}"]
    run = run_gdb(gdb_exe, commands, Scene("remote", None, connect), load=True)
    errors = [line for line in run.stderr.splitlines() if line.startswith("addrspace: ")]
    assert len(errors) == 3 and all(line.startswith(NO_PROCESS) for line in errors), run.stderr
    first, second, third = asked.answers()
    assert identity(first) == identity(third)
    assert (first["target"]["pid"], second["target"]["pid"] != running.pid) == (running.pid, True)
    assert Path(second["target"]["executable"]).name == "crash"
    assert second["goroutines"]["total"] != first["goroutines"]["total"]
    assert "goroutine 2 [" in run.stdout and "main.breakpoint" in run.stdout
    assert running.running() or running.state() == "T"  # see undo_gdbserver_stop of the modes' tests


def test_a_server_at_the_end_of_a_pipe(gdb_exe: Gdb, running: Process, asked: Asked) -> None:
    try:
        command = f"target remote | {gdb_exe.gdbserver()} --once - --attach {running.pid}"
    except Unavailable as problem:
        pytest.skip(str(problem))
    run_gdb(gdb_exe, [asked.now()], Scene("remote", None, [command], ("detach",), running.pid), load=True)
    (document,) = asked.answers()
    assert (document["target"]["kind"], document["target"]["pid"]) == ("remote", running.pid)


def test_each_inferior_has_its_own_answers(
    gdb_exe: Gdb, crash: Binary, running: Process, build_program: Builder, asked: Asked, tmp_path: Path
) -> None:
    """A Go program with DWARF, a C program, and a Go program without symbols, in turns."""
    other = build_program("c_only", None)
    scene = launch_to_breakpoint(crash, tmp_path / "oracle2", "panic")
    commands = [
        asked.now(),
        "add-inferior -no-connection",
        "inferior 2",
        f"file {other.path}",
        "break main",
        f"run {tmp_path / 'oracle3'}",
        "addrspace",
        "add-inferior -no-connection",
        "inferior 3",
        f"attach {running.pid}",
        asked.now(),
        r"echo [third]\n",
        "bt 1",
        "goroutine 2",
        "inferior 1",
        asked.now(),
        r"echo [first]\n",
        "goroutine-stacks 1",
        "inferior 2",
        "addrspace rss",
        r"echo [second]\n",
        "bt 1",
        r"echo [end]\n",
        "inferior 3",
        asked.now(),
        "detach",
        "addrspace",
        f"attach {running.pid}",
        asked.now(),
        "detach",
        "kill inferiors 1 2",
    ]
    run = run_gdb(gdb_exe, commands, scene._replace(leave=()), load=True)
    first, third, first_again, third_again, attached_again = asked.answers()
    assert identity(first) == identity(first_again)
    assert identity(third) == identity(third_again) == identity(attached_again)
    assert first["target"]["pid"] != third["target"]["pid"] == running.pid
    errors = [line for line in run.stderr.splitlines() if line.startswith("addrspace: ")]
    assert [("is not a Go program" in e, e.startswith(NO_PROCESS)) for e in errors] == [
        (True, False),
        (True, False),
        (False, True),
    ]
    shown = dict(re.findall(r"^\[(\w+)\]\n(.*?)(?=^\[)", run.stdout, re.MULTILINE | re.DOTALL))
    assert re.search(r"^#0 .*\bin \S+\.\S+ \(", shown["third"], re.MULTILINE)  # named by Go's tables
    assert "main.breakpoint" in shown["first"]
    assert re.search(r"^#0 +main \(", shown["second"], re.MULTILINE)


def test_another_program_in_the_same_process(
    gdb_exe: Gdb, crash: Binary, asked: Asked, tmp_path: Path
) -> None:
    """execve(2): what was found of the first program is not what is there now."""
    commands = [
        PASS,
        "tcatch exec",
        f"run {crash.path} {tmp_path / 'oracle'} panic",
        "addrspace",
        f"break {crash.breakpoint}",
        "continue",
        asked.now(),
        "goroutine-stacks 1",
        "kill",
    ]
    run = run_gdb(gdb_exe, commands, Scene("live", Path("/usr/bin/env"), []), load=True)
    (document,) = asked.answers()
    assert document["target"]["executable"] == str(crash.path)
    assert "0 goroutines" in run.stdout  # before the runtime has started
    assert "main.breakpoint" in run.stdout


def test_a_program_whose_file_was_replaced(
    gdb_exe: Gdb,
    newest_go: Toolchain,
    build_program: Builder,
    processes: Processes,
    asked: Asked,
    tmp_path: Path,
) -> None:
    """An update while it runs: the file is another's now, and gdb may be given that."""
    binary = build_program("shapes", newest_go, "stripped")
    place = tmp_path / "app"
    shutil.copy(binary.path, place)
    process = start(processes, binary._replace(path=place), tmp_path / "oracle", "quiet")
    place.unlink()
    shutil.copy(build_program("nodes", newest_go).path, place)
    given = attach(process, binary._replace(path=place))
    found = given._replace(program=None)
    run = run_gdb(gdb_exe, [asked.now()], found, load=True)
    (document,) = asked.answers()
    run = run_gdb(gdb_exe, [f"file {place}", "addrspace"], given, load=True)
    (line,) = [line for line in run.stderr.splitlines() if line.startswith("addrspace: ")]
    assert line == (
        f"addrspace: {place} is not the program that runs in this process (another build of it?); "
        f"give the right one with `file /proc/{process.pid}/exe`"
    )
    assert document["memstats"]["NumGC"] == read_oracle(tmp_path / "oracle").memstats["NumGC"]
    assert process.running()


def test_a_recording_that_is_replayed_is_said_to_be_one(
    gdb_exe: Gdb, crash: Binary, asked: Asked, tmp_path: Path
) -> None:
    scene = launch_to_breakpoint(crash, tmp_path / "oracle", "panic")
    commands = [
        "set scheduler-locking on",
        "record full",
        "stepi 3",
        asked.now(),
        "reverse-stepi 2",
        asked.now(),
        "record stop",
    ]
    run_gdb(gdb_exe, commands, scene, load=True)
    notes = [[n for n in document["notes"] if "recording" in n] for document in asked.answers()]
    assert [len(of_one) for of_one in notes] == [0, 1]
