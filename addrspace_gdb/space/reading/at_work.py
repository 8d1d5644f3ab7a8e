"""Goroutines of the runtime that call the user's finalizers and cleanups: the user's so long.

isSystemGoroutine in src/runtime/traceback.go has the rule: Go's own tracebacks and profiles follow it.
"""

from __future__ import annotations

from itertools import compress
from typing import Iterator, Set

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.proc import Goroutines
from addrspace_gdb.goruntime.queues import is_finalizing
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.symtab import Symtab


def finalizes(runtime: Runtime) -> bool:
    """Whether the finalizer goroutine is in a finalizer."""
    try:
        return is_finalizing(runtime)
    except (UnreadableError, ProblemError, KeyError):
        return False


def running_cleanups(
    runtime: Runtime, goroutines: Goroutines, tables: Symtab, starts: Set[int]
) -> Iterator[int]:
    """Positions of the live goroutines that started at one of the pcs `starts` and run cleanups:
    g.runningCleanups (src/runtime/mcleanup.go, Go 1.25)."""
    wanted = {pc for pc in starts if _runs_cleanups(tables, pc)}
    layout = runtime.layout("runtime.g") if wanted else None
    if layout is None or not layout.has("runningCleanups"):
        return
    place, addresses = layout.scalar("runningCleanups"), goroutines.column("address")
    for at in compress(range(len(addresses)), map(wanted.__contains__, goroutines.column("startpc"))):
        if not goroutines.dead[at] and _is_set(runtime, addresses[at] + place.offset, place.size):
            yield at


def _is_set(runtime: Runtime, address: int, size: int) -> bool:
    try:
        return any(runtime.target.read(address, size))
    except UnreadableError:
        return False


def _runs_cleanups(tables: Symtab, pc: int) -> bool:
    function = tables.find(pc)
    return function is not None and tables.kind(function.func_id) == "runCleanups"
