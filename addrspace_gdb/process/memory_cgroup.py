"""The memory cgroup of a process: what it may take, and how near it is to being killed for it.

Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst (Linux 6.18). A group counts what all of its
processes take, and pages of files that they have read, which the kernel drops first. Limits of the groups
above hold too: that counts which leaves the least.
"""

from __future__ import annotations

import os
from typing import Dict, Iterator, List, NamedTuple, Optional

from addrspace_gdb.target.protocol import ProcFiles

ROOT = "/sys/fs/cgroup"
_NONE = 1 << 62  # bytes: v1 says so for no limit, less what is no page
_MOST = 1 << 16  # bytes of a file
_DEEP = 64  # groups within each other


class MemoryLimit(NamedTuple):
    """A group's limit. Bytes."""

    limit: int
    used: int  # without pages of files that nobody used lately
    kills: int  # how many of its processes the kernel has killed since it was made, for want of memory
    score: Optional[int]  # oom_score_adj of the process: -1000 is never killed


class _Files(NamedTuple):
    """How a version of cgroups calls them."""

    limit: str
    used: str
    events: str
    idle: str  # in memory.stat


_V1 = _Files("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.oom_control", "total_inactive_file")
_V2 = _Files("memory.max", "memory.current", "memory.events", "inactive_file")


def read_memory_limit(proc: Optional[ProcFiles], root: str = ROOT) -> Optional[MemoryLimit]:
    """The limit that is nearest; None where there is none, or the process is not one of this machine."""
    if proc is None or not proc.local:
        return None
    try:
        lines = proc.read("cgroup").decode("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    score = _number(_text(proc.path("oom_score_adj")))
    found = [one for line in lines for one in _groups(line, root)]
    nearest = min(found, key=lambda one: one.limit - one.used, default=None)
    return nearest._replace(score=score) if nearest is not None else None


def _groups(line: str, root: str) -> Iterator[MemoryLimit]:
    """Those of a line of /proc/PID/cgroup, "4:memory:/a/b" or "0::/a/b", from the inside out."""
    number, _, rest = line.partition(":")
    controllers, _, path = rest.partition(":")
    parts = [part for part in path.split("/") if part]
    if ".." in parts or len(parts) > _DEEP:
        return  # above what is seen from here
    if "memory" in controllers.split(","):
        files, base = _V1, os.path.join(root, "memory")
    elif number == "0" and not controllers:
        files, base = _V2, root
    else:
        return
    for depth in range(len(parts), -1, -1):
        one = _group(os.path.join(base, *parts[:depth]), files)
        if one is not None:
            yield one


def _group(folder: str, files: _Files) -> Optional[MemoryLimit]:
    limit, used = (_number(_text(os.path.join(folder, name))) for name in files[:2])
    if limit is None or used is None or limit >= _NONE:
        return None
    idle = _fields(os.path.join(folder, "memory.stat")).get(files.idle, 0)
    kills = _fields(os.path.join(folder, files.events)).get("oom_kill", 0)
    return MemoryLimit(limit, max(0, used - idle), kills, None)


def _fields(path: str) -> Dict[str, int]:
    """The lines "name number" of a file."""
    pairs: List[List[str]] = [line.split() for line in (_text(path) or "").splitlines()]
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def _text(path: str) -> Optional[str]:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read(_MOST)
    except (OSError, ValueError):
        return None


def _number(text: Optional[str]) -> Optional[int]:
    """A number; None for "max", and for what is none."""
    try:
        return int(text or "")
    except ValueError:
        return None
