"""A child forked off a C program, here Python, with a Go library in it: the runtime has no threads there."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import List, Tuple

import pytest
from harness.build import Builder
from harness.command import cli
from harness.debuggers import Gdb
from harness.processes import Process, Processes
from harness.toolchains import Toolchain

EACH_ONCE = True  # not every combination: tests/conftest.py

HOST = """
import ctypes, os, sys, time
library = ctypes.CDLL(sys.argv[1])
library.GoPopulate(sys.argv[2].encode())
child = os.fork()
if child:
    print("forked", child, flush=True)
time.sleep(600)
"""
NOTE = "it was forked off one with Go in it, and no goroutine can run here"


@pytest.fixture
def family(
    newest_go: Toolchain, build_program: Builder, processes: Processes, oracle_file: Path
) -> Tuple[Process, int]:
    """The host, and its child's process id."""
    library = build_program("cshared", newest_go, "c-shared").library
    assert library is not None
    parent = processes.start([sys.executable, "-c", HOST, str(library), str(oracle_file)])
    return parent, int(parent.wait_for("\n").split()[-1])


def notes_of(target: int, report: str, *options: str) -> List[str]:
    more = [] if report == "addrspace" else ["--report", report]
    document = json.loads(cli("dump", target, *more, "--format", "json", *options).stdout)
    return [note for note in document["notes"] if "forked" in note]


def test_a_child_says_that_its_threads_are_elsewhere(family: Tuple[Process, int], gdb_exe: Gdb) -> None:
    parent, child = family
    for report, *options in (
        ("addrspace", "--debugger", "none"),
        ("goroutine-stacks", "--debugger", "none"),
        ("goroutine-stacks", "--gdb", str(gdb_exe.path)),
    ):
        (note,) = notes_of(child, report, *options)
        assert NOTE in note and "threads is in this process, which has 1 thread of its own" in note
    assert notes_of(parent.pid, "addrspace") == notes_of(parent.pid, "goroutine-stacks") == []
