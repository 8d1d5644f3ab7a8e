"""Thread ids: an M has its thread's by gettid(2), and the debugger by what it is called outside.

They differ for a process in another pid namespace (a container), pid_namespaces(7).
"""

from __future__ import annotations

import os
from typing import Callable, Dict, Optional, Sequence, Tuple

from addrspace_gdb.process.local_proc import LocalProc
from addrspace_gdb.target.protocol import ProcFiles, Target

_ID = b"NSpid:"


class Places:
    """The stacks that a thread may be on, by the number that its M has of it."""

    def __init__(self, procid: int, stacks: Sequence[Tuple[int, int]]) -> None:
        self.procid = procid
        self.stacks = [(low, high) for low, high in stacks if low < high]


def outer_ids(target: Target, places: Callable[[], Sequence[Places]]) -> Dict[int, int]:
    """The debugger's number of the thread of each M by the M's own number; empty where they are the same.

    From /proc where that can be had. In a core, which knows one kind of number only, by the stacks that the
    threads are on: where no thread at all has the number that an M says.
    """
    proc = target.proc_files()
    if proc is not None:
        if _inner(proc, "status") is None:
            return {}
        return _by_inner(proc, [thread.tid for thread in target.threads()])
    threads, known = target.threads(), places()
    if {thread.tid for thread in threads} & {place.procid for place in known}:
        return {}
    found: Dict[int, int] = {}
    for thread in threads:
        on = [p for p in known if any(_within(thread.sp, stack) for stack in p.stacks)]
        if len(on) == 1:
            found[on[0].procid] = thread.tid
    return found


def _within(sp: Optional[int], stack: Tuple[int, int]) -> bool:
    return sp is not None and stack[0] < sp <= stack[1]


def _by_inner(proc: ProcFiles, tids: Sequence[int]) -> Dict[int, int]:
    """The threads by their numbers inside, those that have one."""
    found = {_inner(proc, f"task/{tid}/status"): tid for tid in tids}
    return {inner: tid for inner, tid in found.items() if inner is not None}


def inner_ids(pid: int) -> Dict[int, int]:
    """The number outside of each thread of a process of this machine, by the one in its own namespace."""
    proc = LocalProc(pid)
    try:
        tids = [int(name) for name in os.listdir(proc.path("task"))]
    except OSError:
        return {}
    return _by_inner(proc, tids)


def inner_id(target: Target) -> Optional[int]:
    """What the process calls itself where that is another number than ours; None where it is not."""
    proc = target.proc_files()
    return _inner(proc, "status") if proc is not None else None


def _inner(proc: ProcFiles, name: str) -> Optional[int]:
    """The number in the innermost namespace; None where there is one namespace only."""
    try:
        text = proc.read(name)
        at = text.index(_ID)
        numbers = text[at + len(_ID) : text.index(b"\n", at)].split()
        return int(numbers[-1]) if len(numbers) > 1 else None
    except (OSError, ValueError):  # ValueError: before Linux 4.1 there is no such line
        return None
