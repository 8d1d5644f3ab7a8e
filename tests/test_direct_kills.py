"""The command that holds a process without a debugger is ended at any moment: the process goes on as before,
and no signal is lost or invented.

ADDRSPACE_KILLS says how often (12; 1000 before a release).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple

import pytest
from harness import CHECKOUT
from harness.build import Builder
from harness.held import stopped_or_traced
from harness.processes import INTERRUPTIBLE
from harness.toolchains import Toolchain

KILLS = int(os.environ.get("ADDRSPACE_KILLS", "12"))
THREADS = (1, 7, 60, 500)
HELD, HELD_EACH = 0.02, 0.0001  # seconds, about, that it is held, and for each thread
ENDINGS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSTOP)
KINDS = ("to the process", "to a thread", "plain", "to itself")


# Holds the process again and again until a thread stops with a signal that it has not got yet, and dies.
HOLDER = """
import os, signal, sys
from addrspace_gdb.debugger.direct.seize import Seized
while True:
    seized = Seized(int(sys.argv[1]), 10, lambda: "late")
    seized.hold()
    if any(map(seized.siginfo, map(int, os.listdir(f"/proc/{sys.argv[1]}/task")))):
        os.kill(os.getpid(), signal.SIGKILL)
    seized.release()
"""


class Counts(NamedTuple):
    """What the program `counted` says of itself."""

    settled: bool  # all signals that were sent have come, with the numbers that they carried
    failures: int
    done: List[int]  # turns of its threads, threads born, children run
    signals: Dict[str, List[int]]  # sent, came, and by how much the sums of their numbers differ


class Counted:
    """The program `counted` with that many threads at work."""

    def __init__(self, path: Path, threads: int) -> None:
        self.popen = subprocess.Popen(
            [str(path), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.popen.stdout is not None and self.popen.stdout.readline() == "ready\n"
        self.pid, self.threads, self.last = self.popen.pid, threads, self.counts()

    def counts(self) -> Counts:
        """It answers, so it runs."""
        assert self.popen.stdin is not None and self.popen.stdout is not None
        self.popen.stdin.write("\n")
        self.popen.stdin.flush()
        settled, failures, *rest = map(int, self.popen.stdout.readline().split()[1:])
        signals = {kind: rest[3 + 3 * i : 6 + 3 * i] for i, kind in enumerate(KINDS)}
        return Counts(bool(settled), failures, rest[:3], signals)

    def assert_goes_on(self) -> None:
        """Everything that it does is done, and it has got exactly the signals that it was sent."""
        deadline = time.monotonic() + 90
        while True:
            now = self.counts()
            assert now.settled and not now.failures, now
            assert all(sent == came and not sums for sent, came, sums in now.signals.values()), now
            more = [a < b for a, b in zip(self.progress(self.last), self.progress(now))]
            if all(more):
                break
            assert time.monotonic() < deadline, (self.last, now)
            time.sleep(0.01)
        self.last = now

    @staticmethod
    def progress(counts: Counts) -> List[int]:
        """Everything that must rise."""
        return counts.done + [came for _, came, _ in counts.signals.values()]

    def end(self) -> None:
        """Kill it; its child goes with it."""
        self.popen.kill()
        self.popen.communicate()


class Ended(NamedTuple):
    """How a command ended."""

    what: str
    number: int
    status: int
    stdout: str
    stderr: str
    left: List[str]  # in its $TMPDIR, and it was not there before


def run(process: Counted, folder: Path, moment: float, number: int, held: bool = False) -> Ended:
    """Dump the process, and send the command that signal after `moment` seconds of its run, or after it has
    begun to hold the process; 0: none."""
    command = [sys.executable, "-c", INTERRUPTIBLE, "dump", str(process.pid), "--debugger", "none"]
    before = {*os.listdir(folder)}
    dump = subprocess.Popen(
        command,
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(CHECKOUT)},
    )
    try:
        if number:
            if held:
                wait_until_held(dump, process.pid)
            time.sleep(moment)
            end(dump, number)
        stdout, stderr = dump.communicate(timeout=120)
    finally:
        dump.kill()
    since = " of holding" if held else ""
    what = f"{signal.Signals(number).name if number else 'nothing'} after {moment:.4f} s{since}"
    return Ended(what, number, dump.returncode, stdout, stderr, [*{*os.listdir(folder)} - before])


def wait_until_held(dump: subprocess.Popen[str], pid: int) -> None:
    """Until it is traced, or the command has ended."""
    status = Path(f"/proc/{pid}/status")
    while "\nTracerPid:\t0\n" in status.read_text() and dump.poll() is None:
        time.sleep(0.0005)


def end(dump: subprocess.Popen[str], number: int) -> None:
    dump.send_signal(number)
    if number == signal.SIGSTOP:
        time.sleep(0.1)
        dump.send_signal(signal.SIGCONT)


def assert_ended(ended: Ended) -> None:
    """It has answered, or it has died of the signal; and has taken its files away if it could."""
    if ended.number in (0, signal.SIGSTOP):
        assert (ended.status, ended.stderr) == (0, ""), ended
    assert ended.status in (0, -ended.number, 128 + ended.number) or is_startup(ended), ended
    if ended.status == 0:
        assert "Goroutine Stacks" in ended.stdout, ended
    if ended.number != signal.SIGKILL:
        assert ended.left == [], ended


def is_startup(ended: Ended) -> bool:
    """Python itself was interrupted while it began."""
    return ended.number == signal.SIGINT and ended.status == 1 and "KeyboardInterrupt" in ended.stderr


def usual(process: Counted, folder: Path) -> float:
    """How long the command takes."""
    began = time.monotonic()
    ended = run(process, folder, 0, 0)
    assert_ended(ended)
    return time.monotonic() - began


@pytest.fixture(params=THREADS, ids="{} threads".format)
def counted(
    request: pytest.FixtureRequest, newest_go: Toolchain, build_program: Builder
) -> Iterator[Counted]:
    """The program, which nobody looks at yet."""
    process = Counted(build_program("counted", newest_go).path, request.param)
    try:
        yield process
    finally:
        process.end()


def test_it_goes_on_whenever_the_command_is_ended(counted: Counted, tmp_path: Path) -> None:
    """At seeded moments, in turn of all that it takes and a fifth more, and of the time that it is held."""
    chance = random.Random(counted.threads)
    longest = [1.2 * min(usual(counted, tmp_path) for _ in range(2)), HELD + counted.threads * HELD_EACH]
    wrong: List[str] = []
    endings: Counter[str] = Counter()
    for turn in range(KILLS // len(THREADS)):
        held, number = turn % 2, chance.choice(ENDINGS)
        ended = run(counted, tmp_path, chance.uniform(0, longest[held]), number, bool(held))
        endings[f"{number.name} {'while held ' * held}{'done' if ended.status == 0 else 'ended'}"] += 1
        try:
            assert stopped_or_traced(counted.pid) == []
            counted.assert_goes_on()
            assert_ended(ended)
        except AssertionError as error:
            wrong.append(f"{ended.what}: {error}")
        if not counted.last.settled or counted.popen.poll() is not None:
            break
    print(counted.threads, "threads:", dict(sorted(endings.items())), counted.last)
    assert wrong == []
    usual(counted, tmp_path)  # which takes away what others have left
    assert os.listdir(tmp_path) == []


def test_a_signal_that_was_on_its_way_is_not_lost(newest_go: Toolchain, build_program: Builder) -> None:
    """Nor doubled, when whoever holds the process is killed."""
    process = Counted(build_program("counted", newest_go).path, 7)
    try:
        for _ in range(3):
            command = [sys.executable, "-c", HOLDER, str(process.pid)]
            done = subprocess.run(command, cwd=CHECKOUT, timeout=60, check=False)
            assert done.returncode == -signal.SIGKILL
            assert stopped_or_traced(process.pid) == []
            process.assert_goes_on()
    finally:
        process.end()
