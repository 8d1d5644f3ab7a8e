"""What can be said about a process or a core file before a debugger is started: nothing is stopped here."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Dict, Optional

from .problems import ProblemError
from .process.escape import printable

_ET_CORE = 4  # elf(5)


def check_process(pid: int) -> None:
    """Raise ProblemError if process `pid` cannot be looked at, without touching it."""
    if pid == os.getpid():
        raise ProblemError(f"process {pid} is addrspace-gdb itself")
    status = process_status(pid)
    if status is None:
        raise ProblemError(_no_status(pid))
    name = printable(status.get("Name", "?"))
    leader = status.get("Tgid", str(pid))
    if leader != str(pid):
        raise ProblemError(f"{pid} is a thread of process {leader}; give {leader}")
    if status.get("State", "")[:1] in ("Z", "X"):
        raise ProblemError(f"process {pid} ({name}) has exited and has no memory any more")
    if "VmSize" not in status:
        raise ProblemError(f"process {pid} ({name}) is a thread of the kernel and has no memory of its own")
    tracer = status.get("TracerPid", "0")
    if tracer != "0":
        raise ProblemError(f"process {pid} ({name}) is being debugged already, by process {tracer}")
    try:
        # The kernel asks here for the same rights as for attaching, and nothing is stopped.
        with open(f"/proc/{pid}/mem", "rb"):
            pass
    except PermissionError:
        raise ProblemError(_no_permission(pid, name, status)) from None
    except OSError:
        raise ProblemError(f"there is no process {pid} any more") from None


def _no_status(pid: int) -> str:
    if os.path.exists(f"/proc/{pid}"):
        return f"/proc/{pid}/status cannot be read"
    try:
        mounts = Path("/proc/self/mountinfo").read_text(errors="backslashreplace").splitlines()
    except OSError:
        mounts = []
    # proc(5): with hidepid=2 (invisible) other users' processes are not there at all.
    proc = [line for line in mounts if line.split()[4:5] == ["/proc"]]
    hidden = os.geteuid() != 0 and any("hidepid=" in line for line in proc[-1:])
    return f"there is no process {pid}" + (", or it is another user's and hidden (hidepid)" if hidden else "")


def _no_permission(pid: int, name: str, status: Dict[str, str]) -> str:
    line = f"no permission to look into process {pid} ({name}): "
    owner = status.get("Uid", "?").split()[0]
    if owner != str(os.geteuid()):
        return line + f"it belongs to user id {owner}; run as that user, or as root"
    try:
        restricted = Path("/proc/sys/kernel/yama/ptrace_scope").read_text().strip() != "0"
    except OSError:
        restricted = False
    if restricted:
        return line + "kernel.yama.ptrace_scope allows that to its parent only; run with sudo"
    return line + "run as root, or with the capability SYS_PTRACE"


def process_status(pid: int) -> Optional[Dict[str, str]]:
    """The fields of /proc/PID/status (proc(5)) by name; None if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(errors="backslashreplace")
    except (OSError, ValueError):
        return None
    return {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


def check_core(path: str) -> None:
    """Raise ProblemError if the file at `path` is not a core file that can be read."""
    kind = elf_type(path)
    if kind == _ET_CORE:
        return
    shown = printable(path)
    if kind is not None:
        raise ProblemError(f"{shown} is a program, not a core file; give a core file, and this with --exe")
    raise ProblemError(f"{shown} is not a core file")


def elf_type(path: str) -> Optional[int]:
    """`e_type` of the ELF file at `path` (elf(5)), None if it is not ELF; ProblemError if unreadable."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # reading a pipe would block
            raise ProblemError(f"{printable(path)} is not a file")
        with open(path, "rb") as file:
            head = file.read(20)
    except OSError as error:
        raise ProblemError(f"cannot read {printable(path)}: {error.strerror}") from None
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return None
    return int.from_bytes(head[16:18], "big" if head[5] == 2 else "little")
