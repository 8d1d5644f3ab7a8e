"""Programs without symbols or DWARF, by the same measure as those with both: the kernel, Go and its own dump.

gdb is given the stripped program. Symbols of the build before it was stripped are lent to it for the
breakpoint and for the oracles, and are taken away for the commands that are tested.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

import invariants
import pytest
from elftools.elf.elffile import ELFFile
from harness import CHECKOUT
from harness.build import Binary, Builder
from harness.debuggers import Gdb, gdbs
from harness.gdbrun import Scene, run_gdb
from harness.oracles import read_oracle
from harness.processes import Processes
from harness.scenes import attach, gcore, kernel_core, launch_to_breakpoint, start
from harness.toolchains import Toolchain, Unavailable
from invariants import Snapshot, take_scene
from test_goroutine_stacks_dump import Both, both, differences

EACH_ONCE = True  # not every combination: tests/conftest.py

ALSO_OLD = True  # Go 1.19 and 1.20 too, in the matrix

Json = Dict[str, Any]
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
    Case("shapes", "arenas", "strip"),
    Case("shapes", "nogreenteagc", "strip"),
    Case("shapes", "norandomizedheapbase64", "strip"),
    Case("cgo", "asan", "strip"),
    Case("cgo", "msan", "strip"),
    Case("cgo", "static", "strip"),
    Case("cgo", "gold", "strip"),
    Case("cgo", "musl", "strip"),
    Case("shapes", "pie", "strip --strip-debug"),
    Case("nodes", "plain", "strip", ("20000",)),
    Case("parked", "plain", "strip", ("2000",)),
    Case("foreign", "plain", "strip"),
]


class Pair(NamedTuple):
    """A program without symbols, and the one with them whose code and variables lie at the same addresses."""

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
    """Name, address and size of the sections with code and variables (section names move read-only data)."""
    with open(path, "rb") as file:
        sections = [s for s in ELFFile(file).iter_sections() if s["sh_flags"] & 2 and s["sh_flags"] & 5]
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
    statistics: Dict[str, Tuple[Json, Json]]  # what a command says without symbols, and with them


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
    statistics = {n: (folder / f"{n}-bare", folder / f"{n}-full") for n in ("memstats", "gc")}
    bare, whole = (
        [f"addrspace {n} --format json --output {files[at]}" for n, files in statistics.items()]
        for at in range(2)
    )
    lend = [
        f"symbols-of {pair.full.path}",
        *whole,
        f"compare-roots {folder / 'roots'}",
        f"compare-layouts {folder / 'layouts'}",
    ]
    scene = without_symbols(pair, folder, *case.arguments)
    snapshot = take_scene(gdbs()[0], scene, folder, more, live=True, between=[stacks, *bare, *lend])
    snapshot = snapshot._replace(oracle=read_oracle(folder / "oracle"))
    dump = (folder / "dump.txt").read_text()
    roots, layouts = (json.loads((folder / name).read_text()) for name in ("roots", "layouts"))
    said = {n: (json.loads(a.read_text()), json.loads(b.read_text())) for n, (a, b) in statistics.items()}
    return Seen(snapshot, both(dump, folder / "stacks.json"), case, roots, layouts, said)


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
    assert re.split("[ -]", document["target"]["go_version"])[0] == f"go{go.version}"  # experiments follow
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


@every_case
def test_statistics_are_as_with_symbols(seen: Seen) -> None:
    """All of them: none needs symbols."""
    for name, (bare, full) in seen.statistics.items():
        for document in (bare, full):
            document["target"].pop("executable")
            document.get("last", {}).pop("age", None)  # of the last cycle, by the clock
            for queue in ("finalizers", "cleanups"):
                for worker in document.get(queue, {"at_work": []})["at_work"]:
                    worker.pop("waited")
        assert bare == full, name
        assert bare["problems"] == [] and not any("symbols" in note for note in bare["notes"])


def bare_binary(program: str, go: Toolchain, build_program: Builder, folder: Path) -> Binary:
    """The program without symbols, in a file of its own."""
    pair = stripped(Case(program, "plain", "strip"), go, build_program, folder)
    return pair.full._replace(path=pair.bare)


def ask(gdb: Gdb, scene: Scene, folder: Path, prefix: str) -> Tuple[Json, Json]:
    """The diagram and the goroutines of a scene."""
    names = [folder / f"{prefix}-{what}.json" for what in ("space", "stacks")]
    commands = [
        f"addrspace --check --format json --output {names[0]}",
        f"goroutine-stacks --format json --frames --output {names[1]}",
    ]
    run = run_gdb(gdb, commands, scene, load=True)
    assert all(name.exists() for name in names), run.stdout[-2000:] + run.stderr[-2000:]
    return json.loads(names[0].read_text()), json.loads(names[1].read_text())


def states(stacks: Json, *fields: str) -> List[Tuple[Any, ...]]:
    return [(g["goid"], g["status"], g["wait_reason"], *(g[f] for f in fields)) for g in stacks["goroutines"]]


def test_the_core_of_a_crash_with_and_without_its_file(
    gdb_exe: Gdb, go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    """Without the file there is no code to follow in the core, and no names; all else is as before."""
    binary = bare_binary("crash", go, build_program, tmp_path)
    try:
        core = kernel_core(binary, tmp_path, tmp_path / "oracle")
    except Unavailable as problem:
        pytest.skip(str(problem))
    space, stacks = ask(gdb_exe, core.scene, tmp_path, "with")
    assert space["problems"] == stacks["problems"] == []
    assert all(check["ok"] for check in space["checks"])
    rest = [g for g in both(core.stderr, tmp_path / "with-stacks.json").dump.values() if g.goid != 1]
    shown = {g["goid"]: g for g in stacks["goroutines"]}
    for goroutine in rest:
        if goroutine.goid in shown and goroutine.status not in ("running", "runnable"):
            assert (shown[goroutine.goid]["wait_reason"] or "syscall") == goroutine.status

    binary.path.unlink()
    bare_space, bare_stacks = ask(gdb_exe, core.scene._replace(program=None), tmp_path, "without")
    assert bare_space["target"]["go_version"] == space["target"]["go_version"]
    assert all(check["ok"] for check in bare_space["checks"] if check["ok"] is not None)
    assert bare_space["memstats"] == space["memstats"]
    sizes, bare_sizes = ({a["area"]: a["size"] for a in d["areas"]} for d in (space, bare_space))
    assert (bare_sizes["heap"], bare_sizes["goroutine-stacks"]) == (sizes["heap"], sizes["goroutine-stacks"])
    # Small pieces hang on variables that look like any others: they are nobody's then, and said to be.
    assert 0 <= sizes["runtime"] - bare_sizes["runtime"] <= 64 << 10
    parked = {g[0]: g for g in states(stacks, "pc", "sp", "stack") if g[1] == "waiting"}
    found = {g[0]: g for g in states(bare_stacks, "pc", "sp", "stack") if g[0] in parked}
    assert found == parked
    assert all(not g["function"] for g in bare_stacks["goroutines"])
    assert any("functions have no names" in line for line in bare_stacks["notes"])


def test_a_core_by_gdb(gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, tmp_path: Path) -> None:
    pair = stripped(Case("shapes", "pie", "strip"), newest_go, build_program, tmp_path)
    scene = gcore(gdb_exe, without_symbols(pair, tmp_path, "quiet"), tmp_path / "core")
    space, stacks = ask(gdb_exe, scene, tmp_path, "core")
    assert space["problems"] == stacks["problems"] == []
    assert all(check["ok"] for check in space["checks"])
    assert any(f["function"] == "main.block" for g in stacks["goroutines"] for f in g["frames"])


def test_a_process_whose_file_is_gone(
    gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path
) -> None:
    binary = bare_binary("shapes", newest_go, build_program, tmp_path)
    process = start(processes, binary, tmp_path / "oracle", "quiet")
    binary.path.unlink()
    scene = attach(process, binary)._replace(program=None)
    space, stacks = ask(gdb_exe, scene, tmp_path, "gone")
    assert space["problems"] == stacks["problems"] == []
    assert all(check["ok"] for check in space["checks"])
    assert any(f["function"] == "main.block" for g in stacks["goroutines"] for f in g["frames"])
    assert process.running()


def test_frames_of_goroutines_have_names(
    gdb_exe: Gdb, go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path
) -> None:
    """`bt` shows what goroutine-stacks does; arguments are what DWARF alone knows."""
    binary = bare_binary("shapes", go, build_program, tmp_path)
    process = start(processes, binary, tmp_path / "oracle", "quiet")
    stacks = tmp_path / "stacks.json"
    commands = [f"goroutine-stacks --format json --frames --output {stacks}", "goroutine-apply waiting bt"]
    run = run_gdb(gdb_exe, commands, attach(process, binary), load=True)
    wanted = {g["goid"]: g["frames"] for g in json.loads(stacks.read_text())["goroutines"]}
    assert run.status == 0, run.stderr
    shown: Dict[int, List[str]] = {}
    for line in run.stdout.splitlines():
        head = re.match(r"Goroutine (\d+) \[", line)
        frame = re.match(r"(?:#\d+ +0x[0-9a-f]+ in|    inlined in) (\S+) \(", line)
        if head:
            frames = shown[int(head.group(1))] = []
        elif frame:
            frames.append(frame.group(1))
    assert len(shown) > 40
    for goid, names in shown.items():
        if goid in wanted:  # the runtime's own are not in the list
            assert names == [f["function"] for f in wanted[goid]][: len(names)]
            assert len(names) >= min(20, len(wanted[goid]))


@pytest.mark.matrix
def test_tables_are_made_again_to_the_byte() -> None:
    command = [str(CHECKOUT / "scripts" / "gen-layouts"), "--check"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, "changed" in done.stdout) == (0, False), done.stdout
