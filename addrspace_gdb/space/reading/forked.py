"""A child that was forked off a process with a Go runtime: it has that memory, and none of its threads."""

from __future__ import annotations

from typing import List, Sequence

from addrspace_gdb.common import sizes
from addrspace_gdb.goruntime.proc import Scheduler
from addrspace_gdb.target.protocol import Target, Thread


def forked(target: Target, scheduler: Scheduler, threads: Sequence[Thread]) -> List[str]:
    """A note if none of the threads that the runtime started is one of the process's: fork(2) copies one
    thread, which gets another number. The core of a process in a namespace may number all anew."""
    started = {m.procid for m in scheduler.ms if m.procid}
    if not started or not threads or started & {thread.tid for thread in threads}:
        return []
    if target.kind == "core" and len(threads) > 1:
        return []
    many = (
        "the runtime's thread is not"
        if len(started) == 1
        else f"none of the runtime's {len(started)} threads is"
    )
    own = sizes.plural(len(threads), "thread")
    why = "it was forked off one with Go in it, and no goroutine can run here"
    return [f"{many} in this process, which has {own} of its own: {why}"]
