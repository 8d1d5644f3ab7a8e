"""Memory whose owner is easily mistaken: of live processes and cores, with and without symbols."""

from __future__ import annotations

import json
import os
import re
import resource
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple

import pytest
from harness.build import Binary, Builder
from harness.command import cli
from harness.debuggers import gdbs
from harness.held import stop
from harness.processes import Process, Processes
from harness.scenes import attach, gcore
from harness.smaps import parse_smaps
from harness.toolchains import Toolchain
from jsonschema import Draft202012Validator

from addrspace_gdb.common.sizes import size as in_words
from addrspace_gdb.views.documents.schema import schema

EACH_ONCE = True  # not every combination: tests/conftest.py

ALSO_OLD = True
ALSO_STRIPPED = ""  # every test

Json = Dict[str, Any]
MIB = 1 << 20
AGE = re.compile(r"GC ran \S+ ago")


class Case(NamedTuple):
    """A running `owners`, and what it said of itself."""

    binary: Binary
    process: Process
    said: Dict[str, int]

    def report(self, words: str, *options: object) -> Json:
        """What a command says of the process, which is the same with and without gdb."""
        return report(self.process.pid, words, *options)


Start = Callable[..., Case]


def report(target: object, words: str, *options: object) -> Json:
    """The JSON of a command; `target` is a process or a core."""
    (gdb, *_) = gdbs()
    command = ("dump", target, "--report", words, "--format", "json", *options)
    by_gdb = cli(*command, "--gdb", gdb.path)  # before the other: it makes pages of libraries resident
    done = cli(*command, "--debugger", "none")
    assert done.returncode == 0, done.stderr
    assert stays(by_gdb.stdout) == stays(done.stdout)
    found: Json = json.loads(done.stdout)
    assert not list(Draft202012Validator(schema(found["schema"])).iter_errors(found))
    return found


def stays(text: str) -> Json:
    """The document without what moves with the clock, with who else maps a file, and by being read."""
    found: Json = json.loads(AGE.sub("", text))
    found.pop("kernel", None)
    for one in found.get("balances", ()):
        del one["steps"]
    return found


def node(document: Json, *names: str) -> Json:
    """The node of the tree at that path; all zero where there is none."""
    found: Json = document["tree"]
    for name in names:
        children = [child for child in found["children"] if child["name"] == name]
        if not children:
            return {"size": 0, "resident": 0, "swapped": 0, "kept": 0, "children": []}
        (found,) = children
    return found


def assert_sound(document: Json) -> None:
    """No damage, and every difference between counters has a name."""
    assert document["problems"] == []
    assert [one["counter"] for one in document["balances"] if one["unexplained"]] == []


def sentences(document: Json) -> List[str]:
    """The findings, the first first."""
    return [one["sentence"] for one in document["findings"]]


@pytest.fixture
def running(processes: Processes, go: Toolchain, build_program: Builder, tmp_path: Path) -> Start:
    """A function that starts `owners` and waits until it is ready."""

    def begin(what: str, variant: str = "plain", **env: str) -> Case:
        binary = build_program("owners", go, variant)
        process = stop(processes.start([str(binary.path), "-", what], env=env).wait_ready())
        lines = process.output["stdout"].decode().split("\n")
        said = dict(line.split(" ") for line in lines if line.count(" ") == 1)
        return Case(binary, process, {name: int(value) for name, value in said.items()})

    return begin


def core_of(case: Case, folder: Path) -> Path:
    """A core of the process."""
    (gdb, *_) = gdbs()
    gcore(gdb, attach(case.process, case.binary), folder / "core")
    return folder / "core"


def test_blocks_of_malloc_that_share_a_mapping_with_go_s_metadata(running: Start, tmp_path: Path) -> None:
    case = running("merged", "cgo")
    live = case.report("rss")
    assert_sound(live)
    blocks = node(live, "Non-Go", "C heap", "malloc mmap")
    assert blocks["size"] == case.said["hblkhd"] >= 20 * 2 * MIB
    assert blocks["resident"] >= 20 * 2 * MIB
    assert node(live, "Non-Go", "the program's own mappings")["size"] == 0
    dead = report(core_of(case, tmp_path), "rss", "--exe", case.binary.path)
    assert node(dead, "Non-Go", "C heap", "malloc mmap")["size"] == case.said["hblkhd"]


def test_gs_of_goroutines_that_ended_are_the_runtime_s(running: Start, tmp_path: Path) -> None:
    case = running("ended")
    live, heap = case.report("rss"), case.report("heap")
    assert_sound(live)
    every = cli("dump", case.process.pid, "--report", "goroutine-stacks --dead --system", "--format", "json")
    listed = json.loads(every.stdout)["goroutines"]
    dead = sum(one["status"] == "dead" for one in listed)
    assert 99_000 < dead <= 100_000  # some that run took the g of one that had ended
    kinds = {one["kind"]: one for one in heap["runtime_objects"]}
    ended = kinds["g structs of goroutines that ended"]
    assert ended["objects"] == dead
    assert kinds["g structs"]["objects"] >= len(listed) - dead
    assert kinds["sudogs"]["objects"] >= 2 and kinds["timers"]["objects"] >= 1
    (element,) = {ended["size"] // dead} & {one["object_size"] for one in heap["classes"]}
    assert ended["size"] == element * dead
    assert_own_objects(live, heap)
    assert ended["size"] - MIB < node(live, *OBJECTS, OWN)["resident"]
    assert node(live, *OBJECTS, "survived the last GC")["size"] < MIB
    (first, *_) = live["findings"]
    assert first["kind"] == "ended-goroutines"
    assert f"g structs of {dead:,} goroutines that ended" in first["sentence"]
    core = core_of(case, tmp_path)
    dumped = (report(core, words, "--exe", case.binary.path) for words in ("rss", "heap"))
    assert_own_objects(*dumped)


OBJECTS = ("Go", "heap", "objects")
OWN = "the runtime's own objects"


def assert_own_objects(rss: Json, heap: Json) -> None:
    """Both commands say the same of them, and the objects are what MemStats counts."""
    of_heap = {one["kind"]: (one["size"], one["resident"]) for one in heap["runtime_objects"]}
    of_tree = {one["name"]: (one["size"], one["resident"]) for one in node(rss, *OBJECTS, OWN)["children"]}
    assert of_heap == of_tree
    taken = ("survived the last GC", "allocated since", "dead, not swept yet", OWN)
    sizes = sum(node(rss, *OBJECTS, name)["size"] for name in taken)
    assert sizes == sum(heap["bytes"][part] for part in ("live", "since", "dead"))


def test_buckets_of_the_profiler_are_found_however_many_there_are(running: Start, tmp_path: Path) -> None:
    case = running("profiled")
    live = case.report("rss")
    assert_sound(live)
    assert_buckets(case, live, case.report("memstats"))
    (first, *_) = live["findings"]
    assert first["kind"] == "runtime" and "profile buckets" in first["sentence"]
    core = core_of(case, tmp_path)
    dumped = (report(core, words, "--exe", case.binary.path) for words in ("rss", "memstats"))
    assert_buckets(case, *dumped)


def assert_buckets(case: Case, rss: Json, memstats: Json) -> None:
    """Two commands and the program say the same of the buckets."""
    row = memstats["memstats"]["BuckHashSys"]
    assert row["counted"] == row["walked"] == case.said["BuckHashSys"]
    buckets = node(rss, "Go", "runtime", "profiling")
    assert buckets["size"] > case.said["paths"] * 17 * 8
    assert case.said["BuckHashSys"] - 4096 < buckets["size"] <= case.said["BuckHashSys"]  # less pointer masks
    assert node(rss, "Go", "runtime", "other", "persistent allocations")["size"] < 4 * MIB


def test_returned_memory_that_the_process_has_locked(running: Start) -> None:
    if os.geteuid() and resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] != resource.RLIM_INFINITY:
        pytest.skip("this user may not lock as much memory")
    case = running("locked")
    live, regions = case.report("rss"), case.report("regions")
    assert_sound(live)
    smaps = parse_smaps(Path(f"/proc/{case.process.pid}/smaps").read_bytes())
    assert live["kernel"]["VmLck"] == sum(m.end - m.start for m in smaps if "lo" in m.flags)
    held = {m.start: m.rss for m in smaps if "lo" in m.flags}
    assert held
    by_region: Dict[int, int] = {}
    for one in regions["regions"]:
        start = max(m.start for m in smaps if m.start <= int(one["start"], 16))
        assert one.get("locked", False) == (start in held)
        by_region[start] = by_region.get(start, 0) + one["resident"]
    assert held == {start: by_region[start] for start in held}
    locked = sum(held.values())
    assert in_words(locked) in live["tree"]["note"]
    returned = node(live, "Go", "heap", "pages returned to the OS")
    assert returned["resident"] == returned["size"] > 90 * MIB and "locked" in returned["note"]
    steps = {step["name"]: step["bytes"] for step in balance(live, "HeapReleased")["steps"]}
    assert steps["returned, but locked in memory (mlock, mlockall)"] == returned["resident"]
    (first, *rest) = live["findings"]
    assert first["kind"] == "returned-resident" and "has locked it (mlock, mlockall)" in first["sentence"]
    assert "locked" not in [one["kind"] for one in rest]


def balance(document: Json, counter: str) -> Json:
    """The balance of a counter."""
    (found,) = [one for one in document["balances"] if one["counter"] == counter]
    return dict(found)


def test_executable_memory_without_a_file_is_code_made_at_run_time(running: Start, tmp_path: Path) -> None:
    case = running("compiled")
    live = case.report("rss")
    assert_sound(live)
    code = node(live, "Non-Go", "JIT code")
    assert (code["size"], code["resident"]) == (64 * MIB, 64 * MIB)
    assert node(live, "Non-Go", "the program's own mappings")["size"] == 0
    regions = [one for one in case.report("regions")["regions"] if one["kind"] == "JIT code"]
    assert sum(one["size"] for one in regions) == 64 * MIB
    assert {(one["area"], one["permissions"]) for one in regions} == {("foreign", "r-xp")}
    assert [one["kind"] for one in live["findings"]] == ["jit-code"]
    dead = report(core_of(case, tmp_path), "rss", "--exe", case.binary.path)
    assert node(dead, "Non-Go", "JIT code")["size"] == 64 * MIB


def test_a_memfd_has_its_name(running: Start, tmp_path: Path) -> None:
    case = running("shared")
    live = case.report("rss")
    assert_sound(live)
    (frames,) = node(live, "Non-Go", "the program's own mappings")["children"]
    assert (frames["name"], frames["resident"]) == ("memfd: video frames", 64 * MIB)
    (said,) = sentences(live)
    assert "64.0 MiB of it memfd: video frames, 4 mappings" in said
    dead = report(core_of(case, tmp_path), "rss", "--exe", case.binary.path)
    (frames,) = node(dead, "Non-Go", "the program's own mappings")["children"]
    assert (frames["name"], frames["size"]) == ("memfd: video frames", 64 * MIB)


def test_stacks_of_threads_are_used_or_left_behind(running: Start, tmp_path: Path) -> None:
    case = running("deep", "cgo")
    live = case.report("rss")
    assert_sound(live)
    stacks = node(live, "Non-Go", "thread stacks", "thread stack")
    parts = {one["name"]: one["resident"] for one in stacks["children"]}
    assert set(parts) <= {"used", "left behind by deeper calls", "use not known"}
    assert sum(parts.values()) == stacks["resident"]
    assert parts["used"] < 4 * MIB
    threads = len(list(Path(f"/proc/{case.process.pid}/task").iterdir()))
    assert threads > 20 and parts["left behind by deeper calls"] > (threads - 6) * 500 * 4096
    (said,) = [one["sentence"] for one in live["findings"] if one["kind"] == "thread-stacks"]
    assert f"is stacks of {threads - 1} C threads: " in said
    assert "left behind by deeper calls" in said
    cored = report(core_of(case, tmp_path), "rss", "--exe", case.binary.path)
    stacks = node(cored, "Non-Go", "thread stacks", "thread stack")
    assert {one["name"] for one in stacks["children"]} <= {"used", "unused", "use not known"}
    assert "thread-stacks" not in [one["kind"] for one in cored["findings"]]


def test_the_leak_comes_before_the_garbage_and_names_its_places(running: Start, tmp_path: Path) -> None:
    case = running("leaking")
    live = case.report("rss")
    assert_sound(live)
    assert_leak(live)
    assert_leak(report(core_of(case, tmp_path), "rss", "--exe", case.binary.path))


def assert_leak(document: Json) -> None:
    """Where the goroutines are and who made them, before the garbage, which is more."""
    first, second = document["findings"]
    assert (first["kind"], second["kind"]) == ("stacks", "allocated-since-gc")
    assert first["bytes"] < second["bytes"]
    where = r"18,\d{3} goroutines, 18,000 of them in main\.\(\*client\)\.watch \(select\)"
    assert re.search(where + ", created by main.handle;", first["sentence"]), first["sentence"]


def test_pinned_objects_are_counted(running: Start) -> None:
    case = running("pinned")
    live = case.report("rss")
    assert_sound(live)
    (first, *_) = sentences(live)
    assert "100,000 objects are pinned (runtime.Pinner)" in first
    records = node(live, "Go", "runtime", "records of single objects", "finalizer records")
    assert 100_000 * 40 <= records["size"] < 100_000 * 80  # each Pinner has a finalizer
    assert records["resident"] > 100_000 * 40
    # An estimate by samples: where it is above what is resident the share stands alone.
    found = re.search(
        r"allocated in main\.pinned \(pins\.go:\d+\) about (?:([0-9.]+) MiB, )?([0-9.]+)%", first
    )
    assert found, first
    assert float(found[2]) > 66
    assert found[1] is None or 100_000 * 1024 / 1.5 < float(found[1]) * MIB < 100_000 * 1024 * 1.5


def test_of_a_healthy_process_it_is_said_what_is_most(running: Start, tmp_path: Path) -> None:
    case = running("idle")
    live = case.report("rss")
    assert_sound(live)
    dead = report(core_of(case, tmp_path), "rss", "--exe", case.binary.path)
    for document in (live, dead):
        (said,) = sentences(document)
        assert said.startswith("Nothing stands out: ") and "the largest part of it" in said


def test_sudogs_of_goroutines_that_were_woken_are_the_runtime_s(running: Start, tmp_path: Path) -> None:
    case = running("woken")
    core = core_of(case, tmp_path)
    heaps = (case.report("heap"), report(core, "heap", "--exe", case.binary.path))
    for heap in heaps:
        assert heap["problems"] == []
        (sudogs,) = [one for one in heap["runtime_objects"] if one["kind"] == "sudogs"]
        assert sudogs["objects"] >= 30_000


@pytest.mark.parametrize("variant", ["plain", pytest.param("race", marks=pytest.mark.matrix),
                                     pytest.param("noopt", marks=pytest.mark.matrix)])  # fmt: skip
def test_sudogs_that_wait_in_semaphores_are_the_runtime_s(
    running: Start, tmp_path: Path, variant: str
) -> None:
    """Each of the goroutines has one, and few are left over from when the program began."""
    case = running("waiting", variant)
    core = core_of(case, tmp_path)
    for heap in (case.report("heap"), report(core, "heap", "--exe", case.binary.path)):
        assert heap["problems"] == []
        (sudogs,) = [one for one in heap["runtime_objects"] if one["kind"] == "sudogs"]
        assert case.said["waits"] == 4700 <= sudogs["objects"] <= 4700 + 100


def test_what_go_code_maps_itself_is_listed_by_size(running: Start, tmp_path: Path) -> None:
    case = running("mapped")
    live = case.report("rss")
    assert_sound(live)
    whole = 300 * (64 << 10) + 3 * 8 * MIB + 12 * MIB + 4096
    dead = report(core_of(case, tmp_path), "rss", "--exe", case.binary.path)
    for document in (live, dead):
        own = node(document, "Non-Go", "the program's own mappings")
        assert own["size"] == whole
        parts = {one["name"].removeprefix("anonymous memory: "): one["size"] for one in own["children"]}
        assert parts == {
            "syscall.Mmap of 64.0 KiB": 300 * (64 << 10),
            "syscall.Mmap of 8.0 MiB": 3 * 8 * MIB,
            "syscall.Mmap of 12.0 MiB": 12 * MIB + 4096,
        }
