"""The commands that take a while, or a worker, are ended at any moment: the process stands as it stood,
nothing that they started is left, nor a file, and what they write is whole or not there.

ADDRSPACE_ENDS says how often (4; 100 before a release).
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator, List, NamedTuple, Tuple

import pytest
from harness import CHECKOUT
from harness.build import Builder
from harness.command import cli
from harness.debuggers import Gdb
from harness.held import state, stop, until
from harness.processes import INTERRUPTIBLE, Process, Processes
from harness.toolchains import Toolchain

EACH_ONCE = True  # not every combination: tests/conftest.py

ENDS = int(os.environ.get("ADDRSPACE_ENDS", "4"))
MARK = "ADDRSPACE_TEST_MARK"
ENDINGS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Words before the process, and after it; `OUT` is a file.
COMMANDS: Tuple[Tuple[List[str], List[str]], ...] = (
    (["retained"], []),
    (["types"], ["--format", "json", "-o", "OUT"]),
    (["holders"], ["main.cache", "--format", "json", "-o", "OUT"]),
    (["profile", "retained"], ["-o", "OUT"]),
    (["profile", "goroutine"], ["--format", "folded"]),
    (["html"], ["--types", "--retained", "-o", "OUT"]),
    (["goroutine-stacks"], ["--leaked"]),
    (["watch"], ["--every", "100ms", "--for", "2s", "-o", "OUT"]),
    (["watch"], ["--every", "100ms", "--for", "2s", "--format", "openmetrics", "-o", "OUT"]),
    (["diff", "SELF"], []),
)


class Ended(NamedTuple):
    """A command that was sent a signal."""

    what: str
    number: int
    status: int
    stderr: str
    output: Path
    left: List[str]  # in its $TMPDIR, and it was not there before


def run(words: List[str], folder: Path, moment: float, number: int) -> Ended:
    """Run a command and end it after that many seconds."""
    temporary, output = folder / "tmp", folder / "output"
    temporary.mkdir(exist_ok=True)
    output.unlink(missing_ok=True)
    before = {*os.listdir(temporary)}
    command = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, *(str(output) if word == "OUT" else word for word in words)],
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(CHECKOUT), MARK: str(folder)},
    )
    try:
        time.sleep(moment)
        command.send_signal(number)
        _, stderr = command.communicate(timeout=120)
    finally:
        command.kill()
    what = f"{' '.join(words)}: {signal.Signals(number).name} after {moment:.3f} s"
    return Ended(what, number, command.returncode, stderr, output, [*{*os.listdir(temporary)} - before])


def of_ours(folder: Path) -> Iterator[str]:
    """Processes that a command has started and that live."""
    mark = f"{MARK}={folder}".encode()
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            environment = Path(f"/proc/{name}/environ").read_bytes()
            command = Path(f"/proc/{name}/cmdline").read_bytes()
        except OSError:
            continue
        if mark in environment.split(b"\0") and command:
            yield f"{name} {command[:100]!r}"


def assert_all_gone(folder: Path) -> None:
    deadline = time.monotonic() + 90
    while left := list(of_ours(folder)):
        assert time.monotonic() < deadline, left
        time.sleep(0.02)


def assert_ended(ended: Ended) -> None:
    """It has answered, or died of the signal without a word; its file is whole or not there."""
    startup = ended.number == signal.SIGINT and ended.status == 1 and "KeyboardInterrupt" in ended.stderr
    assert startup or ended.status in (0, -ended.number, 128 + ended.number), ended
    assert startup or ended.stderr == "", ended
    assert ended.number == signal.SIGKILL or ended.left == [], ended
    beside = [one for one in os.listdir(ended.output.parent) if one.startswith(".addrspace-")]
    assert ended.number == signal.SIGKILL or beside == [], (ended, beside)
    for one in beside:
        (ended.output.parent / one).unlink()
    if ended.output.exists():
        assert_whole(ended)


def assert_whole(ended: Ended) -> None:
    data = ended.output.read_bytes()
    if "html" in ended.what:
        assert data.rstrip().endswith(b"</html>"), ended
    elif "openmetrics" in ended.what:
        assert data.endswith(b"# EOF\n"), ended
    elif "watch" in ended.what:
        assert data.endswith(b"\n") and all(map(json.loads, data.splitlines())), ended
    elif "json" in ended.what:
        assert json.loads(data), ended


@pytest.mark.parametrize("way", ["by itself", "gdb"])
def test_whenever_a_command_is_ended(
    way: str, newest_go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path, gdb_exe: Gdb
) -> None:
    """In turn of a process that runs, and of one that stood stopped."""
    path = build_program("kept", newest_go).path
    running, stopped = (processes.start([str(path)]).wait_ready() for _ in range(2))
    stop(stopped)
    chance, wrong = random.Random(way), []
    for turn in range(ENDS // 2):
        before, after = COMMANDS[chance.randrange(len(COMMANDS))]
        process: Process = (running, stopped)[turn % 2]
        words = [str(process.pid) if word == "SELF" else word for word in [*before, "SELF", *after]]
        if way == "gdb" and before != ["watch"]:
            words += ["--gdb", str(gdb_exe.path)]
        ended = run(words, tmp_path, chance.uniform(0.1, 1.6), chance.choice(ENDINGS))
        try:
            assert_all_gone(tmp_path)
            assert_ended(ended)
            until(stopped.pid, "T")
            assert running.running() and state(stopped.pid) == ("T", "0")
        except AssertionError as error:
            wrong.append(f"{ended.what}: {error}")
    assert not wrong, "\n\n".join(wrong)
    done = cli("dump", running.pid, TMPDIR=str(tmp_path / "tmp"))  # which sweeps what SIGKILL has left
    assert (done.returncode, os.listdir(tmp_path / "tmp")) == (0, []), done.stderr
