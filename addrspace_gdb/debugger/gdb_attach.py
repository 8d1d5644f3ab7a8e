"""Attaches to a process without writing to it."""

from __future__ import annotations

import gdb

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
    gdb.execute(f"set sysroot {_NOWHERE}", to_string=True)
    try:
        gdb.execute(f"attach {pid:d}", to_string=True)
    finally:
        gdb.execute(f"set sysroot {sysroot}", to_string=True)
