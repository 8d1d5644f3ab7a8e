"""Damage of every kind in the runtime's structures of a core: no traceback, no hang, no flood.

Each batch is one gdb that opens the damaged core again and again (`fuzz_driver.py`).
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Dict, List

import pytest
from elftools.elf.elffile import ELFFile
from harness import full_matrix
from harness.build import Binary, Builder
from harness.debuggers import gdbs
from harness.gdbrun import Scene, run_gdb
from harness.scenes import gcore, kernel_core, launch_to_breakpoint
from harness.toolchains import Toolchain, Unavailable

EACH_ONCE = True  # not every combination: tests/conftest.py

DRIVER = Path(__file__).with_name("fuzz_driver.py")
SEEDS = [1, 2, 3] if not full_matrix() else list(range(1, 41))
EACH = 100  # mutations with one seed
TARGETED = 4  # batches
MAX_SECONDS = 20  # seconds for one command, which takes a fifth of one on an undamaged core
MAX_MEMORY = 1 << 30  # bytes


class Pristine:
    """An undamaged core and its program."""

    def __init__(self, core: Path, binary: Binary) -> None:
        self.core, self.binary = core, binary
        with open(core, "rb") as file:
            segments = [
                s for s in ELFFile(file).iter_segments() if s["p_type"] == "PT_LOAD" and s["p_filesz"]
            ]
            self.loads = [[s["p_vaddr"], s["p_filesz"], s["p_offset"]] for s in segments]

    def fuzz(self, folder: Path, **request: Any) -> List[Dict[str, Any]]:
        """What the driver found; the copy of the core goes away again."""
        copy, results, path = folder / "core", folder / "results", folder / "request.json"
        subprocess.run(["cp", "--sparse=always", str(self.core), str(copy)], check=True)
        whole = {"seed": 0, "count": 0, "skip": 0, "step": 1, "limit": MAX_SECONDS, **request}
        path.write_text(
            json.dumps({**whole, "core": str(copy), "loads": self.loads, "results": str(results)})
        )
        commands = ["set addrspace debug on", f"source {DRIVER}", f"python fuzz({str(path)!r})"]
        try:
            run = run_gdb(gdbs()[0], commands, Scene("core", self.binary.path, []), load=True, timeout=570)
        finally:
            copy.unlink()
        records = [json.loads(line) for line in results.read_text().splitlines()]
        assert run.status == 0, (records[-1], run.stderr[-3000:])
        assert "Traceback" not in run.stderr and "Python Exception" not in run.stderr, (
            [r for r in records if "internal error" in r.get("text", "")],
            run.stderr[-6000:],
        )
        return [record for record in records if "outcome" in record]


@pytest.fixture(scope="module")
def pristine(go: Toolchain, build_program: Builder, tmp_path_factory: pytest.TempPathFactory) -> Pristine:
    """The kernel's core of `crash`, or gdb's of `shapes` where the kernel's does not come here."""
    if not gdbs():
        pytest.skip("no gdb")
    folder = tmp_path_factory.mktemp("pristine")
    binary = build_program("crash", go)
    try:
        return Pristine(kernel_core(binary, folder, folder / "oracle", "abort").path, binary)
    except Unavailable:
        binary = build_program("shapes", go)
        gcore(gdbs()[0], launch_to_breakpoint(binary, folder / "oracle", "quiet"), folder / "core")
        return Pristine(folder / "core", binary)


def assert_all_well(records: List[Dict[str, Any]], at_least: int) -> None:
    """Every outcome is output, or one line that says what is wrong; and the last, undamaged one is output."""
    bad = [r for r in records if not well(r)]
    assert bad == []
    assert len(records) > at_least
    assert (records[-1]["mutation"], records[-1]["outcome"]) == ("none", "output"), records[-1]
    large = next((r for r in records if r["rss"] << 10 > MAX_MEMORY), None)
    assert large is None


def well(record: Dict[str, Any]) -> bool:
    """Whether that is how a command may end."""
    if record["outcome"] == "output":
        return bool(record["text"]) or "--output" in record["command"]
    lines = record["text"].splitlines()
    one = record["outcome"] == "error" and len(lines) == 1 and lines[0].startswith("addrspace: ")
    return one and "internal error" not in lines[0] and lines[0].isprintable() and len(lines[0]) < 600


@pytest.mark.parametrize("seed", SEEDS)
def test_random_damage_is_survived(pristine: Pristine, tmp_path: Path, seed: int) -> None:
    assert_all_well(pristine.fuzz(tmp_path, seed=seed, count=EACH), EACH)


HEAP = ("addrspace heap", "addrspace heap --format json", "addrspace spans --sort free --limit 200") + (
    "addrspace spans --format json",
    "addrspace arenas",
    "addrspace heap --map",
)


@pytest.mark.parametrize("seed", [seed + 1000 for seed in SEEDS[: len(SEEDS) // 3]])
def test_random_damage_is_survived_by_the_commands_of_the_heap(
    pristine: Pristine, tmp_path: Path, seed: int
) -> None:
    assert_all_well(pristine.fuzz(tmp_path, seed=seed, count=EACH, commands=HEAP), EACH)


@pytest.mark.parametrize("batch", range(TARGETED))
def test_cycles_wild_pointers_and_absurd_lengths_are_survived(
    pristine: Pristine, tmp_path: Path, batch: int
) -> None:
    assert_all_well(pristine.fuzz(tmp_path, skip=batch, step=TARGETED), 50)


def test_damage_is_seen(pristine: Pristine, tmp_path: Path) -> None:
    """The mutations do reach what is read: most of the targeted ones end with a line that says so."""
    records = pristine.fuzz(tmp_path, skip=0, step=8)
    assert sum(r["outcome"] == "error" for r in records) > len(records) // 3


def test_the_same_seed_is_the_same_damage(pristine: Pristine, tmp_path: Path) -> None:
    made = []
    for _ in range(2):
        records = pristine.fuzz(tmp_path, seed=7, count=10)
        made.append([(r["mutation"], r["outcome"], r["text"]) for r in records])
    assert made[0] == made[1]
