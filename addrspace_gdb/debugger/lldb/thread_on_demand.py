"""Makes a goroutine that is parked a thread of lldb's, and selects it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Optional, Sequence, Set

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.lldb_words import in_lldb
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.debugger.lldb import made_up
from addrspace_gdb.debugger.lldb.api import answer_of, version

if TYPE_CHECKING:
    from addrspace_gdb.goruntime.frames import Frame

OLDEST = 22  # what has frame providers: lldb's own way through Go's frames ends early
_PROVIDER = "addrspace_gdb.debugger.lldb.frame_provider"
_SETTING = "target.process.python-os-plugin-path"
_PLUGIN = os.path.join(os.path.dirname(os.path.realpath(__file__)), "os_plugin.py")


def can_be(debugger: Any, arch: str, pid: Optional[int]) -> bool:
    """Whether this lldb can show a goroutine as a thread; `pid` is None for a core."""
    known = version() >= OLDEST and arch in made_up.ARCHITECTURES
    return known and not _is_taken(debugger) and made_up.switches_of(pid) is not None


def select(
    debugger: Any, goid: int, label: str, bp: int, frames: Sequence[Frame], pid: Optional[int]
) -> None:
    """Select a goroutine by its frames, at least one; `pid` is None for a core. ProblemError."""
    process = debugger.GetSelectedTarget().GetProcess()
    tid = made_up.FIRST + goid % made_up.FIRST
    pcs = [one.pc for one in frames if not one.inlined]
    shown = made_up.Shown(tid, label, pcs, frames[0].sp, bp, made_up.switches_of(pid) or ())
    made_up.show(shown, pid)
    _provide(debugger, process)
    thread = process.CreateOSPluginThread(tid, 0)
    if not thread.IsValid():  # it is older than our being loaded
        prepare(debugger)
        thread = process.CreateOSPluginThread(tid, 0)
    if not thread.IsValid() or not process.SetSelectedThread(thread):
        raise ProblemError(f"lldb makes no thread of {printable(label)}")
    thread.SetSelectedFrame(0)


def shown_in(process: Any) -> Optional[made_up.Shown]:
    """The goroutine that is selected as a thread; None if a thread is."""
    shown = made_up.current()
    thread = process.GetSelectedThread()
    return shown if shown is not None and thread.IsValid() and thread.GetThreadID() == shown.tid else None


def prepare(debugger: Any) -> None:
    """Have a debugger of lldb's ask for goroutines, of processes that it gets from now on."""
    if version() >= OLDEST and not _is_taken(debugger):
        answer_of(f"settings set {_SETTING} {in_lldb(_PLUGIN)}", debugger)


def _is_taken(debugger: Any) -> bool:
    """Whether the user has a plug-in of another's, which stays."""
    there = answer_of(f"settings show {_SETTING}", debugger).partition("=")[2].strip().strip('"')
    return bool(there) and not _same(there, _PLUGIN)


def _same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def _provide(debugger: Any, process: Any) -> None:
    """Have it ask for their frames. It forgets that with the target."""
    number = int(process.GetUniqueID())
    if number not in _provided:
        answer_of(f"script import {_PROVIDER}", debugger)
        answer_of(f"target frame-provider register -C {_PROVIDER}.GoFrames", debugger)
        _provided.add(number)


_provided: Set[int] = set()  # processes, by lldb's own numbers
