"""`addrspace-gdb crash` on Go programs: the folder has what `dump` says, of faults too, and by the kernel."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import jsonschema
import pytest
from harness.build import Binary, Builder
from harness.command import cli
from harness.corehead import kernel_head
from harness.crashes import crash, meta_of, only
from harness.debuggers import Gdb
from harness.gdbrun import Scene, run_gdb
from harness.held import stop
from harness.processes import Process, Processes
from harness.scenes import attach, gcore, start
from harness.toolchains import Toolchain
from test_direct import MOVES

from addrspace_gdb.shell.crash.installing import Kernel
from addrspace_gdb.views.documents import schema as schemas

FILES = {"meta.json", "maps.txt", "threads.txt", "threads.json", "fault.txt", "goroutine-stacks.txt"} | {
    f"{name}.{ending}" for name in ("memstats", "rss", "regions") for ending in ("txt", "json")
}
ALWAYS = FILES | {"goroutine-stacks.json"}
REST = bytes(range(256)) * 8192


class Stopped:
    """A Go program that stands still, and its core."""

    def __init__(self, live: Process, core: Path) -> None:
        self.pid, self.core = live.pid, core
        self.head = kernel_head(core)


@pytest.fixture(params=("plain", "stripped"))
def stopped(
    request: pytest.FixtureRequest,
    newest_go: Toolchain,
    build_program: Builder,
    processes: Processes,
    oracle_file: Path,
    gdb_exe: Gdb,
    tmp_path: Path,
) -> Iterator[Stopped]:
    """A process that was stopped by a signal, for its core and itself to be the same."""
    binary = build_program("shapes", newest_go, request.param)
    live = stop(start(processes, binary, oracle_file, "quiet"))
    gcore(gdb_exe, attach(live, binary), tmp_path / "core")
    yield Stopped(live, tmp_path / "core")
    os.kill(live.pid, signal.SIGCONT)


def checked(folder: Path) -> Dict[str, Dict[str, Any]]:
    """Every JSON of a crash, by its schema's name; each is what its schema says."""
    found = {}
    for path in folder.glob("*.json"):
        document = json.loads(path.read_text())
        jsonschema.validate(document, schemas.schema(document["schema"]))
        found[document["schema"]] = document
    return found


def without(document: Any, *names: str) -> Any:
    """A document without the keys of these names, wherever they are."""
    if isinstance(document, dict):
        return {key: without(value, *names) for key, value in document.items() if key not in names}
    return [without(value, *names) for value in document] if isinstance(document, list) else document


def dumped(target: object, report: str) -> str:
    done = cli("dump", target, "--report", report, "--debugger", "none", "--format", "json")
    assert done.stdout, done.stderr
    return done.stdout


def test_the_folder_is_what_dump_says(stopped: Stopped, tmp_path: Path) -> None:
    folder = tmp_path / "crashes"
    done = crash(stopped.head + REST, stopped.pid, stopped.pid, 6, "--folder", folder)
    assert (done.returncode, done.stderr) == (0, "")
    kept = only(folder)
    assert {path.name for path in kept.iterdir()} - {"fault.json"} == ALWAYS
    found = checked(kept)
    assert found["crash/1"]["complete"] and found["crash/1"]["go_build_id"]
    for report in ("memstats", "rss", "regions", "goroutine-stacks"):
        text = (kept / f"{report}.json").read_text()
        assert MOVES.sub("", text) == MOVES.sub("", dumped(stopped.pid, report)), report
    # A core does not say what was resident, and nobody has waited any longer in it.
    gone = ("resident", "kind", "executable", "notes", "pid", "wait_time", "age")
    for report in ("memstats", "goroutine-stacks"):
        of_core = json.loads(dumped(stopped.core, report))
        assert without(of_core, *gone) == without(found[f"{report}/1"], *gone)
    shown = cli("crash", "--show", kept)
    assert (
        shown.returncode == 0 and "goroutines" in shown.stdout and found["crash/1"]["command"] in shown.stdout
    )
    assert sum(path.stat().st_size for path in kept.iterdir()) < 1 << 20
    assert Path(f"/proc/{stopped.pid}/status").read_text().split("State:\t")[1][0] == "T"


def test_a_go_program_is_kept_and_handed_on(stopped: Stopped, tmp_path: Path) -> None:
    folder = tmp_path / "crashes"
    folder.mkdir(mode=0o700)
    script = tmp_path / "before"
    script.write_text(f"#!/bin/sh\ncat > {tmp_path}/got\n")
    script.chmod(0o755)
    state = {"core_pattern": f"|{script}", "core_pipe_limit": 0, "ours": "|x"}
    (folder / "before.json").write_text(json.dumps(state))
    data = stopped.head + REST
    done = crash(data, stopped.pid, stopped.pid, 6, "--folder", folder, "--forward")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "got").read_bytes() == data and meta_of(only(folder))["complete"]


def test_a_folder_without_room_says_what_is_missing(stopped: Stopped, tmp_path: Path) -> None:
    folder = tmp_path / "crashes"
    done = crash(stopped.head, stopped.pid, "--folder", folder, "--keep", "40KiB")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and "--keep" in done.stderr
    meta = meta_of(only(folder))
    assert not meta["complete"] and meta["missing"]
    assert sum(path.stat().st_size for path in only(folder).iterdir()) < 60 << 10


FAULTS: List[Tuple[str, str]] = [
    ("nil-read", "nil dereference"),
    ("panic", "panic: a string to panic with"),
    ("index", "index out of range"),
]

# In gdb, which holds the process where it dies: its core's head goes to the command.
HANDED = """
import os, subprocess, sys
sys.path[:0] = {path!r}
from pathlib import Path
from harness.corehead import kernel_head
from harness.crashes import crash
done = crash(kernel_head(Path({core!r})), sys.argv[1], sys.argv[1], 6, "--folder", {folder!r})
print("crash:", done.returncode, done.stderr)
"""


@pytest.mark.parametrize(("how", "cause"), FAULTS)
def test_a_fault_is_told(
    how: str, cause: str, newest_go: Toolchain, build_program: Builder, gdb_exe: Gdb, tmp_path: Path
) -> None:
    binary = build_program("faults", newest_go)
    core, folder, side = tmp_path / "core", tmp_path / "crashes", tmp_path / "side.py"
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    side.write_text(HANDED.format(path=paths, core=str(core), folder=str(folder)))
    enter = [
        "set environment GOTRACEBACK crash",
        "handle SIGSEGV nostop noprint pass",
        f"run {how} </dev/null",
    ]
    python = f"env -u PYTHONHOME -u PYTHONPATH {sys.executable} {side}"
    hand = f"python import os; os.system('{python} %d' % gdb.selected_inferior().pid)"
    scene = Scene("live", binary.path, enter, ("kill",))
    result = run_gdb(gdb_exe, [f"generate-core-file {core}", hand], scene)
    assert "crash: 0 " in result.stdout, result.stdout[-2000:] + result.stderr[-2000:]
    kept = only(folder)
    found = checked(kept)
    assert found["crash/1"]["signal"]["name"] == "SIGABRT" and set(ALWAYS) < {p.name for p in kept.iterdir()}
    assert cause in (kept / "fault.txt").read_text()
    assert cause in cli("crash", "--show", kept).stdout


# By the kernel itself

MAY = "ADDRSPACE_CRASH_TESTS"


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Path]:
    """The kernel calls this checkout's handler; it is put back whatever happens."""
    if os.environ.get(MAY) != "1" or os.geteuid() != 0:
        pytest.skip(f"{MAY}=1 and root: it sets kernel.core_pattern")
    kernel, folder = Kernel(), Path("/tmp") / f"crashes-{os.getpid()}"
    before = kernel.values()
    try:
        done = cli("crash", "--install", "--yes", "--folder", folder)
        assert done.returncode == 0, done.stderr
        assert kernel.values() != before
        yield folder
        assert cli("crash", "--uninstall", "--yes", "--folder", folder).returncode == 0
        assert kernel.values() == before
    finally:
        kernel.set(before)
        subprocess.run(["rm", "-rf", str(folder)], check=False)


def die(binary: Binary, *arguments: str) -> int:
    """Run a program to its death; its pid."""
    process = subprocess.Popen(
        [str(binary.path), *arguments],
        env={**os.environ, "GOTRACEBACK": "crash"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),  # noqa: PLW1509
    )
    assert process.wait(60) == -signal.SIGABRT
    return process.pid


def test_the_kernel_calls_it(installed: Path, newest_go: Toolchain, build_program: Builder) -> None:
    binary = build_program("faults", newest_go)
    for how, cause in FAULTS:
        pid = die(binary, how)
        (kept,) = installed.glob(f"*-faults-{pid}")
        found = checked(kept)
        assert found["crash/1"]["complete"] and found["crash/1"]["signal"]["name"] == "SIGABRT"
        assert cause in (kept / "fault.txt").read_text()
    assert "(this is ours)" in cli("crash", "--status", "--folder", installed).stdout


def test_a_process_in_a_container(
    installed: Path, newest_go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    """Other process ids, and a program that is nowhere to be found outside."""
    root, program = tmp_path / "root", tmp_path / "program"
    root.mkdir()
    program.write_bytes(build_program("faults", newest_go).path.read_bytes())
    program.chmod(0o755)
    inside = "mount -t tmpfs none $0 && cp $1 $0/app && chroot $0 /app nil-read; true"
    command = ["unshare", "-p", "-f", "-m", "sh", "-c", inside, str(root), str(program)]
    done = subprocess.run(
        command, capture_output=True, timeout=60, env={**os.environ, "GOTRACEBACK": "crash"}, check=False
    )
    if done.returncode:
        pytest.skip(f"no namespaces here: {done.stderr.decode()[-200:]}")
    (kept,) = installed.glob("*-app-*")
    meta = checked(kept)["crash/1"]
    assert meta["complete"] and meta["tid"] < meta["pid"] and not (root / "app").exists()
    assert "nil dereference" in (kept / "fault.txt").read_text()
    threads = {row["thread"] for row in checked(kept)["goroutine-stacks/1"]["goroutines"]} - {None}
    assert threads and min(threads) >= meta["pid"]
