"""`addrspace rss` against the kernel's smaps and status, and MemStats of programs that stop behind it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import pytest
from harness import full_matrix
from harness.build import Binary, Builder
from harness.command import cli
from harness.debuggers import Gdb, gdbs
from harness.gdbrun import Scene, run_gdb
from harness.processes import Processes
from harness.scenes import (
    attach,
    gcore,
    gdbserver_attach,
    kernel_core,
    launch_to_breakpoint,
    open_core,
    start,
)
from harness.smaps import parse_smaps
from harness.toolchains import NEWEST, OLDEST, PINNED, Toolchain, Unavailable, toolchain_or_skip
from jsonschema import Draft202012Validator

from addrspace_gdb.commands import rss
from addrspace_gdb.commands.session import Settings
from addrspace_gdb.debugger.direct.live import LiveTarget
from addrspace_gdb.debugger.direct.session import DirectSession
from addrspace_gdb.shell.hints import SHELL
from addrspace_gdb.space.reading.whole import read
from addrspace_gdb.space.rss import circumstances
from addrspace_gdb.views.documents.schema import schema

EACH_ONCE = True  # not every combination: tests/conftest.py

ALSO_OLD = True  # Go 1.19 and 1.20 too, in the matrix
ALSO_STRIPPED = "$^"  # all of them in the matrix

Json = Dict[str, Any]
SIDE = Path(__file__).with_name("rss_side.py")
MIB = 1 << 20
# Go asks a goroutine that stood long at a breakpoint to yield, by a signal: gdb then stops there twice.
QUIET = {"GODEBUG": "asyncpreemptoff=1"}


class Stop(NamedTuple):
    """One stop: what the kernel, the program and this project say there."""

    phase: str
    kernel: Dict[str, str]
    oracle: Dict[str, int]
    rss: Json
    error: str

    def node(self, *names: str) -> Json:
        """The node at that path; all zero where there is none."""
        found: Json = self.rss["tree"]
        for name in names:
            children = [child for child in found["children"] if child["name"] == name]
            if not children:
                return {"size": 0, "resident": 0, "swapped": 0, "kept": 0, "children": []}
            (found,) = children
        return found

    def balance(self, counter: str) -> Json:
        """The balance of that counter."""
        (found,) = [one for one in self.rss["balances"] if one["counter"] == counter]
        assert isinstance(found, dict)
        return found

    def status(self, name: str, file: str = "status") -> int:
        """A number of status or smaps_rollup in bytes."""
        match = re.search(rf"^{name}:\s+(\d+) kB$", self.kernel[file], re.MULTILINE)
        assert match
        return int(match.group(1)) * 1024


def walk(node: Json) -> Iterator[Json]:
    """A node and all below it."""
    yield node
    for child in node["children"]:
        yield from walk(child)


def assert_sums(document: Json) -> None:
    """Every node is the sum of its children; an unknown makes its parents unknown."""
    for node in walk(document["tree"]):
        if not node["children"]:
            continue
        for key in ("size", "resident", "swapped", "kept"):
            parts = [child[key] for child in node["children"]]
            total = None if None in parts else sum(parts)
            assert node[key] == total, (node["name"], key)
        names = [child["name"] for child in node["children"]]
        assert len(names) == len(set(names)), node["name"]


def assert_valid(document: Json) -> None:
    """The document is as the schema says, and each balance's own arithmetic holds."""
    errors = list(Draft202012Validator(schema("rss/1")).iter_errors(document))
    assert not errors, errors[:3]
    for one in document["balances"]:
        amounts = [one["value"], one["tree"], *(step["bytes"] for step in one["steps"])]
        if None in amounts:
            assert one["unexplained"] is None
        else:
            steps = sum(step["bytes"] for step in one["steps"])
            assert one["value"] + steps + one["unexplained"] == one["tree"]


def assert_kernel(stop: Stop) -> None:
    """Resident bytes and size are those of smaps, all together and for what can be told by its mapping."""
    maps = parse_smaps(stop.kernel["smaps"].encode())
    tree = stop.rss["tree"]
    assert tree["resident"] == sum(m.rss for m in maps) == stop.status("Rss", "smaps_rollup")
    assert tree["swapped"] == sum(m.swap for m in maps)
    assert tree["size"] == sum(m.end - m.start for m in maps)
    for name in ("VmRSS", "VmSize", "RssAnon", "RssFile", "RssShmem", "VmPTE"):
        assert stop.rss["kernel"][name] == stop.status(name)
    assert stop.balance("VmRSS")["value"] == stop.status("VmRSS")
    files = stop.status("RssFile") + stop.status("RssShmem")
    assert stop.balance("RssFile + RssShmem")["value"] == files
    main = [m for m in maps if m.path == "[stack]"]
    assert stop.node("Non-Go", "thread stacks", "main thread stack")["resident"] == main[0].rss


def assert_go(stop: Stop) -> None:
    """What MemStats says is in the tree, and every counter is explained to the byte."""
    said = stop.oracle
    heap = stop.node("Go", "heap")
    assert stop.node("Go", "heap", "objects")["size"] == said["HeapInuse"]
    free = stop.node("Go", "heap", "free pages")["size"]
    returned = stop.node("Go", "heap", "pages returned to the OS")["size"]
    assert free + returned == said["HeapIdle"]
    assert returned == said["HeapReleased"]
    assert heap["size"] - stop.node("Go", "heap", "reserved, not yet used")["size"] == said["HeapSys"]
    assert stop.node("Go", "goroutine stacks")["size"] == said["StackInuse"]
    taken = ("survived the last GC", "allocated since", "dead, not swept yet", "the runtime's own objects")
    assert sum(stop.node("Go", "heap", "objects", name)["size"] for name in taken) == said["HeapAlloc"]
    values = {one["counter"]: one["value"] for one in stop.rss["balances"]}
    for counter in ("HeapInuse", "HeapIdle", "HeapReleased", "StackInuse"):
        assert values[counter] == said[counter]
    assert values["Sys - HeapReleased"] == said["Sys"] - said["HeapReleased"]


def assert_explained(stop: Stop) -> None:
    """No difference is left without a name."""
    assert {one["counter"]: one["unexplained"] for one in stop.rss["balances"] if one["unexplained"]} == {}


def assert_own(stop: Stop) -> None:
    """Everything, of a live process that may have gone on a little behind ReadMemStats."""
    assert stop.error == ""
    assert_valid(stop.rss)
    assert_sums(stop.rss)
    assert_kernel(stop)
    assert_explained(stop)


def assert_all(stop: Stop) -> None:
    """Everything, of a live process that stands right behind ReadMemStats and returns nothing to the OS."""
    assert_own(stop)
    assert_go(stop)


@pytest.fixture(scope="module")
def gdb() -> Gdb:
    """The first gdb at hand."""
    if not gdbs():
        pytest.skip("no gdb")
    return gdbs()[0]


def versions() -> List[Any]:
    """Three versions of Go, or all."""
    chosen = (OLDEST, "1.26.6", NEWEST)
    marks = {v: () if v in chosen or full_matrix() else pytest.mark.matrix for v in PINNED}
    return [pytest.param(v, marks=marks[v], id=f"go{v}") for v in PINNED]


def read_stop(path: Path, phase: str = "") -> Stop:
    found = json.loads(path.read_text(encoding="ascii"))
    return Stop(phase, found["kernel"], found["oracle"], found["rss"], found["error"])


def look(
    gdb: Gdb, scene: Scene, folder: Path, options: str = "", env: Optional[Dict[str, str]] = None
) -> Stop:
    """One stop of a scene."""
    path = folder / "stop"
    commands = [f"source {SIDE}", f"rss-stop {path} {options}"]
    run = run_gdb(gdb, commands, scene, load=True, cwd=folder, env=env)
    assert path.exists(), run.stdout[-3000:] + run.stderr[-3000:]
    return read_stop(path)


@pytest.fixture(scope="module", params=versions())
def phases(
    request: pytest.FixtureRequest,
    gdb: Gdb,
    build_program: Builder,
    tmp_path_factory: pytest.TempPathFactory,
) -> List[Stop]:
    """Every phase of `gcstats`: small and large objects, garbage, a limit, goroutines, huge pages ..."""
    folder = tmp_path_factory.mktemp("phases")
    scene = launch_to_breakpoint(build_program("gcstats", toolchain_or_skip(request.param)), Path("3000"))
    commands = [f"source {SIDE}", f"rss-phases {folder / 'stops'}"]
    run = run_gdb(gdb, commands, scene._replace(leave=()), load=True, env=QUIET)
    assert (folder / "stops").exists(), run.stdout[-3000:] + run.stderr[-3000:]
    found = json.loads((folder / "stops").read_text(encoding="ascii"))
    return [Stop(one["phase"], one["kernel"], one["oracle"], one["rss"], one["error"]) for one in found]


def test_every_byte_and_counter_of_twenty_heaps_is_explained(phases: List[Stop]) -> None:
    assert len(phases) >= 20
    for stop in phases:
        try:
            assert_all(stop)
        except AssertionError as error:
            raise AssertionError(f"in the phase {stop.phase!r}: {error}") from error


def test_phases_show_what_they_are_made_of(phases: List[Stop]) -> None:
    by_name = {stop.phase: stop for stop in phases}
    own = by_name["mapped"].node("Non-Go", "the program's own mappings")
    assert (own["size"], own["resident"]) == (16 * MIB, 4096)
    stacks = {
        name: sum(by_name[name].node("Go", "goroutine stacks", part)["size"] for part in ("used", "unused"))
        for name in ("returned", "goroutines", "goroutines ended")
    }
    assert stacks["goroutines"] >= 3000 * 2048 > 8 * stacks["returned"]
    assert stacks["goroutines ended"] < stacks["goroutines"] // 4
    assert by_name["goroutines ended"].node("Go", "goroutine stacks", "of dead goroutines")["size"] > 0
    deep, shrunk = by_name["deep stacks"], by_name["shrunk stacks"]
    assert deep.node("Go", "goroutine stacks", "used")["size"] >= 8 * 2000 * 256
    assert shrunk.node("Go", "goroutine stacks")["size"] < deep.node("Go", "goroutine stacks")["size"] // 4
    assert by_name["garbage"].node("Go", "heap", "objects", "allocated since")["size"] > 100 * MIB


class Case(NamedTuple):
    """What `spent` spends its memory on, how it is built, and which findings must come, in which words."""

    what: str
    kinds: Tuple[str, ...]
    words: str = ""
    variant: str = "plain"

    def __str__(self) -> str:
        return self.what


SPENT = (
    Case("nothing", ("nothing-stands-out",), "Nothing stands out: .* the largest part of it"),
    Case(
        "goroutines",
        ("stacks",),
        r"stacks: 20,0\d\d goroutines, 20,000 of them in main\.leak .*, created by main\.goroutines",
    ),
    Case("free", ("free-heap",), r"GC ran \S+ ago, no memory limit set"),
    Case("limit", ("free-heap",), r"GC ran \S+ ago, memory limit 1\.0 GiB"),
    Case("garbage", ("allocated-since-gc",), "GC has not run yet, GOGC is off, no memory limit set"),
    Case("fragments", ("free-slots",), "fragmentation"),
    Case("live", ("live-objects",), "survived the last GC"),
    Case("mapped", ("own-mappings",), "outside Go"),
    Case("file", ("mapped-files",), "pages of mapped files"),
    Case("C", ("c-heap",), "outside Go, in use in C's heap: live data, or a leak in C", "cgo"),
)


@pytest.mark.parametrize("case", SPENT, ids=str)
def test_what_stands_out_is_said_and_nothing_else(
    case: Case, gdb: Gdb, newest_go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    binary = build_program("spent", newest_go, case.variant)
    stop = look(gdb, launch_to_breakpoint(binary, tmp_path / "oracle", case.what), tmp_path)
    assert_own(stop)
    assert tuple(one["kind"] for one in stop.rss["findings"]) == case.kinds
    for one in stop.rss["findings"]:
        assert re.search(case.words, one["sentence"]), one["sentence"]
        assert one["of"] == stop.rss["tree"]["resident"]


def test_of_very_many_goroutines_a_sample_says_where_most_are(
    newest_go: Toolchain, build_program: Builder, processes: Processes, oracle_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    live = start(processes, build_program("spent", newest_go), oracle_file, "goroutines")
    monkeypatch.setattr(circumstances, "EXACT", 1000)
    monkeypatch.setattr(circumstances, "SAMPLE", 1000)
    base = LiveTarget(live.pid, None, SHELL)
    target = DirectSession(base, Settings(100, True, False, "quiet"), "").target()
    base.hold(30, lambda: "late")
    try:
        read_now = rss.gathered(target, read(target, check=True))
    finally:
        base.release()
    parked = read_now.background.parked
    assert parked is not None and 900 < len(parked.listing.positions) <= 1000
    (said,) = [one for one in rss.accounts_of(read_now).sentences if "stacks" in one]
    assert re.search(r"20,0\d\d goroutines, about (99|100)% of them in main\.leak", said), said


def test_returned_pages_that_huge_pages_hold(
    gdb: Gdb, newest_go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    binary = build_program("spent", newest_go)
    stop = look(gdb, launch_to_breakpoint(binary, tmp_path / "oracle", "collapsed"), tmp_path)
    if not stop.status("AnonHugePages", "smaps_rollup"):
        pytest.skip("this kernel makes no huge pages when it is asked to (MADV_COLLAPSE)")
    assert_own(stop)
    returned = stop.node("Go", "heap", "pages returned to the OS")
    assert returned["resident"] > 32 * MIB
    steps = {step["name"]: step["bytes"] for step in stop.balance("HeapReleased")["steps"]}
    assert steps["returned, still mapped in by huge pages"] == returned["resident"]
    (said,) = [one["sentence"] for one in stop.rss["findings"] if one["kind"] == "returned-resident"]
    assert "huge pages" in said


def test_returned_pages_that_the_kernel_has_not_taken(
    gdb: Gdb, newest_go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    binary = build_program("spent", newest_go)
    scene = launch_to_breakpoint(binary, tmp_path / "oracle", "returned")
    stop = look(gdb, scene, tmp_path, env={"GODEBUG": "madvdontneed=0"})
    assert_own(stop)
    returned = stop.node("Go", "heap", "pages returned to the OS")
    batches = 64 * 4096 * (os.cpu_count() or 1)  # the kernel puts pages on that list some at a time
    assert 32 * MIB < returned["resident"] <= stop.status("LazyFree", "smaps_rollup") + batches
    steps = {step["name"]: step["bytes"] for step in stop.balance("HeapReleased")["steps"]}
    assert steps["returned with MADV_FREE, not yet taken by the kernel"] == returned["resident"]
    (said,) = [one["sentence"] for one in stop.rss["findings"] if one["kind"] == "returned-resident"]
    assert "madvdontneed" in said


@pytest.mark.parametrize(
    ("program", "variant"),
    [
        ("shapes", "pie"),
        ("foreign", "plain"),
        ("cgo", "cgo"),
        pytest.param("shapes", "386", marks=pytest.mark.matrix),
        pytest.param("shapes", "race", marks=pytest.mark.matrix),
        pytest.param("cshared", "c-shared", marks=pytest.mark.matrix),
        pytest.param("pluginhost", "plugin", marks=pytest.mark.matrix),
    ],
)
def test_other_programs(
    program: str, variant: str, gdb: Gdb, go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    binary = build_program(program, go, variant)
    stop = look(gdb, launch_to_breakpoint(binary, tmp_path / "oracle"), tmp_path)
    assert_all(stop)


@pytest.fixture(scope="module")
def shapes(
    gdb: Gdb, newest_go: Toolchain, build_program: Builder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tuple[Binary, Any, Processes]]:
    """A running `shapes`, for who attaches to it."""
    processes, binary = Processes(), build_program("shapes", newest_go)
    try:
        folder = tmp_path_factory.mktemp("shapes")
        yield binary, start(processes, binary, folder / "oracle", "quiet"), processes
    finally:
        processes.kill_all()


def test_by_class_the_same_objects(shapes: Tuple[Binary, Any, Processes], gdb: Gdb, tmp_path: Path) -> None:
    binary, process, _ = shapes
    commands = [f"source {SIDE}", f"rss-stop {tmp_path / 'plain'}", f"rss-stop {tmp_path / 'by'} --by-class"]
    run_gdb(gdb, commands, attach(process, binary), load=True, cwd=tmp_path)
    plain, stop = read_stop(tmp_path / "plain"), read_stop(tmp_path / "by")
    assert_valid(stop.rss)
    assert_sums(stop.rss)
    objects = stop.node("Go", "heap", "objects")
    whole = plain.node("Go", "heap", "objects")
    assert [objects[key] for key in ("size", "resident")] == [whole[key] for key in ("size", "resident")]
    names = [child["name"] for child in objects["children"]]
    assert {"objects of 16 B", "objects of 1.0 KiB", "large objects"} <= set(names)
    for part in {node["name"] for node in whole["children"]}:
        sums = [c["resident"] for o in objects["children"] for c in o["children"] if c["name"] == part]
        (one,) = [c["resident"] for c in whole["children"] if c["name"] == part]
        assert sum(sums) == one


def test_gdbserver_says_the_same(shapes: Tuple[Binary, Any, Processes], gdb: Gdb, tmp_path: Path) -> None:
    binary, process, processes = shapes
    try:
        scene = gdbserver_attach(gdb, processes, process, binary)
    except Unavailable as problem:
        pytest.skip(str(problem))
    stop = look(gdb, scene, tmp_path)
    assert stop.error == ""
    assert_valid(stop.rss)
    assert_sums(stop.rss)
    assert stop.rss["target"]["kind"] == "remote"
    assert stop.balance("VmRSS")["tree"] == stop.rss["kernel"]["VmRSS"]
    assert_explained(stop)
    tree = stop.rss["tree"]
    if tree["resident"] is None:  # gdbserver may not read pagemap: what is in which mapping is known only
        assert any("pagemap" in note for note in stop.rss["notes"])
        assert tree["kept"] == stop.balance("Sys - HeapReleased")["tree"]


def assert_core(stop: Stop) -> None:
    """A core: nothing resident is known, what is kept leaves out what was returned."""
    assert stop.error == ""
    assert_valid(stop.rss)
    assert_sums(stop.rss)
    tree = stop.rss["tree"]
    assert (tree["resident"], tree["swapped"], stop.rss["kernel"]) == (None, None, None)
    returned = stop.node("Go", "heap", "pages returned to the OS")
    reserved = stop.node("Go", "heap", "reserved, not yet used")
    assert returned["kept"] == reserved["kept"] == 0
    assert returned["size"] == stop.balance("HeapReleased")["value"]
    assert_explained(stop)
    kept = stop.node("Go", "heap")["kept"]
    assert kept == stop.balance("HeapInuse")["value"] + stop.balance("HeapIdle")["value"] - returned["size"]


def test_a_core_of_gdb(gdb: Gdb, newest_go: Toolchain, build_program: Builder, tmp_path: Path) -> None:
    scene = launch_to_breakpoint(build_program("shapes", newest_go), tmp_path / "oracle", "quiet")
    stop = look(gdb, gcore(gdb, scene, tmp_path / "core"), tmp_path)
    assert_core(stop)
    assert_go(stop)


def test_a_core_of_the_kernel(gdb: Gdb, go: Toolchain, build_program: Builder, tmp_path: Path) -> None:
    try:
        core = kernel_core(build_program("crash", go), tmp_path, tmp_path / "oracle", "panic")
    except Unavailable as problem:
        pytest.skip(str(problem))
    assert_core(look(gdb, open_core(core.path, core.scene.program), tmp_path))


def test_stopped_while_marking_and_sweeping(
    gdb: Gdb, go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    binary = build_program("gcstats", go)
    scene = launch_to_breakpoint(binary, Path("collect"))
    spots = ("runtime.gcDrain", "runtime.(*sweepLocked).sweep", "runtime.gcMarkTermination")
    commands, paths = [f"source {SIDE}", "delete"], []
    for number, spot in enumerate(spots * 2):
        paths.append(tmp_path / f"stop{number}")
        commands += [f"tbreak '{spot}'", "continue", f"rss-stop {paths[-1]}", "delete"]
    run = run_gdb(gdb, commands, scene, load=True, cwd=tmp_path)
    assert paths[-1].exists(), run.stdout[-3000:] + run.stderr[-3000:]
    for path in paths:
        stop = read_stop(path)
        assert_valid(stop.rss)
        assert_sums(stop.rss)
        assert_kernel(stop)
        assert stop.balance("VmRSS")["unexplained"] == 0
        if any(one["unexplained"] for one in stop.rss["balances"]):
            assert any("stopped" in note or "swept" in note or "was" in note for note in stop.rss["notes"])


def text(gdb: Gdb, scene: Scene, command: str, folder: Path) -> str:
    """What a command prints."""
    run = run_gdb(gdb, ["echo <<<\\n", command, "echo >>>\\n"], scene, load=True, cwd=folder)
    assert ">>>" in run.stdout, run.stdout[-3000:] + run.stderr[-3000:]
    return run.stdout.partition("<<<\n")[2].partition(">>>")[0]


def test_text_says_what_json_says(shapes: Tuple[Binary, Any, Processes], gdb: Gdb, tmp_path: Path) -> None:
    binary, process, _ = shapes
    folded = text(gdb, attach(process, binary), "addrspace rss", tmp_path).splitlines()
    end = " ".join(folded[-3:])
    assert "Everything adds up: " in end and end.endswith("(--reconcile shows each step)")
    assert not any(line.startswith("  VmRSS") for line in folded)
    lines = text(gdb, attach(process, binary), "addrspace rss --reconcile", tmp_path).splitlines()
    assert lines and all(len(line) <= 100 for line in lines)
    head = next(i for i, line in enumerate(lines) if line.startswith(f"shapes · pid {process.pid} · go"))
    assert head > 1 and re.search(r"\d (KiB|MiB)\b", lines[0])  # the verdict
    tree = [line for line in lines if re.match(r"process +", line)]
    assert len(tree) == 1 and "100.0%" in tree[0]
    assert any(line.lstrip().startswith("pages returned to the OS") for line in lines)
    assert any(
        line.startswith("  VmRSS (/proc/PID/status)") and line.endswith("= resident") for line in lines
    )
    assert not any("not explained" in line for line in lines)
    shallow = text(gdb, attach(process, binary), "addrspace rss --depth 1", tmp_path).splitlines()
    start = next(i for i, line in enumerate(shallow) if line.startswith("process "))
    assert [line.split("  ")[1] for line in shallow[start + 1 : start + 3]] == ["Go", "Non-Go"]
    assert not any(line.startswith("    heap  ") for line in shallow)


def test_bad_arguments_are_one_line(shapes: Tuple[Binary, Any, Processes], gdb: Gdb, tmp_path: Path) -> None:
    binary, process, _ = shapes
    for words in ("--depth x", "--format yaml", "--depth", "extra"):
        run = run_gdb(gdb, [f"addrspace rss {words}"], attach(process, binary), load=True, cwd=tmp_path)
        said = [line for line in run.stderr.splitlines() if "addrspace rss" in line]
        assert len(said) == 1 and "Traceback" not in run.stderr, run.stderr


@pytest.mark.parametrize("how", ["panic", "segv"])
@pytest.mark.parametrize("variant", ["plain", "stripped"])
def test_the_goroutine_that_dies_is_on_used_stack(
    how: str, variant: str, go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    """With GOTRACEBACK=crash its thread is on the signal stack: only the frame there says where it was."""
    binary = build_program("crash", go, variant)
    try:
        core = kernel_core(binary, tmp_path, tmp_path / "oracle", how).path
    except Unavailable as problem:
        pytest.skip(str(problem))

    def answer(report: str) -> Json:
        done = cli("dump", core, "--exe", binary.path, "--report", report, "--format", "json")
        document: Json = json.loads(done.stdout)
        assert not [note for note in document["notes"] if "outside their stack" in note]
        return document

    goroutines = answer("goroutine-stacks --system")["goroutines"]
    used = [one["stack"]["used"] for one in goroutines]
    assert None not in used and sum(used) > 0
    (stacks,) = [node for node in walk(answer("rss")["tree"]) if node["name"] == "goroutine stacks"]
    found = {node["name"]: node["size"] for part in stacks["children"] for node in walk(part)}
    assert found["used"] == sum(used)
    assert "use not known" not in found
