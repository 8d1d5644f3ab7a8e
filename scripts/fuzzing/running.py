"""Runs one command with limits: what it said, how it ended, what it took. Nothing of it is left behind."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

LONGEST = 20.0  # seconds of the processor, or of waiting for nothing
ALLOWED = 8 << 30  # bytes of addresses: a machine is not to suffer; more than MEMORY is a failure
MAX_TEXT = 1 << 24  # bytes of an output that are looked at
_TICKS = os.sysconf("SC_CLK_TCK")


class Done(NamedTuple):
    """How a command ended. `status` is -n after signal n; `peak` is in bytes; `hung` says how, if it did."""

    status: int
    stdout: bytes
    stderr: bytes
    seconds: float
    peak: int
    hung: Optional[str]


def run(command: Sequence[str], folder: Path, cwd: Path, environment: Dict[str, str]) -> Done:
    """Run `command`; its output goes through files in `folder`."""
    paths = [folder / "stdout", folder / "stderr"]
    forget_peak()
    began = time.monotonic()
    with open(paths[0], "wb") as stdout, open(paths[1], "wb") as stderr:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
            cwd=cwd, env=environment, start_new_session=True,
        )  # fmt: skip
    try:
        resource.prlimit(process.pid, resource.RLIMIT_AS, (ALLOWED, ALLOWED))
    except ProcessLookupError:
        pass
    try:
        status, peak, hung = _wait(process.pid, began)
        process.returncode = status
    except BaseException:
        _kill(process.pid)
        process.wait()
        raise
    texts = [_beginning(path) for path in paths]
    return Done(status, texts[0], texts[1], time.monotonic() - began, peak, hung)


def _beginning(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(MAX_TEXT)


def forget_peak() -> None:
    """Have what is started next begin with no peak of memory but its own: what this process once had resident
    would be counted into a child's ru_maxrss (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def _wait(pid: int, began: float) -> Tuple[int, int, Optional[str]]:
    """Wait for the end, or bring it about."""
    watch, pause, hung = _Watch(pid), 0.002, None
    while True:
        found, status, usage = os.wait4(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024, hung
        if time.monotonic() - began > 2 and hung is None:
            pause = 0.5
            hung = watch.hung()
            if hung is not None:
                _kill(pid)
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05) if pause < 0.5 else pause


class _Watch:
    """Sees whether a process and what it started still get anywhere.

    By the time of the processor, not of the wall: on a busy machine nobody who waits for his turn hangs.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._used = 0.0
        self._since = time.monotonic()

    def hung(self) -> Optional[str]:
        """Why it hangs, None if it does not."""
        used, awake = 0.0, False
        for pid in family(self._pid):
            ticks, state = _stat(pid)
            used += ticks / _TICKS
            awake = awake or state == "R"
        if used > LONGEST:
            return f"more than {LONGEST:.0f} s of the processor"
        if awake or used > self._used:
            self._used, self._since = used, time.monotonic()
        elif time.monotonic() - self._since > LONGEST:
            return f"asleep for {LONGEST:.0f} s"
        return None


def _stat(pid: int) -> Tuple[int, str]:
    """Ticks of the processor, those of children that ended too, and the state (proc(5))."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0, ""
    return sum(int(ticks) for ticks in fields[11:15]), fields[0]


def family(pid: int) -> List[int]:
    """The process and all that descend from it."""
    children: Dict[int, Set[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                text = Path(f"/proc/{entry}/stat").read_text(errors="replace")
            except OSError:
                continue
            children.setdefault(int(text.rpartition(")")[2].split()[1]), set()).add(int(entry))
    found = [pid]
    for one in found:
        found += children.get(one, ())
    return found


def _kill(pid: int) -> None:
    for one in reversed(family(pid)):
        try:
            os.kill(one, signal.SIGKILL)
        except ProcessLookupError:
            pass
