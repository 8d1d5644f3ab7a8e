"""Whether a process can be stopped just now, and what is done so that it goes on as before.

A debugger that attaches sends SIGSTOP (ptrace(2), PTRACE_ATTACH). If it ends before the thread took that, as
in a frozen cgroup or in a system call that cannot be interrupted, the signal stays pending, and the process
stops for good once nobody looks. All is read from /proc (proc(5)).
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError

PATIENCE = 10.0  # seconds that a process may take to stop, where nobody says otherwise
_SETTLE = 0.5  # seconds in which a pending stop shows itself
_STEP = 0.02  # seconds between two looks
_SAMPLES = 4  # looks after which a thread that has not moved is stuck
_STOPPED, _TRACED = "T", "t"
_SIGSTOP_BIT = 1 << (signal.SIGSTOP - 1)


class Before(NamedTuple):
    """What a process was before it was touched."""

    pid: int
    began: str  # its start time, which no later process of that number has
    stopped: bool


def before(pid: int) -> Optional[Before]:
    """What process `pid` is now; None if there is none."""
    fields = _stat(pid)
    return None if fields is None else Before(pid, fields[19], fields[0] == _STOPPED)


def _stat(pid: int) -> Optional[List[str]]:
    """The fields of /proc/PID/stat from the third (state) on."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="backslashreplace")
    except OSError:
        return None
    fields = text[text.rfind(")") + 2 :].split()
    return fields if len(fields) > 19 else None


def status_of(path: str) -> Optional[Dict[str, str]]:
    """The fields of a `status` file in /proc by name; None if it cannot be read."""
    try:
        text = Path(path).read_text(errors="backslashreplace")
    except (OSError, ValueError):
        return None
    return {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


def tracer_of(status: Dict[str, str]) -> Optional[str]:
    """Who traces the process of that `status`, as a person would name it: `process 17 (gdb)`."""
    pid = status.get("TracerPid", "0")
    if pid == "0":
        return None
    tracer = status_of(f"/proc/{pid}/status")
    name = f" ({printable(tracer['Name'])})" if tracer and "Name" in tracer else ""
    return f"process {pid}{name}"


# What keeps a process from stopping


def wait_stoppable(pid: int, name: str, patience: float, tell: Callable[[str], None]) -> None:
    """Return once process `pid` can be stopped; ProblemError if it cannot be within `patience` seconds.

    It is not touched. `tell` gets a line before a long wait.
    """
    deadline = time.monotonic() + patience
    why = hindrance(pid)
    if why is None:
        return
    tell(f"process {pid} ({name}) cannot be stopped now: {why}; waiting up to {patience:g} s")
    while time.monotonic() < deadline:
        time.sleep(5 * _STEP)
        why = hindrance(pid)
        if why is None:
            return
    raise ProblemError(not_stopped(pid, name, patience, why))


def not_stopped(pid: int, name: str, patience: float, why: Optional[str]) -> str:
    """The line that says that a process was given up."""
    reason = f": {why}" if why else ""
    return (
        f"process {pid} ({name}) did not stop within {patience:g} s{reason}; it was let go and goes on as "
        "before (--wait SECONDS waits longer)"
    )


def hindrance(pid: int) -> Optional[str]:
    """Why process `pid` would not stop if it were asked to now; None if nothing is known."""
    frozen = _frozen_group(pid)
    if frozen is not None:
        return f"its cgroup {printable(frozen)} is frozen (docker unpause, or thaw it)"
    stuck: Set[Tuple[str, str]] = set()
    for sample in range(_SAMPLES):
        if sample:
            time.sleep(_STEP)
        now = set(_uninterruptible(pid))
        stuck = now if not sample else stuck & now
        if not stuck:
            return None
    thread = min(stuck)[0]
    where = _word(f"/proc/{pid}/task/{thread}/wchan")
    inside = f" (in {printable(where)})" if where not in ("", "0") else ""
    return f"thread {thread} is in a system call that cannot be interrupted, state D{inside}"


def _uninterruptible(pid: int) -> Iterator[Tuple[str, str]]:
    """Threads in state D, and how often each was switched: the same twice has not moved."""
    for thread in _threads(pid):
        try:
            with open(f"/proc/{pid}/task/{thread}/stat", "rb") as file:
                state = file.read().rpartition(b") ")[2][:1]
        except OSError:
            continue
        if state == b"D":
            status = status_of(f"/proc/{pid}/task/{thread}/status") or {}
            yield thread, status.get("voluntary_ctxt_switches", "")


def _threads(pid: int) -> List[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def _word(path: str) -> str:
    try:
        return Path(path).read_text(errors="backslashreplace").strip()
    except OSError:
        return ""


def _frozen_group(pid: int) -> Optional[str]:
    """The frozen cgroup that process `pid` is in, of version 1 or 2 (cgroups(7)); None if it is in none."""
    for line in _word(f"/proc/{pid}/cgroup").splitlines():
        number, controllers, group = line.split(":", 2)
        if number == "0":
            mounts, file = _mounts("cgroup2", ""), "cgroup.events"
        elif "freezer" in controllers.split(","):
            mounts, file = _mounts("cgroup", "freezer"), "freezer.state"
        else:
            continue
        for root, place in mounts:
            inner = os.path.relpath(group, root)
            if inner.startswith(".."):
                continue
            text = _word(os.path.join(place, inner, file))
            if text in ("FROZEN", "FREEZING") or "frozen 1" in text.splitlines():
                return group
    return None


def _mounts(kind: str, option: str) -> Iterator[Tuple[str, str]]:
    """Root and place of each mount of that file system with that option."""
    for line in _word("/proc/self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        fields, more = left.split(), right.split()
        if len(fields) > 4 and len(more) > 2 and more[0] == kind and option in ("", *more[2].split(",")):
            yield fields[3], fields[4]


# What is done afterwards


def make_whole(was: Before, settle: float = _SETTLE) -> None:
    """See that a process runs, or stands stopped, as it did before a debugger that was cut short touched it.

    A stop that is still to come shows itself as a pending signal of a thread, or within `settle` seconds.
    """
    deadline = time.monotonic() + settle
    while _is_the_same(was):
        done = not _traced(was.pid) and _put_right(was)
        if done or time.monotonic() >= deadline:
            return
        time.sleep(_STEP)


def _is_the_same(was: Before) -> bool:
    fields = _stat(was.pid)
    return fields is not None and fields[19] == was.began and fields[0] not in ("Z", "X")


def _traced(pid: int) -> bool:
    status = status_of(f"/proc/{pid}/status")
    return status is not None and status.get("TracerPid", "0") != "0"


def _put_right(was: Before) -> bool:
    """Send what puts the process right; True if it stands stopped as it did, and nothing more can come."""
    fields = _stat(was.pid)
    if fields is None:
        return True
    stopped = fields[0] == _STOPPED
    number: Optional[int] = None
    if was.stopped and not stopped and not _stop_pending(was.pid):
        number = signal.SIGSTOP
    elif not was.stopped and (stopped or _stop_pending(was.pid)):
        number = signal.SIGCONT  # which also takes back every SIGSTOP that is pending (signal(7))
    if number is not None:
        try:
            os.kill(was.pid, number)
        except OSError:
            pass
    return was.stopped and stopped


def _stop_pending(pid: int) -> bool:
    """Whether a SIGSTOP waits for a thread of the process."""
    for thread in _threads(pid):
        status = status_of(f"/proc/{pid}/task/{thread}/status") or {}
        try:
            pending = int(status.get("SigPnd", "0"), 16) | int(status.get("ShdPnd", "0"), 16)
        except ValueError:
            continue
        if pending & _SIGSTOP_BIT:
            return True
    return False
