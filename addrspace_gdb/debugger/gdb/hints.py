"""What messages advise to whoever types at gdb's prompt."""

from __future__ import annotations

from addrspace_gdb.target.hints import Hints

GDB = Hints(program="file", symbols="symbol-file", core="core-file", server="gdbserver")
