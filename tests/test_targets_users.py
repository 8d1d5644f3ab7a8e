"""gdb and the process belong to somebody without privileges: the numbers are the kernel's, or unknown."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence

import invariants
import pytest
from harness import CHECKOUT
from harness.build import Builder
from harness.command import assert_refused
from harness.debuggers import Gdb
from harness.gdbrun import EARLY, SETTINGS, environment
from harness.held import stop
from harness.processes import Process, Processes
from harness.smaps import smaps
from harness.toolchains import Toolchain

from addrspace_gdb.debugger.direct.live import LiveTarget
from addrspace_gdb.shell import precheck
from addrspace_gdb.shell.hints import SHELL

EACH_ONCE = True  # not every combination: tests/conftest.py

Json = Dict[str, Any]
NOBODY = 65534
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
DEPENDENCIES = ("pygments", "tabulate", "elftools")

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can become somebody else"
)


class Place(NamedTuple):
    """For nobody to read: the package and what it needs, a program, and a home that cannot be written to."""

    root: Path
    loader: Path
    program: Path
    out: Path  # where nobody may write


@pytest.fixture(scope="module")
def place(newest_go: Toolchain, build_program: Builder) -> Iterator[Place]:
    root = Path(tempfile.mkdtemp(prefix="addrspace-users-"))
    try:
        root.chmod(0o755)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(CHECKOUT / "addrspace_gdb", root / "addrspace_gdb", ignore=ignored)
        for name in DEPENDENCIES:
            found = importlib.util.find_spec(name)
            assert found and found.submodule_search_locations
            shutil.copytree(found.submodule_search_locations[0], root / name, ignore=ignored)
        for name in ("home", "out"):
            (root / name).mkdir()
        os.chown(root / "out", NOBODY, NOBODY)
        shutil.copy(build_program("shapes", newest_go, "stripped").path, root / "app")
        yield Place(root, root / "addrspace_gdb" / "load.py", root / "app", root / "out")
    finally:
        shutil.rmtree(root)


@pytest.fixture
def running(place: Place, processes: Processes) -> Process:
    """The program, run by nobody."""
    return processes.start([*AS_NOBODY, str(place.program), str(place.out / "oracle")]).wait_ready()


def asked(gdb: Gdb, place: Place, pid: int, commands: Sequence[str], hide: Sequence[str] = ()) -> str:
    """What gdb, run by nobody in a mount namespace where the files `hide` of /proc/PID cannot be opened,
    prints on stderr. gdb may not write its cache or any compiled module."""
    locked = place.root / "locked"
    locked.touch(mode=0)
    lines = [f"attach {pid}", f"source {place.loader}", *commands, "detach"]
    command: List[str] = [*AS_NOBODY, str(gdb.path), "-nx", "-q", "-batch"]
    command += [a for line in EARLY for a in ("-iex", line)]
    command += [a for line in [*SETTINGS, *lines] for a in ("-ex", line)]
    mounts = [f"mount --bind {locked} /proc/{pid}/{name}" for name in hide]
    script = " && ".join([*mounts, 'exec "$@"'])
    env = environment({"HOME": str(place.root / "home")})
    env.pop("PYTHONDONTWRITEBYTECODE")
    if subprocess.run([*AS_NOBODY, str(gdb.path), "--version"], capture_output=True, check=False).returncode:
        pytest.skip(f"others may not run {gdb.path}")
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        cwd="/",
        env=env,
    )
    assert not list(place.root.rglob("__pycache__")) and not list((place.root / "home").iterdir())
    assert "Traceback" not in done.stderr
    return done.stderr


def snapshot(gdb: Gdb, place: Place, process: Process, *hide: str) -> Json:
    """`addrspace --check` of it, and nothing went wrong."""
    file = place.out / "space.json"
    file.unlink(missing_ok=True)
    errors = asked(gdb, place, process.pid, [f"addrspace --check --format json --output {file}"], hide)
    assert file.exists(), errors
    document: Json = json.loads(file.read_text())
    invariants.assert_valid(document)
    invariants.assert_covers(document)
    invariants.assert_checks_ok(document)
    return document


def test_every_number_is_the_kernel_s(gdb_exe: Gdb, place: Place, running: Process) -> None:
    """pagemap shows which pages are there, and no page frame."""
    stop(running)  # or it touches more of its code
    document = snapshot(gdb_exe, place, running)
    invariants.assert_no_problems(document)
    invariants.assert_resident_of_mappings(document)
    assert not [region for region in document["regions"] if region["resident"] is None]
    rss = {smap.start: smap.rss for smap in smaps(running.pid) if "Go" not in smap.path}
    files = [m for m in document["mappings"] if (m["file"] or "").endswith("/app")]
    assert files and all(
        m["resident"] == rss[int(m["start"], 16)] for m in files if m["permissions"] == "r-xp"
    )
    os.kill(running.pid, signal.SIGCONT)
    assert running.running()


def test_without_pagemap_mappings_are_known_and_parts_of_them_not(
    gdb_exe: Gdb, place: Place, running: Process
) -> None:
    document = snapshot(gdb_exe, place, running, "pagemap")
    invariants.assert_no_problems(document)
    assert [note for note in document["notes"] if "pagemap cannot be read: Permission denied" in note]
    whole = [m for m in document["mappings"] if m["resident"] is None]
    parts = [r for r in document["regions"] if r["resident"] is None]
    assert whole == [] and parts


def test_without_smaps_too_nothing_is_known(gdb_exe: Gdb, place: Place, running: Process) -> None:
    document = snapshot(gdb_exe, place, running, "pagemap", "smaps")
    assert {m["resident"] for m in document["mappings"]} == {None}
    assert {area["resident"] for area in document["areas"]} == {None}
    assert [note for note in document["notes"] if "smaps cannot be read: Permission denied" in note]


def test_without_maps_there_is_one_line(gdb_exe: Gdb, place: Place, running: Process) -> None:
    for command in ("addrspace", "addrspace rss", "goroutine-stacks"):
        errors = asked(gdb_exe, place, running.pid, [command], ["maps"])
        ours = [line for line in errors.splitlines() if line.startswith("addrspace: ")]
        assert len(ours) == 1
        assert "mappings cannot be read" in ours[0]
        if command != "goroutine-stacks":  # which needs them for want of symbols only
            assert ours[0].endswith(f"cannot be read (/proc/{running.pid}/maps): Permission denied")


def test_a_process_that_is_hidden(running: Process, processes: Processes) -> None:
    """hidepid hides what belongs to others, from all but root."""
    other = processes.start(["sleep", "60"])
    code = f"""
import os, subprocess
from addrspace_gdb.shell.precheck import check_process
from addrspace_gdb.common.problems import ProblemError
subprocess.run(["mount", "-t", "proc", "-o", "hidepid=2", "proc", "/proc"], check=True)
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
for pid in {running.pid}, {other.pid}:
    try:
        check_process(pid)
        print("may be looked at")
    except ProblemError as problem:
        print(problem)
"""
    command = ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", code]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=60)
    if "mount" in done.stderr:
        pytest.skip(f"no /proc with hidepid: {done.stderr.splitlines()[-1]}")
    assert done.stdout.splitlines() == [
        "may be looked at",
        f"there is no process {other.pid}, or it is another user's and hidden (hidepid)",
    ]


# Without a debugger: what is missing is said in one line, and nothing is left stopped.

PYTHON = "/usr/bin/python3"  # which others may run too
UNDUMPABLE = "import ctypes, time; ctypes.CDLL(None).prctl(4, 0); print('ready', flush=True); time.sleep(60)"
WITHOUT_RIGHTS = ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"]


def dumped(place: Place, how: Sequence[str], pid: int) -> subprocess.CompletedProcess[str]:
    """The command, run that way, on a process."""
    if not os.access(PYTHON, os.X_OK):
        pytest.skip(f"no {PYTHON}")
    return subprocess.run(
        [*how, PYTHON, "-m", "addrspace_gdb", "dump", str(pid), "--debugger", "none"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=place.root,
        env={"PATH": os.environ["PATH"], "TMPDIR": str(place.out), "PYTHONDONTWRITEBYTECODE": "1"},
    )


def assert_refused_and_runs(done: subprocess.CompletedProcess[str], process: Process, why: str) -> None:
    assert_refused(done, rf"no permission to look into process {process.pid} \(\S+\): {why}")
    assert process.state() in "RSD" and tracer(process.pid) == "0"


def tracer(pid: int) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith("TracerPid:"))


def test_nobody_dumps_a_process_of_its_own(place: Place, running: Process) -> None:
    done = dumped(place, AS_NOBODY, running.pid)
    assert (done.returncode, done.stderr) == (0, "") and "Goroutine Stacks" in done.stdout
    assert process_goes_on(running)


def process_goes_on(process: Process) -> bool:
    return process.running() and tracer(process.pid) == "0"


def test_a_process_of_somebody_else(place: Place, sleeper: Process) -> None:
    done = dumped(place, AS_NOBODY, sleeper.pid)
    assert_refused_and_runs(done, sleeper, "it belongs to user id 0; run as that user, or as root")


def test_root_without_the_capability(place: Place, running: Process) -> None:
    done = dumped(place, WITHOUT_RIGHTS, running.pid)
    assert_refused_and_runs(done, running, r"root lacks the capability SYS_PTRACE here \(.*\)")


def test_a_process_that_forbids_it(place: Place, processes: Processes) -> None:
    process = processes.start([*AS_NOBODY, PYTHON, "-c", UNDUMPABLE]).wait_ready()
    done = dumped(place, AS_NOBODY, process.pid)
    assert_refused_and_runs(done, process, r"it has forbidden that \(PR_SET_DUMPABLE\), or .*; run as root")


def test_from_a_user_namespace(place: Place, running: Process) -> None:
    """Where the command is root, and of the same user outside."""
    how = [*AS_NOBODY, "unshare", "--user", "--map-root-user"]
    if subprocess.run([*how, "true"], check=False, capture_output=True).returncode:
        pytest.skip("others may not make user namespaces here")
    why = "it is outside of the user namespace of addrspace-gdb; run that outside too"
    assert_refused_and_runs(dumped(place, how, running.pid), running, why)


def test_a_process_in_a_user_namespace(place: Place, processes: Processes) -> None:
    """Root of the machine may, and so may who made it."""
    how = [*AS_NOBODY, "unshare", "--user", "--map-root-user"]
    if subprocess.run([*how, "true"], check=False, capture_output=True).returncode:
        pytest.skip("others may not make user namespaces here")
    process = processes.start([*how, str(place.program), str(place.out / "oracle")]).wait_ready()
    for who in ([], AS_NOBODY):
        done = dumped(place, who, process.pid)
        assert (done.returncode, done.stderr) == (0, "") and "Goroutine Stacks" in done.stdout
        assert process_goes_on(process)


def test_a_process_that_is_traced_already(place: Place, running: Process) -> None:
    target = LiveTarget(running.pid, None, SHELL)
    target.hold(10, lambda: "late")
    try:
        done = dumped(place, AS_NOBODY, running.pid)
        assert tracer(running.pid) == str(os.getpid())
    finally:
        target.release()
    by = rf"process {running.pid} \(app\) is already being debugged by process {os.getpid()} \(.+\)"
    assert_refused(done, by)
    assert process_goes_on(running)


SCOPES = [("1", "allows that to its parent only"), ("2", "wants the capability"), ("3", "forbids it")]


@pytest.mark.parametrize(("scope", "why"), SCOPES)
def test_yama(scope: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which this machine may not have."""
    words = {"/proc/self/uid_map": "0 0 4294967295", "/proc/sys/kernel/yama/ptrace_scope": scope}
    monkeypatch.setattr(precheck, "_word", words.__getitem__)
    monkeypatch.setattr(precheck, "_is_not_dumpable", lambda pid, owner: False)
    line = precheck._missing(1, str(NOBODY), str(NOBODY))
    assert line.startswith(f"kernel.yama.ptrace_scope = {scope} {why}")
    monkeypatch.setattr(precheck, "_may_trace", lambda: True)
    of_root = precheck._missing(1, "0", "0")
    assert of_root == line if scope == "3" else "a sandbox or security module" in of_root
