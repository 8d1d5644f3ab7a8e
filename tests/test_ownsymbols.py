"""Variables from the program's own symbol table: what gdb says of them, or nothing where that is not sure."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Dict

import pytest
from harness import CHECKOUT
from harness.build import Binary, Builder
from harness.debuggers import gdbs
from harness.gdbrun import run_gdb
from harness.scenes import launch_to_breakpoint
from harness.toolchains import Toolchain

from addrspace_gdb.process.elfsymbols import elf_symbols

SIDE = Path(__file__).with_name("stripped_side.py")
NEEDED = ("mheap_", "allgs", "allglen", "allgptr", "allm", "allp", "sched", "memstats", "firstmoduledata")
ALSO = ("buildVersion", "waitReasonStrings", "stackpool", "stackLarge", "gcrash")


def answers(binary: Binary, folder: Path, *before: str) -> Dict[str, Any]:
    """What stripped_side.py says of the program at its breakpoint."""
    scene = launch_to_breakpoint(binary, folder / "oracle")
    load = f"source {CHECKOUT / 'addrspace_gdb' / 'load.py'}"
    run_gdb(gdbs()[0], [load, f"source {SIDE}", *before, f"compare-own {folder / 'own'}"], scene)
    found: Dict[str, Any] = json.loads((folder / "own").read_text())
    return found


@pytest.mark.parametrize("variant", ["plain", "386", "cgo"])
def test_addresses_sizes_and_types_are_gdbs(
    go: Toolchain, build_program: Builder, variant: str, tmp_path: Path
) -> None:
    found = answers(build_program("cgo" if variant == "cgo" else "shapes", go, variant), tmp_path)
    assert found["differences"] == []
    if variant == "cgo" and not found["answered"]:
        pytest.skip("the C compiler makes position-independent executables")
    missing = {f"runtime.{name}" for name in (*NEEDED, *ALSO)} - set(found["answered"])
    assert missing <= {"runtime.gcrash"}, "gcrash came with Go 1.22"


def test_another_file_than_what_runs_is_not_believed(
    newest_go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    """The debugger is given the same program with other headers."""
    binary = build_program("shapes", newest_go)
    other = tmp_path / "other"
    subprocess.run(
        ["objcopy", "--remove-section=.comment", "--strip-debug", str(binary.path), str(other)], check=True
    )
    found = answers(binary, tmp_path, f"symbol-file {other}")
    assert found == {"answered": [], "differences": []}


def test_position_independent_programs_are_left_to_the_debugger(
    newest_go: Toolchain, build_program: Builder
) -> None:
    assert elf_symbols(str(build_program("shapes", newest_go, "pie").path)) is None


def test_damaged_files_have_no_symbols(newest_go: Toolchain, build_program: Builder, tmp_path: Path) -> None:
    good = bytearray(build_program("shapes", newest_go).path.read_bytes())
    place = elf_symbols(str(build_program("shapes", newest_go).path))
    assert place is not None and place.find("runtime.mheap_") and place.find("runtime.nosuch") is None
    path = tmp_path / "damaged"
    for cut in (0, 3, 16, 63, 64, 200, len(good) // 2):
        path.write_bytes(good[:cut])
        assert elf_symbols(str(path)) is None or cut > 200
    for at, value in ((4, 7), (5, 9), (0x28, 0xFF), (0x2F, 0x7F), (0x3C, 0xFF), (0x3D, 0xFF)):
        bad = bytearray(good)
        bad[at] = value
        path.write_bytes(bad)
        found = elf_symbols(str(path))
        assert found is None or found.find("runtime.nosuch") is None
    assert elf_symbols(str(tmp_path)) is None and elf_symbols("/no/such/file") is None
