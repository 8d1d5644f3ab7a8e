"""What messages advise to whoever types at lldb's prompt."""

from __future__ import annotations

from addrspace_gdb.target.hints import Hints

LLDB = Hints(
    program="target create",
    symbols="target symbols add",
    core="target create --core",
    server="lldb-server",
    beyond="is more than can be told here: lldb does not know Go's types, and",
    inferior="target",
)
