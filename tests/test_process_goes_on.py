"""Whatever happens to the command, to gdb or to both, a process goes on as it was: running, or stopped."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Iterator, List, Optional, Tuple

import pytest
from harness import CHECKOUT, full_matrix
from harness.build import Builder
from harness.command import COMMAND, FakeGdb, assert_refused, cli
from harness.debuggers import Gdb
from harness.processes import INTERRUPTIBLE, Process, Processes
from harness.scenes import kernel_core, start
from harness.toolchains import Toolchain, Unavailable

EACH_ONCE = True  # not every combination: tests/conftest.py

# The command as it would be if nothing had been seen of a process before gdb attaches.
UNWARNED = INTERRUPTIBLE.replace(
    "from addrspace_gdb.shell.cli",
    "import addrspace_gdb.shell.asking as asking\n"
    "asking.wait_stoppable = lambda *_: None\n"
    "asking.check_process = lambda pid: 'unwarned'\n"
    "from addrspace_gdb.shell.cli",
)


def descendants(pid: int) -> List[Tuple[int, str]]:
    """Processes below `pid`, with their names, parents first."""
    found: List[Tuple[int, str]] = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text(errors="replace")
            except OSError:
                continue
            name, _, rest = fields.partition("(")[2].rpartition(")")
            if rest.split()[1] == str(pid):
                found += [(int(entry), name), *descendants(int(entry))]
    return found


def tracer(pid: int) -> str:
    """TracerPid of the process, "" if it is gone."""
    try:
        found = re.search(r"TracerPid:\s*(\d+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return ""
    return found.group(1) if found else ""


def settled(process: Process, states: str, seconds: float = 90) -> bool:
    """Whether the process comes to one of these states, traced by nobody, and is still so a moment later."""
    deadline = time.monotonic() + seconds
    good = 0
    while time.monotonic() < deadline:
        free = tracer(process.pid) == "0" and process.state() in states
        good = good + 1 if free else 0
        if good == 10:
            return True
        time.sleep(0.03)
    return False


RUNNING = "SRD"


@pytest.fixture
def frozen(sleeper: Process) -> Iterator[Callable[[bool], None]]:
    """Puts the sleeper into a cgroup (version 1) and freezes it, or thaws it."""
    folder = Path("/sys/fs/cgroup/freezer") / f"addrspace-test-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / "cgroup.procs").write_text(str(sleeper.pid))
    except OSError as error:
        pytest.skip(f"no cgroup can be made here to freeze ({error})")

    def set_frozen(on: bool) -> None:
        (folder / "freezer.state").write_text("FROZEN" if on else "THAWED")
        deadline = time.monotonic() + 90
        while (folder / "freezer.state").read_text().strip() != ("FROZEN" if on else "THAWED"):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    try:
        yield set_frozen
    finally:
        set_frozen(False)
        (Path("/sys/fs/cgroup/freezer") / "cgroup.procs").write_text(str(sleeper.pid))
        folder.rmdir()


def test_a_frozen_process_is_not_waited_for_for_ever(
    sleeper: Process, frozen: Callable[[bool], None]
) -> None:
    frozen(True)
    done = cli("dump", str(sleeper.pid), "--wait", "0.5")
    assert (done.returncode, done.stdout) == (1, "")
    before, after = done.stderr.splitlines()
    assert re.fullmatch(
        r"addrspace-gdb: process \d+ \(sleep\) cannot be stopped now: its cgroup /addrspace-test-\d+ is "
        r"frozen \(.*\); waiting up to 0.5 s",
        before,
    )
    assert re.fullmatch(
        r"addrspace-gdb: process \d+ \(sleep\) did not stop within 0.5 s: its cgroup \S+ is frozen .*", after
    )
    frozen(False)
    assert settled(sleeper, RUNNING)


def test_a_process_that_thaws_in_time_is_read(
    sleeper: Process, frozen: Callable[[bool], None], processes: Processes
) -> None:
    frozen(True)
    dump = processes.start([*COMMAND, "dump", str(sleeper.pid), "--wait", "60"], cwd=CHECKOUT)
    dump.wait_for("waiting up to 60 s", "stderr")
    frozen(False)
    _, errors = dump.popen.communicate(timeout=60)
    assert dump.popen.returncode == 1 and b"did not stop" not in errors
    assert b"not a Go program" in errors or b"no Go" in errors, errors
    assert settled(sleeper, RUNNING)


@pytest.mark.parametrize("number", [None, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_stop_that_comes_too_late_is_undone(
    sleeper: Process,
    frozen: Callable[[bool], None],
    processes: Processes,
    gdb_exe: Gdb,
    number: Optional[signal.Signals],
) -> None:
    """gdb has asked for the stop already, and the process cannot take it until nobody waits any more."""
    frozen(True)
    wait = "1" if number is None else "60"
    command = [sys.executable, "-c", UNWARNED, "dump", str(sleeper.pid), "--wait", wait]
    dump = processes.start([*command, "--gdb", str(gdb_exe.path)], cwd=CHECKOUT)
    deadline = time.monotonic() + 90
    while tracer(sleeper.pid) in ("0", ""):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    below = descendants(dump.pid)
    assert len(below) >= 2  # the keeper and gdb
    if number is not None:
        dump.popen.send_signal(number)
    _, errors = dump.popen.communicate(timeout=60)
    if number is None:
        assert dump.popen.returncode == 1
        assert re.fullmatch(rb"addrspace-gdb: process \d+ \(unwarned\) did not stop within 1 s: .*\n", errors)
    else:
        expected = -number if number == signal.SIGKILL else 128 + number
        assert (dump.popen.returncode, errors) == (expected, b"")
    while any(os.path.exists(f"/proc/{pid}") for pid, _ in below):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    frozen(False)
    assert settled(sleeper, RUNNING)


def test_a_thread_in_a_system_call_that_cannot_be_interrupted(
    processes: Processes, tmp_path: Path, gdb_exe: Gdb
) -> None:
    """The parent of a vfork(2) is in state D until the child ends, here when its file is there."""
    if not subprocess.run(["sh", "-c", "command -v cc"], capture_output=True, check=False).stdout:
        pytest.skip("no C compiler")
    source = tmp_path / "vfork.c"
    source.write_text(
        "#include <unistd.h>\n#include <stdio.h>\n"
        'int main(int argc, char **argv) { puts("ready"); fflush(stdout);\n'
        " if (vfork() == 0) { while (access(argv[1], F_OK)) usleep(10000); _exit(0); } for (;;) sleep(1); }\n"
    )
    subprocess.run(["cc", "-w", "-o", str(tmp_path / "vfork"), str(source)], check=True)
    process = processes.start([str(tmp_path / "vfork"), str(tmp_path / "enough")]).wait_ready()
    while process.state() != "D":
        time.sleep(0.01)
    done = cli("dump", str(process.pid), "--wait", "0.5", "--gdb", str(gdb_exe.path))
    assert done.returncode == 1
    why = r"thread \d+ is in a system call that cannot be interrupted, state D( \(in \w+\))?"
    assert re.search(rf"cannot be stopped now: {why}; waiting up to 0.5 s\n", done.stderr)
    assert re.search(rf"did not stop within 0.5 s: {why}; it was let go", done.stderr)
    command = [sys.executable, "-c", UNWARNED, "dump", str(process.pid), "--wait", "0.5"]
    attached = subprocess.run(
        [*command, "--gdb", str(gdb_exe.path)], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert attached.returncode == 1
    assert re.search(rf"did not stop within 0.5 s: {why}; it was let go", attached.stderr), attached.stderr
    (tmp_path / "enough").touch()
    assert settled(process, "SR")


def test_a_gdb_whose_child_works_is_waited_for(sleeper: Process, fake_gdb: FakeGdb) -> None:
    work = "import time\nend = time.monotonic() + 6\nwhile time.monotonic() < end: pass"
    gdb = fake_gdb(
        "import subprocess, sys",
        f"subprocess.run([sys.executable, '-c', {work!r}], start_new_session=True)",
        "open(request['result'], 'w').write('answer')",
    )
    done = cli("dump", str(sleeper.pid), "--gdb", gdb, "--wait", "2")
    assert (done.returncode, done.stdout) == (0, "answer"), done.stderr


def test_a_gdb_that_does_nothing_is_ended(sleeper: Process, fake_gdb: FakeGdb) -> None:
    gdb = fake_gdb("import time; time.sleep(60)")
    assert_refused(
        cli("dump", str(sleeper.pid), "--gdb", gdb, "--wait", "0.5"),
        r"gdb was ended: it did nothing for 0.5 s, .* \(--wait SECONDS waits longer\)",
    )


def test_a_gdb_that_works_is_not_ended(sleeper: Process, fake_gdb: FakeGdb) -> None:
    gdb = fake_gdb(
        "import time; end = time.monotonic() + 2",
        "while time.monotonic() < end: pass",
        "open(request['result'], 'w').write('done')",
    )
    done = cli("dump", str(sleeper.pid), "--gdb", gdb, "--wait", "1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "done", "")


def test_the_second_of_two_dumps_says_who_holds_the_process(
    sleeper: Process, processes: Processes, fake_gdb: FakeGdb, gdb_exe: Gdb
) -> None:
    attach = ["-ex", f"attach {sleeper.pid}", "-ex", "python import time; time.sleep(60)"]
    command = [str(gdb_exe.path), "-nx", "-q", "-batch", *attach]
    gdb = fake_gdb(f"os.execv({command[0]!r}, {command!r})")
    first = processes.start([*COMMAND, "dump", str(sleeper.pid), "--gdb", gdb, "--wait", "100"], cwd=CHECKOUT)
    deadline = time.monotonic() + 90
    while sleeper.state() != "t":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    holder = tracer(sleeper.pid)
    expected = rf"process {sleeper.pid} \(\w+\) is already being debugged by process {holder} \(.+\)"
    assert_refused(cli("dump", str(sleeper.pid)), expected)
    # And where the first one came only after the second had looked.
    done = subprocess.run(
        [sys.executable, "-c", UNWARNED, "dump", str(sleeper.pid), "--gdb", str(gdb_exe.path)],
        cwd=CHECKOUT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert_refused(done, expected)
    assert sleeper.state() == "t" and tracer(sleeper.pid) == holder
    first.popen.terminate()
    first.popen.communicate(timeout=60)
    assert settled(sleeper, RUNNING)


def kill_at_a_moment(seed: int, process: Process, processes: Processes, gdb: Gdb) -> str:
    """Run a dump of the process and kill some of what runs for it at a moment; what was done."""
    rng = random.Random(seed)
    who = rng.choice(("command", "gdb", "both"))
    number = rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM))
    report = rng.choice(([], ["--report", "rss"], ["--format", "json", "--stacks"]))
    dump = processes.start(
        [sys.executable, "-c", INTERRUPTIBLE, "dump", str(process.pid), "--gdb", str(gdb.path), *report],
        cwd=CHECKOUT,
    )
    moment = rng.uniform(0.05, 0.6)
    time.sleep(moment)
    below = descendants(dump.pid)
    debuggers = [pid for pid, _ in below[1:2]]
    victims = {"command": [dump.pid], "gdb": debuggers, "both": [dump.pid, *debuggers]}[who]
    for pid in victims:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass
    dump.popen.communicate(timeout=60)
    gone = time.monotonic() + 90
    while any(os.path.exists(f"/proc/{pid}") for pid, _ in below):
        assert time.monotonic() < gone
        time.sleep(0.02)
    return f"seed {seed}: {number.name} to {who} after {moment:.3f} s"


@pytest.mark.parametrize("part", range(5 if full_matrix() else 3))
def test_killed_at_any_moment(
    part: int,
    newest_go: Toolchain,
    build_program: Builder,
    processes: Processes,
    oracle_file: Path,
    gdb_exe: Gdb,
) -> None:
    """10 seeded moments a part; in the matrix 100 for all gdbs. Every other time it was stopped before."""
    binary = build_program("sample", newest_go)
    process = start(processes, binary, oracle_file)
    for seed in range(10 * part, 10 * part + 10):
        stopped = seed % 5 == 0
        if stopped:
            os.kill(process.pid, signal.SIGSTOP)
            assert settled(process, "T")
        what = kill_at_a_moment(seed, process, processes, gdb_exe)
        assert settled(process, "T" if stopped else RUNNING), f"{what}: state {process.state()}"
        if stopped:
            os.kill(process.pid, signal.SIGCONT)
            assert settled(process, RUNNING)


def test_the_keeper_is_killed(
    sleeper: Process, processes: Processes, fake_gdb: FakeGdb, gdb_exe: Gdb
) -> None:
    attach = ["-ex", f"attach {sleeper.pid}", "-ex", "python import time; time.sleep(60)"]
    command = [str(gdb_exe.path), "-nx", "-q", "-batch", *attach]
    gdb = fake_gdb(f"os.execv({command[0]!r}, {command!r})")
    dump = processes.start([*COMMAND, "dump", str(sleeper.pid), "--gdb", gdb], cwd=CHECKOUT)
    deadline = time.monotonic() + 90
    while sleeper.state() != "t":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(descendants(dump.pid)[0][0], signal.SIGKILL)
    _, errors = dump.popen.communicate(timeout=60)
    assert (dump.popen.returncode, errors) == (1, b"addrspace-gdb: the process that ran gdb was killed\n")
    assert settled(sleeper, RUNNING)


def test_a_gdb_that_is_busy_with_opening_a_core_for_ever(
    tmp_path: Path, fake_gdb: FakeGdb, newest_go: Toolchain, build_program: Builder
) -> None:
    try:
        core = kernel_core(build_program("crash", newest_go), tmp_path, tmp_path / "oracle").path
    except Unavailable as problem:
        pytest.skip(str(problem))
    gdb = fake_gdb("os.write(int(os.environ['ADDRSPACE_GDB_MARKS']), b'o')", "while True: pass")
    told = r"gdb was ended: it cannot open the core within 0.5 s \(--wait SECONDS waits longer\)"
    assert_refused(cli("dump", str(core), "--gdb", gdb, "--wait", "0.5"), told)
