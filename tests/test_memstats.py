"""`addrspace memstats` and `addrspace gc` against what the runtime says of itself, to the byte.

The program `gcstats` goes through twenty shapes of the heap; right after it has called metrics.Read, and
right after runtime.ReadMemStats, it stands still at a breakpoint, and both are compared field by field.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, List

import jsonschema
import pytest
from harness import PROGRAMS
from harness.build import Binary, Builder
from harness.debuggers import Gdb, gdbs
from harness.gdbrun import Scene, run_gdb
from harness.oracles import memstats_command, read_memstats
from harness.processes import Processes
from harness.scenes import attach, gcore, gdbserver_launch, launch_to_breakpoint, start
from harness.toolchains import Toolchain, go_environment

from addrspace_gdb.views.documents.schema import schema

EACH_ONCE = True  # not every combination: tests/conftest.py

ALSO_OLD = True  # Go 1.19 and 1.20 too, in the matrix
ALSO_STRIPPED = "$^"  # all of them in the matrix

Stop = Dict[str, Any]

SIDE = Path(__file__).with_name("stats_side.py")
ARRAYS = {"BySize", "PauseNs", "PauseEnd"}
PHASES = 20
NEVER = (1 << 64) - 1
WALKED = {
    *("Alloc", "Sys", "HeapAlloc", "HeapSys", "HeapIdle", "HeapInuse", "HeapReleased", "HeapObjects"),
    *("StackInuse", "StackSys", "MSpanInuse", "MSpanSys", "MCacheInuse", "MCacheSys", "BuckHashSys", "GCSys"),
}
CLASSES = "/memory/classes/"
# What Go counts already but does not tell before Go 1.21.
SINCE_1_21 = ("/gc/gogc", "/gc/gomemlimit", "/gc/heap/live", "/gc/scan/")
NOT_WALKED = {  # counters without structures, and what is in the Ps' caches
    CLASSES + name for name in ("heap/objects:bytes", "heap/unused:bytes", "os-stacks:bytes", "other:bytes")
}


def launch(binary: Binary, *arguments: str) -> Scene:
    """gdb runs `gcstats` to its first stop. Async preemption would make gdb meet a breakpoint twice."""
    enter = ["handle SIGSEGV nostop noprint pass", "set environment GODEBUG asyncpreemptoff=1"]
    enter += ["break main.breakpoint"] + ([] if arguments else ["break main.metricsRead"])
    return Scene("live", binary.path, [*enter, f"run {' '.join(arguments)} </dev/null >/dev/null"])


def look(scene: Scene, folder: Path, command: str, file: Path) -> List[Stop]:
    """What a command of stats_side.py wrote into `file`."""
    run = run_gdb(gdbs()[0], [f"source {SIDE}", command], scene, load=True, timeout=180, cwd=folder)
    assert file.exists(), run.stdout[-3000:] + run.stderr[-3000:]
    assert "Traceback" not in run.stderr, run.stderr[-3000:]
    stops: List[Stop] = json.loads(file.read_text())
    return stops


def phases(go: Toolchain, build_program: Builder, folder: Path, variant: str, *count: str) -> List[Stop]:
    if not gdbs():
        pytest.skip("no gdb")
    binary = build_program("gcstats", go, variant)
    scene = launch(binary)
    if count:
        scene = scene._replace(enter=[*scene.enter[:-1], f"run {count[0]} </dev/null >/dev/null"])
    return look(scene, folder, f"stats-phases {folder}", folder / "stops")


@pytest.fixture(scope="module")
def stops(go: Toolchain, build_program: Builder, tmp_path_factory: pytest.TempPathFactory) -> List[Stop]:
    """Every phase of `gcstats`, each at metricsRead and at the breakpoint."""
    return phases(go, build_program, tmp_path_factory.mktemp("phases"), "plain")


def at_breakpoint(stops: List[Stop]) -> Iterator[Stop]:
    return (stop for stop in stops if stop["where"] == "main.breakpoint")


def at_metrics(stops: List[Stop]) -> Iterator[Stop]:
    return (stop for stop in stops if stop["where"] == "main.metricsRead")


def values(rows: Dict[str, Dict[str, Any]]) -> Dict[str, Any]:
    return {name: row["value"] for name, row in rows.items()}


def test_every_phase_is_met_twice(stops: List[Stop]) -> None:
    assert [s["phase"] for s in at_metrics(stops)] == [s["phase"] for s in at_breakpoint(stops)]
    assert len({stop["phase"] for stop in stops}) == len(stops) // 2 == PHASES


def test_memstats_is_what_read_mem_stats_said(stops: List[Stop]) -> None:
    for stop in at_breakpoint(stops):
        assert_memstats(stop)


def assert_memstats(stop: Stop) -> None:
    oracle, document = stop["oracle"], stop["memstats"]
    expected = {name: value for name, value in oracle.items() if name not in ARRAYS}
    expected["GCCPUFraction"] = float(expected["GCCPUFraction"])
    assert values(document["memstats"]) == expected, stop["phase"]
    by_size = [(entry["Size"], entry["Mallocs"], entry["Frees"]) for entry in oracle["BySize"]]
    assert [tuple(entry.values()) for entry in document["by_size"]] == by_size, stop["phase"]
    assert document["pause_ns"] == oracle["PauseNs"] and document["pause_end"] == oracle["PauseEnd"]


def test_metrics_are_what_metrics_read_said(stops: List[Stop]) -> None:
    for stop in at_metrics(stops):
        assert_metrics(stop)


def assert_metrics(stop: Stop) -> None:
    oracle, ours = stop["oracle"], values(stop["memstats"]["metrics"])
    if "/gc/gogc:percent" not in oracle:
        ours = {name: value for name, value in ours.items() if not name.startswith(SINCE_1_21)}
    assert ours == {name: oracle[name] for name in ours}, stop["phase"]
    prefixes = (CLASSES, "/gc/heap/", "/gc/cycles/", "/gc/scan/", "/gc/stack/", "/gc/go")
    assert {name for name in oracle if name.startswith(prefixes)} <= set(ours)


def test_the_caches_of_ps_make_a_difference(stops: List[Stop]) -> None:
    """Else the two tests above would not show that ReadMemStats flushes them and metrics.Read does not."""
    (stop,) = [s for s in at_metrics(stops) if s["phase"] == "cached"]
    rows = stop["memstats"]
    assert rows["memstats"]["HeapAlloc"]["value"] > rows["metrics"][CLASSES + "heap/objects:bytes"]["value"]


def test_walks_agree_with_the_counters(stops: List[Stop]) -> None:
    for stop in stops:
        assert_walks(stop)


def assert_walks(stop: Stop) -> None:
    document = stop["memstats"]
    rows = {**document["memstats"], **document["metrics"]}
    assert {name for name in document["memstats"] if rows[name]["over"]} == WALKED
    classes = {name for name in document["metrics"] if name.startswith(CLASSES) and not rows[name]["over"]}
    assert classes == NOT_WALKED
    for name, row in rows.items():
        assert row["agrees"] is (True if row["over"] else None), (stop["phase"], name, row)
        assert row["how"] == "counted" and row["reason"] is None
    assert (document["error"], document["unsettled"], document["problems"]) == ("", [], [])


def test_gc_is_what_the_runtime_said(stops: List[Stop], go: Toolchain) -> None:
    if go.release < (1, 21):
        pytest.skip("metrics.Read has none of it before Go 1.21")
    for stop in at_metrics(stops):
        gc, oracle = stop["gc"], stop["oracle"]
        assert (gc["error"], gc["unknown"], gc["phase"]) == ("", {}, "off")
        settings, heap = gc["settings"], gc["heap"]
        assert settings["gogc"] & NEVER == oracle["/gc/gogc:percent"]
        assert settings["gogc_off"] is (settings["gogc"] == -1)
        assert settings["memory_limit"] == oracle["/gc/gomemlimit:bytes"]
        assert settings["memory_limit_set"] is (settings["memory_limit"] != (1 << 63) - 1)
        assert (heap["goal"], heap["marked"]) == (
            oracle["/gc/heap/goal:bytes"],
            oracle["/gc/heap/live:bytes"],
        )
        assert gc["roots"] == {
            "stacks": oracle["/gc/scan/stack:bytes"],
            "globals": oracle["/gc/scan/globals:bytes"],
        }
        assert gc["cycles"]["completed"] == gc["cycles"]["started"] == oracle["/gc/cycles/total:gc-cycles"]
        assert gc["cycles"]["forced"] == oracle["/gc/cycles/forced:gc-cycles"]
        assert gc["sweep"]["done"] and gc["sweep"]["spans_left"] == 0
        # What the limit counts is defined by the metrics (debug.SetMemoryLimit).
        limited = oracle[CLASSES + "total:bytes"] - oracle[CLASSES + "heap/released:bytes"]
        assert gc["limited"]["bytes"] == limited


def test_gc_of_memstats(stops: List[Stop], go: Toolchain) -> None:
    for stop in at_breakpoint(stops):
        gc, oracle = stop["gc"], stop["oracle"]
        last = oracle["NumGC"] - 1
        assert gc["last"]["ended"] == oracle["LastGC"] == oracle["PauseEnd"][last % 256]
        assert gc["last"]["pause"] == oracle["PauseNs"][last % 256]
        assert gc["pauses"]["total"] == oracle["PauseTotalNs"]
        assert gc["cpu_fraction"] == float(oracle["GCCPUFraction"])
        assert gc["last"]["age_exact"] and 0 < gc["last"]["age"] < 600 * 10**9
        assert gc["settings"]["green_tea"] is (go.release >= (1, 26))


def test_documents_are_as_their_schemas_say(stops: List[Stop]) -> None:
    for name in ("memstats", "gc"):
        validator = jsonschema.Draft202012Validator(schema(f"{name}/1"))
        for stop in stops:
            validator.validate({key: value for key, value in stop[name].items() if key != "error"})


@pytest.mark.matrix
@pytest.mark.parametrize(("variant", "count"), [("pie", "100000"), ("noopt", "100"), ("race", "100")])
def test_other_builds(
    go: Toolchain, build_program: Builder, tmp_path: Path, variant: str, count: str
) -> None:
    stops = phases(go, build_program, tmp_path, variant, count)
    assert len(stops) == 2 * PHASES
    for stop in stops:
        (assert_memstats if stop["where"] == "main.breakpoint" else assert_metrics)(stop)
        assert_walks(stop)


@pytest.mark.matrix
def test_green_tea_can_be_off(newest_go: Toolchain, tmp_path: Path) -> None:
    """GOEXPERIMENT=nogreenteagc leaves the queues of spans without fields."""
    if not gdbs():
        pytest.skip("no gdb")
    program = tmp_path / "gcstats"
    environment = {**go_environment(), "CGO_ENABLED": "0", "GOEXPERIMENT": "nogreenteagc"}
    command = [str(newest_go.go), "build", "-o", str(program), "."]
    subprocess.run(command, cwd=PROGRAMS / "gcstats", env=environment, check=True, timeout=600)
    scene = launch(Binary("gcstats", "plain", program, None))
    stops = look(scene, tmp_path, f"stats-phases {tmp_path}", tmp_path / "stops")
    assert len(stops) == 2 * PHASES
    for stop in stops:
        (assert_memstats if stop["where"] == "main.breakpoint" else assert_metrics)(stop)
        assert_walks(stop)
        assert stop["gc"]["settings"]["green_tea"] is False


# Stopped while the collector or the allocator is at work.

SPOTS = {
    "runtime.gcDrain": "mark",
    "runtime.gcMarkTermination": "mark",
    "runtime.gcPaceSweeper": "off",
    "runtime.sweepone": "off",
    "runtime.(*sweepLocked).sweep": "off",
    "runtime.(*mheap).allocManual": "",
    "runtime.(*mheap).initSpan": "",
    "runtime.(*mheap).freeSpanLocked": "",
    "runtime.(*pageAlloc).free": "",
    "runtime.(*consistentHeapStats).release": "",
}
# Here the runtime is between two entries of its books.
TORN = {"runtime.(*mheap).initSpan", "runtime.(*pageAlloc).free"}
MAY_DIFFER = {"runtime.(*consistentHeapStats).release"}  # it depends on which entries were made


@pytest.fixture(scope="module")
def busy(
    go: Toolchain, build_program: Builder, tmp_path_factory: pytest.TempPathFactory
) -> Dict[str, List[Stop]]:
    """Stops at the entry of functions of the runtime, by the function."""
    if not gdbs():
        pytest.skip("no gdb")
    folder = tmp_path_factory.mktemp("busy")
    file = folder / "stops"
    binary = build_program("gcstats", go)
    scene = launch(binary, "collect")._replace(leave=("kill",))
    words = " ".join(f"'{spot}'" for spot in SPOTS)
    found: Dict[str, List[Stop]] = {}
    for stop in look(scene, folder, f"stats-each {file} 3 {words}", file):
        found.setdefault(stop["spot"], []).append(stop)
    return found


def differing(stop: Stop) -> List[str]:
    rows = {**stop["memstats"]["memstats"], **stop["memstats"]["metrics"]}
    return [name for name, row in rows.items() if row["agrees"] is False]


@pytest.mark.parametrize("spot", SPOTS)
def test_counters_and_walks_at_work(busy: Dict[str, List[Stop]], spot: str) -> None:
    """They agree, or it is said what the runtime was in the middle of; and the verdict says so."""
    if spot not in busy:
        pytest.skip(f"this version has no {spot}")
    assert len(busy[spot]) == 3
    for stop in busy[spot]:
        document = stop["memstats"]
        assert stop["gc"]["phase"] == (SPOTS[spot] or stop["gc"]["phase"])
        assert bool(document["unsettled"]) or not differing(stop)
        if spot in TORN:
            assert "HeapIdle" in differing(stop)
        assert ("walked is not" in document["error"]) is bool(differing(stop))
        assert stop["gc"]["error"] == ""


def test_what_is_at_work_seldom_differs(busy: Dict[str, List[Stop]]) -> None:
    """Elsewhere the books balance, unless another thread is at work as well."""
    elsewhere = [stop for spot in busy for stop in busy[spot] if spot not in TORN | MAY_DIFFER]
    assert sum(not differing(stop) for stop in elsewhere) > len(elsewhere) / 2


def test_trigger_is_what_the_runtime_computed(busy: Dict[str, List[Stop]]) -> None:
    """gcPaceSweeper(trigger uint64) is called with gcController.trigger(): its argument is in rax."""
    assert [s["gc"]["heap"]["trigger"] for s in busy["runtime.gcPaceSweeper"]] == [
        s["rax"] for s in busy["runtime.gcPaceSweeper"]
    ]


def test_workers_and_sweeper_at_work(busy: Dict[str, List[Stop]]) -> None:
    for stop in busy["runtime.gcDrain"]:
        workers = stop["gc"]["workers"]
        assert workers["running"] == sum(workers["by_mode"].values()) >= 1
        assert stop["gc"]["cycles"]["started"] == stop["gc"]["cycles"]["completed"] + 1
    for stop in busy["runtime.(*sweepLocked).sweep"]:
        sweep = stop["gc"]["sweep"]
        assert not sweep["done"] and sweep["sweepers"] >= 1
        assert sweep["spans_left"] > 0 and sweep["pages_swept"] < sweep["pages_in_use"]


# Ways to come to a process.

# What the program may still allocate between its oracle and its rest.
LATER = {"Alloc", "TotalAlloc", "Mallocs", "HeapAlloc", "HeapObjects", "NextGC"}


@pytest.mark.parametrize("how", ["attach", "gcore", "gdbserver"])
def test_ways(
    gdb_exe: Gdb,
    newest_go: Toolchain,
    build_program: Builder,
    processes: Processes,
    tmp_path: Path,
    how: str,
) -> None:
    binary = build_program("nodes", newest_go)
    oracle = tmp_path / "oracle"
    if how == "attach":
        scene = attach(start(processes, binary, oracle, "20000"), binary)
    elif how == "gdbserver":
        scene = gdbserver_launch(gdb_exe, processes, binary, oracle, "20000")
    else:
        scene = launch_to_breakpoint(binary, oracle, "20000")
        scene = gcore(gdb_exe, scene, tmp_path / "core")
    ask = [f"addrspace {name} --format json --output {tmp_path / name}" for name in ("memstats", "gc")]
    ask += ["addrspace gc", "addrspace memstats", memstats_command(tmp_path / "said")]
    run = run_gdb(gdb_exe, ask, scene, load=True)
    assert "Traceback" not in run.stderr and "addrspace:" not in run.stderr, run.stderr[-3000:]
    memstats, gc = (json.loads((tmp_path / name).read_text()) for name in ("memstats", "gc"))
    jsonschema.validate(memstats, schema("memstats/1"))
    jsonschema.validate(gc, schema("gc/1"))
    said = read_memstats(tmp_path / "said")
    left_out = ARRAYS | (LATER if how == "attach" else set())
    said["GCCPUFraction"] = float(said["GCCPUFraction"])
    assert {name: value for name, value in values(memstats["memstats"]).items() if name not in left_out} == {
        name: value for name, value in said.items() if name not in left_out
    }
    assert all(row["agrees"] for row in memstats["memstats"].values() if row["over"])
    kind = {"attach": "live", "gcore": "core", "gdbserver": "remote"}[how]
    assert memstats["target"]["kind"] == gc["target"]["kind"] == kind
    assert gc["last"]["age"] is None and gc["cycles"]["completed"] == 0  # nodes turns the collector off
    assert "HeapInuse" in run.stdout and "Memory limit  none" in run.stdout


# What is typed and shown.


@pytest.fixture(scope="module")
def texts(
    newest_go: Toolchain, build_program: Builder, tmp_path_factory: pytest.TempPathFactory
) -> Dict[str, str]:
    """What commands print at the first stop of `gcstats`."""
    if not gdbs():
        pytest.skip("no gdb")
    commands = (
        "addrspace memstats",
        "addrspace memstats HeapInuse stackinuse",
        "addrspace memstats /gc/cycles/",
        "addrspace memstats m*sys",
        "addrspace memstats BySize PauseNs",
        "addrspace memstats BySize --format json",
        "addrspace memstats nothing",
        "addrspace gc",
        "addrspace gc nothing",
        "help addrspace memstats",
    )
    scene = launch(build_program("gcstats", newest_go))._replace(leave=("kill",))
    lines = [f"source {SIDE}", "set width 100"]
    for command in commands:
        lines += ["echo \\n=====\\n", f"tell {command}"]
    run = run_gdb(gdbs()[0], [*lines, "echo \\n=====\\n"], scene, load=True)
    assert "Traceback" not in run.stderr
    return dict(zip(commands, run.stdout.split("\n=====\n")[1:]))


def names(text: str) -> List[str]:
    """The first column of the tables."""
    lines = text[text.index("Name") :].splitlines()[1:]
    rows = lines[: lines.index("") if "" in lines else None]
    return [line.split()[0] for line in rows if not line.startswith(" ")]  # a source may go on below


def test_fields_are_chosen(texts: Dict[str, str]) -> None:
    assert names(texts["addrspace memstats HeapInuse stackinuse"]) == ["HeapInuse", "StackInuse"]
    assert names(texts["addrspace memstats /gc/cycles/"]) == [
        f"/gc/cycles/{name}:gc-cycles" for name in ("automatic", "forced", "total")
    ]
    assert names(texts["addrspace memstats m*sys"]) == ["MSpanSys", "MCacheSys"]
    # gdb may tell of breakpoints before.
    assert texts["addrspace memstats nothing"].splitlines()[-1] == (
        "ERROR addrspace: memstats: unknown field 'nothing'"
    )
    text = texts["addrspace memstats BySize --format json"]
    document, _ = json.JSONDecoder().raw_decode(text, text.index("{"))
    assert document["memstats"] == document["metrics"] == {}
    assert len(document["by_size"]) == 61 and "pause_ns" not in document
    jsonschema.validate(document, schema("memstats/1"))


def test_arrays_are_tables(texts: Dict[str, str]) -> None:
    text = texts["addrspace memstats BySize PauseNs"]
    assert "Mallocs" in text and "PauseEnd" in text and "HeapInuse" not in text


def test_output_is_quiet_and_fits(texts: Dict[str, str]) -> None:
    for command in ("addrspace memstats", "addrspace gc"):
        assert max(map(len, texts[command].splitlines())) <= 100
    assert len(texts["addrspace gc"].strip().splitlines()) <= 24
    assert "counters checked against the heap itself: all agree" in texts["addrspace memstats"]
    assert "ERROR" in texts["addrspace gc nothing"]
    assert texts["help addrspace memstats"].startswith("Show runtime.MemStats")
