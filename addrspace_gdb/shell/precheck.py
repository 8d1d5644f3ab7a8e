"""What can be said about a process or a core file before a debugger is started: nothing is stopped here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Dict

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.process.elf import elf_type
from addrspace_gdb.process.elf_structs import ET_CORE
from addrspace_gdb.shell.stopping import status_of, tracer_of


def check_process(pid: int) -> str:
    """The name of process `pid`, to be shown. ProblemError if it cannot be looked at; it is not touched."""
    if pid == os.getpid():
        raise ProblemError(f"process {pid} is addrspace-gdb itself")
    status = status_of(f"/proc/{pid}/status")
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
    tracer = tracer_of(status)
    if tracer is not None:
        raise ProblemError(f"process {pid} ({name}) is being debugged already, by {tracer}")
    try:
        # The kernel asks here for the same rights as for attaching, and nothing is stopped.
        with open(f"/proc/{pid}/mem", "rb"):
            pass
    except PermissionError:
        raise ProblemError(_no_permission(pid, name, status)) from None
    except OSError:
        raise ProblemError(f"there is no process {pid} any more") from None
    return name


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


def check_core(path: str) -> None:
    """Raise ProblemError if the file at `path` is not a core file that can be read."""
    kind = elf_type(path)
    if kind == ET_CORE:
        return
    shown = printable(path)
    if kind is not None:
        raise ProblemError(f"{shown} is a program, not a core file; give a core file, and this with --exe")
    raise ProblemError(f"{shown} is not a core file")
