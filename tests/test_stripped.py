"""Programs without symbols or DWARF, by the same measure as those with both: the kernel, Go and its own dump.

gdb is given the stripped program. Symbols of the build before it was stripped are lent to it for the
breakpoint and for the oracles, and are taken away for the commands that are tested.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

import invariants
import pytest
from elftools.elf.elffile import ELFFile
from harness.build import Binary
from harness.debuggers import Gdb, gdbs
from harness.dumps import goroutine_dump_parse
from harness.gdbrun import Scene, run_gdb
from harness.oracles import dump_command, read_oracle
from harness.processes import Processes
from harness.scenes import Unavailable, gcore, kernel_core, launch_to_breakpoint, start
from harness.toolchains import Toolchain
from invariants import Snapshot, take_scene
from test_goroutine_stacks_dump import Both, both, differences

Builder = Callable[..., Binary]
SIDE = Path(__file__).with_name("stripped_side.py")


class Case(NamedTuple):
    """A program, how it is built, and what is taken from it: see `stripped`."""

    program: str
    variant: str
    how: str
    arguments: Tuple[str, ...] = ()

    def __str__(self) -> str:
        return "-".join((self.program, self.variant, self.how, *self.arguments))


ALWAYS = [
    Case("shapes", "twin", "-s -w"),
    Case("shapes", "pie", "strip"),
    Case("cgo", "cgo", "strip"),
]
MATRIX = [
    Case("shapes", "plain", "strip --strip-debug"),
    Case("shapes", "noopt", "strip"),
    Case("shapes", "race", "strip"),
    Case("shapes", "386", "strip"),
    Case("shapes", "pie", "strip --strip-debug"),
    Case("nodes", "plain", "strip", ("20000",)),
    Case("parked", "plain", "strip", ("2000",)),
    Case("foreign", "plain", "strip"),
]


class Pair(NamedTuple):
    """A program without symbols, and the one with them whose every byte in memory is the same."""

    full: Binary
    bare: Path
    hide: str  # the gdb command that leaves gdb with the symbols of `bare`, if it has any


def stripped(case: Case, go: Toolchain, build_program: Builder, folder: Path) -> Pair:
    """`how` is a command of binutils on the full build, or flags of Go's linker."""
    full = build_program(case.program, go, case.variant)
    bare = folder / case.program
    if case.how.startswith("strip"):
        if not shutil.which("strip"):
            pytest.skip("no strip on PATH")
        subprocess.run([*case.how.split(), "-o", str(bare), str(full.path)], check=True)
    else:
        bare = build_program(case.program, go, "stripped").path
        assert loaded(bare) == loaded(full.path)
    return Pair(full, bare, f"symbol-file {bare}")


def loaded(path: Path) -> List[Tuple[str, int, int]]:
    """Name, address and size of each section in memory."""
    with open(path, "rb") as file:
        sections = [s for s in ELFFile(file).iter_sections() if s["sh_flags"] & 2]
        return [(s.name, s["sh_addr"], s["sh_size"]) for s in sections]


def without_symbols(pair: Pair, folder: Path, *arguments: str) -> Scene:
    """The program at its breakpoint, gdb without its symbols."""
    scene = launch_to_breakpoint(pair.full, folder / "oracle", *arguments)
    enter = [f"source {SIDE}", f"symbol-file {pair.full.path}", *scene.enter, pair.hide]
    return Scene("live", pair.bare, enter, scene.leave)


class Seen(NamedTuple):
    """What one stop gave."""

    snapshot: Snapshot
    goroutines: Both
    case: Case
    roots: List[List[Any]]
    layouts: Dict[str, Any]


@pytest.fixture(scope="module")
def seen(
    request: pytest.FixtureRequest,
    go: Toolchain,
    build_program: Builder,
    tmp_path_factory: pytest.TempPathFactory,
) -> Seen:
    """The case's program stopped at its breakpoint, under the first gdb at hand."""
    case: Case = request.param
    if not gdbs():
        pytest.skip("no gdb")
    folder = tmp_path_factory.mktemp("stop")
    pair = stripped(case, go, build_program, folder)
    stacks = f"goroutine-stacks --format json --frames --output {folder / 'stacks.json'}"
    more = ["delete", "tbreak addrspace.test/kit.Wait", "continue"]
    lend = [
        f"symbols-of {pair.full.path}",
        f"compare-roots {folder / 'roots'}",
        f"compare-layouts {folder / 'layouts'}",
    ]
    scene = without_symbols(pair, folder, *case.arguments)
    snapshot = take_scene(gdbs()[0], scene, folder, more, live=True, between=[stacks, *lend])
    snapshot = snapshot._replace(oracle=read_oracle(folder / "oracle"))
    dump = (folder / "dump.txt").read_text()
    roots, layouts = (json.loads((folder / name).read_text()) for name in ("roots", "layouts"))
    return Seen(snapshot, both(dump, folder / "stacks.json"), case, roots, layouts)


every_case = pytest.mark.parametrize(
    "seen",
    [
        *(pytest.param(case, id=str(case)) for case in ALWAYS),
        *(pytest.param(case, id=str(case), marks=pytest.mark.matrix) for case in MATRIX),
    ],
    indirect=True,
)


@every_case
def test_the_diagram_is_as_with_symbols(seen: Seen) -> None:
    document, snapshot = seen.snapshot.document, seen.snapshot
    invariants.assert_valid(document)
    invariants.assert_covers(document)
    invariants.assert_neighbours_differ(document)
    invariants.assert_resident_of_mappings(document)
    invariants.assert_smaps(document, snapshot.before, snapshot.after)
    invariants.assert_areas(document)
    invariants.assert_all_addresses(document)
    invariants.assert_checks_ok(document)
    invariants.assert_no_problems(document)
    invariants.assert_memstats(document, snapshot.memstats)
    invariants.assert_arenas(document, snapshot.memstats)
    invariants.assert_stack_bounds(document, snapshot.stacks)
    invariants.assert_counts_of_dump(document, snapshot)
    invariants.assert_modules(document, snapshot.modules)
    invariants.assert_threads(document, snapshot.threads)


@every_case
def test_version_and_guesses(seen: Seen, go: Toolchain) -> None:
    document = seen.snapshot.document
    assert document["target"]["go_version"].split()[0] == f"go{go.version}"
    assert not any("guess" in note for note in document["notes"])


@every_case
def test_every_goroutine_and_frame_is_gos_own(seen: Seen) -> None:
    if not seen.goroutines.dump:
        pytest.skip("the program keeps no dump")
    assert set(seen.goroutines.ours) == set(seen.goroutines.dump)
    assert differences(seen.goroutines) == {}


@every_case
def test_variables_are_where_the_symbols_say(seen: Seen) -> None:
    """All but buildVersion, which is not looked for where there is build information."""
    found = {name: (real, ours) for name, real, ours in seen.roots if real is not None}
    assert found.pop("buildVersion")[1] is None
    assert {name: places for name, places in found.items() if len(set(places)) > 1} == {}
    assert len(found) >= 19


@every_case
def test_tables_are_what_dwarf_says(seen: Seen) -> None:
    assert seen.layouts["differences"] == []
    assert seen.layouts["compared"] > 120
