"""Types of the heap's objects against the program, which counts its own, and against the runtime's totals."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any, Dict, List, Tuple

import jsonschema
import pytest
from harness import full_matrix
from harness.build import Builder
from harness.command import cli
from harness.debuggers import Gdb
from harness.processes import Process, Processes
from harness.qemu import MACHINES, core
from harness.toolchains import Toolchain, Unavailable

from addrspace_gdb.views.documents.schema import schema

EACH_ONCE = True  # not every combination: tests/conftest.py
ALSO_OLD = True

Json = Dict[str, Any]
VARIANTS, NAMELESS = ("plain", "stripped"), ("stripped",)
if full_matrix():
    VARIANTS += ("pie", "cgo", "race", "noopt", "386", "nogreenteagc")  # type: ignore[assignment]
    NAMELESS += ("plain", "pie", "386", "race", "noopt")  # type: ignore[assignment]


@pytest.fixture
def frozen(processes: Processes) -> Any:
    """Starts a program that stands still once it is ready."""

    def start(path: object) -> Process:
        live = processes.start([str(path)]).wait_ready()
        os.kill(live.pid, signal.SIGSTOP)
        return live

    return start


def types(target: object, *options: str, plain: str = "") -> Json:
    done = cli("dump", str(target), "--format", "json", *options, ADDRSPACE_GRAPH_PLAIN=plain)
    assert done.returncode == 0, done.stderr
    document: Json = json.loads(done.stdout)
    jsonschema.validate(document, schema("types/1"))
    assert not document["problems"]
    return document


def counted(live: Process) -> List[Tuple[str, int]]:
    """What the program says that it made."""
    return counts_in(live.output["stdout"].decode())


def counts_in(text: str) -> List[Tuple[str, int]]:
    """Types and how many objects, as a program prints them."""
    return [(name, int(many)) for many, name in re.findall(r"^count (\d+) (.*)$", text, re.MULTILINE)]


def of_type(document: Json, name: str) -> Json:
    """All rows of a type together."""
    rows = [one for one in document["types"] if one["type"] == name]
    return {what: sum(row[what] for row in rows) for what in ("objects", "bytes")}


def miscounted(document: Json, made: List[Tuple[str, int]]) -> List[Tuple[str, int, int]]:
    """Those of which there are as many, and the document has another number."""
    found = [(name, many, of_type(document, name)["objects"]) for name, many in made]
    return [(name, many, ours) for name, many, ours in found if ours != many]


@pytest.mark.parametrize("variant", VARIANTS)
def test_objects_are_those_that_the_program_made(
    variant: str, go: Toolchain, build_program: Builder, frozen: Any
) -> None:
    live = frozen(build_program("typed", go, variant).path)
    document = types(live.pid, "--report", "types --limit all")
    assert len(counted(live)) == 17 and not miscounted(document, counted(live))
    totals = document["totals"]
    for what in ("bytes", "objects"):
        assert sum(row[what] for row in document["types"]) == totals["allocated"][what]
        assert sum(row["unreached"][what] for row in document["types"]) == totals["unreached"][what]
    stats = cli("dump", str(live.pid), "--format", "json", "--report", "memstats")
    said = {name: row["value"] for name, row in json.loads(stats.stdout)["memstats"].items()}
    assert totals["allocated"] == {"bytes": said["HeapAlloc"], "objects": said["HeapObjects"]}


@pytest.mark.parametrize("variant", VARIANTS)
def test_objects_that_only_variables_lead_to(
    variant: str, go: Toolchain, build_program: Builder, frozen: Any
) -> None:
    live = frozen(build_program("fifty", go, variant).path)
    document = types(live.pid, "--report", "types --limit all")
    made = counted(live)
    wrong = miscounted(document, made)
    totals = document["totals"]
    untyped = [row for row in document["types"] if row["type"] is None]
    assert sum(row["bytes"] for row in untyped) == totals["untyped"]["bytes"]
    assert sum(row["bytes"] for row in document["types"]) == totals["allocated"]["bytes"]
    known = 1 - totals["untyped"]["bytes"] / totals["allocated"]["bytes"]
    assert len(made) == 50
    if variant == "stripped":  # what the runtime itself says: types before objects, maps, channels
        assert known < 0.5 and all(ours <= many for _, many, ours in wrong)
        return
    assert not wrong and known > 0.95


@pytest.mark.parametrize("variant", NAMELESS)
def test_objects_that_only_places_in_the_program_name(
    variant: str, go: Toolchain, build_program: Builder, frozen: Any
) -> None:
    live = frozen(build_program("sited", go, variant).path)
    document = types(live.pid, "--report", "types --limit all")
    made = counted(live)
    assert len(made) == 11 and not miscounted(document, made)
    sites, totals = document["sites"], document["totals"]
    assert sites["samples"] >= sites["known"] >= sum(many for _, many in made) - 40
    assert sites["conflicts"] == 0 and sites["bytes"] > 0.4 * totals["allocated"]["bytes"]
    assert sum(row["bytes"] for row in document["types"]) == totals["allocated"]["bytes"]


@pytest.mark.matrix
@pytest.mark.parametrize("variant", ["plain", "stripped"])
@pytest.mark.parametrize("arch", sorted({*MACHINES} - {"mips64le"}))  # of which calls are not understood
def test_places_in_programs_for_other_architectures(
    arch: str, variant: str, newest_go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    binary = build_program("sited", newest_go, f"{variant}@{arch}")
    try:
        died = core(arch, binary, tmp_path, "abort")
    except Unavailable as problem:
        pytest.skip(str(problem))
    document = types(died.path, "--exe", str(binary.path), "--report", "types --limit all")
    made = counts_in(died.stderr)
    assert len(made) == 11 and not miscounted(document, made)


def test_rows_go_by_package_and_kind_and_order(
    newest_go: Toolchain, build_program: Builder, frozen: Any
) -> None:
    live = frozen(build_program("typed", newest_go).path)
    whole = types(live.pid, "--report", "types --sort name")
    names = [row["type"] for row in whole["types"] if row["type"] is not None]
    assert names == sorted(names)
    for by in ("package", "kind"):
        found = types(live.pid, "--report", f"types --by {by} --sort objects")
        many = [row["objects"] for row in found["types"]]
        assert many == sorted(many, reverse=True)
        assert sum(many) == whole["totals"]["allocated"]["objects"]
    leaf = [row for row in whole["types"] if row["package"] == "main"]
    packages = types(live.pid, "--report", "types --by package")["types"]
    (main,) = [row for row in packages if row["type"] == "main"]
    assert main["bytes"] == sum(row["bytes"] for row in leaf)


def test_gdb_and_plain_python_say_the_same(
    newest_go: Toolchain, build_program: Builder, frozen: Any, gdb_exe: Gdb
) -> None:
    live = frozen(build_program("typed", newest_go).path)
    ours = types(live.pid, "--report", "types", "--debugger", "none")
    assert ours == types(live.pid, "--report", "types", "--gdb", str(gdb_exe.path))
    assert ours == types(live.pid, "--report", "types", plain="1")


def test_text_says_what_is_known(newest_go: Toolchain, build_program: Builder, frozen: Any) -> None:
    live = frozen(build_program("typed", newest_go).path)
    text = cli("dump", str(live.pid), "--report", "types").stdout
    assert "are allocated, the largest type is [...]map.group[main.keyed]*main.row" in " ".join(text.split())
    assert "main.leaf" in text and "of the bytes have a type" in text


def test_a_limit_of_memory_is_said_before_it_is_reached(
    newest_go: Toolchain, build_program: Builder, frozen: Any
) -> None:
    live = frozen(build_program("typed", newest_go).path)
    refused = cli("dump", str(live.pid), "--report", "types --memory 1M")
    assert refused.returncode == 1 and refused.stdout == ""
    assert re.search(r"needs about \d+\.\d MiB and may take 1\.0 MiB \(--memory\)", refused.stderr)
    assert types(live.pid, "--report", "types --memory 4G")["types"]
