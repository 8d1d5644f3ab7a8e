"""Which process a name or a port means. All is read from /proc (proc(5)); nothing is touched."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Dict, Iterator, List, Set

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.process.elf import elf_type
from addrspace_gdb.process.elf_structs import ET_CORE
from addrspace_gdb.shell.compressed import format_of

_PORT = re.compile(r":(\d{1,5})")
_LISTEN = "0A"  # TCP_LISTEN in include/net/tcp_states.h
_COMM = 15  # bytes of a name that the kernel keeps (TASK_COMM_LEN without the NUL)
_DIGITS = 9  # more than PID_MAX_LIMIT in include/linux/threads.h has
_FEW = 5  # candidates that are named


def is_pid(text: str) -> bool:
    """Whether a process is meant by its number, and not a file."""
    return text.isascii() and text.isdecimal()


def number_of(text: str) -> int:
    """The number of a process that `is_pid` takes. ProblemError of one that no process can have."""
    if len(text.lstrip("0")) > _DIGITS:
        raise ProblemError(f"there is no process {text if len(text) < 40 else text[:39] + '...'}")
    return int(text.lstrip("0") or "0")


def resolved(text: str) -> str:
    """The number of the one process that `text` (a name, or :PORT) means, else `text` itself: a number, or a
    file. ProblemError if several processes are like that, or nobody listens on that port."""
    if is_pid(text):
        return text
    port = _PORT.fullmatch(text)
    if port is not None and not os.path.exists(text):
        return _only(_listening(int(port.group(1))), f"listen on port {port.group(1)}")
    if "/" in text or _is_core(text):
        return text
    named = _named(text)
    if not named and not os.path.exists(text):
        raise ProblemError(f"no process and no file is called {printable(text) or repr(text)}")
    return _only(named, f"are called {printable(text)}") if named else text


def _is_core(path: str) -> bool:
    try:
        return os.path.isfile(path) and (format_of(path) is not None or elf_type(path) == ET_CORE)
    except ProblemError:
        return False


def _only(found: List[int], what: str) -> str:
    """The one that was found. ProblemError names the candidates."""
    if not found:
        raise ProblemError(f"no process can be seen to {what}")
    if len(found) > 1:
        few = ", ".join(f"{pid} ({_command(pid)})" for pid in found[:_FEW])
        more = f" and {len(found) - _FEW} more" if len(found) > _FEW else ""
        raise ProblemError(f"{len(found)} processes {what}, give the number of one: {few}{more}")
    return str(found[0])


def _processes() -> Iterator[int]:
    """All that can be seen but our own."""
    numbers = sorted(int(name) for name in os.listdir("/proc") if name.isdecimal())
    return (pid for pid in numbers if pid != os.getpid())


def _named(name: str) -> List[int]:
    """Processes of that name: of their program, or as they call themselves."""
    return [pid for pid in _processes() if name in _names(pid)]


def _names(pid: int) -> Set[str]:
    """Empty of a thread of the kernel, and of a process that has exited."""
    arguments = _text(f"/proc/{pid}/cmdline").split("\0")
    if not arguments[0]:
        return set()
    comm = _text(f"/proc/{pid}/comm").rstrip("\n")
    try:
        program = os.path.basename(os.readlink(f"/proc/{pid}/exe")).removesuffix(" (deleted)")
    except OSError:  # another user's: what it was started as
        program = os.path.basename(arguments[0])
        program = program if len(comm) < _COMM or program.startswith(comm) else comm
    return {comm, program}


def _listening(port: int) -> List[int]:
    """Processes with a TCP socket that listens on `port`, in whatever network namespace they are."""
    sockets: Dict[str, Set[str]] = {}  # by namespace
    return [pid for pid in _processes() if _sockets(pid) & _listeners(pid, port, sockets)]


def _listeners(pid: int, port: int, known: Dict[str, Set[str]]) -> Set[str]:
    """Sockets that listen on `port` in the namespace of process `pid`, as links in /proc/PID/fd name them."""
    try:
        namespace = os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return set()
    if namespace not in known:
        lines = [line for name in ("tcp", "tcp6") for line in _text(f"/proc/{pid}/net/{name}").splitlines()]
        rows = [fields for fields in map(str.split, lines) if len(fields) > 9 and fields[3] == _LISTEN]
        known[namespace] = {f"socket:[{row[9]}]" for row in rows if row[1].endswith(f":{port:04X}")}
    return known[namespace]


def _sockets(pid: int) -> Set[str]:
    folder = f"/proc/{pid}/fd"
    try:
        return {os.readlink(f"{folder}/{name}") for name in os.listdir(folder)}
    except OSError:  # it belongs to somebody else, or has closed one of them meanwhile
        return set()


def _command(pid: int) -> str:
    """What it was started as, short."""
    words = _text(f"/proc/{pid}/cmdline").rstrip("\0").replace("\0", " ")
    return printable(words if len(words) < 40 else f"{words[:39]}...")


def _text(path: str) -> str:
    try:
        return Path(path).read_text(errors="backslashreplace")
    except OSError:
        return ""
