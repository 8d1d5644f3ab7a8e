"""What messages advise to whoever types at a shell."""

from __future__ import annotations

from addrspace_gdb.target.hints import Hints

SHELL = Hints(program="--exe", symbols="--exe", core="addrspace-gdb dump", server="gdbserver")
