"""Profiles are what the program itself writes with runtime/pprof, sample by sample and as pprof shows it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict, List, Sequence

import pytest
from harness.build import Binary, Builder
from harness.command import assert_refused, cli
from harness.debuggers import Gdb
from harness.held import stop
from harness.pprof_file import Pprof, Sample, go_pprof, read_pprof
from harness.processes import Process, Processes
from harness.qemu import at_ready, gdbs_for
from harness.scenes import attach, gcore
from harness.toolchains import NEWEST, OLDEST, Toolchain, Unavailable, toolchain_or_skip
from jsonschema import Draft202012Validator

from addrspace_gdb.views.documents.schema import schema

EACH_ONCE = True  # not every combination: tests/conftest.py

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


def total(profile: Pprof, index: int) -> int:
    return sum(sample.values[index] for sample in profile.samples)


def test_kinds_that_go_has_not(
    newest_go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path
) -> None:
    live = stop(started(processes, build_program("profiled", newest_go), tmp_path))
    path = tmp_path / "rss.pb.gz"
    ours = taken("rss", live.pid, path)
    assert total(ours, 0) == rss_of(live.pid)
    assert ours.types == [("resident", "bytes"), ("size", "bytes")] and ours.default == "resident"
    assert ["objects", "heap", "Go", "process"] in [names(sample)[-4:] for sample in ours.samples]
    assert f"of {total(ours, 0) / (1 << 20):.2f}MB total" in "\n".join(top(newest_go, path, "resident"))
    stacks = taken("stacks", live.pid, tmp_path / "stacks.pb.gz")
    counted = json.loads(cli("dump", live.pid, "--report", "memstats", "--format", "json").stdout)
    assert total(stacks, 0) == counted["memstats"]["StackInuse"]["value"]
    assert total(stacks, 3) == len(goroutines_of(live.pid))
    assert resident_of(stacks) == sum(one["stack"]["resident"] for one in goroutines_of(live.pid))
    text, told = go_pprof(newest_go, "-raw", tmp_path / "stacks.pb.gz")
    assert not told and "stack/bytes[dflt] used/bytes resident/bytes goroutines/count" in text


def goroutines_of(target: object) -> List[Any]:
    done = cli("dump", target, "--report", "goroutine-stacks --system", "--format", "json")
    found: List[Any] = json.loads(done.stdout)["goroutines"]
    return found


def resident_of(stacks: Pprof) -> int:
    return sum(sample.values[2] for sample in stacks.samples if sample.values[3])


def test_stacks_of_a_core(
    newest_go: Toolchain, build_program: Builder, processes: Processes, gdb_exe: Gdb, tmp_path: Path
) -> None:
    """Of one moment: the runtime's own goroutines move on."""
    binary, core = build_program("profiled", newest_go), tmp_path / "core"
    gcore(gdb_exe, attach(started(processes, binary, tmp_path), binary), core)
    stacks = taken("stacks", core, tmp_path / "stacks.pb.gz")
    assert stacks.types == [("stack", "bytes"), ("used", "bytes"), ("goroutines", "count")]
    assert stacks.comments == ["what of the stacks is resident is not known"]
    found = goroutines_of(core)
    assert total(stacks, 1) == sum(one["stack"]["used"] for one in found)
    of_goroutines = sum(sample.values[0] for sample in stacks.samples if sample.values[2])
    assert of_goroutines == sum(one["stack"]["size"] for one in found)
    kept = taken("rss", core, tmp_path / "rss.pb.gz")
    assert kept.types == [("kept", "bytes"), ("size", "bytes")]
    tree = json.loads(cli("dump", core, "--report", "rss", "--format", "json").stdout)["tree"]
    assert (total(kept, 0), total(kept, 1)) == (tree["kept"], tree["size"])


def names(sample: Sample) -> List[str]:
    return [line[0] for location in sample.stack for line in location[2]]


def rss_of(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss:"))


def test_folded_and_listed(
    newest_go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path
) -> None:
    live = stop(started(processes, build_program("profiled", newest_go), tmp_path))
    ours = taken("heap", live.pid, tmp_path / "ours.pb.gz")
    lines = cli("profile", "heap", live.pid, "--format", "folded").stdout.splitlines()
    folded: Dict[str, int] = {}
    for sample in ours.samples:
        key = ";".join(reversed(names(sample)))
        folded[key] = folded.get(key, 0) + sample.values[3]
    assert {line.rpartition(" ")[0]: int(line.rpartition(" ")[2]) for line in lines} == {
        key: value for key, value in folded.items() if value
    }
    objects = cli("profile", "heap", live.pid, "--format", "folded", "--value", "alloc_objects").stdout
    assert sum(int(line.rpartition(" ")[2]) for line in objects.splitlines()) == total(ours, 0)
    text = cli("profile", "heap", live.pid, "--format", "text", "--limit", "3").stdout.splitlines()
    assert text[0].startswith("heap: inuse_space, ") and "main.allocate" in text[2]
    assert text[-1].endswith("more functions; --limit all shows them") and len(text) == 6
    for form in ("text", "folded", "pprof"):
        wrong = cli("profile", "heap", live.pid, "--format", form, "--value", "space")
        assert_refused(wrong, "--value: heap has alloc_objects, alloc_space, inuse_objects, inuse_space")


@pytest.mark.parametrize("stripped", [False, True])
def test_where_a_sampled_object_was_allocated(
    stripped: bool, go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path
) -> None:
    live = started(processes, build_program("profiled", go, "stripped" if stripped else "plain"), tmp_path)
    heap = json.loads(cli("dump", live.pid, "--report", "heap", "--format", "json").stdout)
    (large,) = [one for one in heap["large"] if one["size"] == 3 << 20]
    done = cli("dump", live.pid, "--report", f"whereis {large['address']}", "--format", "json")
    document = json.loads(done.stdout)
    assert not list(Draft202012Validator(schema("whereis/1")).iter_errors(document))
    (place,) = document["places"]
    own = read_pprof(tmp_path / "heap.pb.gz")
    (sample,) = [one for one in own.samples if one.values[3] == 3 << 20]
    frames = [line for location in sample.stack for line in location[2]]
    assert place["object"]["allocated"] == [
        {"function": name, "file": file, "line": line}
        for name, file, _, line in frames
        if name != "runtime.main"
    ]
    assert not list(Draft202012Validator(schema("heap/1")).iter_errors(heap))
    largest = heap["sites"][0]
    assert largest["function"] == "main.allocate" and largest["bytes"] == 3 << 20
    assert {one["of"] for one in heap["sites"]} == {sum(one.values[3] for one in own.samples)}
    text = " ".join(cli("dump", live.pid, "--report", f"whereis {large['address']}").stdout.split())
    assert re.search(
        r" allocated by main\.allocate at \S+/main\.go:\d+ from main\.main at \S+/main\.go:\d", text
    )
    assert "allocated in\n" in cli("dump", live.pid, "--report", "heap").stdout


@pytest.mark.parametrize(
    ("program", "kind", "why"),
    [
        (
            "unprofiled",
            "heap",
            "the program keeps no heap profile: nothing in it can write one, so it was .*",
        ),
        ("off", "allocs", "the program keeps no heap profile: runtime.MemProfileRate is 0"),
        ("off", "block", "the block profile is empty: runtime.SetBlockProfileRate turns it on, .*"),
        ("off", "mutex", "the mutex profile is empty: runtime.SetMutexProfileFraction turns it on, .*"),
    ],
)
@pytest.mark.parametrize("stripped", [False, True])
def test_without_a_profile_one_line_says_why(
    stripped: bool, program: str, kind: str, why: str, go: Toolchain, build_program: Builder,
    processes: Processes, tmp_path: Path,
) -> None:  # fmt: skip
    variant = "stripped" if stripped else "plain"
    if program == "off":
        binary = build_program("profiled", go, variant)
        live = processes.start([str(binary.path), str(tmp_path), "off"], env={"GODEBUG": "memprofilerate=0"})
    else:
        live = processes.start([str(build_program("unprofiled", go, variant).path)])
    assert_refused(cli("profile", kind, live.wait_ready().pid, "-o", tmp_path / "out"), why)
    assert not (tmp_path / "out").exists()


def test_ten_thousand_goroutines_with_labels(
    newest_go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path
) -> None:
    live = started(processes, build_program("profiled", newest_go), tmp_path, "10000")
    assert_all_same(live.pid, tmp_path, newest_go, kinds=("goroutine",))


@pytest.mark.matrix
@pytest.mark.parametrize("variant", ["plain", "stripped", "pie", "cgo", "386", "race", "noopt"])
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


def without_mappings(profile: Pprof) -> List[Sample]:
    """Samples that are not all 0, without the mappings of their locations: qemu's stub lists none."""
    found = [sample for sample in profile.samples if any(sample.values)]
    return [one._replace(stack=tuple((where[0], where[2]) for where in one.stack)) for one in found]


@pytest.mark.parametrize(
    ("arch", "version", "variant"),
    [
        pytest.param("arm64", NEWEST, "plain"),
        *(
            pytest.param(arch, version, variant, marks=pytest.mark.matrix)
            for arch in ("arm", "arm64", "riscv64", "s390x", "ppc64le")
            for version in (OLDEST, NEWEST)
            for variant in ("plain", "stripped")
        ),
    ],
)
def test_other_architectures(
    arch: str, version: str, variant: str, build_program: Builder, tmp_path: Path
) -> None:
    binary = build_program("profiled", toolchain_or_skip(version), f"{variant}@{arch}")
    folder = tmp_path / "oracle"
    folder.mkdir()
    commands = [f"addrspace profile {kind} --output {folder}/ours-{kind}.pb.gz" for kind in KINDS]
    try:
        result = at_ready(gdbs_for(arch)[0], arch, binary, tmp_path, commands)
    except Unavailable as problem:
        pytest.skip(str(problem))
    assert "addrspace:" not in result.stderr, result.stderr
    for kind in KINDS:
        own, ours = read_pprof(folder / f"{kind}.pb.gz"), read_pprof(folder / f"ours-{kind}.pb.gz")
        assert own._replace(samples=[], mappings=[], time=0) == ours._replace(samples=[], mappings=[], time=0)
        first, second = without_mappings(own), without_mappings(ours)
        if not first and kind == "heap":  # qemu-arm's floating point now and then
            pytest.skip("the program sampled nothing before it wrote its profile")
        if kind == "goroutine":
            first, second = ([one for one in some if "main.main" not in str(one)] for some in (first, second))
        if kind == "threadcreate":  # the interrupt may have begun a thread
            first, second = ([one._replace(values=()) for one in some] for some in (first, second))
        for one, other in zip(first, second):
            assert one == other, kind
        assert len(first) == len(second) and (first or kind == "mutex")
