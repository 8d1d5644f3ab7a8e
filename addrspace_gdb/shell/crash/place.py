"""Where crashes are kept, and what a crash's folder has."""

from __future__ import annotations

import os
from typing import Optional

DEFAULT = "/var/lib/addrspace-gdb/crashes"
VARIABLE = "ADDRSPACE_CRASHES"
META = "meta.json"  # who died of what; all else is named there


def place(option: Optional[str]) -> str:
    """Path of the folder of all crashes: as it was said, else $ADDRSPACE_CRASHES, else the usual one."""
    return os.path.abspath(option or os.environ.get(VARIABLE) or DEFAULT)
