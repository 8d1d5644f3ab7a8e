"""A server with 200 threads, load, signals and children, dumped again and again: right, never left stopped.

ADDRSPACE_DUMPS says how often (5; 200 before a release).
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import List

import pytest
from harness.build import Builder
from harness.command import cli
from harness.debuggers import Gdb
from harness.held import stopped_or_traced
from harness.toolchains import Toolchain

EACH_ONCE = True  # not every combination: tests/conftest.py

DUMPS = int(os.environ.get("ADDRSPACE_DUMPS", "5"))


class Server:
    """The program, and what it says that it has done."""

    def __init__(self, path: Path) -> None:
        self.popen = subprocess.Popen(
            [str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.popen.stdout is not None and self.popen.stdout.readline() == "ready\n"

    def counts(self) -> List[int]:
        """Requests, signals, children, turns of threads, failures."""
        assert self.popen.stdin is not None and self.popen.stdout is not None
        self.popen.stdin.write("count\n")
        self.popen.stdin.flush()
        return [int(word) for word in self.popen.stdout.readline().split()[1:]]

    def after(self, last: List[int]) -> List[int]:
        """Its counts once it has done more of everything: it goes on with all of its work."""
        deadline = time.monotonic() + 60
        while True:
            now = self.counts()
            if all(a < b for a, b in zip(last[:4], now[:4])):
                return now
            assert time.monotonic() < deadline, (last, now)
            time.sleep(0.02)

    def wait_for_threads(self) -> None:
        """Until all of them have been started."""
        deadline = time.monotonic() + 60
        while len(os.listdir(f"/proc/{self.popen.pid}/task")) < 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.parametrize("way", ["by itself", "gdb"])
def test_dumped_again_and_again(way: str, newest_go: Toolchain, build_program: Builder, gdb_exe: Gdb) -> None:
    reader = ["--gdb", str(gdb_exe.path)] if way == "gdb" else ["--debugger", "none"]
    server = Server(build_program("loaded", newest_go).path)
    try:
        server.wait_for_threads()
        wrong: List[str] = []
        last = server.counts()
        for number in range(DUMPS):
            done = cli("dump", str(server.popen.pid), "--check", *reader)
            assert "ok" in done.stdout, done.stderr
            if done.returncode or done.stderr:
                wrong.append(f"dump {number}: {done.stderr.strip()}\n{done.stdout}")
            assert stopped_or_traced(server.popen.pid) == []
            last = server.after(last)
        assert wrong == []
        assert last[4] == 0  # no request and no child failed
    finally:
        server.popen.kill()
        server.popen.communicate()


def test_a_server_that_is_left_stopped_would_be_seen(newest_go: Toolchain, build_program: Builder) -> None:
    server = Server(build_program("loaded", newest_go).path)
    try:
        server.wait_for_threads()
        os.kill(server.popen.pid, 19)
        deadline = time.monotonic() + 60
        while len(stopped_or_traced(server.popen.pid)) < 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        server.popen.kill()
        server.popen.communicate()
