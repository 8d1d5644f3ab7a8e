"""One run of a tool, measured from outside: wall clock, peak memory, and how long its subject stood still."""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence


class Run(NamedTuple):
    """A measured run: seconds from start to exit, peak resident bytes, and what it printed.

    `peak` is ru_maxrss of the tool and of the children it waited for, whichever is largest. `output` is
    dropped once it has been checked. `stopped` is how many seconds the process looked at stood still, None
    if none was watched; `waited` the longest that a client of its had to wait, None if it serves none.
    """

    seconds: float
    peak: int
    status: int
    output: str
    timed_out: bool
    stopped: Optional[float] = None
    waited: Optional[float] = None


_SPAWN, _WATCH, _VISIT = (Path(__file__).with_name(name) for name in ("spawn.py", "watch.py", "visit.py"))


def run(
    command: Sequence[str],
    timeout: float,
    stdin: bytes = b"",
    subject: Optional[int] = None,
    port: Optional[int] = None,
) -> Run:
    """Run a command, watch the process `subject` and be a client of what serves `port` meanwhile."""
    with _beside(_WATCH, subject) as stopped, _beside(_VISIT, port, answers=True) as waited:
        done = _run(command, timeout, stdin)
        return done._replace(stopped=stopped(), waited=waited())


@contextlib.contextmanager
def _beside(
    script: Path, number: Optional[int], answers: bool = False
) -> Iterator[Callable[[], Optional[float]]]:
    """Run a script of ours that measures until its input ends; what is yielded ends it: its number."""
    if number is None:
        yield lambda: None
        return
    with _result_file() as result:
        beside = subprocess.Popen(
            [sys.executable, "-I", "-S", str(script), str(number), result.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

        def measured() -> Optional[float]:
            beside.communicate()
            said = result.read()
            return float(said) if said else None

        try:
            if answers:
                assert beside.stdout is not None
                beside.stdout.readline()
            yield measured
        finally:
            beside.communicate()


def _run(command: Sequence[str], timeout: float, stdin: bytes) -> Run:
    """Run a command with its output in a file, so that nobody has to keep up with it."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as given, _result_file() as result:
        given.write(stdin)
        given.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_SPAWN), result.name, *command],
            stdin=given,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(),
            start_new_session=True,
        )
        killer = _Killer(process, timeout)
        began = time.monotonic()
        try:
            process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        finally:
            killer.stop()
        output.seek(0)
        text = output.read().decode(errors="backslashreplace")
        said = result.read().split()
        if len(said) != 3:  # it was killed, or the command could not be started
            return Run(time.monotonic() - began, 0, process.returncode, text, killer.fired)
        status = os.waitstatus_to_exitcode(int(said[2]))
        return Run(float(said[0]), int(said[1]) * 1024, status, text, killer.fired)


def _result_file() -> IO[str]:
    return tempfile.NamedTemporaryFile("r", encoding="ascii")


class _Killer:
    """Kills a process (and its process group) that takes too long."""

    def __init__(self, process: subprocess.Popen[bytes], timeout: float) -> None:
        self.fired = False
        self._process = process
        self._timer = threading.Timer(timeout, self._fire)
        self._timer.daemon = True
        self._timer.start()

    def _fire(self) -> None:
        self.fired = True
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def stop(self) -> None:
        self._timer.cancel()


def _environment() -> Dict[str, str]:
    dropped = ("PYTHONPATH", "VIRTUAL_ENV", "DEBUGINFOD_URLS")
    environment = {k: v for k, v in os.environ.items() if k not in dropped}
    environment["TERM"] = "dumb"
    return environment


class Row:
    """The runs of one tool in one scenario. `why` says why it failed or was not run again, else None."""

    def __init__(self, scenario: str, tool: str, work: str = "") -> None:
        self.scenario = scenario
        self.work = work
        self.tool = tool
        self.runs: List[Run] = []
        self.why: Optional[str] = None
        self.failed = False

    def median(self) -> Optional[float]:
        """Median seconds, None if it failed."""
        return None if self.failed or not self.runs else statistics.median(r.seconds for r in self.runs)

    def stopped(self) -> Optional[float]:
        """Median of the seconds the process stood still, None if it failed or was not looked at."""
        known = [] if self.failed else [r.stopped for r in self.runs if r.stopped is not None]
        return statistics.median(known) if known else None

    def waited(self) -> Optional[float]:
        """Median of the longest waits of a client, None if it failed or there was none."""
        known = [] if self.failed else [r.waited for r in self.runs if r.waited is not None]
        return statistics.median(known) if known else None

    def peak(self) -> Optional[int]:
        """The largest peak in bytes, None if it failed."""
        return None if self.failed or not self.runs else max(r.peak for r in self.runs)


def available_memory() -> int:
    """MemAvailable in bytes."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
