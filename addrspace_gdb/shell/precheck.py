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
        raise ProblemError(f"process {pid} ({name}) is already being debugged by {tracer}")
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
    owner = status.get("Uid", "?").split()[0]
    return f"no permission to look into process {pid} ({name}): {_missing(pid, owner, str(os.geteuid()))}"


def _missing(pid: int, owner: str, own: str) -> str:
    """What the kernel wants (ptrace(2), "Ptrace access mode checking"), for the first reason that is seen."""
    if owner != own and own != "0":
        return f"it belongs to user id {owner}; run as that user, or as root"
    if _in_user_namespace():
        return "it is outside of the user namespace of addrspace-gdb; run that outside too"
    scope = _word("/proc/sys/kernel/yama/ptrace_scope")
    if own == "0" and not _may_trace():
        return "root lacks the capability SYS_PTRACE here (docker run --cap-add SYS_PTRACE)"
    if own == "0":
        return _BY_SCOPE["3"] if scope == "3" else _FORBIDDEN
    if _is_not_dumpable(pid, owner):
        return "it has forbidden that (PR_SET_DUMPABLE), or was started with more rights; run as root"
    return _BY_SCOPE.get(scope, "run as root, or with the capability SYS_PTRACE")


_BY_SCOPE = {
    "1": "kernel.yama.ptrace_scope = 1 allows that to its parent only; run with sudo",
    "2": "kernel.yama.ptrace_scope = 2 wants the capability SYS_PTRACE; run with sudo",
    "3": "kernel.yama.ptrace_scope = 3 forbids it to everybody until the next boot",
}


_FORBIDDEN = (
    "a sandbox or security module (SELinux, AppArmor, Landlock) forbids it to root too; run outside of it"
)
_SYS_PTRACE = 19  # include/uapi/linux/capability.h


def _may_trace() -> bool:
    """Whether this process has the capability SYS_PTRACE."""
    effective = (status_of("/proc/self/status") or {}).get("CapEff", "0")
    return bool(int(effective, 16) >> _SYS_PTRACE & 1)


def _in_user_namespace() -> bool:
    """Whether user ids are not those of the machine (user_namespaces(7))."""
    return _word("/proc/self/uid_map").split() not in (["0", "0", "4294967295"], [])


def _is_not_dumpable(pid: int, owner: str) -> bool:
    """Its files in /proc are then root's (proc(5))."""
    try:
        return str(os.stat(f"/proc/{pid}/mem").st_uid) != owner
    except OSError:
        return False


def _word(path: str) -> str:
    try:
        return Path(path).read_text(errors="backslashreplace").strip()
    except OSError:
        return ""


def check_core(path: str) -> None:
    """Raise ProblemError if the file at `path` is not a core file that can be read."""
    kind = elf_type(path)
    if kind == ET_CORE:
        return
    shown = printable(path)
    if kind is not None:
        raise ProblemError(f"{shown} is a program, not a core file; give a core file, and this with --exe")
    raise ProblemError(f"{shown} is not a core file")
