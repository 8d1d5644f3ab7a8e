"""Runs gdb in batch mode for the ``addrspace-gdb`` command, quietly, and sees that the process goes on."""

from __future__ import annotations

import _thread
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common import request as requests
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.held_signals import ENDING, held_signals
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.common.request import Request
from addrspace_gdb.common.streams import say, show_line, stderr_is_terminal, tell
from addrspace_gdb.shell.keeper import Ending, Job, Keeper

_MOMENT = 0.001  # seconds until a signal is sent again
LOADER = Path(__file__).resolve().parents[1] / "load.py"

# Before anything is loaded: no network, no scripts of strangers, no questions, no decoration.
# A gdb that does not know one of them says so into the file that nobody is shown, and goes on.
_QUIET = (
    "set debuginfod enabled off",
    "set auto-load no",
    "set host-charset UTF-8",
    "set confirm off",
    "set pagination off",
    "set width 0",
    "set height 0",
    "set style enabled off",
    "set print thread-events off",
    "set python print-stack message",
)
# gdb's own last words that say nothing of the reason, and lldb's, which has a trace of its own stack there.
_NOISE = (
    *("Error while exec", "<http", "This is a bug", "A fatal error", "debugging is not", "----", "0x"),
    *("LLDB diagnostics", "Please include", "PLEASE submit", "Stack dump:", "0.\t", "#"),
)


class Signalled(BaseException):
    """SIGTERM or SIGHUP came: end as after Ctrl-C. Like KeyboardInterrupt it is no `Exception`."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def catch_signals() -> None:
    """From now on SIGTERM, SIGHUP and SIGINT raise `Signalled`, unless they are ignored (nohup)."""

    def handle(number: int, _frame: Optional[FrameType]) -> None:
        raise Signalled(number)

    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handle)
    sys.unraisablehook = _not_raised


def _not_raised(lost: sys.UnraisableHookArgs) -> None:
    """What comes while the interpreter itself calls something, as at the end of an import or an object, is
    not raised there but shown: a signal is sent once more instead, a moment later."""
    if isinstance(lost.exc_value, Signalled):
        _thread.start_new_thread(_send_again, (lost.exc_value.number,))
    else:
        sys.__unraisablehook__(lost)


def _send_again(number: int) -> None:
    time.sleep(_MOMENT)
    os.kill(os.getpid(), number)


def find_gdb(wanted: Optional[str]) -> Optional[str]:
    """Absolute path of the gdb to run; None if there is none. ProblemError if one that is named is none."""
    for source, name in (("--gdb", wanted), ("$ADDRSPACE_GDB", os.environ.get("ADDRSPACE_GDB"))):
        if name:
            path = shutil.which(name)
            if path is None:
                raise ProblemError(f"{source}: {printable(name)} is not a program that can be run")
            return os.path.abspath(path)
    beside = os.path.join(sys.prefix, "bin")
    found = shutil.which("gdb", path=beside) or shutil.which("gdb")
    return os.path.abspath(found) if found is not None else None


class AnswerFiles:
    """The files that gdb answers to, in a private folder, and what it said on its own account."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.result, self.problems, self.notes = (folder / name for name in ("result", "problems", "notes"))
        self.stdout, self.stderr = folder / "stdout", folder / "stderr"
        self.ending = Ending(None, "")
        self.debugger = "gdb"  # who answers
        self._more: List[str] = []
        self._noted: List[str] = []
        self._names: Optional[Tuple[str, str]] = None

    @property
    def has_result(self) -> bool:
        """Whether there is a complete result."""
        return self.result.exists() and self.result.stat().st_size > 0

    @property
    def failed(self) -> bool:
        """Whether anything could not be done, or is damaged. Some gdbs end with 0 after a failed command."""
        return self.ending.status != 0 or bool(self.ending.why) or not self.has_result or bool(self._more)

    def add(self, problems: Sequence[str]) -> None:
        """Further problems, told before gdb's."""
        self._more += problems

    def note(self, line: str) -> None:
        """What is worth knowing and no problem."""
        self._noted.append(line)

    def rename(self, path: str, shown: str) -> None:
        """Call the file `path` by the name `shown` in all lines."""
        self._names = printable(path), printable(shown)

    def lines(self) -> List[str]:
        """Every problem, one a line; if something failed without a word, gdb's own last one."""
        found = [*self._more, *(line for line in _lines(self.problems) if line.strip())]
        if self.ending.why:
            found.append(self.ending.why)
        found = found or ([self._last_words()] if self.failed else [])
        return found if self._names is None else [line.replace(*self._names) for line in found]

    def tell(self) -> None:
        """Problems and notes on stderr."""
        for line in self.lines():
            tell(line)
        for line in [*self._noted, *_lines(self.notes)]:
            say(printable(line))

    def _last_words(self) -> str:
        errors = _lines(self.stderr)
        for line in _lines(self.stdout) + errors:
            if line.startswith("addrspace-gdb: "):  # from load.py
                return line.partition(" ")[2]
        internal = [line.strip() for line in errors if "internal-error:" in line]
        said = internal[:1] or [
            line.strip() for line in errors if line.strip() and not line.strip().startswith(_NOISE)
        ]
        status = self.ending.status or 0
        how = f"was ended by signal {-status}" if status < 0 else f"failed with status {status}"
        if status == 0:
            how = "ended without an answer"
        without = "; --debugger none does without it" if status < 0 and self.debugger == "lldb" else ""
        return f"{self.debugger} {how}" + (f": {said[-1]}" if said else "") + without


def _lines(path: Path) -> List[str]:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except FileNotFoundError:
        return []


class Debugger(NamedTuple):
    """The debugger to run, and how long it may do nothing, or a process take to stop."""

    path: Optional[str]  # None: the shell does it by itself
    patience: float  # seconds
    name: str = ""  # of the process that it attaches to, as it is shown
    kind: str = "gdb"  # or "lldb"


def run_gdb(gdb: Debugger, request: Request, answer: AnswerFiles) -> None:
    """Run gdb to its end and see that the process goes on; how it ended is put into `answer`.

    gdb's working directory is the answer's folder, in which its files have the names of `request`.
    """
    os.symlink(LOADER, answer.folder / requests.LOADER)
    command = [gdb.path or "gdb", "-nx", "-q", "-batch"]
    for setting in _QUIET:
        command += ["-iex", setting]
    command += ["-x", requests.LOADER]
    command += ["-ex", "python import addrspace_gdb.debugger.gdb.batch as batch; batch.main()"]
    if request.exe is not None:
        command.append(request.exe)  # absolute: no option of gdb's
    run_kept(command, gdb, request, answer)


def run_kept(command: Sequence[str], debugger: Debugger, request: Request, answer: AnswerFiles) -> None:
    """Run a debugger's command line to its end, by a keeper; how it ended is put into `answer`."""
    answer.debugger = debugger.kind
    job = Job(
        command,
        {**_environment(), requests.VARIABLE: request.to_json()},
        str(answer.folder),
        str(answer.stdout),
        str(answer.stderr),
        debugger.patience,
        request.pid,
        debugger.name,
        debugger.kind,
    )
    what = f"process {request.pid}" if request.pid is not None else "the core file"
    with held_signals():
        keeper = Keeper(job)
    progress = Progressing(f"reading {what}")
    try:
        answer.ending = keeper.wait()
    except BaseException:
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)  # this once to the end: it takes a few seconds at most
        keeper.end()
        keeper.wait()
        raise
    finally:
        progress.end()


def _environment() -> Dict[str, str]:
    """The debugger's: without what belongs to our own Python, its may be another, and without a network."""
    dropped = ("DEBUGINFOD_URLS", "GDBHISTFILE")
    return {
        key: value for key, value in os.environ.items() if key not in dropped and not key.startswith("PYTHON")
    }


class Progressing:
    """After a second, tells on a terminal what takes so long; wiped away at the end."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._over = threading.Event()
        self._thread: Optional[threading.Thread] = None
        if stderr_is_terminal():
            self._thread = threading.Thread(target=self._show, daemon=True)
            self._thread.start()

    def _show(self) -> None:
        seconds = 0
        while not self._over.wait(1.0):
            seconds += 1
            show_line(f"{self._what}: {seconds} s")
        if seconds:
            show_line("")

    def __enter__(self) -> None:
        """It has begun to count already."""

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Stop telling."""
        self._over.set()
        if self._thread:
            self._thread.join()
