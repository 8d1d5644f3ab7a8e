"""What cannot be shown is told in one line, with a status; the rest is shown, wherever the process stands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

import invariants
import pytest
from harness import PROGRAMS, cache_dir, full_matrix
from harness.build import Binary, Builder
from harness.command import cli
from harness.debuggers import Gdb, gdbs
from harness.gdbrun import Result, Scene, run_gdb
from harness.processes import Processes
from harness.scenes import gcore, kernel_core, launch_to_breakpoint, start
from harness.smaps import parse_smaps
from harness.toolchains import NEWEST, OLDEST, Toolchain, Unavailable, go_environment, toolchain

from addrspace_gdb.common.files import OutputFile
from addrspace_gdb.common.problems import ProblemError

EACH_ONCE = True  # not every combination: tests/conftest.py

RUN = f"run {cache_dir()}/unread-oracle </dev/null >/dev/null"


def lines_of_ours(run: Result) -> List[str]:
    """What this project said on stderr; the rest there is gdb's own."""
    assert "Traceback" not in run.stderr and "Python Exception" not in run.stderr, run.stderr
    assert "internal error" not in run.stderr, run.stderr
    return [line for line in run.stderr.splitlines() if line.startswith("addrspace")]


def refused(run: Result) -> str:
    """The one line with which a command failed, before it had printed anything."""
    (line,) = lines_of_ours(run)
    assert run.status == 1
    assert line.startswith("addrspace: ")
    assert "Kernel Space" not in run.stdout
    return line


def ask(gdb: Gdb, scene: Optional[Scene], *before: str, command: str = "addrspace") -> Result:
    """Run gdb so that its status is the command's."""
    scene = scene._replace(leave=()) if scene else None
    return run_gdb(gdb, [*before, command], scene, load=True)


def dump(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`addrspace-gdb dump ARGUMENTS`."""
    return cli("dump", "--gdb", gdbs()[0].path, *arguments)


def dump_refused(*arguments: str) -> str:
    """The one line with which dump failed."""
    done = dump(*arguments)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert line.startswith("addrspace-gdb: ") and "internal error" not in line
    return line


# Nothing to look at.


@pytest.mark.parametrize("command", ["addrspace", "addrspace --format json", "addrspace regions heap"])
def test_no_process(gdb_exe: Gdb, command: str) -> None:
    line = refused(ask(gdb_exe, None, command=command))
    assert line.startswith("addrspace: no process: ") and "core-file" in line


def test_a_program_that_was_not_started(gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder) -> None:
    scene = Scene("live", build_program("foreign", newest_go).path, [])
    assert "no process" in refused(ask(gdb_exe, scene))


def test_an_exited_process(
    gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    scene = launch_to_breakpoint(build_program("foreign", newest_go), tmp_path / "oracle")
    show = f"addrspace --output {tmp_path / 'before'}"
    assert "no process" in refused(ask(gdb_exe, scene, show, "kill"))
    assert (tmp_path / "before").exists()


def test_a_process_that_ran_to_its_end(gdb_exe: Gdb) -> None:
    assert "no process" in refused(ask(gdb_exe, Scene("live", Path("/bin/true"), ["run"])))


# Programs that cannot be read.


@pytest.fixture(scope="module")
def without_dwarf(newest_go: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`foreign` with symbols and without debug information."""
    made = tmp_path_factory.mktemp("w") / "foreign"
    command = [str(newest_go.go), "build", "-ldflags=-w", "-o", str(made), "."]
    environment = {**go_environment(), "CGO_ENABLED": "0"}
    subprocess.run(command, cwd=PROGRAMS / "foreign", env=environment, check=True, timeout=300)
    return made


def test_a_program_that_is_not_go(gdb_exe: Gdb, build_program: Builder, tmp_path: Path) -> None:
    scene = launch_to_breakpoint(build_program("c_only", None), tmp_path / "oracle")
    assert "is not a Go program" in refused(ask(gdb_exe, scene))


def test_symbols_of_a_stripped_program_can_be_given(
    gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path
) -> None:
    stripped, full = (build_program("foreign", newest_go, variant) for variant in ("stripped", "plain"))
    process = start(processes, stripped, tmp_path / "oracle")
    scene = Scene("live", stripped.path, [f"attach {process.pid}", f"symbol-file {full.path}"])
    run = ask(gdb_exe, scene)
    if run.status:  # the two were laid out differently, and that is said
        refused(run)
    else:
        assert lines_of_ours(run) == [] and "Kernel Space" in run.stdout


def test_go_without_dwarf_needs_none(gdb_exe: Gdb, without_dwarf: Path) -> None:
    run = ask(gdb_exe, Scene("live", without_dwarf, ["break main.breakpoint", RUN]))
    assert lines_of_ours(run) == [] and "Kernel Space" in run.stdout


def test_dump_refuses_the_same_in_one_line(
    build_program: Builder, processes: Processes, tmp_path: Path
) -> None:
    process = start(processes, build_program("c_only", None), tmp_path / "oracle")
    assert "is not a Go program" in dump_refused(str(process.pid), "--format", "json")
    assert process.running()


def labelled(go: Toolchain, folder: Path, version: str) -> Path:
    """A program without symbols that says it was built by another Go."""
    program = folder / "labelled"
    flags = f"-ldflags=-s -w -X runtime.buildVersion={version}"
    command = [str(go.go), "build", flags, "-o", str(program), "."]
    subprocess.run(command, cwd=PROGRAMS / "foreign", env=go_environment(), check=True)
    return program


def test_a_go_newer_than_the_tables_is_a_guess_and_said_to_be(
    gdb_exe: Gdb, newest_go: Toolchain, processes: Processes, tmp_path: Path
) -> None:
    program = labelled(newest_go, tmp_path, "go1.99.1")
    process = processes.start([str(program), str(tmp_path / "oracle")]).wait_ready()
    run = ask(gdb_exe, Scene("live", program, [f"attach {process.pid}"]))
    assert lines_of_ours(run) == [] and "Kernel Space" in run.stdout
    assert "go1.99 is newer than go1.27" in run.stdout and "guess" in run.stdout


def test_a_guess_that_does_not_fit_is_refused(
    gdb_exe: Gdb, newest_go: Toolchain, processes: Processes, tmp_path: Path
) -> None:
    """Go 1.21's structs are not those of the newest table."""
    older = toolchain(OLDEST)
    for version, reason in (("go1.99.1", "newer than the layouts"), ("go1.17.5", "not supported")):
        program = labelled(older, tmp_path, version)
        process = processes.start([str(program), str(tmp_path / "oracle")]).wait_ready()
        line = refused(ask(gdb_exe, Scene("live", program, [f"attach {process.pid}"])))
        assert "Go program without symbols" in line and reason in line


# Cores.


class MadeCore(NamedTuple):
    """A whole core, and the program that it is of."""

    path: Path
    binary: Binary


@pytest.fixture(scope="module")
def whole(newest_go: Toolchain, build_program: Builder, tmp_path_factory: pytest.TempPathFactory) -> MadeCore:
    """The kernel's core of `crash`, or gdb's where the kernel's does not come here."""
    folder = tmp_path_factory.mktemp("whole")
    binary = build_program("crash", newest_go)
    if not gdbs():
        pytest.skip("no gdb")
    try:
        return MadeCore(kernel_core(binary, folder, folder / "oracle", "abort").path, binary)
    except Unavailable:
        gcore(gdbs()[0], launch_to_breakpoint(binary, folder / "oracle", "panic"), folder / "core")
        return MadeCore(folder / "core", binary)


def test_the_whole_core_is_fine(gdb_exe: Gdb, whole: MadeCore) -> None:
    run = ask(gdb_exe, Scene("core", whole.binary.path, [f"core-file {whole.path}"]))
    assert (run.status, lines_of_ours(run)) == (0, [])


CUTS = ["0", "40", "64", "700", "5000", "64k", "200k", "1M", "1/4", "1/2", "9/10", "-4096", "-1"]


def cut(whole: MadeCore, folder: Path, where: str) -> Path:
    """A copy of the core that ends at `where`."""
    size = whole.path.stat().st_size
    parts = re.fullmatch(r"(\d+)/(\d+)", where)
    if parts:
        end = size * int(parts.group(1)) // int(parts.group(2))
    else:
        end = int(where.rstrip("kM")) * {"k": 1 << 10, "M": 1 << 20}.get(where[-1], 1)
    copy = folder / "cut"
    shutil.copyfile(whole.path, copy)
    os.truncate(copy, end if end >= 0 and not where.startswith("-") else size + end)
    return copy


@pytest.mark.parametrize("where", CUTS)
def test_a_truncated_core_is_said_to_be_one(
    gdb_exe: Gdb, whole: MadeCore, tmp_path: Path, where: str
) -> None:
    core = cut(whole, tmp_path, where)
    run = ask(gdb_exe, Scene("core", whole.binary.path, [f"core-file {core}"]))
    (line,) = lines_of_ours(run)
    assert run.status == 1
    if "not a core dump" in run.stderr:  # gdb has not taken it
        assert "no process" in line
    else:
        assert "truncated" in line


@pytest.mark.parametrize("where", CUTS)
def test_dump_of_a_truncated_core_is_one_line(whole: MadeCore, tmp_path: Path, where: str) -> None:
    done = dump(str(cut(whole, tmp_path, where)), "--exe", str(whole.binary.path), "--format", "json")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith("addrspace-gdb: ")
    assert "truncated" in line or "not a core" in line
    if done.stdout:
        document = json.loads(done.stdout)
        invariants.assert_valid(document)
        invariants.assert_covers(document)
        assert document["problems"]


@pytest.mark.parametrize(
    ("program", "variant"), [("foreign", "plain"), ("crash", "noopt"), ("crash", "pie"), ("c_only", "plain")]
)
def test_a_core_of_another_program(
    gdb_exe: Gdb, whole: MadeCore, newest_go: Toolchain, build_program: Builder, program: str, variant: str
) -> None:
    other = build_program(program, None if program == "c_only" else newest_go, variant).path
    for scene in (
        Scene("core", other, [f"core-file {whole.path}"]),
        Scene("core", None, [f"core-file {whole.path}", f"file {other}"]),
    ):
        line = refused(ask(gdb_exe, scene))
        assert f"{other} is not the program that made this core" in line
    assert "is not the program" in dump_refused(str(whole.path), "--exe", str(other))


def test_a_core_of_another_version(
    gdb_exe: Gdb, whole: MadeCore, go: Toolchain, build_program: Builder
) -> None:
    other = build_program("crash", go)
    run = ask(gdb_exe, Scene("core", other.path, [f"core-file {whole.path}"]))
    if other.path == whole.binary.path:
        assert run.status == 0
    else:
        assert "is not the program" in refused(run)


# Wherever it stands, it is shown.

STOPS: Dict[str, Tuple[str, List[str]]] = {
    # The program, and the gdb commands that bring it there.
    "first instruction": ("shapes", ["starti x"]),
    "before the scheduler": ("shapes", ["tbreak runtime.schedinit", RUN]),
    "before the heap": ("shapes", ["tbreak runtime.mallocinit", RUN]),
    "first mallocgc": ("shapes", ["tbreak runtime.mallocgc", RUN]),
    "mallocgc": ("shapes", ["tbreak main.main", RUN, "tbreak runtime.mallocgc", "continue"]),
    "refill": ("shapes", ["tbreak main.main", RUN, "tbreak 'runtime.(*mcache).refill'", "continue"]),
    "alloc": ("shapes", ["tbreak main.main", RUN, "tbreak 'runtime.(*mheap).alloc'", "continue"]),
    "allocSpan": ("shapes", ["tbreak main.main", RUN, "tbreak 'runtime.(*mheap).allocSpan'", "continue"]),
    "initSpan": ("shapes", ["tbreak main.main", RUN, "tbreak 'runtime.(*mheap).initSpan'", "continue"]),
    "grow": ("shapes", ["tbreak main.main", RUN, "tbreak 'runtime.(*mheap).grow'", "continue"]),
    "freeSpan": ("shapes", ["tbreak main.main", RUN, "tbreak 'runtime.(*mheap).freeSpanLocked'", "continue"]),
    "gcStart": ("shapes", ["tbreak runtime.gcStart", RUN]),
    "gcDrain": ("shapes", ["tbreak runtime.gcDrain", RUN]),
    "mark termination": ("shapes", ["tbreak runtime.gcMarkTermination", RUN]),
    "sweep": ("shapes", ["tbreak 'runtime.(*sweepLocked).sweep'", RUN]),
    "scavenge": ("shapes", ["tbreak 'runtime.(*pageAlloc).scavengeOne'", RUN]),
    "copystack": ("shapes", ["tbreak runtime.copystack", RUN]),
    "stackfree": ("shapes", ["tbreak runtime.stackfree", RUN]),
    "newproc": ("shapes", ["tbreak main.main", RUN, "tbreak runtime.newproc1", "continue"]),
    "signal handler": ("shapes", ["tbreak runtime.sighandler", RUN]),
    "panic": ("shapes", ["tbreak runtime.gopanic", RUN]),
    "C": ("cgo", ["tbreak native_large", RUN]),
    "C thread": ("cgo", ["tbreak allocator", RUN]),
    "callback": ("cgo", ["tbreak main.goCallback", RUN]),
    "cgocallback": ("cgo", ["tbreak runtime.cgocallbackg", RUN]),
}


def test_before_there_is_a_heap_it_has_no_objects(newest_go: Toolchain, build_program: Builder) -> None:
    if not gdbs():
        pytest.skip("no gdb")
    binary = build_program("shapes", newest_go)
    asked = ["addrspace types", "addrspace retained"]
    asked += ["addrspace holders 0xc000000000", "goroutine-stacks --leaked"]
    run = run_gdb(gdbs()[0], asked, Scene("live", binary.path, ["starti x"], ("kill",)), load=True)
    said = "addrspace: there is no heap yet: the runtime has not been initialised"
    assert (run.stdout + run.stderr).count(said) == len(asked), run.stdout + run.stderr


@pytest.mark.parametrize("stop", STOPS)
def test_a_process_is_shown_wherever_it_stands(
    gdb_exe: Gdb, go: Toolchain, build_program: Builder, tmp_path: Path, stop: str
) -> None:
    if not full_matrix() and go.version != NEWEST and gdb_exe != gdbs()[0]:
        pytest.skip("ADDRSPACE_MATRIX=1 runs it")
    program, enter = STOPS[stop]
    binary = build_program(program, go, "cgo" if program == "cgo" else "plain")
    enter = ["handle SIGSEGV nostop noprint pass", *enter]
    commands = [f"source {invariants.SIDE}", f"stop-smaps {tmp_path / 'before'}"]
    commands += [f"addrspace --check --format json --output {tmp_path / 'json'}"]
    commands += [f"stop-smaps {tmp_path / 'after'}", "echo ====\\n", "addrspace"]
    run = run_gdb(gdb_exe, commands, Scene("live", binary.path, enter), load=True)
    document = invariants.load(tmp_path / "json", run)
    picture = run.stdout.partition("====\n")[2]
    assert {name for name, _ in invariants.rows(picture)} >= {"Kernel Space", "Code Segment", "Go Heap"}
    invariants.assert_valid(document)
    invariants.assert_covers(document)
    invariants.assert_resident_of_mappings(document)
    invariants.assert_areas(document)
    before, after = (parse_smaps((tmp_path / name).read_bytes()) for name in ("before", "after"))
    invariants.assert_smaps(document, before, after)
    # A runtime in the middle of its work may disagree with itself; then it is said, and once.
    assert len(lines_of_ours(run)) <= 2
    if not document["problems"] and all(check["ok"] for check in document["checks"]):
        assert (run.status, lines_of_ours(run)) == (0, [])
    named = {c["name"]: c["ok"] for c in document["checks"]}
    assert named["bytes in regions"] and named["mappings not covered exactly"]


# What may not be read.

_DENY = """
import errno, addrspace_gdb.process.local_proc as t
def denied(self, name, offset=0, size=None, real=t.LocalProc.read):
    if name in {names!r}:
        raise PermissionError(errno.EACCES, "Permission denied")
    return real(self, name, offset, size)
t.LocalProc.read, t.LocalProc.local = denied, False
"""


def denied(
    gdb: Gdb, binary: Binary, folder: Path, names: Tuple[str, ...]
) -> Tuple[Result, invariants.Document, str]:
    """The document and the picture of a process of which some files in /proc may not be read."""
    script = folder / "deny.py"
    script.write_text(_DENY.format(names=names))
    commands = [f"source {script}", f"source {invariants.SIDE}", f"stop-smaps {folder / 'smaps'}"]
    commands += [f"addrspace --format json --output {folder / 'json'}", "echo ====\\n", "addrspace"]
    scene = launch_to_breakpoint(binary, folder / "oracle")._replace(leave=())
    run = run_gdb(gdb, commands, scene, load=True)
    return run, invariants.load(folder / "json", run), run.stdout.partition("====\n")[2]


def test_without_pagemap_totals_are_exact_and_the_rest_unknown(
    gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    binary = build_program("foreign", newest_go)
    run, document, picture = denied(gdb_exe, binary, tmp_path, ("pagemap",))
    assert (run.status, lines_of_ours(run)) == (0, [])
    invariants.assert_partition_of_unchecked(document)
    smaps = parse_smaps((tmp_path / "smaps").read_bytes())
    invariants.assert_smaps(document, smaps, smaps)
    assert any(region["resident"] is None for region in document["regions"])
    (note,) = [n for n in document["notes"] if "pagemap" in n]
    assert "ermission" in note
    assert "?" in picture and "pagemap" in picture


def test_without_any_account_of_pages_nothing_is_resident_or_not(
    gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    binary = build_program("foreign", newest_go)
    run, document, picture = denied(gdb_exe, binary, tmp_path, ("pagemap", "smaps"))
    assert (run.status, lines_of_ours(run)) == (0, [])
    user = [r for r in document["regions"] if int(r["start"], 16) < 1 << 63]
    assert {r["resident"] for r in user} == {None}
    assert [n for n in document["notes"] if "ermission" in n]
    assert "resident ?" in picture


def test_without_maps_there_is_nothing_to_show(
    gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    script = tmp_path / "deny.py"
    script.write_text(_DENY.format(names=("maps",)))
    scene = launch_to_breakpoint(build_program("foreign", newest_go), tmp_path / "oracle")
    line = refused(ask(gdb_exe, scene, f"source {script}"))
    assert "mappings cannot be read" in line and "/maps" in line


# Where it cannot be written, and what cannot be asked.


@pytest.fixture
def stopped(newest_go: Toolchain, build_program: Builder, tmp_path: Path) -> Scene:
    """A process to ask about."""
    return launch_to_breakpoint(build_program("foreign", newest_go), tmp_path / "oracle")


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("{folder}", "it is a directory"),
        ("{folder}/none/out", "no directory {folder}/none"),
        ("/dev/full", "No space left on device"),
        ("/dev/null/out", "Not a directory"),
        ("{folder}/" + "x" * 300, "File name too long"),
    ],
)
@pytest.mark.parametrize("command", ["addrspace", "addrspace regions", "addrspace --check --format json"])
def test_an_unwritable_output(
    gdb_exe: Gdb, stopped: Scene, tmp_path: Path, command: str, output: str, why: str
) -> None:
    output, why = output.format(folder=tmp_path), why.format(folder=tmp_path)
    line = refused(ask(gdb_exe, stopped, command=f"{command} --output {output}"))
    assert line == f"addrspace: cannot write {output}: {why}"
    assert not [p for p in tmp_path.iterdir() if not p.name.startswith("oracle")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_an_output_that_belongs_to_somebody_else(tmp_path: Path, what: str) -> None:
    folder = Path("/usr")
    place = Path("/etc/hostname") if what == "file" else folder / "new"
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgid(65534)
        os.setuid(65534)
        try:
            OutputFile(str(place))
        except ProblemError as problem:
            os.write(writer, str(problem).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with open(reader) as answer:
        assert answer.read() == f"cannot write {place}: permission denied"


NONSENSE = {
    "nonsense": "unrecognized arguments: nonsense",
    "--nonsense": "unrecognized arguments: --nonsense",
    "--format": "--format: expected one argument",
    "--format yaml": "invalid choice: 'yaml'",
    "--output": "--output: expected one argument",
    "--classic=1": "--classic",
    "--check heap": "unrecognized arguments: heap",
    "'--check": "No closing quotation",
    "--class": "unrecognized arguments: --class",
}


@pytest.mark.parametrize("arguments", NONSENSE, ids=repr)
def test_nonsense_is_one_line_and_status_1(gdb_exe: Gdb, stopped: Scene, arguments: str) -> None:
    line = refused(ask(gdb_exe, stopped, command=f"addrspace {arguments}"))
    assert NONSENSE[arguments] in line


SHELL_NONSENSE = {
    "1 --format yaml": "argument --format: invalid choice: 'yaml'",
    "--nonsense 1": "unrecognized arguments: --nonsense",
    "1 2": "unrecognized arguments: 2",
    "1 --width x": "argument --width: 'x' is not a number",
    "": "the following arguments are required: PID|CORE",
}


@pytest.mark.parametrize("arguments", SHELL_NONSENSE, ids=repr)
def test_nonsense_in_the_shell_is_one_line_and_status_2(arguments: str) -> None:
    done = dump(*arguments.split())
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"addrspace-gdb: dump: {SHELL_NONSENSE[arguments]}"), line
    assert line.endswith(" (see `addrspace-gdb dump --help`)"), line
