"""Object slots against the runtime's own counters and against what the program knows of its objects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

import jsonschema
import pytest
from harness.build import Binary, Builder
from harness.debuggers import Gdb
from harness.gdbrun import Scene, run_gdb
from harness.oracles import memstats_command, read_memstats
from harness.scenes import launch_to_breakpoint
from harness.toolchains import Toolchain

from addrspace_gdb.views.documents.schema import schema

EACH_ONCE = True  # not every combination: tests/conftest.py

ALSO_OLD = True  # Go 1.19 and 1.20 too, in the matrix
ALSO_STRIPPED = "$^"  # all of them in the matrix

Document = Dict[str, Any]
SIDE = Path(__file__).with_name("slots_side.py")

QUIET_SIZES = (13568, 19072, 27264)  # of classes that nothing else in the program makes objects of


class Stop(NamedTuple):
    """What was seen at one stop."""

    heap: Document
    space: Document  # addrspace --format json: its memstats are the runtime's counters
    slots: List[Document]
    facts: Document


def look(folder: Path, name: str) -> List[str]:
    """Commands that look at the heap and put what they see into files."""
    return [
        f"addrspace heap --format json --output {folder}/{name}.heap",
        f"addrspace --format json --output {folder}/{name}.space",
        f"slot-states {folder}/oracle.objects {folder}/{name}.slots",
        f"slot-facts {folder}/{name}.facts",
    ]


def seen(folder: Path, name: str) -> Stop:
    """What `look` put there, valid as the schema says."""
    parts = [json.loads((folder / f"{name}.{end}").read_text()) for end in Stop._fields]
    stop = Stop(*parts)
    jsonschema.validate(stop.heap, schema("heap/1"))
    assert stop.heap["problems"] == [] == stop.space["problems"]
    return stop


def assert_adds_up(stop: Stop) -> None:
    """Every sum, whatever the collector is doing."""
    heap, stats = stop.heap, stop.space["memstats"]
    total = heap["bytes"]
    assert sum(total.values()) == stats["HeapInuse"]
    assert total["live"] + total["since"] + total["dead"] == stats["HeapAlloc"]
    objects = heap["objects"]
    assert objects["live"] + objects["since"] + objects["dead"] == stats["HeapObjects"]
    for one in heap["classes"]:
        assert sum(one["bytes"].values()) == one["size"]
        assert sum(one["objects"].values()) == one["slots"]
    for what in ("bytes", "objects"):
        for part, amount in heap[what].items():
            assert sum(one[what][part] for one in heap["classes"]) == amount
    uses = {use["use"]: use["size"] for use in heap["uses"]}
    assert uses["objects"] == stats["HeapInuse"]
    assert sum(uses.values()) == sum(arena["size"] for arena in heap["arenas"])
    for use in uses:
        assert sum(arena["uses"][use] for arena in heap["arenas"]) == uses[use]
        pages = [page for page in heap["pages"] if page["use"] == use]
        assert sum(int(page["end"], 16) - int(page["start"], 16) for page in pages) == uses[use]
    free = heap["free_runs"]
    # What randomises the heap's base since Go 1.26 is returned, and no run that could be allocated.
    padding = sum(r["size"] for r in stop.space["regions"] if r["label"] == "base padding")
    assert uses["returned"] == stats["HeapReleased"]
    assert free["size"] == uses["free"] + uses["returned"] - padding
    assert sum(one["size"] for one in free["by_length"]) == free["size"]
    assert sum(one["runs"] for one in free["by_length"]) == free["runs"]
    assert sum(one["returned"] for one in free["by_length"]) == uses["returned"] - padding


def assert_resident_adds_up(stop: Stop) -> None:
    """Each part's resident bytes, and their sum against the regions'."""
    heap = stop.heap
    regions = [
        r for r in stop.space["regions"] if r["kind"] in ("small objects", "large objects", "user arena")
    ]
    assert sum(heap["resident"].values()) == sum(region["resident"] for region in regions)
    for one in heap["classes"]:
        assert all(0 <= one["resident"][part] <= one["bytes"][part] for part in one["bytes"])


def assert_by_size(stop: Stop, memstats: Dict[str, Any]) -> None:
    """Objects of each size class against MemStats.BySize, which ReadMemStats filled."""
    used: Dict[int, int] = {}
    for one in stop.heap["classes"]:
        parts = one["objects"]
        used[one["class"]] = used.get(one["class"], 0) + parts["live"] + parts["since"] + parts["dead"]
    for number, row in enumerate(memstats["BySize"]):
        if number:
            assert used.get(number, 0) == row["Mallocs"] - row["Frees"], number
    sizes = {one["class"]: one["object_size"] for one in stop.heap["classes"] if one["class"]}
    assert all(
        memstats["BySize"][n]["Size"] == size for n, size in sizes.items() if n < len(memstats["BySize"])
    )


def assert_objects(stop: Stop, collected: bool = True) -> None:
    """Every object that the program knows: its slot, and whether it is allocated."""
    assert len(stop.slots) > 4000
    for slot in stop.slots:
        assert "problem" not in slot or slot["was"] == "freed", slot
        if slot["was"] == "tiny":
            assert slot["element"] == 16 and slot["offset"] + slot["size"] <= 16
        elif "problem" not in slot and slot["kind"] in ("small objects", "large object"):
            assert slot["offset"] == slot["header"] or slot["was"] == "freed", slot
            assert slot["size"] + slot["header"] <= slot["element"] or slot["was"] == "freed"
        if slot["was"] != "freed":
            assert slot["state"] == ("live" if collected else "since"), slot
    if collected:
        quiet = [slot for slot in stop.slots if slot["was"] == "freed" and slot["size"] in QUIET_SIZES]
        assert len(quiet) >= 100 and all(slot["state"] == "free" for slot in quiet if "state" in slot)
    kept = {(slot["base"], slot["was"]) for slot in stop.slots if slot["was"] == "kept"}
    assert len(kept) == sum(slot["was"] == "kept" for slot in stop.slots)


def stops(gdb: Gdb, binary: Binary, folder: Path, how: str) -> Dict[str, Any]:
    """The stop at the breakpoint, in mark termination's beginning, in sweep, and the oracles."""
    scene = launch_to_breakpoint(binary, folder / "oracle", how)
    commands = [f"source {SIDE}", *look(folder, "first"), memstats_command(folder / "memstats")]
    commands += ["delete", "tbreak runtime.gcMarkTermination", "continue", *look(folder, "mark")]
    commands += ["tbreak runtime.(*sweepLocked).sweep", "continue", *look(folder, "sweep")]
    commands += ["tbreak runtime.(*sweepLocked).sweep", "ignore $bpnum 60", "continue", *look(folder, "mid")]
    commands += ["delete", "tbreak main.collected", "continue", *look(folder, "after")]
    commands += [f"oracle-memstats {folder}/later main.After"]
    run = run_gdb(gdb, commands, scene, load=True)
    said = run.stdout[-3000:] + run.stderr[-3000:]
    assert (folder / "later").exists() and (folder / "mark.heap").exists(), said
    found: Dict[str, Any] = {name: seen(folder, name) for name in ("first", "mark", "sweep", "mid", "after")}
    found["memstats"], found["later"] = (read_memstats(folder / name) for name in ("memstats", "later"))
    return found


def assert_cycle(found: Dict[str, Any]) -> None:
    """Through a whole collection: what each stop says follows from the one before."""
    first, mark, sweep, mid, after = (found[name] for name in ("first", "mark", "sweep", "mid", "after"))
    for stop in (first, mark, sweep, mid, after):
        assert_adds_up(stop)
        assert_resident_adds_up(stop)
    # Marking: live is still what the collection before found; the marks are this one's.
    assert mark.facts["phase"] == 1 and mark.heap["objects"]["live"] == first.heap["objects"]["live"]
    assert all(slot["marked"] for slot in mark.slots if slot["was"] in ("kept", "tiny"))
    assert not any(slot["marked"] for slot in mark.slots if slot["was"] == "later")
    # Sweeping: what is not marked is dead, and MemStats has it still.
    assert sweep.facts["phase"] == 0 and sweep.heap["objects"]["dead"] >= 16
    assert {slot["state"] for slot in sweep.slots if slot["was"] == "later"} == {"dead"}
    assert {slot["state"] for slot in sweep.slots if slot["was"] == "kept"} == {"live"}
    assert any("not swept" in note for note in sweep.heap["notes"])
    for stop in (sweep, mid, after):
        assert stop.facts["heapMarked"] == stop.heap["bytes"]["live"] + stop.facts["finalizers"]
        assert stop.heap["objects"]["live"] == sweep.heap["objects"]["live"]
    assert sweep.heap["objects"]["dead"] >= mid.heap["objects"]["dead"] >= after.heap["objects"]["dead"]
    # Afterwards: the dead are gone, which the program has counted itself.
    assert after.heap["objects"]["dead"] == 0
    assert {slot["state"] for slot in after.slots if slot["was"] == "later" and "state" in slot} == {"free"}
    objects = after.heap["objects"]
    assert objects["live"] + objects["since"] == found["later"]["HeapObjects"]
    assert_by_size(after, found["later"])


def test_a_whole_collection(gdb_exe: Gdb, go: Toolchain, build_program: Builder, tmp_path: Path) -> None:
    found = stops(gdb_exe, build_program("slots", go), tmp_path, "settled")
    first: Stop = found["first"]
    assert first.space["memstats"]["HeapObjects"] == found["memstats"]["HeapObjects"]
    assert first.space["memstats"]["HeapAlloc"] == found["memstats"]["HeapAlloc"]
    assert_by_size(first, found["memstats"])
    assert_objects(first)
    assert first.facts["heapMarked"] == first.heap["bytes"]["live"] + first.facts["finalizers"]
    assert_cycle(found)


@pytest.mark.parametrize("how", ["garbage", "returned"])
def test_other_shapes(gdb_exe: Gdb, go: Toolchain, build_program: Builder, tmp_path: Path, how: str) -> None:
    first, memstats = _first(gdb_exe, build_program("slots", go), tmp_path, how)
    assert_adds_up(first)
    assert_resident_adds_up(first)
    assert_by_size(first, memstats)
    assert_objects(first, collected=how != "garbage")
    if how == "garbage":
        assert first.heap["objects"]["live"] == 0
    else:
        assert {use["use"]: use["size"] for use in first.heap["uses"]}["returned"] > 32 << 20


def _first(gdb: Gdb, binary: Binary, folder: Path, how: str) -> Any:
    scene = launch_to_breakpoint(binary, folder / "oracle", how)
    commands = [f"source {SIDE}", *look(folder, "first"), memstats_command(folder / "memstats")]
    run = run_gdb(gdb, commands, scene, load=True)
    assert (folder / "memstats").exists(), run.stdout[-3000:] + run.stderr[-3000:]
    return seen(folder, "first"), read_memstats(folder / "memstats")


@pytest.mark.parametrize(
    ("variant", "oldest"),
    [("arenas", (1, 21)), ("greentea", (1, 25)), ("nogreenteagc", (1, 26)), ("386", (1, 21))],
)
def test_other_builds(
    gdb_exe: Gdb, go: Toolchain, build_program: Builder, tmp_path: Path, variant: str, oldest: Any
) -> None:
    if go.release < oldest or (variant == "greentea" and go.release > (1, 25)):
        pytest.skip("no such experiment, or it is the default")
    how = "arenas" if variant == "arenas" else "settled"
    first, memstats = _first(gdb_exe, build_program("slots", go, variant), tmp_path, how)
    assert_adds_up(first)
    assert_resident_adds_up(first)
    assert_by_size(first, memstats)
    assert_objects(first)
    if variant == "arenas":
        assert {state["state"] for state in first.heap["spans"]} >= {"user arenas", "freed user arenas"}
        assert [one for one in first.heap["classes"] if one["user_arena"] and one["objects"]["live"]]


@pytest.mark.symbols
def test_core_says_the_same(
    gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    binary = build_program("slots", newest_go)
    scene = launch_to_breakpoint(binary, tmp_path / "oracle", "settled")
    live = tmp_path / "live"
    core = tmp_path / "core"
    commands = [f"addrspace heap --format json --output {live}", f"generate-core-file {core}"]
    run = run_gdb(gdb_exe, commands, scene, load=True)
    assert live.exists() and core.exists(), run.stdout[-2000:]
    opened = Scene("core", binary.path, [f"core-file {core}"])
    run_gdb(gdb_exe, [f"source {SIDE}", *look(tmp_path, "core")], opened, load=True)
    stop = seen(tmp_path, "core")
    before = json.loads(live.read_text())
    assert stop.heap["resident"] is None and before["resident"] is not None
    for same in ("objects", "bytes", "large", "pages"):
        assert stop.heap[same] == before[same]
    assert_adds_up(stop)
    assert_objects(stop)
