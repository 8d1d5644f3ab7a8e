"""Profiles are what the program itself writes with runtime/pprof, sample by sample and as pprof shows it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import List, Sequence

import pytest
from harness.build import Binary, Builder
from harness.command import cli
from harness.debuggers import Gdb
from harness.pprof_file import Pprof, Sample, go_pprof, read_pprof
from harness.processes import Process, Processes
from harness.scenes import attach, gcore
from harness.toolchains import Toolchain

ALSO_OLD = True

KINDS = ("heap", "allocs", "goroutine", "threadcreate", "block", "mutex")
DIRECT = ("--debugger", "none")


def started(processes: Processes, binary: Binary, folder: Path, *more: str) -> Process:
    """The program, when it has written its profiles into the folder and stands still."""
    folder.mkdir(exist_ok=True)
    return processes.start([str(binary.path), str(folder), *more]).wait_ready()


def taken(kind: str, target: object, output: Path, *options: str) -> Pprof:
    done = cli("profile", kind, target, "-o", output, *options)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return read_pprof(output)


def stands(sample: Sample) -> bool:
    """Whether it is the goroutine that wrote the profile: it has gone on since."""
    functions = {line[0] for location in sample.stack for line in location[2]}
    return "main.main" in functions


def assert_same(kind: str, go: Pprof, ours: Pprof, core: bool) -> None:
    """All but the time, which is another, and samples of nothing: Go's own writing has added some.

    A core does not list what the kernel maps for itself.
    """
    if core:
        go, ours = (one._replace(mappings=[m for m in one.mappings if m[5]]) for one in (go, ours))
    assert go._replace(samples=[], time=0) == ours._replace(samples=[], time=0)
    assert ours.time > go.time
    samples = [[one for one in profile.samples if any(one.values)] for profile in (go, ours)]
    if kind == "goroutine":
        samples = [[one for one in some if not stands(one)] for some in samples]
        assert len(samples[0]) > 10
    for one, other in zip(*samples):
        assert one == other
    assert len(samples[0]) == len(samples[1])


def top(go: Toolchain, path: Path, index: str) -> List[str]:
    text, told = go_pprof(go, "-top", "-nodecount=100000", f"-sample_index={index}", path)
    assert not told
    # Both files have times, and that of what is in use is not shown.
    return [line for line in text.splitlines() if not line.startswith(("Time:", "Build ID:"))]


def assert_all_same(
    target: object, folder: Path, go: Toolchain, options: Sequence[str] = DIRECT, kinds: Sequence[str] = KINDS
) -> None:
    for kind in kinds:
        own, output = folder / f"{kind}.pb.gz", folder / f"ours-{kind}.pb.gz"
        ours = taken(kind, target, output, *options)
        assert_same(kind, read_pprof(own), ours, isinstance(target, Path))
        for index, _ in ours.types if kind != "goroutine" else ():
            assert top(go, own, index) == top(go, output, index)


def test_every_kind_of_a_process(
    go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path
) -> None:
    live = started(processes, build_program("profiled", go), tmp_path)
    assert_all_same(live.pid, tmp_path, go)
    text, told = go_pprof(go, "-raw", tmp_path / "ours-heap.pb.gz")
    assert not told and re.search(r"^inuse_space/bytes$|inuse_space/bytes", text)


@pytest.mark.matrix
@pytest.mark.parametrize("variant", ["pie", "cgo", "386", "race", "noopt"])
def test_every_way_to_build(
    variant: str, go: Toolchain, build_program: Builder, processes: Processes, gdb_exe: Gdb, tmp_path: Path
) -> None:
    binary = build_program("profiled", go, variant)
    live = started(processes, binary, tmp_path)
    assert_all_same(live.pid, tmp_path, go)
    assert_all_same(live.pid, tmp_path, go, ("--gdb", str(gdb_exe.path)))
    core = tmp_path / "core"
    gcore(gdb_exe, attach(live, binary), core)
    assert_all_same(core, tmp_path, go, ("--debugger", "none", "--exe", str(binary.path)))
