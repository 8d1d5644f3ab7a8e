"""An answer is whole or it is not there; streams that are closed or full; signals; what is left in TMPDIR."""

from __future__ import annotations

import os
import random
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator, List

import pytest
from harness import CHECKOUT
from harness.build import Builder
from harness.command import COMMAND, FakeGdb, assert_refused, cli, make_fake_gdb
from harness.debuggers import Gdb
from harness.gdbrun import run_gdb
from harness.held import until_it_catches_signals
from harness.processes import Process, Processes
from harness.scenes import attach, start
from harness.toolchains import Toolchain

from addrspace_gdb.common.files import OutputFile
from addrspace_gdb.common.folders import PREFIX, PrivateFolder, sweep
from addrspace_gdb.common.problems import ProblemError

EACH_ONCE = True  # not every combination: tests/conftest.py

OLD = "the good old file\n"


def in_shell(script: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command in bash: `script` has it as "$@"."""
    return subprocess.run(
        ["bash", "-c", script, "bash", *COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
        cwd=CHECKOUT,
        env={**os.environ, **more},
    )


@pytest.fixture
def live(newest_go: Toolchain, build_program: Builder, processes: Processes, oracle_file: Path) -> Process:
    """A Go program that runs."""
    return start(processes, build_program("sample", newest_go), oracle_file)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """An output file of an earlier run."""
    path = tmp_path / "out" / "file"
    path.parent.mkdir()
    path.write_text(OLD)
    return path


@pytest.fixture
def small_tmp(tmp_path: Path) -> Iterator[Path]:
    """A file system with 16 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "none", str(place)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def assert_old_is_left(old: Path) -> None:
    """The file is as it was, and nothing lies beside it."""
    assert old.read_text() == OLD
    assert os.listdir(old.parent) == [old.name]


def test_a_full_tmpdir_leaves_the_old_file(live: Process, old: Path, small_tmp: Path, gdb_exe: Gdb) -> None:
    arguments = ["dump", str(live.pid), "--format", "json", "--gdb", str(gdb_exe.path), "-o", str(old)]
    done = cli(*arguments, TMPDIR=str(small_tmp))
    assert_refused(done, r"cannot finish the answer: .*No space left on device")
    assert_old_is_left(old)
    assert os.listdir(small_tmp) == [] and live.running()


def test_a_full_disk_leaves_the_old_file(live: Process, small_tmp: Path) -> None:
    output = small_tmp / "file"
    output.write_text(OLD)
    done = cli("dump", str(live.pid), "--format", "json", "-o", str(output))
    assert_refused(done, rf"cannot write {output}: No space left on device")
    assert_old_is_left(output)


@pytest.mark.parametrize("where", ["out", "gdb"])
def test_a_limit_of_file_sizes_leaves_the_old_file(
    live: Process, old: Path, where: str, gdb_exe: Gdb
) -> None:
    blocks = {"out": 16, "gdb": 4}[where]  # of 1 KiB: the answer has more, gdb's own words fit
    arguments = ["dump", str(live.pid), "--format", "json", "--gdb", str(gdb_exe.path), "-o", str(old)]
    done = in_shell(f'ulimit -f {blocks}; exec "$@"', *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"addrspace-gdb: cannot \w+ .*: File too large\n", done.stderr), done.stderr
    assert_old_is_left(old)


def test_a_killed_gdb_leaves_the_old_file(sleeper: Process, old: Path, fake_gdb: FakeGdb) -> None:
    gdb = fake_gdb(
        "file = open(request['result'] + '.part', 'w'); file.write('half'); file.flush()", "os.abort()"
    )
    done = cli("dump", str(sleeper.pid), "--gdb", gdb, "-o", str(old))
    assert_refused(done, "gdb was ended by signal 6")
    assert_old_is_left(old)
    done = cli("dump", str(sleeper.pid), "--gdb", gdb)
    assert_refused(done, "gdb was ended by signal 6")


def test_the_input_is_not_the_output(sleeper: Process, tmp_path: Path, fake_gdb: FakeGdb) -> None:
    core = tmp_path / "core"
    core.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x04\0\x3e\0" + bytes(100))
    link = tmp_path / "link"
    link.symlink_to("core")
    before = core.read_bytes()
    for output in (core, link, tmp_path / "." / "core"):
        done = cli("dump", str(core), "-o", str(output))
        assert_refused(done, rf"cannot write .*: it is what is read \({core}\); name another file")
    program = tmp_path / "program"
    program.write_bytes(Path("/bin/true").read_bytes())
    done = cli("dump", str(sleeper.pid), "--exe", str(program), "-o", str(program))
    assert_refused(done, rf"cannot write .*: it is what is read \({program}\); name another file")
    dump = tmp_path / "a.json"
    dump.write_text("{}")
    for command in ("diff", "compare"):
        done = cli(command, str(dump), str(dump), "-o", str(dump))
        assert_refused(done, rf"cannot write .*: it is what is read \({dump}\); name another file")
    assert core.read_bytes() == before and dump.read_text() == "{}"


@pytest.mark.parametrize("inside", [False, True])
def test_links_and_modes_stay(
    live: Process, newest_go: Toolchain, build_program: Builder, old: Path, gdb_exe: Gdb, inside: bool
) -> None:
    """From the shell, and by --output inside gdb: there is one writer."""
    old.chmod(0o600)
    link = old.parent.parent / "link"
    link.symlink_to(Path("out") / "file")
    if inside:
        scene = attach(live, build_program("sample", newest_go))
        run = run_gdb(gdb_exe, [f"addrspace --output {link}"], scene, load=True)
        assert run.status == 0, run.stderr
    else:
        done = cli("dump", str(live.pid), "-o", str(link), "--gdb", str(gdb_exe.path))
        assert (done.returncode, done.stderr) == (0, "")
    assert link.is_symlink() and "Go Heap" in old.read_text(encoding="utf-8")
    assert stat.S_IMODE(old.stat().st_mode) == 0o600
    assert os.listdir(old.parent) == [old.name]


def test_an_answer_that_fails_on_the_way_changes_nothing(old: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise ProblemError("no more")

    with pytest.raises(ProblemError, match="no more"):
        OutputFile(str(old)).write(pieces())
    assert_old_is_left(old)


def test_a_pipe_as_output(tmp_path: Path, sleeper: Process, fake_gdb: FakeGdb) -> None:
    """What a user names on purpose is written to, whole."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    gdb = fake_gdb("open(request['result'], 'w').write('x' * 300_000)")
    read = tmp_path / "read"
    with open(read, "wb") as file, subprocess.Popen(["cat", str(pipe)], stdout=file):
        done = cli("dump", str(sleeper.pid), "--gdb", gdb, "-o", str(pipe))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert read.read_bytes() == b"x" * 300_000


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams(sleeper: Process, old: Path, fake_gdb: FakeGdb, closed: str) -> None:
    """A crash handler has none of them."""
    gdb = fake_gdb("open(request['result'], 'w').write('answer')")
    done = in_shell(f'"$@" {closed}', "dump", str(sleeper.pid), "--gdb", gdb, "-o", str(old))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert old.read_text() == "answer"
    done = in_shell(f'"$@" {closed}', "dump", str(sleeper.pid), "--gdb", gdb)
    if ">&-" in closed.replace("2>&-", ""):
        told = "addrspace-gdb: there is no standard output; name a file: -o FILE\n"
        assert (done.returncode, done.stdout, done.stderr) == (1, "", "" if "2>&-" in closed else told)
    else:
        assert (done.returncode, done.stdout) == (0, "answer")


@pytest.mark.parametrize(
    "command", [["init"], ["dump", "0"], ["diff", "/none", "/none"], ["--help"], ["dump"]]
)
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", ">/dev/full", ">/dev/full 2>/dev/full"])
def test_no_traceback_without_streams(command: List[str], closed: str) -> None:
    done = in_shell(f'"$@" {closed}', *command)
    assert done.returncode in (0, 1, 2, 120)
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("addrspace-gdb: ")]) <= 1


def test_a_full_standard_output(sleeper: Process, fake_gdb: FakeGdb) -> None:
    gdb = fake_gdb("open(request['result'], 'w').write('answer')")
    done = in_shell('"$@" >/dev/full', "dump", str(sleeper.pid), "--gdb", gdb)
    assert_refused(done, "cannot write to standard output: No space left on device")


def test_no_home_and_hardly_any_environment(live: Process) -> None:
    done = subprocess.run(
        ["env", "-i", f"PATH={os.environ['PATH']}", *COMMAND, "dump", str(live.pid)],
        stdin=subprocess.DEVNULL, capture_output=True, cwd=CHECKOUT, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"Go Heap" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_any_moment(
    number: signal.Signals, processes: Processes, tmp_path: Path, live: Process, gdb_exe: Gdb
) -> None:
    """12 seeded moments: the status, no word, nothing left behind; or the answer, if it was done."""
    rng = random.Random(int(number))
    script = (
        f"trap - INT HUP; exec {shlex.join(COMMAND)} dump {live.pid} --gdb {shlex.quote(str(gdb_exe.path))}"
    )
    for _ in range(12):
        command = processes.start(["bash", "-c", script], cwd=CHECKOUT, env={"TMPDIR": str(tmp_path)})
        until_it_catches_signals(command.pid)
        moment = rng.uniform(0, 0.4)
        time.sleep(moment)
        command.popen.send_signal(number)
        output, errors = command.popen.communicate(timeout=60)
        assert errors == b"", f"after {moment:.3f} s"
        # -number: it came before Python had begun with us, which a shell shows as 128 + number too.
        assert command.popen.returncode in (128 + number, 0, -number)
        assert command.popen.returncode or b"Go Heap" in output
        assert live.running() and not list(tmp_path.glob(PREFIX + "*"))


def test_a_python_without_the_packages(tmp_path: Path) -> None:
    """A checkout takes them from its own .venv; where there is none, one line says what to run."""
    shutil.copytree(CHECKOUT / "addrspace_gdb", tmp_path / "addrspace_gdb")
    command = [sys.executable, "-S", "-m", "addrspace_gdb", "dump", str(os.getpid())]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "addrspace-gdb: this Python lacks pyelftools, pygments, tabulate; to get what is missing run: "
        f"{sys.executable} -m pip install pyelftools pygments tabulate\n"
    )
    (tmp_path / ".venv").symlink_to(sys.prefix)
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1 and "is not a Go program" in done.stderr, done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_when_all_is_done(number: signal.Signals) -> None:
    code = f"""
import os, sys
from addrspace_gdb import __main__
from addrspace_gdb.shell import cli

def late(real=cli.main):
    status = real(["init"])
    os.kill(os.getpid(), {int(number)})
    return status

cli.main = late
sys.exit(__main__.main())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, cwd=CHECKOUT,
        check=False,
        preexec_fn=lambda: [signal.signal(one, signal.SIG_DFL) for one in (signal.SIGINT, signal.SIGHUP)],
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (128 + number, b"")
    assert done.stdout.startswith(b"source ")


def test_a_signal_while_unpacking(tmp_path: Path, processes: Processes, fake_gdb: FakeGdb) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    make_fake_gdb(tools / "gdb")
    (tools / "zstd").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    (tools / "zstd").chmod(0o755)
    for magic in (b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08"):
        core = tmp_path / "core"
        core.write_bytes(magic + bytes(60))
        command = processes.start(
            [*COMMAND, "dump", str(core)], cwd=CHECKOUT, env={"PATH": str(tools), "TMPDIR": str(tmp_path)}
        )
        if magic[0] == 0x28:
            while not list(tmp_path.glob(f"{PREFIX}*/unpacked")):
                time.sleep(0.01)
            command.popen.terminate()
            output, errors = command.popen.communicate(timeout=60)
            assert (command.popen.returncode, output, errors) == (143, b"", b"")
        else:
            command.popen.communicate(timeout=60)
            assert command.popen.returncode == 1
        assert not list(tmp_path.glob(PREFIX + "*"))


def test_what_sigkill_leaves_is_swept(
    tmp_path: Path, processes: Processes, sleeper: Process, fake_gdb: FakeGdb
) -> None:
    gdb = fake_gdb("import time; open('begun', 'w'); time.sleep(60)")
    arguments = ["dump", str(sleeper.pid), "--gdb", gdb]
    command = processes.start([*COMMAND, *arguments], cwd=CHECKOUT, env={"TMPDIR": str(tmp_path)})
    while not list(tmp_path.glob(f"{PREFIX}*/begun")):
        time.sleep(0.02)
    (left,) = tmp_path.glob(PREFIX + "*")
    sweep(str(tmp_path))
    assert left.exists()  # it is in use
    children = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
    for pid in (command.pid, *map(int, children)):  # the command and its keeper, which would have removed it
        os.kill(pid, signal.SIGKILL)
    command.popen.communicate(timeout=90)
    others = [tmp_path / (PREFIX + "core-notes"), tmp_path / (PREFIX + "abcdefgh")]
    for other in others:
        other.mkdir()
    others[1].chmod(0o755)  # not as this project makes them
    assert left.exists()
    fast = make_fake_gdb(tmp_path / "fast", "open(request['result'], 'w').write('answer')")
    done = cli("dump", str(sleeper.pid), "--gdb", fast, TMPDIR=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "answer")
    assert not left.exists() and all(other.exists() for other in others)


def test_the_keeper_takes_the_folder_away_when_the_command_is_killed(
    tmp_path: Path, processes: Processes, sleeper: Process, fake_gdb: FakeGdb
) -> None:
    gdb = fake_gdb("import time; open('begun', 'w'); time.sleep(60)")
    command = processes.start(
        [*COMMAND, "dump", str(sleeper.pid), "--gdb", gdb], cwd=CHECKOUT, env={"TMPDIR": str(tmp_path)}
    )
    while not list(tmp_path.glob(f"{PREFIX}*/begun")):
        time.sleep(0.02)
    command.popen.kill()
    deadline = time.monotonic() + 90
    while list(tmp_path.glob(PREFIX + "*")):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_two_private_folders_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with PrivateFolder() as one, PrivateFolder() as other:
        assert one != other and one.is_dir() and other.is_dir()
        assert stat.S_IMODE(one.stat().st_mode) == 0o700
    assert os.listdir(tmp_path) == []
