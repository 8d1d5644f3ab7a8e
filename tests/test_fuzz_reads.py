"""Hundreds of damaged cores: no traceback, no hang, no lost byte, bounded memory."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Dict

import pytest
from harness import full_matrix
from harness.build import Builder
from harness.debuggers import gdbs
from harness.gdbrun import run_gdb
from harness.scenes import gcore, launch_to_breakpoint
from harness.toolchains import Toolchain

RUNS = 400 if full_matrix() else 200
DRIVER = Path(__file__).resolve().parent / "fuzz_reads.py"


@pytest.fixture(scope="module")
def report(build_program: Builder, go: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Any]:
    """What came of RUNS seeds on a core of `shapes`."""
    folder = tmp_path_factory.mktemp("fuzz")
    binary = build_program("shapes", go)
    core = gcore(gdbs()[0], launch_to_breakpoint(binary, folder / "oracle"), folder / "core")
    seeds = {"FUZZ_SEEDS": f"1,{RUNS}", "FUZZ_REPORT": str(folder / "report")}
    result = run_gdb(gdbs()[0], [f"source {DRIVER}"], core, load=True, env=seeds, timeout=600)
    assert (folder / "report").exists(), result.stderr[-3000:]
    loaded: Dict[str, Any] = json.loads((folder / "report").read_text(encoding="utf-8"))
    return loaded


def test_no_traceback_and_no_hang(report: Dict[str, Any]) -> None:
    bad = [r for r in report["results"] if r["outcome"] == "traceback"]
    assert not bad, bad[0]


def test_damage_is_found_and_told(report: Dict[str, Any]) -> None:
    outcomes = Counter(r["outcome"] for r in report["results"])
    assert outcomes["damaged"] > RUNS // 4  # the fuzzer does damage something
    assert outcomes["refused"] > 0
    for one in report["results"]:
        if one["outcome"] == "refused":
            assert len(one["lines"]) == 1, one


def test_every_mapping_stays_covered_whatever_is_damaged(report: Dict[str, Any]) -> None:
    assert not [r["seed"] for r in report["results"] if r["uncovered"]]


def test_every_node_of_the_tree_stays_the_sum_of_its_children(report: Dict[str, Any]) -> None:
    assert not [r["seed"] for r in report["results"] if r["unsummed"]]


def test_no_control_characters_reach_the_terminal(report: Dict[str, Any]) -> None:
    assert not [r for r in report["results"] if r["odd"]]


def test_memory_stays_bounded(report: Dict[str, Any]) -> None:
    assert report["peak"] < 1 << 30
