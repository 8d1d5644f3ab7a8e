"""Without a debugger the answers are those that gdb gives, to the byte, on stopped processes and on cores."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import pytest
from elftools.elf.elffile import ELFFile
from harness import full_matrix, qemu
from harness.build import Builder
from harness.command import assert_refused, cli
from harness.debuggers import Gdb, gdbs
from harness.gdbrun import Scene
from harness.held import state, stop, until_it_catches_signals
from harness.processes import Process, Processes
from harness.scenes import attach, gcore, kernel_core, start
from harness.toolchains import NEWEST, PINNED, Toolchain, Unavailable, toolchain_or_skip

EACH_ONCE = True  # not every combination: tests/conftest.py

REPORTS = (
    *("addrspace", "regions", "rss", "rss --by-class", "memstats", "gc", "heap", "arenas", "spans"),
    *("goroutine-stacks", "goroutine-stacks --frames", "goroutine-stacks --system --dead"),
    "whereis goroutine:1 0xc000000000 $sp",
)
# What moves with the clock, with who else maps a file, and by being read: which pages were never touched.
MOVES = re.compile(
    r'"(wait_time|waited|age|Pss|[Ss]hared|[Pp]rivate)": (\d+|null)'
    r'|"the runtime\'s own: (never touched|zero page)[^}]*'
    r'|"instruction": (null|"(\\.|[^"\\])*")'  # the assembler's text of it is gdb's alone
)
FEW = ("addrspace", "goroutine-stacks --system --dead", "whereis goroutine:1 $sp $pc")
VARIANTS = ("plain", "stripped", "pie", "cgo")
MATRIX_KINDS = ("plain", "stripped", "pie", "cgo", "race", "noopt", "static", "experiments")
ALSO_OLD = True
# Architecture, version, how it was built, and how it died.
QEMU = [("arm64", NEWEST, "stripped", "segv"), ("s390x", NEWEST, "plain", "panic")]
if full_matrix():
    QEMU = [
        (arch, version, variant, how)
        for arch in qemu.MACHINES
        for version in PINNED
        for variant in ("plain", "stripped")
        for how in ("panic", "segv")
    ]


def answer(target: object, report: str, *options: str) -> str:
    more = [] if report == "addrspace" else ["--report", report]
    done = cli("dump", str(target), *more, "--format", "json", *options)
    assert done.stdout and json.loads(done.stdout), done.stderr
    return MOVES.sub("", done.stdout)


def compared(target: object, gdb_exe: Gdb, *options: str, reports: Sequence[str] = REPORTS) -> None:
    for report in reports:
        without = answer(target, report, "--debugger", "none", *options)
        assert without == answer(target, report, "--gdb", str(gdb_exe.path), *options), report


@pytest.fixture(params=VARIANTS)
def stopped(
    request: pytest.FixtureRequest,
    newest_go: Toolchain,
    build_program: Builder,
    processes: Processes,
    oracle_file: Path,
) -> Iterator[Scene]:
    """A Go program that was stopped by a signal, so that two can look at the same."""
    name = "cgo" if request.param == "cgo" else "shapes"
    binary = build_program(name, newest_go, request.param)
    live = stop(start(processes, binary, oracle_file))
    yield attach(live, binary)
    assert state(live.pid) == ("T", "0")  # as it was
    os.kill(live.pid, signal.SIGCONT)


def reports_for(gdb: Gdb) -> Sequence[str]:
    """All for the newest gdb, for others a few: that gdbs agree is seen elsewhere."""
    return REPORTS if full_matrix() or gdb.path == gdbs()[-1].path else FEW


def test_a_process_is_what_gdb_says(stopped: Scene, gdb_exe: Gdb) -> None:
    compared(stopped.pid, gdb_exe, reports=reports_for(gdb_exe))


def test_a_core_is_what_gdb_says(stopped: Scene, gdb_exe: Gdb, tmp_path: Path) -> None:
    core = tmp_path / "core"
    gcore(gdb_exe, stopped, core)
    compared(core, gdb_exe, reports=reports_for(gdb_exe))


def test_a_core_without_its_program(
    newest_go: Toolchain, build_program: Builder, processes: Processes, oracle_file: Path, gdb_exe: Gdb,
    tmp_path: Path,
) -> None:  # fmt: skip
    built = build_program("sample", newest_go, "stripped")
    moved = tmp_path / "program"
    moved.write_bytes(built.path.read_bytes())
    moved.chmod(0o755)
    binary = built._replace(path=moved)
    core = tmp_path / "core"
    gcore(gdb_exe, attach(start(processes, binary, oracle_file), binary), core)
    moved.unlink()
    compared(core, gdb_exe, reports=reports_for(gdb_exe))
    other = build_program("sample", newest_go)
    done = cli("dump", str(core), "--debugger", "none", "--exe", str(other.path))
    assert done.returncode == 1 and "is not the program that made this core" in done.stderr


def test_a_program_that_was_deleted_has_one_name(
    newest_go: Toolchain, build_program: Builder, processes: Processes, oracle_file: Path, gdb_exe: Gdb,
    tmp_path: Path,
) -> None:  # fmt: skip
    built = build_program("sample", newest_go)
    moved = tmp_path / "program"
    moved.write_bytes(built.path.read_bytes())
    moved.chmod(0o755)
    live = stop(start(processes, built._replace(path=moved), oracle_file))
    moved.unlink()
    compared(live.pid, gdb_exe, reports=("addrspace", "gc"))
    document = json.loads(answer(live.pid, "addrspace", "--debugger", "none"))
    assert document["target"]["executable"] == f"{moved} (deleted)"
    assert f"{moved} (deleted)" in {mapping["file"] for mapping in document["mappings"]}
    os.kill(live.pid, signal.SIGCONT)


# Without ADDRSPACE_MATRIX=1, one; and of the reports those that read registers, symbols and counters.
KINDS = ("386", *(pytest.param(kind, marks=pytest.mark.matrix) for kind in MATRIX_KINDS))


@pytest.mark.parametrize("kind", KINDS)
def test_a_core_of_every_kind(
    kind: str, go: Toolchain, build_program: Builder, processes: Processes, oracle_file: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    if not gdbs():
        pytest.skip("no gdb")
    binary = build_program("cgo" if kind == "cgo" else "shapes", go, kind)
    core = tmp_path / "core"
    gcore(gdbs()[-1], attach(start(processes, binary, oracle_file), binary), core)
    compared(core, gdbs()[-1], reports=REPORTS if full_matrix() else FEW)


@pytest.mark.parametrize("case", QEMU, ids="-".join)
def test_a_core_of_another_architecture(
    case: Tuple[str, str, str, str], build_program: Builder, tmp_path: Path
) -> None:
    """Nothing of it is this machine's: registers, byte order, sizes of pages."""
    arch, version, variant, how = case
    binary = build_program("crash", toolchain_or_skip(version), f"{variant}@{arch}")
    try:
        made = qemu.core(arch, binary, tmp_path, how)
        gdb = qemu.gdbs_for(arch)[-1]
    except Unavailable as problem:
        pytest.skip(str(problem))
    reports = (*(REPORTS if full_matrix() else FEW), "fault")
    compared(made.path, gdb, "--exe", str(binary.path), reports=reports)


@pytest.mark.parametrize("how", ["segv", "panic"])
@pytest.mark.parametrize("variant", ["plain", "stripped", "386"])
def test_why_it_died(
    how: str, variant: str, newest_go: Toolchain, build_program: Builder, oracle_file: Path, tmp_path: Path
) -> None:
    """By the kernel's core."""
    try:
        made = kernel_core(build_program("crash", newest_go, variant), tmp_path, oracle_file, how)
    except Unavailable as problem:
        pytest.skip(str(problem))
    if not gdbs():
        pytest.skip("no gdb")
    compared(made.path, gdbs()[-1], reports=("fault", "rss", "addrspace"))


@pytest.fixture
def live(newest_go: Toolchain, build_program: Builder, processes: Processes, oracle_file: Path) -> Process:
    """A Go program that runs."""
    return start(processes, build_program("shapes", newest_go), oracle_file)


@pytest.mark.parametrize("option", ["--check", "--stats", "--ascii"])
def test_a_process_goes_on(live: Process, option: str) -> None:
    done = cli("dump", str(live.pid), "--debugger", "none", option)
    assert done.returncode == 0 and len(done.stdout.splitlines()) > 8, done.stderr
    assert ("stopped for" in done.stderr) == (option == "--stats")
    assert state(live.pid)[0] in "SRD" and state(live.pid)[1] == "0"


def test_it_is_done_without_where_there_is_no_gdb(live: Process, tmp_path: Path) -> None:
    done = cli("dump", str(live.pid), PATH=str(tmp_path))
    assert done.returncode == 0 and "GOROUTINE STACKS" in done.stdout.upper(), done.stderr
    assert_refused(cli("dump", str(live.pid), "--debugger", "gdb", PATH=str(tmp_path)), "no gdb found; .*")
    assert_refused(
        cli("dump", str(live.pid), ADDRSPACE_DEBUGGER="dbx"),
        r"\$ADDRSPACE_DEBUGGER: dbx is not gdb, lldb or none",
    )


def test_what_is_typed_goes_before_the_environment(live: Process, gdb_exe: Gdb, tmp_path: Path) -> None:
    command = ("dump", live.pid, "--report", "whereis {int}1")
    none = cli(*command, ADDRSPACE_DEBUGGER="none")
    assert "needs a debugger" in none.stderr
    for more in (("--gdb", gdb_exe.path), ("--debugger", "gdb", "--gdb", gdb_exe.path)):
        by_gdb = cli(*command, *more, ADDRSPACE_DEBUGGER="none")
        assert "cannot evaluate" in by_gdb.stderr
    wrong = cli(*command, "--debugger", "none", "--gdb", gdb_exe.path)
    assert_refused(wrong, "--gdb and --debugger none exclude each other")


def test_an_expression_that_needs_a_debugger_says_so(live: Process) -> None:
    done = cli("dump", str(live.pid), "--debugger", "none", "--report", "whereis {int}1")
    assert_refused(done, r"'\{int\}1' needs a debugger \(--debugger gdb\): .*")


def test_a_diff_of_two_processes(live: Process) -> None:
    done = cli("diff", str(live.pid), str(live.pid), "--debugger", "none", "--format", "json", "--stats")
    document: Dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == 0 and document["schema"] == "diff/1"
    assert done.stderr.count("stopped for ") == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_it_goes_on_whenever_the_command_is_ended(live: Process, number: int) -> None:
    """At seeded moments of the half second that the command takes."""
    import random
    import subprocess

    from harness.command import COMMAND

    chance = random.Random(int(number))
    statuses: List[int] = []
    said: List[str] = []
    for _ in range(10):
        command = [*COMMAND, "dump", str(live.pid), "--debugger", "none", "--check"]
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        until_it_catches_signals(running.pid)
        time.sleep(chance.uniform(0, 0.45))
        running.send_signal(number)
        said.append(running.communicate(timeout=60)[1])
        statuses.append(running.returncode)
        assert state(live.pid)[1] == "0"
        assert state(live.pid)[0] in "SRD"
    assert set(statuses) <= {0, 128 + number, -number}, said


def names_of(image: ELFFile, bias: int) -> List[str]:
    """Addresses in the middle of its functions; first those that have several names."""
    functions = [s for s in image.get_section_by_name(".dynsym").iter_symbols() if s["st_size"] > 8]
    counts = Counter(symbol["st_value"] for symbol in functions)
    places = {
        symbol["st_value"]: symbol["st_size"]
        for symbol in functions
        if symbol["st_info"]["type"] == "STT_FUNC"
    }
    chosen = sorted(places, key=lambda place: (-counts[place], place))[:60]
    return [hex(bias + place + places[place] // 2) for place in chosen]


def test_names_of_libraries_and_of_the_kernels_are_those_that_gdb_gives(
    newest_go: Toolchain, build_program: Builder, processes: Processes, oracle_file: Path, gdb_exe: Gdb
) -> None:
    live = stop(start(processes, build_program("cgo", newest_go, "cgo"), oracle_file))
    maps = Path(f"/proc/{live.pid}/maps").read_text().splitlines()
    vdso = next(int(line.partition("-")[0], 16) for line in maps if line.endswith("[vdso]"))
    base, libc = next((int(line.partition("-")[0], 16), line.split()[-1]) for line in maps if "/libc" in line)
    with open(f"/proc/{live.pid}/mem", "rb", buffering=0) as memory:
        memory.seek(vdso)
        addresses = names_of(ELFFile(io.BytesIO(memory.read(8192))), vdso)
    with open(libc, "rb") as file:
        addresses += names_of(ELFFile(file), base)
    report = f"whereis {' '.join(addresses)}"
    without = answer(live.pid, report, "--debugger", "none")
    assert without.count('"section": ".text"') >= 60
    assert without == answer(live.pid, report, "--gdb", str(gdb_exe.path))
