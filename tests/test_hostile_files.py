"""Cores, programs and folders with names that somebody else chose, and names that lead to no files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple

import pytest
from harness import CHECKOUT
from harness.build import Binary, Builder
from harness.command import COMMAND, cli
from harness.debuggers import Gdb
from harness.processes import Process, Processes
from harness.scenes import kernel_core
from harness.toolchains import Toolchain, Unavailable

from addrspace_gdb.process.corefile import read_core
from addrspace_gdb.shell.vetting import vet_core, vet_process

EACH_ONCE = True  # not every combination: tests/conftest.py

# Each would run a command if it came into one of gdb's, or is not taken for what it is.
NAMES = {
    "newline": b"prog\n!touch${IFS}PWNED\n",
    "shell": b"a $(touch PWNED) `touch PWNED` | touch PWNED",
    "quotes": b"a \"b\" 'c' \\d\\",
    "blanks": b" leading, trailing \t ",
    "python": b"x\npython open('PWNED', 'w')\n",
    "latin1": b"caf\xe9 \xff\xfe",
    "utf8": "Größe 日本".encode(),
    "dash": b"-ex !touch${IFS}PWNED",
    "control": b"\x1b[31m\x07\x01",
}


class Crashed(NamedTuple):
    """A program in a folder with a hostile name, and the core of its death, which lies elsewhere."""

    program: Path
    core: Path


def run(folder: Path, *arguments: Any, **more: str) -> subprocess.CompletedProcess[bytes]:
    """The command with `folder` as its working directory."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), **more},
    )


def assert_nothing_ran(folder: Path) -> None:
    """No PWNED anywhere below."""
    assert not list(folder.rglob("PWNED*")) and not os.path.exists("PWNED")


def place(folder: Path, name: bytes) -> Path:
    """A folder below `folder` of that name."""
    made = Path(os.fsdecode(os.path.join(os.fsencode(folder), name)))
    made.mkdir()
    return made


@pytest.fixture(scope="module")
def crash(newest_go: Toolchain, build_program: Builder) -> Binary:
    """The program that crashes."""
    return build_program("crash", newest_go)


@pytest.fixture
def crashed(crash: Binary, tmp_path: Path, request: pytest.FixtureRequest) -> Crashed:
    """The program `prog` in a folder named as the parameter says, its core in another such folder."""
    name: bytes = request.param
    home = place(tmp_path, name)
    program = home / os.fsdecode(name)
    shutil.copy(crash.path, program)
    scene = tmp_path / "scene"
    scene.mkdir()
    try:
        made = kernel_core(crash._replace(path=program), scene, tmp_path / "oracle")
    except Unavailable as problem:
        pytest.skip(str(problem))
    elsewhere = place(scene, name) / os.fsdecode(b"core" + name)
    os.rename(made.path, elsewhere)
    return Crashed(program, elsewhere)


@pytest.mark.parametrize("crashed", NAMES.values(), ids=NAMES.keys(), indirect=True)
def test_names_of_cores_and_programs_are_no_commands(crashed: Crashed, tmp_path: Path, gdb_exe: Gdb) -> None:
    """The program's name comes from the core; core, TMPDIR and output have names like it."""
    scratch = place(tmp_path, b"tmp" + os.fsencode(crashed.program.name))
    arguments = ["--gdb", str(gdb_exe.path), "--format", "json"]
    for extra in ([], ["--report", "rss"], ["--report", "goroutine-stacks"], ["--report", "fault"]):
        output = scratch / os.fsdecode(b"out" + os.fsencode(crashed.program.name))
        done = run(tmp_path, "dump", crashed.core, *arguments, *extra, "-o", output, TMPDIR=str(scratch))
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), done.stderr
        found: Dict[str, Any] = json.loads(output.read_bytes())
        assert found["target"]["go_version"].startswith("go1.")
        assert os.listdir(scratch) == [output.name]
        output.unlink()
    assert_nothing_ran(tmp_path)


@pytest.mark.parametrize("crashed", [NAMES["newline"], NAMES["quotes"], NAMES["latin1"]], indirect=True)
def test_what_is_named_on_the_command_line_is_no_command(
    crashed: Crashed, tmp_path: Path, gdb_exe: Gdb
) -> None:
    root = place(tmp_path, b"root" + os.fsencode(crashed.program.name))
    arguments = ["--exe", crashed.program, "--sysroot", root, "--gdb", str(gdb_exe.path)]
    done = run(tmp_path, "dump", crashed.core, *arguments)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"Go Heap" in done.stdout
    told = run(tmp_path, "dump", crashed.core, "--exe", crashed.program.parent, "--gdb", str(gdb_exe.path))
    assert told.returncode == 1 and told.stderr.count(b"\n") == 1 and told.stderr.isascii()
    assert_nothing_ran(tmp_path)


@pytest.mark.parametrize("name", [NAMES["newline"], NAMES["latin1"]], ids=["newline", "latin1"])
def test_a_live_process_with_such_a_name(
    name: bytes,
    newest_go: Toolchain,
    build_program: Builder,
    tmp_path: Path,
    processes: Processes,
    gdb_exe: Gdb,
) -> None:
    program = place(tmp_path, name) / os.fsdecode(name)
    shutil.copy(build_program("sample", newest_go).path, program)
    process = processes.start([str(program), str(tmp_path / "oracle")]).wait_ready()
    for form in ("text", "json"):
        done = run(tmp_path, "dump", str(process.pid), "--gdb", str(gdb_exe.path), "--format", form)
        assert (done.returncode, done.stderr) == (0, b"")
        shown = done.stdout.decode("utf-8")
        assert "heap" in shown.lower()
    assert json.loads(shown)["target"]["executable"].encode("utf-8", "surrogateescape")
    assert_nothing_ran(tmp_path)


def replaced(core: Path, copy: Path, old: bytes, new: bytes) -> int:
    """A copy of the core with one text in place of another of the same length; how often it was there."""
    assert len(old) == len(new)
    data = core.read_bytes()
    copy.write_bytes(data.replace(old, new))
    return data.count(old)


@pytest.fixture
def fifo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], Path]]:
    """Makes a FIFO whose path has that many bytes."""
    made: List[Path] = []

    def make(length: int) -> Path:
        path = Path("/tmp") / ("f" * (length - 5))
        assert len(str(path)) == length
        os.mkfifo(path)
        made.append(path)
        return path

    yield make
    for path in made:
        path.unlink()


@pytest.mark.parametrize("extra", [[], ["--report", "goroutine-stacks"]])
def test_a_fifo_among_the_mapped_files(
    crash: Binary, tmp_path: Path, fifo: Callable[[int], Path], gdb_exe: Gdb, extra: List[str]
) -> None:
    """NT_FILE names it as the program."""
    try:
        core = kernel_core(crash, tmp_path, tmp_path / "oracle").path
    except Unavailable as problem:
        pytest.skip(str(problem))
    name = os.fsencode(str(read_core(str(core)).executable))
    path = fifo(len(name))
    copy = tmp_path / "damaged"
    assert replaced(core, copy, name, os.fsencode(path))
    began = time.monotonic()
    for more in ([], ["--exe", str(crash.path)]):
        done = cli("dump", str(copy), "--gdb", str(gdb_exe.path), *more, *extra)
        assert done.returncode in (0, 1) and done.stderr.count("\n") <= 1, done.stderr
        assert "did nothing" not in done.stderr and (done.stdout or done.stderr)
        assert not more or done.stdout
    assert time.monotonic() - began < 60  # nobody writes to it: whoever opens it waits for ever


def test_a_fifo_in_the_linkers_list(
    newest_go: Toolchain, build_program: Builder, tmp_path: Path, fifo: Callable[[int], Path], gdb_exe: Gdb
) -> None:
    """A link_map's name, in the memory of a core, where the list of mapped files has the library."""
    binary = build_program("faults", newest_go, "cgo")
    core = dynamic_core(binary, tmp_path)
    names = [name for name in link_map_names(core) if b"libc.so" in name]
    assert names
    copy = tmp_path / "damaged"
    assert replaced(core, copy, names[0] + b"\0", os.fsencode(fifo(len(names[0]))) + b"\0")
    done = cli("dump", str(copy), "--gdb", str(gdb_exe.path))
    assert done.returncode in (0, 1) and "did nothing" not in done.stderr
    assert "Go Heap" in done.stdout


def dynamic_core(binary: Binary, folder: Path) -> Path:
    """A core of a program with a dynamic linker: of `sleep`-like cgo programs the kernel writes them too."""
    done = subprocess.run(
        ["bash", "-c", f"ulimit -c unlimited; exec {binary.path} panic"],
        cwd=folder,
        env={**os.environ, "GOTRACEBACK": "crash"},
        capture_output=True,
        check=False,
    )
    cores = list(folder.glob("core*"))
    if not cores:
        pytest.skip(f"no core was written: {done.stderr[-200:]!r}")
    return cores[0]


def link_map_names(core: Path) -> List[bytes]:
    """Absolute paths of libraries in the core's memory."""
    data = core.read_bytes()
    found = set()
    at = data.find(b"/libc.so.6\0")
    while at >= 0:
        start = data.rfind(b"\0", 0, at) + 1
        found.add(data[start : at + len(b"/libc.so.6")])
        at = data.find(b"/libc.so.6\0", at + 1)
    return sorted(name for name in found if name.startswith(b"/"))


def test_vetting_leaves_what_is_well_as_it_is(crash: Binary, tmp_path: Path, sleeper: Process) -> None:
    try:
        core = kernel_core(crash, tmp_path, tmp_path / "oracle").path
    except Unavailable as problem:
        pytest.skip(str(problem))
    assert vet_core(str(core), str(crash.path), None, str(tmp_path / "place")) is None
    assert vet_core(str(core), None, str(tmp_path), str(tmp_path / "place")) == str(tmp_path)
    assert vet_process(sleeper.pid, None, None, str(tmp_path / "place")) is None
    assert not (tmp_path / "place").exists()


def test_vetting_finds_what_the_linker_lists(sleeper: Process, tmp_path: Path) -> None:
    """Against the kernel's own list: below a root without the library's file, a FIFO has its name."""
    libc = ""
    deadline = time.monotonic() + 90
    while not libc:  # it may not have begun to run yet
        assert time.monotonic() < deadline
        with open(f"/proc/{sleeper.pid}/maps") as maps:
            libc = next((line.split()[-1] for line in maps if "libc" in line), "")
    root = tmp_path / "root"
    for name in (libc, libc.replace("/usr/lib", "/lib", 1)):
        (root / name[1:]).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(root / name[1:])
    found = vet_process(sleeper.pid, None, str(root), str(tmp_path / "place"))
    assert found == str(tmp_path / "place")
    assert not any(path.is_fifo() for path in Path(found).rglob("*"))
