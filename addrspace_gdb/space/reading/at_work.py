"""Goroutines of the runtime that call the user's finalizers and cleanups: the user's so long.

isSystemGoroutine in src/runtime/traceback.go has the rule: Go's own tracebacks and profiles follow it.
"""

from __future__ import annotations

from typing import Set

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.proc import Goroutines, is_live
from addrspace_gdb.goruntime.queues import is_finalizing
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.symtab import Symtab


def finalizes(runtime: Runtime) -> bool:
    """Whether the finalizer goroutine is in a finalizer."""
    try:
        return is_finalizing(runtime)
    except (UnreadableError, ProblemError, KeyError):
        return False


def running_cleanups(runtime: Runtime, goroutines: Goroutines, tables: Symtab, starts: Set[int]) -> int:
    """How many goroutines that started at one of `starts` run cleanups: g.runningCleanups (Go 1.25)."""
    wanted = {pc for pc in starts if _runs_cleanups(tables, pc)}
    layout = runtime.layout("runtime.g") if wanted else None
    if layout is None or not layout.has("runningCleanups"):
        return 0
    place, found = layout.scalar("runningCleanups"), 0
    rows = goroutines.rows("startpc", "status", "address")
    for address in [address for pc, status, address in rows if pc in wanted and is_live(status)]:
        try:
            found += any(runtime.target.read(address + place.offset, place.size))
        except UnreadableError:
            continue
    return found


def _runs_cleanups(tables: Symtab, pc: int) -> bool:
    function = tables.find(pc)
    return function is not None and tables.kind(function.func_id) == "runCleanups"
