"""Runs gdb in batch mode for the ``addrspace-gdb`` command, quietly, and sees that the process goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Dict, Iterator, List, Optional, Sequence

from .precheck import process_status
from .problems import ProblemError
from .process.escape import printable

REQUEST_VARIABLE = "ADDRSPACE_GDB_REQUEST"
LOADER = Path(__file__).resolve().with_name("load.py")

# Before anything is loaded: no network, no scripts of strangers, no questions, no decoration.
# A gdb that does not know one of them says so into the file that nobody is shown, and goes on.
_QUIET = (
    "set debuginfod enabled off",
    "set auto-load no",
    "set confirm off",
    "set pagination off",
    "set width 0",
    "set height 0",
    "set style enabled off",
    "set print thread-events off",
    "set python print-stack message",
)


class Signalled(Exception):
    """SIGTERM or SIGHUP came: end as after Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def catch_signals() -> None:
    """From now on SIGTERM and SIGHUP raise `Signalled`, unless they are ignored (nohup)."""

    def handle(number: int, _frame: Optional[FrameType]) -> None:
        raise Signalled(number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handle)


def find_gdb(wanted: Optional[str]) -> str:
    """Absolute path of the gdb to run."""
    for source, name in (("--gdb", wanted), ("$ADDRSPACE_GDB", os.environ.get("ADDRSPACE_GDB"))):
        if name:
            path = shutil.which(name)
            if path is None:
                raise ProblemError(f"{source}: {printable(name)} is not a program that can be run")
            return os.path.abspath(path)
    beside = os.path.join(sys.prefix, "bin")
    found = shutil.which("gdb", path=beside) or shutil.which("gdb")
    if found is None:
        raise ProblemError("no gdb found; install it (apt-get install gdb, or: pip install gdb-for-pwndbg)")
    return os.path.abspath(found)


class Answer:
    """The files that gdb answers to, in a private folder, and what it said on its own account."""

    def __init__(self, folder: Path) -> None:
        self.result, self.problems = folder / "result", folder / "problems"
        self.notes, self.stdout, self.stderr = folder / "notes", folder / "stdout", folder / "stderr"
        for file in (self.result, self.problems, self.notes, self.stdout, self.stderr):
            file.touch(mode=0o600, exist_ok=False)

    def edit(self, path: str, shown: str, problems: Sequence[str]) -> None:
        """Add to the problems, and call the file `path` by the name `shown` in them."""
        lines = [line.replace(path, shown) for line in _lines(self.problems)]
        self.problems.write_text("".join(f"{line}\n" for line in [*problems, *lines]), encoding="utf-8")

    def tell(self, status: int) -> None:
        """Problems and notes on stderr; when gdb failed without a word, its own last one."""
        problems = [line for line in _lines(self.problems) if line.strip()]
        if status and not problems:
            problems = [self._last_words(status)]
        for line in problems:
            tell(line)
        for line in _lines(self.notes):
            print(printable(line), file=sys.stderr)

    def reason(self, status: int) -> str:
        """Why there is no result, in one line."""
        problems = [line for line in _lines(self.problems) if line.strip()]
        return problems[0] if problems else self._last_words(status)

    def _last_words(self, status: int) -> str:
        errors = _lines(self.stderr)
        for line in _lines(self.stdout) + errors:
            if line.startswith("addrspace-gdb: "):  # from load.py
                return line.partition(" ")[2]
        said = [line.strip() for line in errors if line.strip() and not line.startswith("Error while exec")]
        how = f"was ended by signal {-status}" if status < 0 else f"failed with status {status}"
        return f"gdb {how}" + (f": {said[-1]}" if said else "")


def _lines(path: Path) -> List[str]:
    return path.read_text(encoding="utf-8", errors="backslashreplace").splitlines()


def run_gdb(gdb: str, request: Dict[str, Any], answer: Answer) -> int:
    """Run gdb to its end and see that the process goes on; returns gdb's exit status, -n after signal n.

    `request` goes to gdb in the environment as JSON. A status of 0 means that there is a result.
    """
    command = [gdb, "-nx", "-q", "-batch"]
    for setting in _QUIET:
        command += ["-iex", setting]
    command += ["-ex", f"source {LOADER}"]
    command += ["-ex", "python import addrspace_gdb.debugger.gdb_batch as batch; batch.main()"]
    # Without what belongs to our own Python: gdb's may be another.
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "DEBUGINFOD_URLS")
    }
    environment[REQUEST_VARIABLE] = json.dumps(request)
    pid = request["pid"]
    stopped_before = pid is not None and _is_stopped(pid)
    progress = _Progress(f"reading {'process ' + str(pid) if pid is not None else 'the core file'}")
    process: Optional[subprocess.Popen[bytes]] = None
    try:
        with open(answer.stdout, "ab") as stdout, open(answer.stderr, "ab") as stderr, _held_signals():
            # A session of its own: Ctrl-C reaches us alone, and we end gdb in order.
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                env=environment, start_new_session=True,
            )  # fmt: skip
        status = process.wait()
    except (KeyboardInterrupt, Signalled):
        if process is not None:
            _end(process)
        raise
    finally:
        progress.end()
        if pid is not None and not stopped_before:
            _let_go(pid, process.returncode if process is not None else None)
    if status == 0 and not answer.result.stat().st_size:
        return 1  # older gdbs end with status 0 after a command that failed
    return status


@contextmanager
def _held_signals() -> Iterator[None]:
    """What ends us waits until the block is done: a gdb that nobody holds would go on."""
    came: List[int] = []

    def keep(number: int, _frame: Optional[FrameType]) -> None:
        came.append(number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    held = {number: handler for number, handler in before.items() if callable(handler)}
    for number in held:
        signal.signal(number, keep)
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
        for one in came:
            signal.raise_signal(one)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End gdb, gently first: on SIGINT and SIGTERM it detaches from what it is attached to."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # this once to the end: it takes a few seconds at most
    for number, patience in ((signal.SIGINT, 3.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            pass
        try:
            process.wait(patience)
            return
        except subprocess.TimeoutExpired:
            continue


def _is_stopped(pid: int) -> bool:
    status = process_status(pid)
    return status is not None and status.get("State", "")[:1] in ("t", "T")


def _let_go(pid: int, gdb_status: Optional[int]) -> None:
    """See that process `pid`, which ran before, runs again; continue it if gdb died and left it stopped."""
    if not _is_stopped(pid):
        return
    if gdb_status is not None and gdb_status < 0:
        try:
            os.kill(pid, signal.SIGCONT)
            return
        except OSError:
            pass
    tell(f"process {pid} is stopped although gdb has ended; to continue it: kill -CONT {pid}")


class _Progress:
    """After a second, tells on a terminal what takes so long; wiped away at the end."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._over = threading.Event()
        self._thread: Optional[threading.Thread] = None
        if sys.stderr.isatty():
            self._thread = threading.Thread(target=self._show, daemon=True)
            self._thread.start()

    def _show(self) -> None:
        for seconds in self._seconds():
            print(f"\r{self._what}: {seconds} s", end="", file=sys.stderr, flush=True)

    def _seconds(self) -> Iterator[int]:
        seconds = 0
        while not self._over.wait(1.0):
            seconds += 1
            yield seconds
        if seconds:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Stop telling."""
        self._over.set()
        if self._thread:
            self._thread.join()


def show_line(line: str) -> None:
    """On a terminal, one line that the next one takes the place of; "" takes it away."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size((80, 24)).columns - 1
        print(f"\r\x1b[K{printable(line)[:width]}", end="", file=sys.stderr, flush=True)


def tell(line: str) -> None:
    """One line on stderr, under the program's name."""
    print(f"addrspace-gdb: {printable(line)}", file=sys.stderr)
