"""The kernel's own account of a process: /proc/PID/smaps."""

from __future__ import annotations

import re
from typing import List, NamedTuple, Tuple

_HEADER = re.compile(rb"([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) \S+ (\d+) *(.*)")


class Smap(NamedTuple):
    """One mapping; sizes in bytes."""

    start: int
    end: int
    perms: str
    rss: int
    swap: int
    path: str
    flags: Tuple[str, ...] = ()  # VmFlags


def smaps(pid: int) -> List[Smap]:
    """Every mapping of the process, in address order. OSError if it is gone or not ours."""
    with open(f"/proc/{pid}/smaps", "rb") as file:
        return parse_smaps(file.read())


def parse_smaps(text: bytes) -> List[Smap]:
    """The mappings in the text of an smaps file."""
    found: List[Smap] = []
    for line in text.splitlines():
        header = _HEADER.fullmatch(line)
        if header:
            start, end, perms, _offset, _inode, path = header.groups()
            found.append(
                Smap(int(start, 16), int(end, 16), perms.decode(), 0, 0, path.decode(errors="replace"))
            )
            continue
        name, _, value = line.partition(b":")
        if name == b"Rss":
            found[-1] = found[-1]._replace(rss=_kilobytes(value))
        elif name == b"Swap":
            found[-1] = found[-1]._replace(swap=_kilobytes(value))
        elif name == b"VmFlags":
            found[-1] = found[-1]._replace(flags=tuple(value.decode().split()))
    return found


def _kilobytes(value: bytes) -> int:
    number, unit = value.split()
    assert unit == b"kB"
    return int(number) * 1024
