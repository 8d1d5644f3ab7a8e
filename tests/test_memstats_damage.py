"""Damaged cores: a row of `addrspace memstats` or `addrspace gc` says what is wrong, sizes that cannot be are
left out of every command, and the rest stands."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any, Dict, List, Tuple

import jsonschema
import pytest
from harness import full_matrix
from harness.debuggers import gdbs
from harness.gdbrun import Scene, run_gdb
from test_addrspace_fuzz import Pristine, assert_all_well, pristine  # noqa: F401

from addrspace_gdb.views.documents.schema import schema

COMMANDS = (
    "addrspace memstats",
    "addrspace gc",
    "addrspace memstats --format json",
    "addrspace gc --format json",
    "addrspace memstats BySize PauseNs",
)
SIDE = Path(__file__).with_name("stats_side.py")
SEEDS = [11] if not full_matrix() else list(range(11, 31))
TARGETED = 2 if not full_matrix() else 1


@pytest.mark.parametrize("seed", SEEDS)
def test_random_damage_is_survived(pristine: Pristine, tmp_path: Path, seed: int) -> None:  # noqa: F811
    assert_all_well(pristine.fuzz(tmp_path, seed=seed, count=60, commands=COMMANDS), 60)


def test_targeted_damage_is_survived(pristine: Pristine, tmp_path: Path) -> None:  # noqa: F811
    assert_all_well(pristine.fuzz(tmp_path, skip=1, step=2 * TARGETED, commands=COMMANDS), 40)


def overwriting(core: Pristine, folder: Path, writes: List[Tuple[str, int]]) -> Tuple[Path, Path]:
    """A copy of the core, and gdb's script that overwrites 64-bit words of it at those expressions."""
    copy = folder / "core"
    lines = ["import gdb, struct", "gdb.execute('set language c')", f"core = open({str(copy)!r}, 'r+b')"]
    for expression, value in writes:
        lines += [
            f"at = int(gdb.parse_and_eval({expression!r}))",
            f"offset = next(o + at - s for s, n, o in {core.loads!r} if s <= at < s + n)",
            f"core.seek(offset); core.write({struct.pack('<Q', value)!r}); core.flush()",
        ]
    lines += [f"gdb.execute('core-file {copy}', to_string=True)", "gdb.execute('set language auto')"]
    script = folder / "damage.py"
    script.write_text("\n".join(lines) + "\n")
    copy.write_bytes(core.core.read_bytes())
    return copy, script


def damaged(
    core: Pristine, folder: Path, writes: List[Tuple[str, int]]
) -> Tuple[Dict[str, Any], Dict[str, Any], str]:
    """Both documents after 64-bit words at those expressions were overwritten in a copy of the core."""
    copy, script = overwriting(core, folder, writes)
    ask = [f"addrspace {name} --format json --output {folder / name}" for name in ("memstats", "gc")]
    show = [f"source {SIDE}", f"source {script}"]
    show += [f"tell {line}" for line in [*ask, "addrspace memstats", "addrspace gc"]]
    run = run_gdb(gdbs()[0], show, Scene("core", core.binary.path, [f"core-file {copy}"]), load=True)
    assert "Traceback" not in run.stderr + run.stdout, run.stderr[-2000:]
    memstats, gc = (json.loads((folder / name).read_text()) for name in ("memstats", "gc"))
    jsonschema.validate(memstats, schema("memstats/1"))
    jsonschema.validate(gc, schema("gc/1"))
    return memstats, gc, run.stdout


def test_a_counter_that_cannot_be(pristine: Pristine, tmp_path: Path) -> None:  # noqa: F811
    """It is null with its reason; the walk stands in for it; what is computed from others stands."""
    writes = [("&'runtime.gcController'.heapInUse", (1 << 64) - 8192)]
    writes += [("&'runtime.gcController'.heapLive", 1 << 60), ("&'runtime.memstats'.gc_cpu_fraction", NAN)]
    memstats, gc, text = damaged(pristine, tmp_path, writes)
    rows = memstats["memstats"]
    row = rows["HeapInuse"]
    assert row["counted"] is None and row["how"] == "walked" and row["value"] == row["walked"] > 0
    assert "the counter holds 18,446,744,073,709,543,424" in row["reason"] and row["agrees"] is None
    assert rows["GCCPUFraction"]["value"] is None and "no fraction" in rows["GCCPUFraction"]["reason"]
    assert rows["HeapIdle"]["agrees"] and rows["HeapReleased"]["agrees"]
    assert gc["heap"]["live"] is None and "impossible" in gc["unknown"]["heap.live"]
    assert gc["heap"]["goal"] is not None and gc["cpu_fraction"] is None
    assert "Heap live     ?" in text and "ERROR addrspace: " in text and "the counter holds nan" in text


NAN = 0x7FF8000000000000


def test_a_counter_that_is_wrong(pristine: Pristine, tmp_path: Path) -> None:  # noqa: F811
    """Not impossible, but not what is there: the row and the verdict say so."""
    memstats, _, text = damaged(pristine, tmp_path, [("&'runtime.gcController'.heapReleased", 12345)])
    row = memstats["memstats"]["HeapReleased"]
    assert (row["agrees"], row["counted"], row["value"]) == (False, 12345, 12345)
    assert memstats["memstats"]["StackInuse"]["agrees"] is True
    assert "DIFFERS" in text and "walked is not" in text


def test_memory_that_cannot_be_read(pristine: Pristine, tmp_path: Path) -> None:  # noqa: F811
    """A P whose mcache is nowhere, and a list of profile buckets that leads out of the core."""
    memstats, _, text = damaged(pristine, tmp_path, [("&'runtime.mbuckets'", 0xDEAD0000)])
    row = memstats["memstats"]["BuckHashSys"]
    assert row["counted"] > 0
    assert row["walked"] is None or row["agrees"] is False
    assert memstats["memstats"]["HeapInuse"]["agrees"] is True
    assert "mbuckets" in text


def test_free_stacks_that_cannot_be(pristine: Pristine, tmp_path: Path) -> None:  # noqa: F811
    """A span of the pool that is as large as an address space is left out of the sum, in one line."""
    first = "'runtime.stackpool'[0].item.span.first"
    copy, script = overwriting(pristine, tmp_path, [(f"&{first}->npages", 1 << 39)])
    scene = Scene("core", pristine.binary.path, [f"core-file {copy}"])
    run = run_gdb(gdbs()[0], ["goroutine-stacks", f"source {script}", "goroutine-stacks"], scene, load=True)
    before, after = re.findall(r"^  free +([\d.]+) KiB +in the stack pools", run.stdout, re.MULTILINE)
    assert 0 <= float(after) < float(before)
    assert "free stacks: 1 spans hold impossible sizes; left out" in run.stderr


def test_bytes_of_stacks_that_cannot_be(pristine: Pristine, tmp_path: Path) -> None:  # noqa: F811
    """The runtime's counter is unknown then, and a line says why."""
    copy, script = overwriting(
        pristine, tmp_path, [("&'runtime.memstats'.heapStats.stats[0].inStacks", 1 << 50)]
    )
    scene = Scene("core", pristine.binary.path, [f"core-file {copy}"])
    commands = ["goroutine-stacks", "addrspace memstats StackInuse"]
    run = run_gdb(gdbs()[0], [f"source {script}", *commands], scene, load=True)
    assert re.search(r"Stacks in use +\?", run.stdout), run.stdout
    assert "the counter holds 1,125,899,9" in run.stdout + run.stderr, run.stdout  # both find it impossible
    (line,) = [line for line in run.stderr.splitlines() if "inStacks is 0x4" in line]
    assert line.startswith("addrspace: memstats.heapStats: ")


SPANS, STACKS = "spans: 1 of [\\d,]+ hold impossible", "goroutine stacks: 1 of [\\d,]+ have impossible bounds"


@pytest.mark.parametrize(
    ("word", "value", "told"),
    [
        ("'runtime.stackpool'[0].item.span.first->npages", 1 << 39, SPANS),
        ("'runtime.stackpool'[0].item.span.first->startAddr", 1 << 52, SPANS),
        ("'runtime.allgs'.array[3]->stack.lo", 1 << 33, STACKS),
        ("'runtime.allgs'.array[3]->stack.hi", 1 << 52, STACKS),
    ],
)
def test_sizes_that_cannot_be(
    pristine: Pristine,  # noqa: F811
    tmp_path: Path,
    word: str,
    value: int,
    told: str,
) -> None:
    """Every command leaves out what damage made larger than an address space, says so, and shows the rest."""
    copy, script = overwriting(pristine, tmp_path, [(f"&{word}", value)])
    scene = Scene("core", pristine.binary.path, [f"core-file {copy}"])
    names = ["heap", "rss", "spans", "memstats", "types", "regions heap"]
    commands = ["goroutine-stacks --by-frame", *(f"addrspace {name}" for name in names)]
    run = run_gdb(gdbs()[0], [f"source {script}", *commands], scene, load=True)
    said = [line for line in run.stderr.splitlines() if line.startswith("addrspace: ")]
    told_by = sum(re.search(told, line) is not None for line in said)
    assert told_by >= len(names) - 1, said  # some tell first of a sum or list that is wrong for it
    assert len(run.stdout) > 5000 and not re.search(r"[\d.]+ [TPE]iB", run.stdout), run.stdout
