"""``python -m addrspace_gdb``: the same as the ``addrspace-gdb`` command."""

from __future__ import annotations

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
