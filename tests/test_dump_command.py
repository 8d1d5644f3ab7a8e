"""The shell's side of `addrspace-gdb dump`: what is refused before gdb starts, and how gdb's end is told."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import List

import pytest
from harness import CHECKOUT
from harness.command import COMMAND, FakeGdb, assert_refused, cli
from harness.debuggers import Gdb
from harness.processes import INTERRUPTIBLE, Process, Processes

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.shell.precheck import check_process

EACH_ONCE = True  # not every combination: tests/conftest.py


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["draw"],
        ["dump"],
        ["dump", "1", "2"],
        ["dump", "1", "--format", "xml"],
        ["dump", "1", "--width", "9"],
    ],
)
def test_wrong_usage_is_status_2(arguments: List[str]) -> None:
    done = cli(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"addrspace-gdb: .*--help`\)\n", done.stderr)


def test_no_such_process() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert_refused(cli("dump", str(gone.pid)), f"there is no process {gone.pid}")
    assert_refused(cli("dump", "0"), "there is no process 0")
    assert_refused(cli("dump", "9" * 5000), r"there is no process 9{39}\.\.\.")


def test_an_exited_process_that_nobody_has_waited_for() -> None:
    with subprocess.Popen(["true"], stdin=subprocess.DEVNULL) as zombie:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        assert_refused(cli("dump", str(zombie.pid)), rf"process {zombie.pid} \(true\) has exited .*")


def test_a_thread_is_not_a_process(processes: Processes) -> None:
    code = "import threading as t, time\nt.Thread(target=time.sleep, args=[60]).start()\n"
    code += "print('ready', flush=True)"
    threaded = processes.start([sys.executable, "-c", code]).wait_ready()
    threads = {int(entry.name) for entry in Path(f"/proc/{threaded.pid}/task").iterdir()}
    (thread,) = threads - {threaded.pid}
    assert_refused(
        cli("dump", str(thread)), f"{thread} is a thread of process {threaded.pid}; give {threaded.pid}"
    )


def test_itself() -> None:
    code = (
        "import os, sys; from addrspace_gdb.shell.cli import main; sys.exit(main(['dump', str(os.getpid())]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert_refused(done, r"process \d+ is addrspace-gdb itself")


def test_a_process_under_another_debugger(gdb_exe: Gdb, sleeper: Process, processes: Processes) -> None:
    commands = ["-ex", f"attach {sleeper.pid}", "-ex", r"echo ready\n", "-ex", "shell sleep 60"]
    other = processes.start([str(gdb_exe.path), "-nx", "-q", "-batch", *commands]).wait_ready()
    try:
        done = cli("dump", str(sleeper.pid))
    finally:
        other.kill()  # before the process it holds
    assert_refused(
        done, rf"process {sleeper.pid} \(sleep\) is already being debugged by process {other.pid} \(.+\)"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_no_permission(sleeper: Process) -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgid(65534)
        os.setuid(65534)
        try:
            check_process(sleeper.pid)
        except ProblemError as problem:
            os.write(writer, str(problem).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with open(reader) as answer:
        expected = rf"no permission to look into process {sleeper.pid} \(sleep\): it belongs to user id 0; .*"
        assert re.fullmatch(expected, answer.read())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"\x7fELF", "is not a core file"),
        (b"some text\n" * 9, "is not a core file"),
        (b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\0\x3e\0", "is a program, not a core file; .* --exe"),
    ],
)
def test_not_a_core(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "core \x1b[31m"
    path.write_bytes(content)
    shown = re.escape(str(path).replace("\x1b", r"\x1b"))
    assert_refused(cli("dump", str(path)), f"{shown} {expected}")


def test_a_core_that_cannot_be_read(tmp_path: Path) -> None:
    assert_refused(
        cli("dump", str(tmp_path / "none")), f"cannot read {tmp_path}/none: No such file or directory"
    )
    assert_refused(cli("dump", str(tmp_path)), f"{tmp_path} is not a regular file")
    os.mkfifo(tmp_path / "pipe")
    assert_refused(cli("dump", str(tmp_path / "pipe")), f"{tmp_path}/pipe is not a regular file")


def test_an_executable_that_is_none(sleeper: Process) -> None:
    assert_refused(cli("dump", str(sleeper.pid), "--exe", __file__), f"{__file__} is not an ELF executable")


def test_a_gdb_that_is_none(sleeper: Process) -> None:
    assert_refused(
        cli("dump", str(sleeper.pid), "--gdb", "/none"), "--gdb: /none is not a program that can be run"
    )
    assert_refused(
        cli("dump", str(sleeper.pid), "--debugger", "gdb", ADDRSPACE_GDB="/none"),
        r"\$ADDRSPACE_GDB: /none is not a program that can be run",
    )


@pytest.mark.parametrize(("place", "why"), [("none/out", "no directory {}/none"), ("", "it is a directory")])
def test_an_unwritable_output_is_found_before_gdb_starts(
    tmp_path: Path, sleeper: Process, fake_gdb: FakeGdb, place: str, why: str
) -> None:
    gdb = fake_gdb(f"open({str(tmp_path / 'started')!r}, 'w')")
    output = f"{tmp_path}/{place}"
    expected = f"cannot write {output}: {why.format(tmp_path)}"
    assert_refused(cli("dump", str(sleeper.pid), "--gdb", gdb, "-o", output), expected)
    assert not (tmp_path / "started").exists()


def test_what_is_asked_reaches_gdb(tmp_path: Path, sleeper: Process, fake_gdb: FakeGdb) -> None:
    gdb = fake_gdb(
        "json.dump(request, open(request['result'], 'w'))",
        "assert os.stat(request['result']).st_mode & 0o77 == 0",
        "assert not {'PYTHONPATH', 'PYTHONHOME', 'DEBUGINFOD_URLS'} & set(os.environ)",
        "assert sys.argv[-1] == '/bin/sh' and os.path.exists(os.readlink('load.py'))",
    )
    options = ["--format", "classic", "--check", "--stats", "--ascii", "--width", "72", "--exe", "/bin/sh"]
    arguments = ["dump", str(sleeper.pid), "--gdb", gdb, *options]
    done = cli(*arguments, PYTHONPATH="/none", DEBUGINFOD_URLS="http://[::1]:1/")
    assert (done.returncode, done.stderr) == (0, "")
    request = json.loads(done.stdout)
    answers = [Path(request.pop(key)) for key in ("result", "problems", "notes")]
    assert request == {
        "pid": sleeper.pid,
        "typed": str(sleeper.pid),
        "core": None,
        "shown": None,
        "exe": "/bin/sh",
        "sysroot": False,
        "report": None,
        "format": "classic",
        "check": True,
        "stacks": False,
        "stats": True,
        "ascii": True,
        "width": 72,
        "height": None,
        "color": False,
    }
    assert not any(path.parent.exists() for path in answers)


def test_output_appears_whole_or_not_at_all(tmp_path: Path, sleeper: Process, fake_gdb: FakeGdb) -> None:
    output = tmp_path / "out" / "file"
    output.parent.mkdir()
    output.write_text("before")
    output.chmod(0o640)
    arguments = ["dump", str(sleeper.pid), "-o", str(output), "--gdb"]
    assert cli(*arguments, fake_gdb("sys.exit(1)")).returncode == 1
    assert output.read_text() == "before"

    done = cli(*arguments, fake_gdb("open(request['result'], 'w').write('after')"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert output.read_text() == "after"
    assert stat.S_IMODE(output.stat().st_mode) == 0o640
    assert os.listdir(output.parent) == ["file"]


def test_problems_are_lines_and_status_1(sleeper: Process, fake_gdb: FakeGdb) -> None:
    gdb = fake_gdb(
        "open(request['result'], 'w').write('what could be read\\n')",
        "open(request['problems'], 'w').write('one \\x1b[2J\\ntwo\\n')",
        "print('noise'); sys.exit(1)",
    )
    done = cli("dump", str(sleeper.pid), "--gdb", gdb)
    assert (done.returncode, done.stdout) == (1, "what could be read\n")
    assert done.stderr == "addrspace-gdb: one \\x1b[2J\naddrspace-gdb: two\n"


def test_gdbs_sudden_death_is_one_line(sleeper: Process, fake_gdb: FakeGdb) -> None:
    gdb = fake_gdb("sys.stderr.write('warning\\nlast words\\n'); sys.stderr.flush(); os.abort()")
    done = cli("dump", str(sleeper.pid), "--gdb", gdb)
    assert_refused(done, f"gdb was ended by signal {int(signal.SIGABRT)}: last words")


def test_a_gdb_that_does_not_start(sleeper: Process, tmp_path: Path) -> None:
    gdb = tmp_path / "gdb"
    gdb.write_text("#!/no/such/interpreter\n")
    gdb.chmod(0o755)
    done = cli("dump", str(sleeper.pid), "--gdb", str(gdb))
    assert_refused(done, "gdb cannot be started: No such file or directory")


def test_a_crash_of_gdb_is_told_with_its_reason(sleeper: Process, fake_gdb: FakeGdb) -> None:
    """Not with the address to which such things are to be reported, which gdb says last."""
    said = [
        "warning: something", "", "Fatal signal: Segmentation fault", "----- Backtrace -----",
        "0x55d1c0ffee ???", "-----", "A fatal error internal to GDB has been detected, further",
        "debugging is not possible.  GDB will now terminate.", "",
        "This is a bug, please report it.  For instructions, see:", "<https://www.gnu.org/software/gdb/bugs/>.",
    ]  # fmt: skip
    gdb = fake_gdb(
        f"sys.stderr.write({chr(10).join(said)!r}); sys.stderr.flush()", "os.kill(os.getpid(), 11)"
    )
    done = cli("dump", str(sleeper.pid), "--gdb", gdb)
    assert_refused(done, "gdb was ended by signal 11: Fatal signal: Segmentation fault")


def test_a_reader_that_goes_away_is_no_error(sleeper: Process, fake_gdb: FakeGdb) -> None:
    gdb = fake_gdb("open(request['result'], 'w').write('line\\n' * 1_000_000)")
    command = shlex.join([*COMMAND, "dump", str(sleeper.pid), "--gdb", gdb])
    script = f"{command} | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("line\n0\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_dump_lets_the_process_go(
    tmp_path: Path,
    gdb_exe: Gdb,
    sleeper: Process,
    processes: Processes,
    fake_gdb: FakeGdb,
    number: signal.Signals,
) -> None:
    # A real gdb that is attached, and busy.
    attach = ["-ex", f"attach {sleeper.pid}", "-ex", "python import time; time.sleep(60)"]
    command = [str(gdb_exe.path), "-nx", "-q", "-batch", *attach]
    gdb = fake_gdb(f"os.execv({command[0]!r}, {command!r})")
    arguments = ["dump", str(sleeper.pid), "--gdb", gdb]
    environment = {"TMPDIR": str(tmp_path)}
    dump = processes.start([sys.executable, "-c", INTERRUPTIBLE, *arguments], cwd=CHECKOUT, env=environment)
    deadline = time.monotonic() + 90
    while sleeper.state() != "t":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    dump.popen.send_signal(number)
    _, errors = dump.popen.communicate(timeout=45)
    assert (dump.popen.returncode, errors) == (128 + number, b"")
    assert sleeper.running()
    assert not list(tmp_path.glob("addrspace-gdb-*"))
