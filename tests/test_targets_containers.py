"""A process in namespaces of its own, seen from outside: other thread ids, and no file where it says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, NamedTuple

import invariants
import pytest
from harness import CHECKOUT
from harness.build import Builder
from harness.command import COMMAND
from harness.debuggers import Gdb
from harness.gdbrun import Scene, run_gdb
from harness.processes import Processes
from harness.smaps import smaps
from harness.toolchains import Toolchain
from test_targets_compressed import shell

EACH_ONCE = True  # not every combination: tests/conftest.py

Json = Dict[str, Any]
# The program alone in its file system, and number 1 of its processes.
ENTER = (
    "cd {root} && mount --bind {root} {root} && cd {root} && pivot_root . old && exec /srv/app /tmp/oracle"
)
NAMESPACES = {
    "root": ["--mount", "--pid"],
    "user": ["--user", "--map-root-user", "--mount", "--pid"],
}


class Contained(NamedTuple):
    """The program's process id outside, and its file as it is named outside."""

    pid: int
    program: Path


@pytest.fixture(scope="module", params=list(NAMESPACES))
def contained(
    request: pytest.FixtureRequest,
    newest_go: Toolchain,
    build_program: Builder,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Contained]:
    """`shapes`, stripped, in a container with nothing else in it."""
    namespaces = [*NAMESPACES[request.param], "--fork", "--propagation", "private"]
    if subprocess.run(["unshare", *namespaces, "true"], capture_output=True, check=False).returncode:
        pytest.skip(f"unshare {' '.join(namespaces)} is not allowed here")
    root = tmp_path_factory.mktemp("container")
    for name in ("srv", "tmp", "old"):
        (root / name).mkdir()
    program = root / "srv" / "app"
    shutil.copy(build_program("shapes", newest_go, "stripped").path, program)
    processes = Processes()
    try:
        outer = processes.start(["unshare", *namespaces, "sh", "-c", ENTER.format(root=root)]).wait_ready()
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
        yield Contained(int(children[0]), program)
    finally:
        processes.kill_all()


def threads_of(document: Json) -> Dict[int, int]:
    """goid to thread."""
    return {g["goid"]: g["thread"] for g in document["goroutines"] if g["thread"] is not None}


def assert_of_the_process(document: Json, pid: int) -> None:
    """The partition is that of the kernel's list, to the byte."""
    assert (document["target"]["kind"], document["target"]["pid"]) == ("live", pid)
    invariants.assert_valid(document)
    invariants.assert_covers(document)
    invariants.assert_no_problems(document)
    invariants.assert_checks_ok(document)
    invariants.assert_resident_of_mappings(document)
    known = {smap.start: smap.end for smap in smaps(pid)}
    for mapping in document["mappings"]:
        start, end = (int(mapping[name], 16) for name in ("start", "end"))
        if (mapping["file"] or "").endswith("/srv/app"):
            assert known[start] == end
    areas = {area["area"] for area in document["areas"]}
    assert {"heap", "goroutine-stacks", "globals", "code"} <= areas and "foreign" not in areas


def assert_threads(document: Json, pid: int) -> None:
    """Who runs or is in a system call is on one of the process's threads, by the number it has out here."""
    tasks = {int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir()}
    threads = threads_of(document)
    assert threads and set(threads.values()) <= tasks
    assert len(set(threads.values())) == len(threads)
    busy = {g["goid"] for g in document["goroutines"] if g["status"] in ("running", "syscall")}
    assert busy <= set(threads)
    assert not [g["goid"] for g in document["goroutines"] if g["function"] is None]


def test_dump_from_outside(gdb_exe: Gdb, contained: Contained) -> None:
    done = shell("dump", contained.pid, "--check", "--format", "json", "--gdb", gdb_exe.path)
    assert (done.returncode, done.stderr) == (0, "")
    assert_of_the_process(json.loads(done.stdout), contained.pid)
    report = ["--report", "goroutine-stacks --system", "--format", "json"]
    done = shell("dump", contained.pid, *report, "--gdb", gdb_exe.path)
    assert (done.returncode, done.stderr) == (0, "")
    assert_threads(json.loads(done.stdout), contained.pid)


def from_a_sibling(contained: Contained, *words: str) -> subprocess.CompletedProcess[str]:
    """The command in the program's namespace of processes, with files of its own, as `kubectl debug --target`
    and `docker run --pid container:NAME` have it."""
    users = [os.readlink(f"/proc/{pid}/ns/user") for pid in ("self", contained.pid)]
    enter = ["nsenter", "--target", str(contained.pid), "--pid", *["--user"] * (users[0] != users[1])]
    enter += ["unshare", "--mount"]
    run = 'mount -t proc proc /proc && exec "$@"'
    return subprocess.run(
        [*enter, "sh", "-c", run, "sh", *COMMAND, *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )


def test_from_a_sibling(contained: Contained) -> None:
    """It is number 1 there, and its files are not where it says."""
    done = from_a_sibling(contained, "dump", "1", "--check", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["target"]["pid"] == 1
    document["target"]["pid"] = contained.pid
    assert_of_the_process(document, contained.pid)
    listed = from_a_sibling(contained, "goroutine-stacks", "app", "--system", "--format", "json")
    outside = shell("goroutine-stacks", contained.pid, "--system", "--format", "json")
    theirs, ours = (where_they_wait(json.loads(one.stdout)) for one in (listed, outside))
    in_both = theirs.keys() & ours.keys()  # those of the runtime wake now and then
    assert len(in_both) > 50
    assert [theirs[goid] for goid in in_both] == [ours[goid] for goid in in_both]


def where_they_wait(document: Json) -> Dict[int, str]:
    """goid to function."""
    return {g["goid"]: g["function"] for g in document["goroutines"] if g["status"] == "waiting"}


@pytest.mark.parametrize("sysroot", [None, "/"])
def test_attached_from_outside_and_cored(
    gdb_exe: Gdb, contained: Contained, tmp_path: Path, sysroot: str
) -> None:
    """gdb goes into the mount namespace for the program's file; or not, and then it has none. A core has
    only the ids that gdb has: which thread is whose M the stacks tell."""
    files = {name: tmp_path / name for name in ("space", "stacks", "cored")}
    enter = [f"set sysroot {sysroot}"] if sysroot else []
    enter.append(f"attach {contained.pid}")
    scene = Scene("live", None, enter, ("detach",), contained.pid)
    ask = "goroutine-stacks --system --format json --output"
    commands = [
        f"addrspace --check --format json --output {files['space']}",
        f"{ask} {files['stacks']}",
        "goroutine 1",
        f"generate-core-file {tmp_path / 'core'}",
    ]
    run = run_gdb(gdb_exe, commands, scene, load=True)
    assert files["stacks"].exists(), run.stdout + run.stderr
    space, stacks = (json.loads(files[name].read_text()) for name in ("space", "stacks"))
    assert_of_the_process(space, contained.pid)
    assert_threads(stacks, contained.pid)
    core = Scene("core", contained.program, [f"core-file {tmp_path / 'core'}"])
    run_gdb(gdb_exe, [f"{ask} {files['cored']}"], core, load=True)
    os.unlink(tmp_path / "core")
    cored = json.loads(files["cored"].read_text())
    assert threads_of(cored) == threads_of(stacks)
    fields = ("goid", "status", "pc", "sp", "function")
    assert [[g[f] for f in fields] for g in cored["goroutines"]] == [
        [g[f] for f in fields] for g in stacks["goroutines"]
    ]
