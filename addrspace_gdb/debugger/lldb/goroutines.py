"""`goroutine` and `goroutine-apply`, as lldb sees them.

lldb has frames of threads only, and its own way through frames of Go is wrong: they are found here. A
goroutine that runs on a thread is shown by selecting the thread; one that is parked becomes a thread, where
lldb can (22 and newer), and is text where it cannot.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, List

from addrspace_gdb.commands.goroutine_args import Apply, parse_apply, parse_select
from addrspace_gdb.commands.options import HelpRequested
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.common.sizes import plural
from addrspace_gdb.debugger.lldb.api import answer_of, threads_of
from addrspace_gdb.debugger.lldb.help_texts import APPLY_HELP, HELP
from addrspace_gdb.debugger.lldb.session import LldbSession
from addrspace_gdb.debugger.lldb.thread_on_demand import can_be, select, shown_in
from addrspace_gdb.debugger.shared.applying import apply_each, header_of
from addrspace_gdb.debugger.shared.kept_census import KeptCensus
from addrspace_gdb.views.stackparts import place as place_of

if TYPE_CHECKING:
    from addrspace_gdb.goruntime.frames import Frame
    from addrspace_gdb.space.goroutines.census import Census, GoroutinePlace

_SHOWN = 40  # frames of a goroutine that is selected
_BACKTRACE = re.compile(r"(?:bt|backtrace|thread backtrace)(?:\s+(?:-c\s+)?(\d+))?")


class Goroutines:
    """All goroutines of the selected target, read once until it moves."""

    def __init__(self, session: LldbSession) -> None:
        self._session = session
        self._kept = KeptCensus()

    def census(self) -> Census:
        """ProblemError if there is no process, or if they cannot be read."""
        return self._kept.of(self._session.target())

    def select(self, line: str) -> None:
        """What was typed after `goroutine`. ProblemError."""
        if line.split()[:1] in (["-h"], ["--help"]):
            raise HelpRequested(HELP)
        wanted = parse_select(line, _variable)
        if wanted.apply is not None:
            self._apply(wanted.apply)
        elif wanted.off:
            self._off()
        elif wanted.goid is not None:
            self._show(wanted.goid)
        else:
            self._current()

    def apply(self, line: str) -> None:
        """What was typed after `goroutine-apply`. ProblemError."""
        if line.split()[:1] in (["-h"], ["--help"]):
            raise HelpRequested(APPLY_HELP)
        self._apply(parse_apply(line, _variable))

    def goids(self) -> List[str]:
        """The numbers of all goroutines; none where they cannot be known."""
        try:
            return [str(goid) for goid in self.census().goids]
        except (ProblemError, UnreadableError):
            return []

    def _current(self) -> None:
        shown = shown_in(self._session.process)
        if shown is not None:
            self._session.write([f"[Current {shown.label}]\n"])
            return
        census = self.census()
        thread = next((one for one in census.target.threads() if one.selected), None)
        if thread is None:
            raise ProblemError("no thread is selected")
        goid = census.running_on(thread)
        if goid:
            self._session.write([f"[Current {described(census.place(goid))}]\n"])
        else:
            self._session.write([f"[No goroutine on thread {thread.number}]\n"])

    def _show(self, goid: int) -> None:
        census = self.census()
        place = census.place(goid)
        frames = census.frames(goid)
        switched = self._enter(census, place, frames)
        first = f"[Switching to {described(place)}]" if switched else place.label
        lines = frame_lines(frames, as_lldbs=switched and place.thread is None)
        more = len(lines) - _SHOWN
        rest = [f"  ... {plural(more, 'more frame')}: `goroutine-apply {goid} bt`\n"] if more > 0 else []
        self._session.write([f"{first}\n", *lines[:_SHOWN], *rest])

    def _enter(self, census: Census, place: GoroutinePlace, frames: List[Frame]) -> bool:
        """Select a goroutine, as a thread; whether that can be."""
        target = census.target
        if place.thread is not None:
            self._session.process.SetSelectedThreadByID(place.thread.tid)
            return True
        wanted = self._session.parameters["threads"] == "on"
        if not wanted or not frames or not can_be(self._session.debugger, target.arch):
            return False
        select(self._session.debugger, place, frames)
        return True

    def _off(self) -> None:
        """Back to a thread of the process's own."""
        if shown_in(self._session.process) is None:
            return
        first = next(iter(threads_of(self._session.process)), None)
        if first is not None:
            self._session.process.SetSelectedThreadByID(first.GetThreadID())

    def _apply(self, wanted: Apply) -> None:
        census, process = self.census(), self._session.process
        before, stop = process.GetSelectedThread().GetThreadID(), process.GetStopID()
        try:
            apply_each(
                census,
                wanted,
                lambda goid: self._one(census, goid, wanted),
                lambda: int(process.GetStopID()),
                lambda text: self._session.write([text]),
            )
        finally:
            if process.GetStopID() == stop:
                process.SetSelectedThreadByID(before)

    def _one(self, census: Census, goid: int, wanted: Apply) -> None:
        place = census.place(goid)
        header = "" if wanted.quiet else header_of(place)
        text = self._output(census, place, wanted.command)
        if text or not wanted.silent:
            self._session.write([header, text])

    def _output(self, census: Census, place: GoroutinePlace, command: str) -> str:
        backtrace = _BACKTRACE.fullmatch(command.strip())
        if backtrace is not None:
            lines = frame_lines(census.frames(place.goid))
            return "".join(lines[: int(backtrace.group(1))] if backtrace.group(1) else lines)
        if not self._enter(census, place, census.frames(place.goid)):
            raise ProblemError(f"{place.label} is parked: only `bt` can be run for it here")
        return answer_of(command, self._session.debugger, self._session.process.GetSelectedThread())


def described(place: GoroutinePlace) -> str:
    """A goroutine with the thread that it runs on."""
    return place.label if place.thread is None else f"{place.label} on thread {place.thread.number}"


def frame_lines(frames: List[Frame], as_lldbs: bool = False) -> List[str]:
    """A line for each, as lldb prints frames. `as_lldbs`: numbered as those of the thread that a goroutine
    became, where an inlined call is in its caller's frame."""
    made: List[str] = []
    number = 0
    for frame in frames:
        name = printable(frame.name or "code that is not Go") + (" [inlined]" if frame.inlined else "")
        at = f" at {printable(place_of(frame.file, frame.line))}" if frame.line else ""
        problem = f" ({printable(frame.problem)})" if frame.problem else ""
        made.append(f"  frame #{number}: {frame.pc:#018x} {name}{at}{problem}\n")
        number += not (as_lldbs and frame.inlined)
    return made


def _variable(word: str) -> int:
    raise ProblemError(f"{printable(word)}: lldb has no such variables; give the goroutine's number")
