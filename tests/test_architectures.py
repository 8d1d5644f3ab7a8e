"""Go programs for other architectures, by the same measure as those for amd64: Go's own dump and counters.

They run in qemu-user, under its stub, which lists no mappings, and to their death, where qemu writes a core.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

import invariants
import pytest
from elftools.elf.elffile import ELFFile
from harness import full_matrix
from harness.build import Binary, Builder
from harness.dumps import goroutine_dump_parse
from harness.gdbrun import run_gdb
from harness.oracles import Oracle, read_oracle
from harness.qemu import MACHINES, Core, at_ready, core, gdbs_for
from harness.toolchains import NEWEST, OLD, OLDEST, PINNED, Unavailable, toolchain_or_skip
from test_goroutine_stacks_dump import MOVING, OLD_DUMP, Both, both, differences

Json = Dict[str, Any]
USERS = ("main.", "addrspace.test/")
SIDE = Path(__file__).with_name("stripped_side.py")


class Case(NamedTuple):
    """A program for an architecture, with symbols and DWARF ("plain") or "stripped"."""

    arch: str
    version: str
    variant: str

    def __str__(self) -> str:
        return f"{self.arch}-go{self.version}-{self.variant}"


ALWAYS = [
    Case("arm64", NEWEST, "plain"),
    Case("arm64", OLDEST, "stripped"),
    Case("riscv64", NEWEST, "stripped"),
    Case("s390x", NEWEST, "plain"),
    Case("s390x", NEWEST, "stripped"),
]
EVERY = [
    Case(arch, version, variant)
    for arch in MACHINES
    for version in (*OLD, *PINNED)
    for variant in ("plain", "stripped")
    if (arch, version[:4]) != ("mips64le", "1.22")  # it stores unaligned (netpollinit): qemu sends SIGBUS
]
CASES = [*ALWAYS, *(case for case in EVERY if case not in ALWAYS)] if full_matrix() else ALWAYS


class Seen(NamedTuple):
    """What one stop under the stub gave."""

    case: Case
    binary: Binary
    space: Json
    stacks: Both
    memstats: Json
    rss: Json
    oracle: Oracle
    blocked: Set[int]  # goroutines that have main.block on their stack, by the command's own filter
    roots: Optional[List[List[Any]]]  # name, by symbol, found without; only of a program with symbols
    text: str  # what gdb printed


@pytest.fixture(scope="module", params=CASES, ids=str)
def seen(
    request: pytest.FixtureRequest, build_program: Builder, tmp_path_factory: pytest.TempPathFactory
) -> Seen:
    """The program `shapes`, asleep."""
    case: Case = request.param
    folder = tmp_path_factory.mktemp("stub")
    binary = build_program("shapes", toolchain_or_skip(case.version), f"{case.variant}@{case.arch}")
    commands = [
        f"addrspace --format json --check --output {folder / 'space.json'}",
        f"goroutine-stacks --format json --frames --output {folder / 'stacks.json'}",
        f"addrspace memstats --format json --output {folder / 'memstats.json'}",
        f"addrspace rss --format json --output {folder / 'rss.json'}",
        f"goroutine-stacks --format json --function ^main.block$ --output {folder / 'blocked.json'}",
        "goroutine-apply all bt",
        "addrspace whereis $sp",
    ]
    if case.variant == "plain":
        commands += [f"source {SIDE}", f"compare-roots {folder / 'roots.json'}"]
    try:
        run = at_ready(gdbs_for(case.arch)[-1], case.arch, binary, folder, commands, "quiet")
    except Unavailable as problem:
        pytest.skip(str(problem))
    assert (folder / "rss.json").exists(), run.stdout[-2000:] + run.stderr[-2000:]
    space, memstats, rss = (
        json.loads((folder / f"{name}.json").read_text()) for name in ("space", "memstats", "rss")
    )
    roots = json.loads((folder / "roots.json").read_text()) if case.variant == "plain" else None
    stacks = both((folder / "oracle.dump").read_text(), folder / "stacks.json")
    oracle = read_oracle(folder / "oracle")
    blocked = {g["goid"] for g in json.loads((folder / "blocked.json").read_text())["goroutines"]}
    return Seen(case, binary, space, stacks, memstats, rss, oracle, blocked, roots, run.stdout)


def test_every_goroutine_and_frame_is_gos_own(seen: Seen) -> None:
    dump, ours = seen.stacks
    assert set(ours) == set(dump) and len(dump) > 50
    assert set(differences(seen.stacks)) <= {1}, "main sleeps by now"
    assert any(g.elided or len(g.frames) > OLD_DUMP for g in dump.values()), "a deep one"
    assert all(g["stack"]["resident"] is None for g in ours.values())


def test_the_users_frame_is_found_on_the_stack(seen: Seen) -> None:
    for goroutine in seen.stacks.ours.values():
        users = [f["function"] for f in goroutine["frames"] if str(f["function"]).startswith(USERS)]
        if users:
            assert goroutine["user_function"] == users[0], goroutine
    blocked = [
        g for g in seen.stacks.ours.values() if any(f["function"] == "main.block" for f in g["frames"])
    ]
    assert {g["goid"] for g in blocked} == seen.blocked and len(blocked) > 5


def test_gdb_shows_the_frames_of_goroutines(seen: Seen) -> None:
    parts = re.split(r"(?m)^Goroutine (\d+) .*:$", seen.text)
    traces = {int(goid): text.splitlines() for goid, text in zip(parts[1::2], parts[2::2])}
    compared = 0
    for goid, theirs in seen.stacks.dump.items():
        if goid == 1 or theirs.status in MOVING or theirs.elided:
            continue
        functions = [f.function for f in theirs.frames if not f.inlined and "[" not in f.function]
        functions = ["runtime.gopanic" if name == "panic" else name for name in functions]
        lines = iter(traces[goid])
        missing = [name for name in functions if not any(f" {name} (" in line for line in lines)]
        assert missing == [], (goid, functions, traces[goid])
        compared += len(functions)
    assert compared > 100


def test_the_partition_holds(seen: Seen) -> None:
    document = seen.space
    invariants.assert_partition(document)
    invariants.assert_no_problems(document)
    invariants.assert_unknown_resident(document)
    why = ("lists no mappings", "an emulator made it up")  # from qemu 8.1 on there are maps
    assert any(text in note for note in document["notes"] for text in why)
    target = document["target"]
    assert (target["arch"], target["go_version"]) == (seen.case.arch, "go" + seen.case.version)


def test_memory_is_what_go_counts(seen: Seen) -> None:
    invariants.assert_memstats(seen.space, seen.oracle.memstats, later=4)
    invariants.assert_arenas(seen.space, seen.space["memstats"])
    rows = seen.memstats["memstats"]
    assert {name: row["agrees"] for name, row in rows.items() if row["agrees"] is False} == {}
    assert sum(row["agrees"] is True for row in rows.values()) >= 14


def test_the_programs_segments_are_mapped(seen: Seen) -> None:
    ours = [m for m in seen.space["mappings"] if m["file"] == str(seen.binary.path)]
    wanted = segments(seen.binary)
    assert [(m["start"], m["permissions"][:3]) for m in ours] == [(hex(at), access) for at, access in wanted]
    names = {r["kind"] for r in seen.space["regions"] if r["area"] in ("code", "globals")}
    assert {"text", "pclntab", "bss", "noptrbss", "data", "rodata"} <= names


def segments(binary: Binary) -> List[Tuple[int, str]]:
    """Start and permissions of what is mapped of the file, by pyelftools."""
    with open(binary.path, "rb") as file:
        loads = [s.header for s in ELFFile(file).iter_segments() if s["p_type"] == "PT_LOAD"]
    return [
        (s["p_vaddr"] // 4096 * 4096, "".join(c if s["p_flags"] & bit else "-" for c, bit in FLAGS))
        for s in loads
    ]


FLAGS = (("r", 4), ("w", 2), ("x", 1))


def test_what_is_kept_is_explained(seen: Seen) -> None:
    """What is neither reserved nor returned is Sys less HeapReleased, and what that does not count."""
    (balance,) = [b for b in seen.rss["balances"] if b["counter"].startswith("Sys")]
    assert abs(balance["unexplained"]) <= 2 * 4096, balance


def test_variables_are_found_in_the_code(seen: Seen) -> None:
    if seen.roots is None:
        pytest.skip("without symbols there is nothing to compare with")
    wrong = [row for row in seen.roots if row[1] != row[2] and row[0] != "buildVersion"]
    assert wrong == [] and len(seen.roots) > 20


CORES = [
    (Case("arm64", NEWEST, "stripped"), "segv"),
    (Case("s390x", NEWEST, "stripped"), "panic"),
    (Case("s390x", NEWEST, "plain"), "segv"),
]
if full_matrix():
    CORES += [(case, how) for case in EVERY for how in ("panic", "segv") if (case, how) not in CORES]


@pytest.mark.parametrize(("case", "how"), CORES, ids=str)
def test_a_core_of_qemu(case: Case, how: str, build_program: Builder, tmp_path: Path) -> None:
    binary = build_program("crash", toolchain_or_skip(case.version), f"{case.variant}@{case.arch}")
    try:
        made = core(case.arch, binary, tmp_path, how)
        gdb = gdbs_for(case.arch)[-1]
    except Unavailable as problem:
        pytest.skip(str(problem))
    commands = [
        f"addrspace --format json --check --output {tmp_path / 'space.json'}",
        f"goroutine-stacks --format json --frames --system --output {tmp_path / 'stacks.json'}",
        "addrspace fault",
    ]
    run = run_gdb(gdb, commands, made.scene, load=True)
    assert (tmp_path / "stacks.json").exists(), run.stdout[-2000:] + run.stderr[-2000:]
    document = json.loads((tmp_path / "space.json").read_text())
    invariants.assert_partition(document)
    invariants.assert_unknown_resident(document)
    assert_segments_of(document, made.path)
    invariants.assert_memstats(document, read_oracle(tmp_path / "oracle").memstats, later=64)
    assert {m["file"] for m in document["mappings"] if m["file"]} == {str(binary.path)}
    assert_dump_of_crash(made, both(made.stderr, tmp_path / "stacks.json"))
    if how == "segv":
        assert "nil dereference" in run.stdout and "main.die" in run.stdout
        assert "SIGSEGV, SEGV_MAPERR" in run.stdout
    else:
        assert "panic: crash test" in run.stdout


def assert_segments_of(document: Json, path: Path) -> None:
    with open(path, "rb") as file:
        loads = [s.header for s in ELFFile(file).iter_segments() if s["p_type"] == "PT_LOAD"]
    ours = [(m["start"], m["end"]) for m in document["mappings"]]
    assert ours == [(hex(s["p_vaddr"]), hex(s["p_vaddr"] + s["p_memsz"])) for s in loads]


def assert_dump_of_crash(made: Core, seen: Both) -> None:
    """Every goroutine is in Go's own dump with the same frames, also the one that died, in its handler."""
    died = next(g for g in seen.dump.values() if any(f.function == "main.die" for f in g.frames))
    names = [f["function"] for f in seen.ours[died.goid]["frames"]]
    theirs = [f.function for f in died.frames if f.function != "panic"]
    assert names[-len(theirs) :] == theirs or [n for n in names if n in theirs] == theirs
    rest = {goid: g for goid, g in seen.dump.items() if goid != died.goid}
    assert len(rest) > 10 and set(rest) <= set(seen.ours)
    assert differences(Both(rest, seen.ours), everything=True) == {}
    assert len(goroutine_dump_parse(made.stderr)) == len(seen.dump)


def test_a_core_of_another_build(build_program: Builder, tmp_path: Path) -> None:
    """qemu leaves the program's header out of the core: its read-only data tells."""
    go = toolchain_or_skip(NEWEST)
    binary, other = (build_program("crash", go, f"{how}@arm64") for how in ("stripped", "plain"))
    try:
        made = core("arm64", binary, tmp_path, "panic")
        gdb = gdbs_for("arm64")[-1]
    except Unavailable as problem:
        pytest.skip(str(problem))
    run = run_gdb(gdb, ["addrspace"], made.scene._replace(program=other.path), load=True)
    assert "is not the program that made this core" in run.stderr, run.stderr
    assert "Go Heap" not in run.stdout
