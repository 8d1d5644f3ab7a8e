"""A process of its own that runs gdb, bounds its waits, and sees afterwards that the inferior goes on.

Whoever asked may be killed at any moment, and so may gdb. The keeper outlives both: it is in a session of
its own and ignores what a terminal sends. It ends gdb when the command is gone, or when gdb makes no
progress, and puts right what an attach that was cut short leaves behind (`stopping.make_whole`).
"""

from __future__ import annotations

import json
import math
import os
import select
import shutil
import signal
import subprocess
import time
from typing import Any, Callable, Dict, List, NamedTuple, NoReturn, Optional, Sequence

from addrspace_gdb.shell.stopping import Before, before, hindrance, make_whole, not_stopped

# In gdb's environment: the descriptor that gdb's side writes its marks to.
MARKS_VARIABLE = "ADDRSPACE_GDB_MARKS"
# How far it is: one byte each.
ATTACHING, ATTACHED, DETACHED, OPENING, OPENED = b"a", b"s", b"d", b"o", b"r"
_LOOK = 0.1  # seconds between two looks at gdb
# Times the patience that a phase may take at most, even if gdb is busy with it. (The program, which may have
# much debug information, is loaded before a core is opened.)
_LONGEST = {ATTACHING: 3.0, OPENING: 1.5}
_GENTLE = 3.0  # seconds that gdb has to let go and to end by itself
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGTSTP)


class Job(NamedTuple):
    """A run of gdb: what is run, and on what."""

    command: Sequence[str]
    environment: Dict[str, str]
    folder: str  # private, gdb's working directory; removed by the keeper if nobody else is left to do it
    stdout: str
    stderr: str
    patience: float  # seconds without any progress after which gdb is ended
    pid: Optional[int]  # the process it attaches to
    name: str  # of that process, as it is shown
    # Who is run. lldb must let a process go by itself, and lets also one run on that was stopped before.
    debugger: str = "gdb"

    @property
    def is_lldb(self) -> bool:
        """Whether it is lldb that is run."""
        return self.debugger == "lldb"


class Ending(NamedTuple):
    """How gdb ended: its status (-n after signal n, None if it could not be started), and why it was ended
    or did not start, in one line ("" if it ended by itself)."""

    status: Optional[int]
    why: str


class Keeper:
    """Starts the keeper and waits for it."""

    def __init__(self, job: Job) -> None:
        self._was = before(job.pid) if job.pid is not None else None
        self._said = b""
        lifeline, self._lifeline = os.pipe()
        self._answers, answers = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _in_child(job, self._was, lifeline, answers, (self._lifeline, self._answers))
        os.close(lifeline)
        os.close(answers)

    def wait(self) -> Ending:
        """How gdb ended, once it has and the process goes on. After an interrupt it may be called again."""
        while True:
            data = os.read(self._answers, 1 << 16)
            if not data:
                break
            self._said += data
        os.waitpid(self._pid, 0)
        os.close(self._answers)
        # An interrupt may have come between what was read and its being kept: either line may be missing.
        lines = self._said.splitlines()
        for line in lines:
            if line.startswith(b"["):
                return Ending(*json.loads(line))
        return self._instead(int(lines[0]) if lines else None)

    def _instead(self, debugger: Optional[int]) -> Ending:
        """Do the keeper's work: it was killed itself."""
        if debugger:
            _end(debugger, False, lambda seconds: _gone(debugger, seconds))
        if self._was is not None:
            make_whole(self._was)
        return Ending(None, "the process that ran gdb was killed")

    def end(self) -> None:
        """Have gdb ended; `wait` then returns."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1


def _gone(pid: int, seconds: Optional[float]) -> bool:
    """Whether a process that is no child of ours ends within so many seconds."""
    deadline = time.monotonic() + (60.0 if seconds is None else seconds)
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(_LOOK / 5)
    return False


def _in_child(
    job: Job, was: Optional[Before], lifeline: int, answers: int, theirs: Sequence[int]
) -> NoReturn:
    """Never returns: what the parent would do next is the parent's."""
    try:
        os.setsid()
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        for descriptor in theirs:
            os.close(descriptor)
        # Not the command's: whoever reads from those waits until all who have them are gone.
        nowhere = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(nowhere, standard)
        _Watch(job, was, lifeline, answers).run()
    finally:
        os._exit(0)


class _Watch:
    """The keeper itself."""

    def __init__(self, job: Job, was: Optional[Before], lifeline: int, answers: int) -> None:
        self._job, self._was, self._lifeline, self._answers = job, was, lifeline, answers
        self._phase = b""
        self._marks, self._write = os.pipe()
        self._open = True  # the marks: they end with gdb

    def run(self) -> None:
        """Run gdb, watch it, put things right, and answer."""
        try:
            process = self._start()
        except OSError as error:
            self._answer("0")
            self._answer(
                json.dumps(Ending(None, f"{self._job.debugger} cannot be started: {error.strerror}"))
            )
            return
        os.close(self._write)
        self._answer(str(process.pid))
        why = self._watch(process)
        self._take_marks()
        if why is not None:
            gently = self._phase == ATTACHED or (self._job.is_lldb and self._phase == ATTACHING)
            _end(process.pid, gently, _waiter(process))
            self._take_marks()
        status = process.wait()
        cut = why is not None or status < 0 or self._phase in (ATTACHING, ATTACHED)
        if self._was is not None and (cut or (self._job.is_lldb and self._was.stopped)):
            make_whole(self._was)
        if not self._answer(json.dumps(Ending(status, why or ""))):
            shutil.rmtree(self._job.folder, ignore_errors=True)

    def _start(self) -> subprocess.Popen[bytes]:
        job = self._job
        with open(job.stdout, "ab") as stdout, open(job.stderr, "ab") as stderr:
            # A session of its own: it is ended as a whole. Of the signals that Python ignores SIGXFSZ stays
            # so: a file that is full is an error to whoever writes it, not gdb's end.
            return subprocess.Popen(
                list(job.command), stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, cwd=job.folder,
                env={**job.environment, MARKS_VARIABLE: str(self._write)}, pass_fds=(self._write,),
                start_new_session=True, restore_signals=False, umask=0o077,
                preexec_fn=_usual_signals,  # noqa: PLW1509  the keeper has one thread
            )  # fmt: skip

    def _answer(self, line: str) -> bool:
        """Tell the command; False if it is gone."""
        try:
            os.write(self._answers, line.encode() + b"\n")
        except OSError:
            return False
        return True

    def _watch(self, process: subprocess.Popen[bytes]) -> Optional[str]:
        """Return None when gdb has ended, or why it should be: "" if nobody waits for it any more."""
        poll = select.poll()
        poll.register(self._lifeline, select.POLLIN)
        poll.register(self._marks, select.POLLIN)
        pace, phase, since = _Pace(process.pid), b"", time.monotonic()
        while process.poll() is None:
            for descriptor, _ in poll.poll(1000 * _LOOK if self._open else 50 * _LOOK):
                if descriptor == self._lifeline:
                    return ""
                self._take_marks()
                if not self._open:
                    poll.unregister(self._marks)
            if phase != self._phase:
                phase, since = self._phase, time.monotonic()
            if time.monotonic() - since > _LONGEST.get(phase, math.inf) * self._job.patience:
                return self._no_progress()
            if pace.idle() > self._job.patience:
                return self._no_progress()
        return None

    def _take_marks(self) -> None:
        """Take in what gdb's side has said."""
        while self._open and select.select([self._marks], [], [], 0)[0]:
            data = os.read(self._marks, 64)
            self._phase = data[-1:] or self._phase
            self._open = bool(data)

    def _no_progress(self) -> str:
        job = self._job
        if self._phase == ATTACHING and job.pid is not None:
            return not_stopped(job.pid, job.name, job.patience, hindrance(job.pid))
        if self._phase == OPENING:
            return (
                f"{job.debugger} was ended: it cannot open the core within {job.patience:g} s "
                "(--wait SECONDS waits longer)"
            )
        return (
            f"{job.debugger} was ended: it did nothing for {job.patience:g} s, as if a file that it opens "
            "never answers (--wait SECONDS waits longer)"
        )


def _usual_signals() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def _waiter(process: subprocess.Popen[bytes]) -> Callable[[Optional[float]], bool]:
    def wait(seconds: Optional[float]) -> bool:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    return wait


def _end(session: int, gently: bool, ended: Callable[[Optional[float]], bool]) -> None:
    """End gdb. `ended` says whether it does within so many seconds (None: at last).

    Where it holds a process it is first asked, by SIGTERM, to let go; on SIGKILL the kernel does that. Never
    SIGINT: while it attaches gdb takes that for the user's Ctrl-C and passes it on to the process.
    """
    for number in (signal.SIGTERM, signal.SIGKILL) if gently else (signal.SIGKILL,):
        try:
            os.killpg(session, number)
        except ProcessLookupError:
            pass
        if ended(None if number == signal.SIGKILL else _GENTLE):
            return


class _Pace:
    """Whether a process or a child of it (the worker) does anything: uses a processor, or reads or writes."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._last: List[Any] = []
        self._since = time.monotonic()

    def idle(self) -> float:
        """Seconds since it last did."""
        pids = [str(self._pid), *self._children()]
        now = [self._fields(pid, *what) for pid in pids for what in (("stat", 11, 13), ("io", 0, 12))]
        if now != self._last:
            self._last, self._since = now, time.monotonic()
        return time.monotonic() - self._since

    def _children(self) -> List[str]:
        """Of all its threads; none where the kernel does not say (CONFIG_PROC_CHILDREN)."""
        found: List[str] = []
        try:
            for thread in os.listdir(f"/proc/{self._pid}/task"):
                with open(f"/proc/{self._pid}/task/{thread}/children") as file:
                    found += file.read().split()
        except OSError:
            pass
        return found

    def _fields(self, pid: str, name: str, first: int, end: int) -> Optional[List[bytes]]:
        """Words of /proc/PID/stat (user and system time) or `io` (bytes and calls; proc(5))."""
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                return file.read().rpartition(b") ")[2].split()[first:end]
        except OSError:
            return None
