"""The memory that a process had at most."""

from __future__ import annotations

import re
from pathlib import Path


def peak_memory() -> int:
    """Bytes that this process has had resident at most since it began to run its program.

    Not ru_maxrss, into which Linux counts what its parent had when it made this process.
    """
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found.group(1)) * 1024
