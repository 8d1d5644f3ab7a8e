"""Makes a goroutine that is parked a thread of lldb's, and selects it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, List, Optional, Sequence

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.lldb_words import path_in_lldb
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.debugger.lldb import made_up
from addrspace_gdb.debugger.lldb.api import answer_of, drop_thread_events, handled, version
from addrspace_gdb.debugger.lldb.interrupts import interrupted_later

if TYPE_CHECKING:
    from addrspace_gdb.goruntime.frames import Frame
    from addrspace_gdb.space.goroutines.census import GoroutinePlace

OLDEST = 22  # what has frame providers: lldb's own way through Go's frames ends early
_PROVIDER = "addrspace_gdb.debugger.lldb.frame_provider"
_CLASS = f"{_PROVIDER}.GoFrames"
_SETTING = "target.process.python-os-plugin-path"
_PLUGIN = os.path.join(os.path.dirname(os.path.realpath(__file__)), "os_plugin.py")


def can_be(debugger: Any, arch: str) -> bool:
    """Whether this lldb can show a goroutine as a thread."""
    return version() >= OLDEST and arch in made_up.ARCHITECTURES and not _is_taken(debugger)


def select(debugger: Any, place: GoroutinePlace, frames: Sequence[Frame]) -> None:
    """Select a goroutine by its frames, at least one. ProblemError."""
    process = debugger.GetSelectedTarget().GetProcess()
    pcs = [one.pc for one in frames if not one.inlined]
    moment = (int(process.GetUniqueID()), int(process.GetStopID()))
    with interrupted_later():
        _provide(debugger)  # first: by this lldb forgets all frames
        _select(debugger, process, made_up.Shown(moment, place.label, pcs, frames[0].sp, place.bp, place.pc))


def _select(debugger: Any, process: Any, shown: made_up.Shown) -> None:
    thread = _made(debugger, process, shown)
    if thread is None or not process.SetSelectedThread(thread):
        raise ProblemError(f"lldb makes no thread of {printable(shown.label)}")
    thread.SetSelectedFrame(0)


def _made(debugger: Any, process: Any, shown: made_up.Shown) -> Optional[Any]:
    """lldb's thread that has the frames of `shown`; None if it makes none. One that it has made before at
    this stop has others, as lldb found them, after symbols were added."""
    for tid in made_up.ids_of(shown):
        thread = process.CreateOSPluginThread(tid, 0)
        if not thread.IsValid():  # lldb has not taken our plug-in for this process yet
            prepare(debugger)
            process.GetNumThreads()  # it lists its threads anew, by which it drops what it has made
            thread = process.CreateOSPluginThread(tid, 0)
        if thread.IsValid() and _frames_of(thread, shown) == shown.places:
            return thread
    return None


def shown_in(process: Any) -> Optional[made_up.Shown]:
    """The goroutine that is selected as a thread; None if a thread is."""
    thread = process.GetSelectedThread()
    return made_up.STATE.shown.get(int(thread.GetThreadID())) if thread.IsValid() else None


def prepare(debugger: Any) -> None:
    """Have a debugger of lldb's ask for goroutines, of processes that it gets from now on."""
    if version() >= OLDEST and not _is_taken(debugger):
        answer_of(f"settings set {_SETTING} {path_in_lldb(_PLUGIN)}", debugger)


def _is_taken(debugger: Any) -> bool:
    """Whether the user has a plug-in of another's, which stays."""
    there = answer_of(f"settings show {_SETTING}", debugger).partition("=")[2].strip().strip('"')
    return bool(there) and not _same(there, _PLUGIN)


def _same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def _frames_of(thread: Any, shown: made_up.Shown) -> List[int]:
    """Where its frames are. If lldb has none of it yet, it asks for all of them now, before anybody else
    looks at it."""
    with made_up.frames_are_asked_for(shown):
        return [int(thread.GetFrameAtIndex(at).GetPC()) for at in range(thread.GetNumFrames())]


def _provide(debugger: Any) -> None:
    """Have it ask for frames. It forgets that with the target. Of each thread it then tells itself that the
    frames are others, and shows it anew: it is kept busy with the first, and forgets the others."""
    if _CLASS in answer_of("target frame-provider list", debugger):
        return
    answer_of(f"script import {_PROVIDER}", debugger)
    with made_up.others_wait():
        answer_of(f"target frame-provider register -C {_CLASS}", debugger)
        drop_thread_events(debugger)
    handled(debugger)
