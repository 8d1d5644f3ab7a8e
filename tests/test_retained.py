"""The graph of the heap against the collector: what it marked we reach, and what we say is kept it frees."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any, Dict, List

import jsonschema
import pytest
from goroutine_frames import between, marked
from harness import full_matrix
from harness.build import Builder
from harness.command import cli
from harness.debuggers import Gdb
from harness.gdbrun import run_gdb
from harness.marks import looked_at
from harness.processes import Process, Processes
from harness.scenes import attach, gcore
from harness.toolchains import Toolchain

from addrspace_gdb.views.documents.schema import schema

EACH_ONCE = True  # not every combination: tests/conftest.py

ALSO_OLD = True

Json = Dict[str, Any]
VARIANTS = ("plain", "stripped")
if full_matrix():
    VARIANTS += ("pie", "cgo", "race", "noopt", "386", "arenas", "greentea", "nogreenteagc")  # type: ignore[assignment]

SUDOGS = 1024  # bytes that the runtime may make and drop for itself between two collections


def late(go: Toolchain) -> int:
    """How many objects may have died after they were marked: Go 1.23 and 1.24 clean up the maps of package
    unique behind each collection, with temporary closures."""
    return 4 if go.release in ((1, 23), (1, 24)) else 0


def quiet(processes: Processes, path: Path) -> Process:
    """The program once it has collected and waits."""
    return processes.start([str(path)]).wait_ready()


def retained(target: object, *options: str, plain: str = "") -> Json:
    done = cli("dump", str(target), "--format", "json", *options, ADDRSPACE_GRAPH_PLAIN=plain)
    assert done.returncode == 0, done.stderr
    document: Json = json.loads(done.stdout)
    jsonschema.validate(document, schema("retained/1"))
    assert not document["problems"]
    return document


def row(document: Json, name: str) -> Json:
    (found,) = [one for one in document["retained"] if one["root"] == name]
    return dict(found)


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_reached_is_what_the_collector_marked(
    variant: str, go: Toolchain, build_program: Builder, processes: Processes
) -> None:
    binary = build_program("kept", go, variant)
    live = quiet(processes, binary.path)
    with looked_at(live.pid, None, binary.path) as look:
        assert live.running()
        found = look.compare()
        assert not list(look.graph.problems) and not look.graph.roots.unknown
        assert found.marked > 140_000 and found.since < 200
        assert not found.not_marked, found.not_marked[:8]
        assert len(found.not_reached) <= late(go), found.not_reached[:8]
        totals = look.graph.totals
        assert totals.reached.objects >= found.marked - late(go)
        assert look.graph.reading.go.memstats is not None
        stats = look.graph.reading.go.memstats
        assert totals.allocated == (stats["HeapAlloc"], stats["HeapObjects"])


@pytest.mark.parametrize("variant", ["plain", "stripped"] if full_matrix() else ["stripped"])
def test_a_core_has_the_same_graph(
    variant: str, go: Toolchain, build_program: Builder, processes: Processes, gdb_exe: Gdb, tmp_path: Path
) -> None:
    binary = build_program("kept", go, variant)
    live = quiet(processes, binary.path)
    core = tmp_path / "core"
    os.kill(live.pid, signal.SIGSTOP)
    gcore(gdb_exe, attach(live, binary), core)
    with looked_at(None, core, binary.path) as look:
        found = look.compare()
        assert not list(look.graph.problems)
        assert not found.not_marked and len(found.not_reached) <= late(go) and found.marked > 140_000
        of_core = look.graph.totals
    with looked_at(live.pid, None, binary.path) as look:
        assert look.graph.totals == of_core


def test_what_is_let_go_is_what_was_kept(go: Toolchain, build_program: Builder, processes: Processes) -> None:
    live = quiet(processes, build_program("kept", go).path)
    document = retained(live.pid, "--report", "retained --limit all")
    rows = document["retained"]
    for what in ("bytes", "objects"):
        assert sum(one[what] for one in rows) == document["totals"]["reached"][what]
    os.kill(live.pid, signal.SIGUSR1)
    said = live.wait_for("less ").partition("less ")[2]
    freed = int(said.split()[0])
    kept = row(document, "main.cache")["bytes"]
    assert kept > 2_000_000 and abs(freed - kept) <= SUDOGS, (freed, kept)


def test_without_numba_it_is_the_same(
    newest_go: Toolchain, build_program: Builder, processes: Processes
) -> None:
    live = quiet(processes, build_program("kept", newest_go).path)
    os.kill(live.pid, signal.SIGSTOP)
    report = ("--report", "retained --depth 2 --limit 40")
    found = retained(live.pid, *report)
    assert found == retained(live.pid, *report, plain="1")
    (cache,) = row(found, "main.cache")["children"]
    assert cache["type"] == "map[string]*main.entry" and cache["bytes"] == row(found, "main.cache")["bytes"]
    (together,) = [one for one in found["retained"] if one["kind"] == "shared" and one["root"] == "globals"]
    below = together["children"]
    assert below and {one["kind"] for one in below} == {"object"}
    assert sum(one["bytes"] for one in below) <= together["bytes"]
    assert together["more"] or sum(one["bytes"] for one in below) == together["bytes"]
    assert any(one["type"] == "main.entry" and one["package"] == "main" for one in below)


def test_gdb_says_the_same(
    newest_go: Toolchain, build_program: Builder, processes: Processes, gdb_exe: Gdb
) -> None:
    live = quiet(processes, build_program("kept", newest_go).path)
    os.kill(live.pid, signal.SIGSTOP)
    report = ("--report", "retained --depth 1 --limit 30 &'main.list' &'main.cache'")
    ours = retained(live.pid, *report, "--debugger", "none")
    theirs = retained(live.pid, *report, "--gdb", str(gdb_exe.path))
    assert ours == theirs
    names: List[str] = [one["root"] for one in ours["retained"]]
    assert names == ["main.list", "main.cache"]
    assert row(ours, "main.list")["objects"] > 6000
    assert [row(ours, name)["type"] for name in names] == ["*main.entry", "map[string]*main.entry"]


def test_text_begins_with_the_verdict(
    newest_go: Toolchain, build_program: Builder, processes: Processes
) -> None:
    live = quiet(processes, build_program("kept", newest_go).path)
    text = cli("dump", str(live.pid), "--report", "retained --depth 1").stdout
    verdict = " ".join(text.split("\n\n")[0].split())
    assert re.match(
        r"Of the \d+\.\d MiB that are reachable, main\.big \(\[\]\*main\.entry\) keeps 5\.0 MiB \(2", verdict
    )
    assert verdict.startswith("Of the 17.") and "main.huge ([]uint8) keeps 3.0 MiB" in verdict
    narrow = cli("dump", str(live.pid), "--report", "retained", "--width", "50").stdout
    assert re.search(
        r"are reached(, which is all that is allocated|; .* wait for the collector)", " ".join(narrow.split())
    )
    refused = cli("dump", str(live.pid), "--report", "retained 0x10")
    assert refused.returncode == 1 and " 0x10 is not an object of the heap" in refused.stderr
    assert live.running()


def test_rows_by_type_and_package(newest_go: Toolchain, build_program: Builder, processes: Processes) -> None:
    live = quiet(processes, build_program("kept", newest_go).path)
    os.kill(live.pid, signal.SIGSTOP)
    of_type = retained(live.pid, "--report", "retained --by type --limit all")
    assert of_type["by"] == "type" and {one["kind"] for one in of_type["retained"]} == {"type", "unknown"}
    cache = row(retained(live.pid, "--report", "retained --limit all"), "main.cache")
    entries = row(of_type, "main.entry")
    assert cache["objects"] < entries["objects"] <= of_type["totals"]["reached"]["objects"]
    within = retained(live.pid, "--report", "retained &'main.cache' --by type --limit all")
    assert row(within, "map[string]*main.entry")["objects"] == cache["objects"]
    packages = retained(live.pid, "--report", "retained --by package --limit all", plain="1")
    assert row(packages, "main")["bytes"] >= entries["bytes"]
    refused = cli("dump", str(live.pid), "--report", "retained --by type --depth 1")
    assert refused.returncode == 1 and "--depth goes with rows by root" in refused.stderr


# Ends the worker as an interrupt does, or as a machine without memory.
KILL = (
    "python import gc, addrspace_gdb.commands.engine as e; "
    "[one.close() for one in gc.get_objects() if isinstance(one, e.Engine)]"
)


def test_a_worker_that_has_ended_is_started_anew(
    newest_go: Toolchain, build_program: Builder, processes: Processes, gdb_exe: Gdb
) -> None:
    """After Ctrl-C within a command the next one at the same stop answers as if nothing had been."""
    binary = build_program("kept", newest_go)
    live = quiet(processes, binary.path)
    asked = ["addrspace retained --limit 3", "goroutine-stacks --leaked --limit 3"]
    commands = []
    for number, command in enumerate(asked):
        commands += [*marked(**{f"before{number}": command}), KILL, *marked(**{f"after{number}": command})]
    out = run_gdb(gdb_exe, commands, attach(live, binary), load=True).stdout
    for number, command in enumerate(asked):
        # How long goroutines have waited is of the moment.
        before, after = (
            re.sub(r"\b\d+s\b", "", between(out, f"{when}{number}")) for when in ("before", "after")
        )
        assert before and before == after, command
        assert "worker" not in before
