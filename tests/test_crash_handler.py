"""A core comes through a pipe: what is kept of it, whatever comes, and that the process is not kept long."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from harness import CHECKOUT
from harness.command import COMMAND, assert_refused, cli
from harness.corehead import made_head
from harness.crashes import crash, meta_of, only
from harness.processes import Process

from addrspace_gdb.shell.crash import installing
from addrspace_gdb.shell.crash.folders import Crashes
from addrspace_gdb.shell.crash.installing import Kernel, Wanted
from addrspace_gdb.views.documents import schema as schemas

EACH_ONCE = True  # not every combination: tests/conftest.py

REST = bytes(range(256)) * 8192  # 2 MiB: more than a pipe holds


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "crashes"


# What is kept


def test_a_process_that_is_not_go(sleeper: Process, folder: Path) -> None:
    done = crash(made_head(sleeper.pid) + REST, sleeper.pid, sleeper.pid, 11, "--folder", folder)
    assert (done.returncode, done.stderr) == (0, "")
    kept = only(folder)
    assert kept.name.endswith(f"Z-sleep-{sleeper.pid}")
    meta = meta_of(kept)
    assert meta["complete"]
    assert meta["signal"] == {
        "number": 11,
        "name": "SIGSEGV",
        "code": 1,
        "address": "0x28",
    }
    assert meta["target"]["go_version"] is None and meta["target"]["executable"].endswith("sleep")
    files = {path.name for path in kept.iterdir()}
    assert files == {"meta.json", "maps.txt", "threads.txt", "threads.json"}
    threads = json.loads((kept / "threads.json").read_text())
    jsonschema.validate(threads, schemas.schema("crash-threads/1"))
    assert threads["threads"][0]["registers"]["rip"] == "0x401000"
    assert (kept / "maps.txt").read_text() == Path(f"/proc/{sleeper.pid}/maps").read_text()
    for path in (folder, kept):
        assert path.stat().st_mode & 0o777 == 0o700
    for path in kept.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    assert sleeper.running()


def test_the_rest_of_the_core_is_not_read(sleeper: Process, folder: Path, tmp_path: Path) -> None:
    head = made_head(sleeper.pid)
    (tmp_path / "core").write_bytes(head + REST)
    with (tmp_path / "core").open("rb") as file:
        command = [*COMMAND, "crash", str(sleeper.pid), "--folder", str(folder)]
        subprocess.run(command, stdin=file, check=True, timeout=60, cwd=CHECKOUT)
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == len(head)


def test_show_and_status(sleeper: Process, folder: Path) -> None:
    assert_refused(cli("crash", "--show", "--folder", folder), r"the folder .* cannot be opened: .*")
    crash(made_head(sleeper.pid), sleeper.pid, "--folder", folder)
    shown = cli("crash", "--show", "--folder", folder)
    assert shown.returncode == 0
    assert shown.stdout.startswith(
        f"sleep (process {sleeper.pid}, thread {sleeper.pid}) died of SIGSEGV at address 0x28\n"
    )
    assert shown.stdout == cli("crash", "--show", only(folder)).stdout
    status = cli("crash", "--status", ADDRSPACE_CRASHES=str(folder))
    assert status.returncode == 0 and only(folder).name in status.stdout and "1 crash," in status.stdout
    assert_refused(cli("crash", "--show", folder), "cannot read .*meta.json: .*")
    (only(folder) / "meta.json").write_text('{"schema": "crash/1", "command": "\x1b[31m", "missing": 5}')
    assert "\x1b" not in cli("crash", "--show", only(folder)).stdout


def test_garbage_and_nothing_are_one_line(sleeper: Process, folder: Path) -> None:
    for data in (b"", b"x" * 100_000, b"\x7fELF", made_head(sleeper.pid)[:150]):
        done = crash(data, sleeper.pid, sleeper.pid, 6, "--folder", folder)
        expected = f"process {sleeper.pid} died of SIGABRT and is not kept: .*"
        assert_refused(done, expected)
    assert not folder.exists()


def test_a_process_that_is_gone_leaves_its_registers(processes: Any, folder: Path) -> None:
    gone = processes.start(["sleep", "60"])
    data = made_head(gone.pid)
    gone.kill()
    done = crash(data, gone.pid, "--folder", folder)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    meta = meta_of(only(folder))
    assert not meta["complete"] and meta["target"] is None and meta["problems"]
    assert json.loads((only(folder) / "threads.json").read_text())["threads"]


def test_another_process_is_not_taken_for_it(sleeper: Process, folder: Path) -> None:
    done = crash(made_head(os.getpid()), sleeper.pid, "--folder", folder)
    assert done.returncode == 1 and "is not the one whose core this is" in done.stderr


@pytest.mark.parametrize("kind", ["link", "open", "file"])
def test_a_folder_that_is_not_ours_alone(sleeper: Process, folder: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "other").mkdir(mode=0o700)
    if kind == "link":
        folder.symlink_to(tmp_path / "other")
    elif kind == "open":
        folder.mkdir(mode=0o755)
    else:
        folder.touch()
    done = crash(made_head(sleeper.pid), sleeper.pid, "--folder", folder)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and "the folder" in done.stderr
    assert not list((tmp_path / "other").iterdir())
    assert folder.is_file() or not list(folder.iterdir())


def test_a_core_that_does_not_come_costs_its_time(sleeper: Process, folder: Path) -> None:
    read, write = os.pipe()
    began = time.monotonic()
    command = [*COMMAND, "crash", str(sleeper.pid), "--folder", str(folder), "--time", "1"]
    for data in (b"", made_head(sleeper.pid)[:200]):
        os.write(write, data)
        done = subprocess.run(
            command, stdin=read, stderr=subprocess.PIPE, timeout=90, cwd=CHECKOUT, check=False
        )
        assert done.returncode == 1 and b"its core does not come" in done.stderr
    assert time.monotonic() - began < 60


def test_reports_that_take_too_long_are_ended(sleeper: Process, folder: Path) -> None:
    """In the parent's clock, the child's, and, where neither runs, the kernel's."""
    start = f"import sys, time\nsys.path.insert(0, {str(CHECKOUT)!r})\n"
    start += "from addrspace_gdb.shell.crash import handling, keeping\n"
    slow = "keeping._Keeping._maps = lambda self: time.sleep(60)\n"
    stuck = "import ctypes\nhandling._report = lambda *a: ctypes.CDLL(None).usleep(60000000)\n"
    run = "from addrspace_gdb.shell.cli import main\nsys.exit(main(sys.argv[1:]))"
    for wrong, status in ((slow, 1), (stuck, -signal.SIGALRM)):
        began = time.monotonic()
        command = [sys.executable, "-c", start + wrong + run, "crash", str(sleeper.pid)]
        command += ["--folder", str(folder), "--time", "1"]
        data = made_head(sleeper.pid)
        done = subprocess.run(command, input=data, capture_output=True, timeout=90, check=False)
        assert (done.returncode, time.monotonic() - began < 45) == (status, True), done.stderr
    meta = meta_of(only(folder))
    assert not meta["complete"] and meta["missing"] == ["maps"] and "time was up" in meta["problems"][0]
    assert (only(folder) / "threads.txt").exists() and not list(only(folder).glob("*.part"))


def test_two_at_once_do_not_disturb_each_other(sleeper: Process, folder: Path) -> None:
    command = [*COMMAND, "crash", str(sleeper.pid), "--folder", str(folder), "--keep", "1MiB"]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=CHECKOUT)
        for _ in range(4)
    ]
    for one in running:
        assert one.communicate(made_head(sleeper.pid), timeout=60)[1] == b""
    assert [one.returncode for one in running] == [0] * 4
    found = sorted(folder.glob("2*"))
    assert len(found) == 4 and all(meta_of(one)["complete"] for one in found)


# Handing on

STORE = """#!{python}
import json, sys
data = sys.stdin.buffer.read()
open({out!r}, "wb").write(data)
open({out!r} + ".args", "w").write(json.dumps(sys.argv[1:]))
"""


def handler(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "before"
    path.write_text(text.format(python=sys.executable, out=str(tmp_path / "got")))
    path.chmod(0o755)
    return path


def installed(folder: Path, pattern: str) -> None:
    Crashes(str(folder), make=True)
    state = {"core_pattern": pattern, "core_pipe_limit": 0, "ours": "|x"}
    (folder / "before.json").write_text(json.dumps(state))


def test_a_core_is_handed_on_in_full(sleeper: Process, folder: Path, tmp_path: Path) -> None:
    installed(folder, f"|{handler(tmp_path, STORE)} %P -s%s %e %%")
    for data in (made_head(sleeper.pid) + REST, made_head(sleeper.pid), b"garbage" * 100, b""):
        done = crash(data, sleeper.pid, sleeper.pid, 11, "ea b", "--folder", folder, "--forward")
        assert (tmp_path / "got").read_bytes() == data
        assert json.loads((tmp_path / "got.args").read_text()) == [str(sleeper.pid), "-s11", "a b", "%"]
        assert done.returncode == (0 if data.startswith(b"\x7fELF") else 1), done.stderr
    assert not list(folder.glob("2*"))  # not Go: only handed on


# Debian 12's and 13's lines. It ends when a service of its own has taken over the core's descriptor, which
# then reads on; since Linux 6.16 %F is a descriptor that the kernel has opened for it.
SYSTEMD = ("%P %u %g %s %t 9223372036854775808 %h %d", "%P %u %g %s %t %c %h %d %F")
SERVICE = """#!{python}
import json, os, sys
words = sys.argv[1:]
info = dict(line.split(":", 1) for line in open("/proc/self/fdinfo/" + words[8])) if len(words) > 8 else None
if os.fork():
    os._exit(0)
data = sys.stdin.buffer.read()
open({out!r} + ".new", "wb").write(data)
open({out!r} + ".args", "w").write(json.dumps([words, info and int(info["Pid"])]))
os.rename({out!r} + ".new", {out!r})
"""


@pytest.mark.parametrize("words", SYSTEMD, ids=["252", "257"])
def test_as_systemd_coredump_takes_it(words: str, sleeper: Process, folder: Path, tmp_path: Path) -> None:
    """The real one of both releases took a core of 1.3 GB this way, and stored it to the byte."""
    installed(folder, f"|{handler(tmp_path, SERVICE)} {words}")
    pid, data = sleeper.pid, made_head(sleeper.pid) + REST * 50
    opened = os.pidfd_open(pid)
    os.set_inheritable(opened, True)
    values = {"u": 1000, "g": 100, "t": 1795885172, "c": (1 << 64) - 1, "h": "db 1", "d": 1, "F": opened}
    told = [f"{letter}{value}" for letter, value in values.items() if f"%{letter}" in words]
    command = [*COMMAND, "crash", str(pid), str(pid), "11", *told, "--folder", str(folder), "--forward"]
    done = subprocess.run(
        command, input=data, capture_output=True, pass_fds=[opened], cwd=CHECKOUT, timeout=60, check=False
    )
    os.close(opened)
    assert (done.returncode, done.stderr) == (0, b"")
    deadline = time.monotonic() + 90
    while not (tmp_path / "got").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (tmp_path / "got").read_bytes() == data
    values.update(P=pid, s=11)
    wanted = [str(values[word[1]]) if word.startswith("%") else word for word in words.split()]
    got, of_process = json.loads((tmp_path / "got.args").read_text())
    assert got == wanted and of_process == (pid if "%F" in words else None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#!/bin/sh\nexit 3\n", "ended with status 3"),
        ("#!/bin/sh\nexec sleep 5\n", "left to itself|not handed on|nothing moved"),
        ("no program", "cannot be handed on"),
    ],
)
def test_a_handler_that_fails(sleeper: Process, folder: Path, tmp_path: Path, text: str, said: str) -> None:
    import re

    installed(folder, f"|{handler(tmp_path, text)}")
    began = time.monotonic()
    done = crash(made_head(sleeper.pid) + REST, sleeper.pid, "--folder", folder, "--forward", "--time", "1")
    assert re.search(said, done.stderr) and len(done.stderr.splitlines()) == 1
    assert time.monotonic() - began < 45


def test_nobody_to_hand_on_to(sleeper: Process, folder: Path) -> None:
    done = crash(made_head(sleeper.pid), sleeper.pid, "--folder", folder, "--forward")
    assert "which handler was there before is not known" in done.stderr


# Setting up


def test_a_line_that_is_too_long_is_a_program(sleeper: Process, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "core_pattern").write_text("core\n")
    (tmp_path / "core_pipe_limit").write_text("0\n")
    kernel = Kernel(str(tmp_path))
    wanted = Wanted(str(folder), ["--folder", str(folder), "--keep", "100000000"], False)
    found = installing.plan(wanted, kernel)
    if len(str(folder)) > 90:
        pytest.skip("the folder's own name is too long")
    assert found.wrapper is not None
    installing.install(found, wanted, kernel)
    program = kernel.values().core_pattern[1:].split()[0]
    command = [program, str(sleeper.pid), str(sleeper.pid), "11"]
    subprocess.run(command, input=made_head(sleeper.pid), check=True, timeout=60, env={}, cwd="/")
    assert meta_of(only(folder))["complete"]


def test_options_that_do_not_go_together(folder: Path) -> None:
    assert_refused(cli("crash", "--yes"), "--yes goes with --install or --uninstall")
    assert_refused(cli("crash", "--status", "12"), "a process goes without .*")
    assert_refused(cli("crash"), "say which process: .*")
    assert_refused(
        cli("crash", "--uninstall", "--folder", folder), "nothing was installed with the folder .*"
    )
    assert cli("crash", "--status", "--install").returncode == 2
    shown = cli("crash", "--install", "--folder", folder)
    assert shown.returncode == 0 and "kernel.core_pattern = |" in shown.stdout and not folder.exists()
