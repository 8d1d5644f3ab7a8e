"""`goroutine-stacks` against what others say of the same process: delve, runtime/metrics."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Set, Tuple

import pytest
from harness.build import Builder
from harness.debuggers import gdbs
from harness.gdbrun import run_gdb
from harness.oracles import read_oracle
from harness.processes import Process, Processes
from harness.scenes import attach, launch_to_breakpoint, start
from harness.toolchains import NEWEST, Toolchain, Unavailable, on_path, toolchain

Known = Tuple[int, str, str]  # goid, start function, wait reason
_LINE = re.compile(r"Goroutine (\d+) - Start: \S+ (\S+) \(0x[0-9a-f]+\)(?: \[([^\]]*)\])?")


def delve_list(process: Process, folder: Path) -> Set[Known]:
    """What `dlv attach` lists; it detaches again."""
    (folder / "init").write_text("goroutines -s\nexit -c\n")
    command = ["dlv", "attach", str(process.pid), "--allow-non-terminal-interactive=true"]
    done = subprocess.run(
        [*command, "--init", str(folder / "init")],
        input="\n",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "too new" in done.stderr + done.stdout:
        pytest.skip("this delve does not know this Go")
    found = {(int(goid), name, reason or "") for goid, name, reason in _LINE.findall(done.stdout)}
    assert found, done.stdout[-2000:] + done.stderr[-2000:]
    return found


@pytest.mark.skipif(shutil.which("dlv") is None, reason="no dlv on PATH")
def test_goids_starts_and_wait_reasons_are_those_of_delve(
    build_program: Builder, processes: Processes, tmp_path: Path
) -> None:
    try:
        go = on_path() or toolchain(NEWEST)
    except Unavailable as problem:
        pytest.skip(str(problem))
    binary = build_program("parked", go)
    process = start(processes, binary, tmp_path / "oracle", "200")
    out = tmp_path / "list.json"
    commands = [f"goroutine-stacks --format json --output {out}"]  # the runtime's own wake in between
    result = run_gdb(gdbs()[0], commands, attach(process, binary), load=True)
    assert out.exists(), result.stderr
    ours = {
        (g["goid"], g["start_function"], g["wait_reason"])
        for g in json.loads(out.read_text())["goroutines"]
        if g["status"] == "waiting"
    }
    goids = {goid for goid, _, _ in ours}
    theirs = {known for known in delve_list(process, tmp_path) if known[2] and known[0] in goids}
    assert len(ours) >= 200
    assert {(goid, reason) for goid, _, reason in ours} == {(goid, reason) for goid, _, reason in theirs}
    # delve looks through the wrapper that `go f(x)` makes; Go itself calls that the start function.
    wrapped = {goid for goid, name, _ in ours if ".gowrap" in name}
    assert {k for k in ours if k[0] not in wrapped} <= theirs


def test_stack_bytes_are_those_of_runtime_metrics(
    build_program: Builder, go: Toolchain, tmp_path: Path
) -> None:
    binary = build_program("parked", go)
    scene = launch_to_breakpoint(binary, tmp_path / "oracle", "300")  # the runtime starts no thread since
    frames, space = tmp_path / "by-frame", tmp_path / "space.json"
    commands = [
        f"goroutine-stacks --by-frame --output {frames}",
        f"addrspace --format json --output {space}",
    ]
    commands += ["delete", "tbreak addrspace.test/kit.Wait", "continue"]  # until its oracle is written
    result = run_gdb(gdbs()[0], commands, scene, load=True)
    metrics = read_oracle(tmp_path / "oracle").metrics
    total = re.search(r"^([\d,]+) bytes in all", frames.read_text(), re.MULTILINE)
    assert total, result.stderr
    assert int(total.group(1).replace(",", "")) == metrics["/memory/classes/heap/stacks:bytes"]
    system = metrics["/memory/classes/os-stacks:bytes"] + metrics["/memory/classes/heap/stacks:bytes"]
    assert json.loads(space.read_text())["memstats"]["StackSys"] == system
