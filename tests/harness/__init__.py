"""What the tests run: Go toolchains, built programs, debuggers, processes, and the oracles to compare with.

Nothing here imports `addrspace_gdb`: what a test compares with must not come from what it tests.
"""

from __future__ import annotations

import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent
PROGRAMS = CHECKOUT / "tests" / "programs"
LOADER = CHECKOUT / "addrspace_gdb" / "load.py"


def cache_dir() -> Path:
    """The project's folder in the user's cache; it may not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "addrspace-gdb"


def full_matrix() -> bool:
    """Whether ADDRSPACE_MATRIX=1 asks for every Go and every gdb."""
    return os.environ.get("ADDRSPACE_MATRIX", "") not in ("", "0")
