"""What messages advise to whoever types at lldb's prompt."""

from __future__ import annotations

from addrspace_gdb.target.hints import Hints

LLDB = Hints(
    program="target create",
    symbols="target symbols add",
    core="target create --core",
    server="lldb-server",
    beyond="cannot be worked out here: as lldb does not know Go's types",
    inferior="target",
)
