"""Nothing of ours writes to the inferior or calls its functions, whatever is typed: gdb itself refuses it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict

import pytest
from harness.build import Builder
from harness.command import cli
from harness.debuggers import Gdb
from harness.gdbrun import Scene, run_gdb
from harness.processes import Process, Processes
from harness.scenes import attach, gcore, start
from harness.toolchains import Toolchain

EACH_ONCE = True  # not every combination: tests/conftest.py

SIDE = Path(__file__).with_name("readonly_side.py")
PERMISSIONS = ("may-write-memory", "may-write-registers", "may-call-functions")
REFUSED = re.compile(
    r"addrspace: cannot evaluate .*: it would (write memory|write a register|write memory or a register"
    r"|call a function of the program|run a program), and addrspace only reads"
)


@pytest.fixture
def running(
    newest_go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path
) -> Callable[[], Process]:
    """Starts the program with C in it, and stops it: its memory then changes through nobody else."""

    def begin() -> Process:
        binary = build_program("cgo", newest_go, "cgo")
        process = start(processes, binary, tmp_path / "oracle")
        stop(process)
        return process

    return begin


def stop(process: Process) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    while process.state() != "T":
        time.sleep(0.01)


def scene_of(process: Process, newest_go: Toolchain, build_program: Builder) -> Scene:
    return attach(process, build_program("cgo", newest_go, "cgo"))


def ask(gdb: Gdb, scene: Scene, folder: Path, *before: str) -> Dict[str, Any]:
    """What readonly-try found in the scene."""
    path = folder / "found"
    run = run_gdb(gdb, [f"source {SIDE}", *before, f"readonly-try {path}"], scene, load=True, cwd=folder)
    assert path.exists(), run.stdout + run.stderr
    found: Dict[str, Any] = json.loads(path.read_text())
    return found


def check(found: Dict[str, Any], folder: Path) -> None:
    """Each expression was refused in one line, and all is as it was."""
    said = {(one["command"], one["expression"]): one["said"] for one in found["tries"]}
    assert len(said) == 48
    assert {asked: text for asked, text in said.items() if not REFUSED.fullmatch(text)} == {}
    assert found["after"] == found["before"]
    assert not (folder / "RAN").exists()


def test_nothing_is_written_in_a_process(
    gdb_exe: Gdb,
    newest_go: Toolchain,
    build_program: Builder,
    running: Callable[[], Process],
    tmp_path: Path,
) -> None:
    process = running()
    found = ask(gdb_exe, scene_of(process, newest_go, build_program), tmp_path)
    check(found, tmp_path)
    assert len(found["before"]["memory"]) > 10
    assert "r15" in found["before"]["registers"]
    assert set(found["before"]["settings"].values()) == {True}


def test_nothing_is_written_in_a_core(
    gdb_exe: Gdb,
    newest_go: Toolchain,
    build_program: Builder,
    running: Callable[[], Process],
    tmp_path: Path,
) -> None:
    core = tmp_path / "core"
    scene = gcore(gdb_exe, scene_of(running(), newest_go, build_program), core)
    assert scene.program is not None
    before = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (core, scene.program)]
    # With `set write on` gdb would write into the program's file.
    check(ask(gdb_exe, scene, tmp_path, "set write on"), tmp_path)
    assert before == [hashlib.sha256(file.read_bytes()).hexdigest() for file in (core, scene.program)]


def test_settings_of_the_user_stay(
    gdb_exe: Gdb,
    newest_go: Toolchain,
    build_program: Builder,
    running: Callable[[], Process],
    tmp_path: Path,
) -> None:
    """Also those that were off before."""
    off = ["set may-write-memory off", "set may-call-functions off"]
    found = ask(gdb_exe, scene_of(running(), newest_go, build_program), tmp_path, *off)
    check(found, tmp_path)
    expected = {"may-write-memory": False, "may-write-registers": True, "may-call-functions": False}
    assert found["after"]["settings"] == expected


def test_settings_stay_after_interrupts(
    gdb_exe: Gdb,
    newest_go: Toolchain,
    build_program: Builder,
    running: Callable[[], Process],
    tmp_path: Path,
) -> None:
    path = tmp_path / "found"
    scene = scene_of(running(), newest_go, build_program)
    run = run_gdb(gdb_exe, [f"source {SIDE}", f"readonly-interrupts {path}"], scene, load=True)
    assert path.exists(), run.stdout + run.stderr
    found = json.loads(path.read_text())
    assert found["hit"] > 100
    assert found["wrong"] == []


def test_the_users_command_is_his_own(
    gdb_exe: Gdb,
    newest_go: Toolchain,
    build_program: Builder,
    running: Callable[[], Process],
) -> None:
    """goroutine-apply runs it with his settings; what is ours in it reads only, and so do we after it."""
    commands = [
        "goroutine-apply 1 -q set var used = 77",
        "print used",
        'goroutine 1 print used = $_streq($goregion(&used), "globals") ? 78 : 0',
        "print used",
        "goroutine-apply 1 -q set may-write-memory off",
        "show may-write-memory",
        "goroutine-apply 1 -q -c set var used = 79",
        "goroutine-apply 1 -q set may-write-memory on",
        "addrspace whereis used=80",
        "print used",
        "show may-write-memory",
        "show may-write-registers",
        "show may-call-functions",
    ]
    run = run_gdb(gdb_exe, commands, scene_of(running(), newest_go, build_program), load=True)
    said = run.stdout + run.stderr
    assert re.findall(r"^\$\d+ = (.*)$", run.stdout, re.MULTILINE) == ["77", "78", "78", "78"], said
    assert run.stdout.count("Writing to memory is not allowed") == 1, said  # of -c, on stdout
    assert re.findall(r"^Permission to .* is (\w+)\.$", run.stdout, re.MULTILINE) == [
        "off",
        "on",
        "on",
        "on",
    ], said
    assert "it would write memory" in run.stderr


def test_convenience_variables_may_be_assigned_to(
    gdb_exe: Gdb,
    newest_go: Toolchain,
    build_program: Builder,
    running: Callable[[], Process],
) -> None:
    """They are gdb's own, and no part of the process."""
    commands = [
        "addrspace whereis $mine=(long)$sp",
        "addrspace whereis $mine+=8",
        "set language c",
        "print $mine - (long)$sp",
    ]
    run = run_gdb(gdb_exe, commands, scene_of(running(), newest_go, build_program), load=True)
    assert "$1 = 8\n" in run.stdout, run.stdout + run.stderr
    assert "only reads" not in run.stderr


def test_no_name_hides_a_program(
    gdb_exe: Gdb,
    newest_go: Toolchain,
    build_program: Builder,
    tmp_path: Path,
    running: Callable[[], Process],
) -> None:
    """Of gdb's functions `$_shell` (14 and newer) runs one; also in a macro, and in the value history."""
    commands = [
        'macro define hidden $_shell("touch RAN")',
        "set language c",
        "print $_shell",
        "addrspace whereis hidden",
        'addrspace whereis $1("touch RAN")',
        'print $_gdb_setting("may-write-memory")',
    ]
    scene = scene_of(running(), newest_go, build_program)
    run = run_gdb(gdb_exe, commands, scene, load=True, cwd=tmp_path)
    assert not (tmp_path / "RAN").exists()
    if "<internal function _shell>" in run.stdout:
        assert run.stderr.count("it would run a program, and addrspace only reads") == 2, run.stderr


def registers(gdb: Gdb, scene: Scene) -> str:
    return run_gdb(gdb, ["thread apply all -q info registers general"], scene).stdout


def writable(pid: int) -> Dict[str, str]:
    """A digest of each mapping that the process may write to."""
    found = {}
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as file:
        for line in maps:
            if line.split()[1][:2] == "rw":
                low, high = (int(part, 16) for part in line.split()[0].split("-"))
                file.seek(low)
                found[line.split()[0]] = hashlib.sha256(file.read(high - low)).hexdigest()
    return found


@pytest.mark.parametrize(
    ("expression", "would"),
    [
        ("runtime.gomaxprocs=5", "write memory"),
        ("used++", "write memory"),
        ("runtime.mheap_.sweepgen+=99", "write memory"),
        ("$r15=0x1234", "write a register"),
        ("native_large(1)", "call a function of the program"),
        ("runtime.GC()", "call a function of the program"),
        ('$_shell("touch RAN")', "run a program"),
    ],
)
def test_the_shells_command_writes_nothing(
    gdb_exe: Gdb,
    newest_go: Toolchain,
    build_program: Builder,
    running: Callable[[], Process],
    tmp_path: Path,
    expression: str,
    would: str,
) -> None:
    """In the shell gdb itself refuses registers too: it is told before it attaches."""
    process = running()
    scene = scene_of(process, newest_go, build_program)
    before = writable(process.pid), registers(gdb_exe, scene)
    for command in ("whereis {}", "regions '@{}'", "spans {}"):
        done = dump(gdb_exe, process.pid, command.format(expression), tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        expected = f"it would {would}, and addrspace only reads\n"
        assert len(done.stderr.splitlines()) == 1 and done.stderr.endswith(expected), done.stderr
    assert before == (writable(process.pid), registers(gdb_exe, scene))
    assert process.state() == "T"
    assert not (tmp_path / "RAN").exists()


def dump(gdb: Gdb, pid: int, report: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return cli("dump", pid, "--report", report, "--gdb", gdb.path, cwd=folder)
