"""Attaches to a process without writing to it."""

from __future__ import annotations

import gdb

from addrspace_gdb.debugger.gdb.text import output_of

_NOWHERE = "/dev/null"  # a folder that no file can be in


def attach(pid: int) -> None:
    """Attach to a process inside `read_only`. Raises gdb.error.

    As soon as gdb knows the dynamic linker's file it puts a breakpoint into it, to see libraries come. While
    it attaches that gets into memory for some milliseconds: a page of the linker is the process's own from
    then on, and the breakpoint stays if gdb is killed in that time. In `read_only` it is refused, but where
    no library is loaded (a position-independent Go program) the attach then ends half way (gdb 13 and 18).
    So gdb does not find the file until all threads stand still: then it inserts no more breakpoints.
    """
    sysroot = str(gdb.parameter("sysroot") or "")
    output_of(f"set sysroot {_NOWHERE}")
    try:
        output_of(f"attach {pid:d}")
    finally:
        output_of(f"set sysroot {sysroot}")
