"""`addrspace --format json` of every test program: the partition, to the byte, against the kernel and Go.

One run of gdb a program, version and way to build; its snapshot is shared by all tests here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

import invariants
import pytest
from harness.build import Builder
from harness.debuggers import gdbs
from harness.toolchains import Toolchain
from invariants import Snapshot, holding, number

ALSO_OLD = True  # Go 1.19 and 1.20 too, in the matrix
ALSO_STRIPPED = "nodes-plain"


class Case(NamedTuple):
    """A program, how it is built, and its arguments after the oracle's file."""

    program: str
    variant: str
    arguments: Tuple[str, ...] = ()

    def __str__(self) -> str:
        return "-".join((self.program, self.variant, *self.arguments))


ALWAYS = [
    Case("shapes", "plain"),
    Case("shapes", "pie"),
    Case("shapes", "noopt"),
    Case("shapes", "race"),
    Case("nodes", "plain", ("20000",)),
    Case("parked", "plain", ("2000",)),
    Case("foreign", "plain"),
    Case("cgo", "cgo"),
    Case("cgo", "asan"),
    Case("cgo", "musl"),
    Case("cshared", "c-shared"),
    Case("cshared", "c-archive"),
    Case("pluginhost", "plugin"),
]
MATRIX = [
    Case("shapes", "cgo"),
    Case("shapes", "plain", ("quiet",)),
    Case("shapes", "386"),
    Case("shapes", "arenas"),
    Case("shapes", "nogreenteagc"),
    Case("shapes", "norandomizedheapbase64"),
    Case("nodes", "pie", ("300000",)),
    Case("nodes", "noopt", ("20000",)),
    Case("parked", "pie", ("20000",)),
    Case("parked", "noopt", ("500",)),
    Case("parked", "race", ("500",)),
    Case("foreign", "pie"),
    Case("foreign", "cgo"),
    Case("foreign", "race"),
    Case("cgo", "pie"),
    Case("cgo", "noopt"),
    Case("cgo", "race"),
    Case("cgo", "msan"),
    Case("cgo", "static"),
    Case("cgo", "gold"),
    Case("cgo", "lld"),
    Case("cgo", "musl-static"),
    Case("foreign", "asan"),
    Case("parked", "musl", ("500",)),
    Case("crash", "plain", ("panic",)),
    Case("maps60k", "plain", ("3000",)),
]
_EXPERIMENTS = ("arenas", "nogreenteagc", "norandomizedheapbase64")
# Everything in these is Go's: they map nothing themselves and have no C in them.
PURE = [c for c in (*ALWAYS, *MATRIX) if c.program in ("shapes", "nodes", "parked", "crash")]
PURE = [c for c in PURE if c.variant in ("plain", "pie", "noopt", "386", *_EXPERIMENTS)]


def marked(cases: List[Case]) -> List[Any]:
    """Parameters of `snapshot`; those that only the full matrix runs are marked."""
    return [
        pytest.param(case, id=str(case), marks=() if case in ALWAYS else pytest.mark.matrix) for case in cases
    ]


def chosen(*programs: str) -> List[Any]:
    return marked([case for case in (*ALWAYS, *MATRIX) if case.program in programs])


ALL = marked([*ALWAYS, *MATRIX])


@pytest.fixture(scope="module")
def snapshot(
    request: pytest.FixtureRequest,
    go: Toolchain,
    build_program: Builder,
    tmp_path_factory: pytest.TempPathFactory,
) -> Snapshot:
    """The case's program stopped at its breakpoint, under the first gdb at hand."""
    case: Case = request.param
    binary = build_program(case.program, go, case.variant)
    if not gdbs():
        pytest.skip("no gdb")
    return invariants.take(gdbs()[0], binary, tmp_path_factory.mktemp("stop"), *case.arguments)


every_program = pytest.mark.parametrize("snapshot", ALL, indirect=True)


@every_program
def test_json_is_as_its_schema_says(snapshot: Snapshot) -> None:
    invariants.assert_valid(snapshot.document)


@every_program
def test_regions_cover_each_mapping_exactly(snapshot: Snapshot) -> None:
    invariants.assert_covers(snapshot.document)


@every_program
def test_neighbours_of_one_kind_are_one_region(snapshot: Snapshot) -> None:
    invariants.assert_neighbours_differ(snapshot.document)


@every_program
def test_resident_bytes_of_regions_add_up_to_their_mapping(snapshot: Snapshot) -> None:
    invariants.assert_resident_of_mappings(snapshot.document)


@every_program
def test_mappings_and_resident_bytes_are_those_of_smaps(snapshot: Snapshot) -> None:
    invariants.assert_smaps(snapshot.document, snapshot.before, snapshot.after)


@every_program
def test_areas_are_the_sums_of_their_regions(snapshot: Snapshot) -> None:
    invariants.assert_areas(snapshot.document)


@every_program
def test_every_address_is_somewhere(snapshot: Snapshot) -> None:
    invariants.assert_all_addresses(snapshot.document)


@every_program
def test_own_checks_hold_and_nothing_is_damaged(snapshot: Snapshot) -> None:
    invariants.assert_checks_ok(snapshot.document)
    invariants.assert_no_problems(snapshot.document)
    assert all(check["ok"] for check in snapshot.document["checks"])


@every_program
def test_memstats_are_exactly_those_of_go(snapshot: Snapshot) -> None:
    invariants.assert_memstats(snapshot.document, snapshot.memstats)


@every_program
def test_heap_and_stacks_are_the_arenas(snapshot: Snapshot) -> None:
    invariants.assert_arenas(snapshot.document, snapshot.memstats)


@every_program
def test_each_goroutine_has_its_own_stack_region(snapshot: Snapshot) -> None:
    invariants.assert_stack_bounds(snapshot.document, snapshot.stacks)


@pytest.mark.parametrize(
    "snapshot", chosen("shapes", "foreign", "cgo", "cshared", "pluginhost", "crash", "maps60k"), indirect=True
)
def test_goroutines_are_those_of_go_s_dump(snapshot: Snapshot) -> None:
    assert snapshot.dump
    invariants.assert_goroutines_of_dump(snapshot.document, snapshot)


@every_program
def test_goroutines_are_counted_as_go_counts_them(snapshot: Snapshot) -> None:
    invariants.assert_counts_of_dump(snapshot.document, snapshot)
    assert snapshot.oracle is not None
    # NumGoroutine leaves out the runtime's own, and a finalizer goroutine even while it runs a finalizer.
    started_by_runtime = [s for s in snapshot.stacks if s.start.startswith("runtime.") and s.goid != 1]
    users = snapshot.document["goroutines"]["total"] - len(started_by_runtime)
    assert users <= snapshot.oracle.goroutines <= users + 2


@every_program
def test_modules_are_code_and_globals(snapshot: Snapshot) -> None:
    invariants.assert_modules(snapshot.document, snapshot.modules)


@every_program
def test_threads_run_code_on_stacks(snapshot: Snapshot) -> None:
    invariants.assert_threads(snapshot.document, snapshot.threads)


@every_program
def test_target_is_named(snapshot: Snapshot, go: Toolchain, request: pytest.FixtureRequest) -> None:
    target = snapshot.document["target"]
    assert snapshot.oracle is not None
    case: Case = request.node.callspec.params["snapshot"]
    wanted = ("386", 4) if case.variant == "386" else ("amd64", 8)
    assert (target["kind"], target["pid"]) == ("live", snapshot.oracle.pid)
    assert (target["arch"], target["pointer_size"], target["page_size"]) == (*wanted, 4096)
    assert re.split("[ -]", target["go_version"])[0] == f"go{go.version}"  # experiments follow
    assert Path(target["executable"]).name == case.program


@pytest.mark.parametrize("snapshot", marked(PURE), indirect=True)
def test_nothing_is_foreign_in_a_pure_go_program(snapshot: Snapshot) -> None:
    assert [r for r in snapshot.document["regions"] if r["area"] == "foreign"] == []


OWN: Dict[str, Tuple[str, str, str, int]] = {
    # What `foreign` maps: area, kind, permissions, and how many MiB it touches.
    "anonymous": ("foreign", "anonymous memory", "rw-p", 8),
    "shared anonymous": ("foreign", "shared anonymous memory", "rw-s", 2),
    "memfd": ("foreign", "memfd", "rw-s", 1),
    "reservation": ("foreign", "reserved address space", "---p", 0),
}


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize(
    "snapshot",
    marked([c for c in ALWAYS + MATRIX if c.program == "foreign" and c.variant != "race"]),
    indirect=True,
)
def test_each_mapping_of_the_program_s_own_is_a_named_region(snapshot: Snapshot, name: str) -> None:
    assert snapshot.oracle is not None
    (own,) = [m for m in snapshot.oracle.mappings if m.name == name]
    region = holding(snapshot.document, own.start)
    area, kind, permissions, touched = OWN[name]
    assert (number(region["start"]), region["size"]) == (own.start, own.size)
    assert (region["area"], region["kind"], region["permissions"]) == (area, kind, permissions)
    assert region["resident"] == touched << 20


@pytest.mark.parametrize("snapshot", chosen("foreign"), indirect=True)
def test_a_mapped_file_is_one_even_if_it_is_the_program(snapshot: Snapshot) -> None:
    assert snapshot.oracle is not None
    (own,) = [m for m in snapshot.oracle.mappings if m.name == "file"]
    region = holding(snapshot.document, own.start)
    assert (number(region["start"]), region["size"]) == (own.start, own.size)
    assert (region["area"], region["permissions"]) == ("mapped-files", "r--p")
    assert region["file"] == snapshot.document["target"]["executable"]


# glibc's malloc: musl has its own, and so have sanitizers.
GLIBC = [c for c in (*ALWAYS, *MATRIX) if c.program == "cgo" and not re.search("musl|asan|msan", c.variant)]


@pytest.mark.parametrize("snapshot", marked(GLIBC), indirect=True)
def test_memory_of_malloc_is_found(snapshot: Snapshot) -> None:
    document = snapshot.document
    (brk,) = [m for m in snapshot.before if m.path == "[heap]"]
    assert {r["kind"] for r in invariants.within(document, brk.start, brk.end)} == {"brk heap"}
    arenas = [r for r in document["regions"] if r["kind"] == "malloc arena"]
    assert len(arenas) >= 2  # two threads of C allocate, each in an arena of its own
    assert all(number(r["start"]) % (64 << 20) == 0 for r in arenas)  # HEAP_MAX_SIZE, glibc malloc/arena.c
    assert snapshot.oracle is not None
    (large,) = [m for m in snapshot.oracle.mappings if m.name == "large malloc"]
    region = holding(document, large.start)
    assert (region["area"], region["kind"]) == ("foreign", "malloc mmap")
    assert number(region["start"]) == large.start - 16  # the chunk's header, glibc malloc/malloc.c
    assert region["size"] >= large.size + 16


@pytest.mark.parametrize("snapshot", chosen("cgo", "cshared"), indirect=True)
def test_every_pthread_has_a_stack_and_a_guard(snapshot: Snapshot) -> None:
    regions = [r for r in snapshot.document["regions"] if r["area"] == "thread-stacks"]
    labels = [r["label"] for r in regions if r["kind"] == "thread stack"]
    others = [t for t in snapshot.threads if t.tid != snapshot.document["target"]["pid"]]
    assert sorted(labels) == sorted(f"thread {t.tid}" for t in others)
    guards = [r for r in regions if r["kind"] == "stack guard" and r["permissions"] == "---p"]
    assert len(guards) >= len(others)
    for thread in others:
        region = holding(snapshot.document, thread.sp)
        if region["area"] == "thread-stacks" and region["kind"] == "thread stack":
            assert region["label"] == f"thread {thread.tid}"


@pytest.mark.parametrize("snapshot", chosen("pluginhost"), indirect=True)
def test_a_plugin_is_a_module_of_its_own(snapshot: Snapshot) -> None:
    files = set()
    for module in snapshot.modules:
        (text,) = module["code"]
        files.add(holding(snapshot.document, text[0])["file"])
    assert len(snapshot.modules) == len(files) == 2
    assert {Path(file).name for file in files} == {"pluginhost", "library.so"}


@pytest.mark.parametrize(
    "snapshot", marked([case for case in ALWAYS if case.variant == "c-shared"]), indirect=True
)
def test_a_go_library_is_code_and_its_c_host_is_too(snapshot: Snapshot) -> None:
    (text,) = snapshot.modules[0]["code"]
    assert Path(holding(snapshot.document, text[0])["file"]).name == "library.so"
    code = {Path(r["file"]).name for r in snapshot.document["regions"] if r["area"] == "code"}
    assert code == {"library.so", "cshared"}
    libraries = {
        Path(r["file"]).name for r in snapshot.document["regions"] if r["area"] == "shared-libs" and r["file"]
    }
    assert any(name.startswith("libc") for name in libraries)
