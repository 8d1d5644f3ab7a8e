"""Cores away from the machine that made them, and cores that hold less, by what the whole one says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple

import invariants
import pytest
from harness.build import Binary, Builder
from harness.debuggers import Gdb
from harness.gdbrun import run_gdb
from harness.oracles import read_oracle
from harness.processes import Processes
from harness.scenes import attach, gcore, kernel_core, open_core, start
from harness.toolchains import Toolchain, Unavailable
from test_targets_compressed import shell

EACH_ONCE = True  # not every combination: tests/conftest.py

Json = Dict[str, Any]


class Away(NamedTuple):
    """A core, the program that made it (in another place by now), and what was said of both before."""

    core: Path
    program: Path
    gone: Path  # where the core says that it is
    whole: Json
    folder: Path


def asked(gdb: Gdb, core: Path, *more: object) -> Json:
    """`addrspace/1`, with the checks, of a core with which nothing is wrong."""
    done = shell("dump", core, "--check", "--format", "json", "--gdb", gdb.path, *more)
    assert (done.returncode, done.stderr) == (0, "")
    found: Json = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module", params=["stripped", "pie"])
def away(
    request: pytest.FixtureRequest,
    gdb_exe: Gdb,
    newest_go: Toolchain,
    build_program: Builder,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Away]:
    """`crash` was built and died in a folder that is gone."""
    folder = tmp_path_factory.mktemp("away")
    built = build_program("crash", newest_go, request.param)
    (folder / "here").mkdir()
    program = folder / "here" / "crash"
    shutil.copy(built.path, program)
    try:
        core = kernel_core(built._replace(path=program), folder, folder / "oracle").path
        whole = asked(gdb_exe, core)
        invariants.assert_memstats(whole, read_oracle(folder / "oracle").memstats, 5)
        shutil.move(str(program), folder / "app-1.2")
        yield Away(core, folder / "app-1.2", program, whole, folder)
    except Unavailable as problem:
        pytest.skip(str(problem))
    finally:
        for path in folder.glob("core*"):
            path.unlink()


def without(document: Json, *keys: str) -> Json:
    return {key: value for key, value in document.items() if key not in keys}


def test_a_core_with_its_program_elsewhere(gdb_exe: Gdb, away: Away) -> None:
    """And without the shared libraries that it had."""
    moved = asked(gdb_exe, away.core, "--exe", away.program, "--sysroot", away.folder / "here")
    assert without(moved, "target") == without(away.whole, "target")
    assert moved["target"]["executable"] == str(away.program)


def test_a_program_that_was_stripped_later_is_the_same(gdb_exe: Gdb, away: Away) -> None:
    if not shutil.which("strip"):
        pytest.skip("no strip on PATH")
    subprocess.run(["strip", "-o", str(away.folder / "bare"), str(away.program)], check=True)
    bare = asked(gdb_exe, away.core, "--exe", away.folder / "bare")
    assert (bare["areas"], bare["goroutines"]) == (away.whole["areas"], away.whole["goroutines"])
    assert bare["memstats"] == away.whole["memstats"]


def sizes(document: Json) -> Dict[str, int]:
    return {area["area"]: area["size"] for area in document["areas"]}


def assert_as_without_program(document: Json, away: Away) -> None:
    """All but names and what the runtime has only one number for (`goruntime/stripped/data_search`)."""
    invariants.assert_valid(document)
    invariants.assert_covers(document)
    invariants.assert_checks_ok(document)
    assert document["problems"] == []
    for key in ("goroutines", "memstats", "unmapped", "spans", "mappings"):
        assert document[key] == away.whole[key]
    ours, whole = sizes(document), sizes(away.whole)
    small = ours.pop("foreign", 0) - whole.pop("foreign", 0)
    assert ours.pop("runtime") + small == whole.pop("runtime")
    assert small <= 64 << 10
    assert ours == whole
    assert [
        n for n in document["notes"] if "no names without the program's file" in n and "not in the core" in n
    ]


def test_a_core_without_its_program(gdb_exe: Gdb, away: Away) -> None:
    assert_as_without_program(asked(gdb_exe, away.core), away)


def test_a_program_that_was_replaced_is_not_taken(gdb_exe: Gdb, away: Away, build_program: Builder) -> None:
    """After the next deployment another program is where the core says."""
    shutil.copy("/bin/true", away.gone)
    try:
        assert_as_without_program(asked(gdb_exe, away.core), away)
        run = run_gdb(gdb_exe, ["addrspace"], open_core(away.core, away.gone), load=True)
    finally:
        away.gone.unlink()
    assert re.search(r"^addrspace: \S+crash is not the program that made this core", run.stderr, re.MULTILINE)
    assert run.stdout.count("Kernel Space") == 0


def test_goroutines_without_the_program(gdb_exe: Gdb, away: Away) -> None:
    """Their states and stacks are in the core, the names of functions are not."""
    documents: List[Json] = []
    report = ["--report", "goroutine-stacks --system", "--format", "json"]
    for more in (["--exe", away.program], []):
        done = shell("dump", away.core, *report, "--gdb", gdb_exe.path, *more)
        assert (done.returncode, done.stderr) == (0, "")
        documents.append(json.loads(done.stdout))
    fields = ("status", "wait_reason", "stack", "pc", "sp", "thread")
    whole, ours = ({g["goid"]: [g[f] for f in fields] for g in d["goroutines"]} for d in documents)
    assert ours.pop(1) and whole.pop(1)
    assert ours == whole and len(ours) > 10
    assert {g["function"] for g in documents[1]["goroutines"]} == {None}


def test_another_build_is_told_and_another_program_refused(
    gdb_exe: Gdb, away: Away, newest_go: Toolchain, build_program: Builder
) -> None:
    content = away.program.read_bytes()
    at = content.index(b"Go\0\0") + 4
    other = away.folder / "other"
    other.write_bytes(content[:at] + bytes(byte ^ 1 for byte in content[at : at + 8]) + content[at + 8 :])
    done = shell("dump", away.core, "--format", "json", "--gdb", gdb_exe.path, "--exe", other)
    assert done.returncode == 1
    assert re.fullmatch(
        rf"addrspace-gdb: {other} is not the program that made this core \(another build of .*crash\?\): "
        "names, lines and code may be those of another program\n",
        done.stderr,
    )
    document = json.loads(done.stdout)
    assert (document["memstats"], document["goroutines"]) == (
        away.whole["memstats"],
        away.whole["goroutines"],
    )
    wrong = build_program("shapes", newest_go).path
    done = shell("dump", away.core, "--gdb", gdb_exe.path, "--exe", wrong)
    assert (done.returncode, done.stdout) == (1, "")
    told = f"addrspace-gdb: {wrong} is not the program that made this core "
    assert done.stderr.startswith(told) and done.stderr.endswith("; give the right one with `--exe FILE`\n")
    inside = run_gdb(gdb_exe, ["addrspace"], open_core(away.core, wrong), load=True)
    assert "is not the program that made this core" in inside.stderr
    assert inside.stderr.rstrip().endswith("give the right one with `file FILE`")


# What the process's coredump_filter leaves in: 0x1 anonymous private memory, 0x10 the first pages of files.
@pytest.mark.parametrize("what", [0x1, 0x21, 0x7F])
def test_a_core_with_more_or_less_in_it(
    newest_go: Toolchain, gdb_exe: Gdb, build_program: Builder, tmp_path: Path, what: int
) -> None:
    binary = build_program("crash", newest_go, "stripped")
    core = small_core(binary, tmp_path, what=what)
    document = asked(gdb_exe, core)
    core.unlink()
    invariants.assert_valid(document)
    invariants.assert_covers(document)
    invariants.assert_no_problems(document)
    invariants.assert_checks_ok(document)
    oracle = read_oracle(tmp_path / "oracle")
    invariants.assert_memstats(document, oracle.memstats, 5)
    assert document["goroutines"]["total"] > oracle.goroutines


def small_core(binary: Binary, folder: Path, **more: int) -> Path:
    try:
        return kernel_core(binary, folder, folder / "oracle", "panic", **more).path
    except Unavailable as problem:
        pytest.skip(str(problem))


@pytest.mark.parametrize("what", [0x0, 0x3E])
def test_a_core_without_the_heap_says_so(
    newest_go: Toolchain, gdb_exe: Gdb, build_program: Builder, tmp_path: Path, what: int
) -> None:
    core = small_core(build_program("crash", newest_go), tmp_path, what=what)
    for report in ("", "goroutine-stacks", "gc"):
        more = ["--report", report] if report else []
        done = shell("dump", core, "--gdb", gdb_exe.path, *more)
        assert (done.returncode, done.stdout) == (1, ""), report
        assert re.fullmatch(r"addrspace-gdb: .*(coredump_filter|not in the core).*\n", done.stderr), (
            done.stderr
        )


@pytest.mark.parametrize(
    ("variant", "most"), [("plain", 4 << 20), ("plain", 24 << 20), ("stripped", 1 << 20)]
)
def test_a_truncated_core_has_no_zeroes_for_what_is_missing(
    newest_go: Toolchain, gdb_exe: Gdb, build_program: Builder, tmp_path: Path, variant: str, most: int
) -> None:
    """ulimit -c: the kernel counts what it writes, and leaves out empty pages."""
    core = small_core(build_program("crash", newest_go, variant), tmp_path, most=most)
    done = shell("dump", core, "--check", "--format", "json", "--gdb", gdb_exe.path)
    core.unlink()
    if "is a Go program without symbols" in done.stderr:
        assert "the core is truncated" in done.stderr
        return
    document = json.loads(done.stdout)
    if done.returncode == 0:
        pytest.skip("all of it was written")
    assert re.match(r"addrspace-gdb: the core is truncated: [\d,]+ bytes of it are missing", done.stderr)
    invariants.assert_valid(document)
    invariants.assert_covers(document)
    assert document["goroutines"] is None or document["goroutines"]["total"] > 0
    counts = [check for check in document["checks"] if check["source"].startswith("MemStats.")]
    assert not [check for check in counts if check["ours"] == 0 and check["theirs"]]


def test_gdb_s_own_core_of_a_stripped_program_is_the_process(
    newest_go: Toolchain, gdb_exe: Gdb, build_program: Builder, processes: Processes, tmp_path: Path
) -> None:
    """With what the filter and the program (MADV_DONTDUMP) exclude, and without."""
    binary = build_program("shapes", newest_go, "stripped")
    process = start(processes, binary, tmp_path / "oracle")
    settings = ["set use-coredump-filter off", "set dump-excluded-mappings on"]
    scene = attach(process, binary)
    live = tmp_path / "live.json"
    enter = [*scene.enter, "source " + str(invariants.SIDE.parent.parent / "addrspace_gdb" / "load.py")]
    scene = scene._replace(enter=[*enter, f"addrspace --format json --output {live}", *settings])
    gcore(gdb_exe, scene, tmp_path / "core")
    document = asked(gdb_exe, tmp_path / "core")
    os.unlink(tmp_path / "core")
    invariants.assert_no_problems(document)
    invariants.assert_checks_ok(document)
    before = json.loads(live.read_text())
    assert document["memstats"] == before["memstats"] and document["goroutines"] == before["goroutines"]
    ours, whole = sizes(document), sizes(before)
    for area in ("heap", "goroutine-stacks", "globals", "code", "runtime"):
        assert ours[area] == whole[area], area
