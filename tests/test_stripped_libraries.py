"""Go without symbols in other files than a Go program: a library in a C program, linked in or not, a plugin.

The process runs stripped from its start; what it says of itself it writes into files.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

import invariants
import pytest
from harness.build import Binary, Builder
from harness.debuggers import gdbs
from harness.gdbrun import run_gdb
from harness.oracles import Oracle, read_oracle
from harness.processes import Processes
from harness.scenes import attach, start
from harness.smaps import parse_smaps
from harness.toolchains import Toolchain
from test_goroutine_stacks_dump import Both, both, differences

ALSO_OLD = True

REPORTS = ("memstats", "gc", "rss", "heap")


class Seen(NamedTuple):
    """A process that stands still, and what it wrote."""

    space: Dict[str, Any]
    stacks: Both
    reports: Dict[str, Any]
    oracle: Oracle
    smaps: List[Any]


def without_symbols(binary: Binary, folder: Path) -> Binary:
    """The program and its library, stripped."""
    paths = []
    for path in (binary.path, binary.library):
        if path is not None:
            bare = folder / path.name
            subprocess.run(["strip", "-o", str(bare), str(path)], check=True)
            path = bare
        paths.append(path)
    assert paths[0] is not None
    return binary._replace(path=paths[0], library=paths[1])


@pytest.fixture(
    scope="module",
    params=[("cshared", "c-shared"), ("cshared", "c-archive"), ("pluginhost", "plugin")],
    ids="-".join,
)
def seen(
    request: pytest.FixtureRequest,
    go: Toolchain,
    build_program: Builder,
    tmp_path_factory: pytest.TempPathFactory,
) -> Seen:
    if not gdbs():
        pytest.skip("no gdb")
    program, variant = request.param
    folder = tmp_path_factory.mktemp("bare")
    binary = without_symbols(build_program(program, go, variant), folder)
    processes = Processes()
    try:
        process = start(processes, binary, folder / "oracle")
        smaps = folder / "smaps"
        commands = [
            f"python open('{smaps}', 'wb').write(open('/proc/{process.pid}/smaps', 'rb').read())",
            f"addrspace --format json --check --output {folder / 'space.json'}",
            f"goroutine-stacks --format json --frames --output {folder / 'stacks.json'}",
            *(f"addrspace {name} --format json --output {folder / name}.json" for name in REPORTS),
        ]
        run = run_gdb(gdbs()[0], commands, attach(process, binary), load=True)
        assert run.stderr == "", run.stderr
    finally:
        processes.kill_all()
    return Seen(
        json.loads((folder / "space.json").read_text()),
        both((folder / "oracle.dump").read_text(), folder / "stacks.json"),
        {name: json.loads((folder / f"{name}.json").read_text()) for name in REPORTS},
        read_oracle(folder / "oracle"),
        parse_smaps(smaps.read_bytes()),
    )


def test_the_partition_holds(seen: Seen) -> None:
    invariants.assert_partition(seen.space)
    invariants.assert_smaps(seen.space, seen.smaps, seen.smaps)
    invariants.assert_checks_ok(seen.space)
    invariants.assert_no_problems(seen.space)
    assert all(check["ok"] for check in seen.space["checks"])


def test_memory_is_what_go_counts(seen: Seen) -> None:
    invariants.assert_memstats(seen.space, seen.oracle.memstats, later=4)
    rows = seen.reports["memstats"]["memstats"]
    assert {name: row for name, row in rows.items() if row["agrees"] is False} == {}


def test_every_goroutine_and_frame_is_gos_own(seen: Seen) -> None:
    dump, ours = seen.stacks
    sleeps = {goid for goid, goroutine in dump.items() if goroutine.status == "running"}
    assert set(ours) == set(dump) and len(dump) > 10
    assert set(differences(seen.stacks)) <= sleeps


def test_what_is_resident_is_explained(seen: Seen) -> None:
    (balance,) = [b for b in seen.reports["rss"]["balances"] if b["counter"].startswith("Sys")]
    assert abs(balance["unexplained"]) <= 2 * 4096, balance
