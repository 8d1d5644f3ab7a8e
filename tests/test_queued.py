"""Finalizers and cleanups that wait behind one that is stuck, in `addrspace gc` and in a finding of `rss`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict, List

import pytest
from harness.build import Builder
from harness.command import cli
from harness.debuggers import Gdb
from harness.processes import Process, Processes
from harness.scenes import attach, gcore
from harness.toolchains import Toolchain, toolchain_or_skip
from jsonschema import Draft202012Validator

from addrspace_gdb.views.documents.schema import schema

EACH_ONCE = True  # not every combination: tests/conftest.py

ALSO_OLD = True
ALSO_STRIPPED = "$^"

MANY, SLOT = 40_000, 2048
Json = Dict[str, Any]


def started(processes: Processes, path: Path, oracle: Path, what: str, many: int = MANY) -> Process:
    return processes.start([str(path), str(oracle), what, str(many)]).wait_ready()


def gc_of(target: object, *options: str) -> Json:
    done = cli("dump", str(target), "--report", "gc", "--format", "json", *options)
    document: Json = json.loads(done.stdout)
    errors = list(Draft202012Validator(schema("gc/1")).iter_errors(document))
    assert not errors and not document["problems"], (errors[:3], document["problems"])
    return document


def of_the_runtime(pid: int, report: str) -> str:
    """How many goroutines there are and how many of those are the runtime's, in words."""
    text = cli("dump", str(pid), "--report", report).stdout
    found = re.search(r"[\d,]+ goroutines \([\d,]+ of the runtime\)", text)
    assert found is not None, text
    return found[0]


def assert_counted_alike(live: Process) -> None:
    """Who calls the user's finalizers or cleanups is the user's so long: isSystemGoroutine."""
    assert of_the_runtime(live.pid, "addrspace") == of_the_runtime(live.pid, "goroutine-stacks")


def functions(part: Json) -> List[str]:
    return [one["function"] for one in part["at_work"]]


@pytest.mark.parametrize("variant", ["plain", "stripped"])
def test_finalizers_wait_behind_one_that_is_stuck(
    variant: str, go: Toolchain, build_program: Builder, processes: Processes, gdb_exe: Gdb,
    oracle_file: Path, tmp_path: Path,
) -> None:  # fmt: skip
    binary = build_program("queued", go, variant)
    live = started(processes, binary.path, oracle_file, "finalizers")
    counted = json.loads(oracle_file.read_text())
    core = tmp_path / "core"
    gcore(gdb_exe, attach(live, binary), core)
    for target, options in (
        (live.pid, ("--debugger", "none")),
        (live.pid, ("--gdb", str(gdb_exe.path))),
        (core, ("--exe", str(binary.path))),
    ):
        document = gc_of(target, *options)
        finalizers = document["finalizers"]
        assert finalizers["waiting"] == MANY - 1
        assert functions(finalizers) == ["main.closeHandle"]
        assert finalizers["at_work"][0]["state"] == "chan receive"
        assert document["cleanups"] == {"waiting": 0, "at_work": []}
        if counted:
            assert finalizers["waiting"] + 1 == counted["finalizers.queued"] - counted["finalizers.executed"]
    assert_counted_alike(live)


def test_what_they_keep_is_the_first_finding(
    newest_go: Toolchain, build_program: Builder, processes: Processes, oracle_file: Path
) -> None:
    live = started(processes, build_program("queued", newest_go).path, oracle_file, "finalizers")
    done = cli("dump", str(live.pid), "--report", "rss", "--format", "json")
    first, *others = json.loads(done.stdout)["findings"]
    assert (first["kind"], first["bytes"]) == ("finalizers", MANY * SLOT)
    assert f"{MANY - 1:,} objects that wait for their finalizer" in first["sentence"]
    assert "has been in main.closeHandle for " in first["sentence"]
    assert "live-objects" not in [one["kind"] for one in others]
    text = cli("dump", str(live.pid), "--report", "gc").stdout
    assert f"Finalizers    {MANY - 1:,}" in text and "main.closeHandle" in text


@pytest.mark.parametrize("variant", ["plain", "stripped"])
@pytest.mark.parametrize("version", ["1.24.11", "1.25.5", "newest"])
def test_cleanups_wait_behind_one_that_is_stuck(
    version: str, variant: str, newest_go: Toolchain, build_program: Builder, processes: Processes,
    gdb_exe: Gdb, oracle_file: Path,
) -> None:  # fmt: skip
    go = newest_go if version == "newest" else toolchain_or_skip(version)
    live = started(processes, build_program("queued", go, variant).path, oracle_file, "cleanups")
    counted = json.loads(oracle_file.read_text())
    for options in (("--debugger", "none"), ("--gdb", str(gdb_exe.path))):
        document = gc_of(live.pid, *options)
        cleanups = document["cleanups"]
        # Those that share a block with one that waits are not begun either.
        assert cleanups["waiting"] == MANY - len(cleanups["at_work"])
        assert set(functions(cleanups)) == {"main.wipe"}
        assert document["finalizers"] == {"waiting": 0, "at_work": []}
        if counted:
            assert counted["cleanups.queued"] - counted["cleanups.executed"] == MANY
    assert_counted_alike(live)


def test_nothing_waits_where_all_have_run(
    go: Toolchain, build_program: Builder, processes: Processes, oracle_file: Path
) -> None:
    live = started(processes, build_program("queued", go).path, oracle_file, "done", 5000)
    document = gc_of(live.pid)
    nothing = {"waiting": 0, "at_work": []}
    assert document["finalizers"] == nothing and document["cleanups"] == nothing
    assert "none waiting" in cli("dump", str(live.pid), "--report", "gc").stdout
