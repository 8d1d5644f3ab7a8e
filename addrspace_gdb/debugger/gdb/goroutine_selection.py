"""Selects goroutines in gdb, and puts back what was selected."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Iterator, NamedTuple, Optional, Set

import gdb

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.debugger.gdb.readonly import read_only
from addrspace_gdb.debugger.gdb.registers import REGISTERS
from addrspace_gdb.debugger.gdb.session import GdbSession
from addrspace_gdb.debugger.gdb.target import GdbTarget
from addrspace_gdb.debugger.gdb.text import output_of
from addrspace_gdb.debugger.gdb.threads import selected_thread
from addrspace_gdb.debugger.gdb.unwinder import Injected, Injector, first_frame
from addrspace_gdb.debugger.shared.kept_census import KeptCensus
from addrspace_gdb.target.protocol import Target

if TYPE_CHECKING:
    from addrspace_gdb.debugger.gdb.symbolfile import FunctionNames
    from addrspace_gdb.space.goroutines.census import Census, GoroutinePlace

# Commands after which the selection is looked at, and what is looked for (see Selector.after).
_SWITCHING, _MOVING = ("thread", "inferior"), ("frame", "down", "select-frame")
_AFTER = "maintenance addrspace-goroutine"
_WHY = "Of addrspace-gdb: a goroutine that is selected gives way when a thread is (see `help goroutine`)."


class _Kept(NamedTuple):
    moves: int
    thread: Optional[gdb.InferiorThread]
    injected: Optional[Injected]
    frame: Optional[gdb.Frame]
    level: int


class Selector:
    """The goroutine that gdb shows: one that is injected, else the one that runs on the selected thread."""

    def __init__(self, session: GdbSession) -> None:
        self._session = session
        self._injector = Injector()
        self._census = KeptCensus(self._was_read)
        self._witness: Optional[gdb.InferiorThread] = None
        self._names: Optional[FunctionNames] = None
        self.moves = 0  # how often the inferior moved
        self._lost: Set[str] = set()  # commands whose hooks somebody else has
        for event in ("cont", "stop", "exited", "register_changed", "inferior_deleted"):
            getattr(gdb.events, event).connect(self._moved)
        gdb.events.before_prompt.connect(self._prompt)
        _add_hooks(self)

    def _moved(self, event: object) -> None:
        self.moves += 1
        if self._injector.pending is not None:
            self._injector.forget()

    def _prompt(self, event: object = None) -> None:
        if self._injector.pending is None:
            return
        if self._injector.current is None:
            self._injector.put(None)
        else:
            self._see_hooks()

    def _see_hooks(self) -> None:
        """Say it, once, when a hook of ours is no more: somebody has defined one of the same name."""
        for command in (*_SWITCHING, *_MOVING):
            if command not in self._lost and not _hooked(command):
                self._lost.add(command)
                line = f"`hookpost-{command}` is yours: after `{command}`, `goroutine` says where you are"
                gdb.write(f"addrspace: {line}\n", gdb.STDERR)

    def after(self, command: str) -> None:
        """A command of gdb was run that may have selected something else than the goroutine."""
        pending, current = self._injector.pending, self._injector.current
        if pending is None:
            return
        if current is None:
            self._injector.put(None)
            return
        first = first_frame(current)
        if first is not None and gdb.selected_frame().level() >= first.level():
            return
        if command in _SWITCHING:
            self._injector.put(None)
        else:
            gdb.write(
                f"(frame 0 is thread {current.thread.num}'s own; "
                f"{current.label} begins at frame {first.level() if first else '?'})\n"
            )

    def census(self) -> Census:
        """All goroutines of the selected inferior, read once until it moves. ProblemError."""
        GdbTarget()  # says it if there is no process, or if it runs
        if self._witness is not None and not self._witness.is_valid():
            self._session.forget()
        return self._census.of(self._session.target())

    def _was_read(self, target: Target) -> None:
        self._name_functions(target)
        self._witness = gdb.selected_inferior().threads()[0]

    def _name_functions(self, target: Target) -> None:
        from addrspace_gdb.goruntime.stripped.target import StrippedTarget

        if isinstance(target, StrippedTarget):
            from addrspace_gdb.debugger.gdb.symbolfile import FunctionNames

            self._names = self._names or FunctionNames()
            self._names.give(target)

    @property
    def current(self) -> Optional[Injected]:
        """The goroutine whose frames are shown on the selected thread in place of its own."""
        return self._injector.current

    def go(self, goid: int) -> GoroutinePlace:
        """Select a goroutine and its innermost frame. ProblemError leaves the selection as it was."""
        census = self.census()
        place = census.place(goid)
        self.enter(census, place)
        return place

    def enter(self, census: Census, place: GoroutinePlace) -> None:
        """Select the place. A parked goroutine is shown on the selected thread."""
        thread: Optional[gdb.InferiorThread] = selected_thread()
        if place.thread is not None:
            thread = _by_number(place.thread.number)
        if thread is None or not thread.is_valid():
            raise ProblemError("no thread is selected: `thread 1` selects one")
        if place.on_thread:
            self._injector.put(None)
            thread.switch()
            gdb.newest_frame().select()
            return
        if selected_thread() != thread:
            thread.switch()
        known = census.thread(thread.num)
        if known is None or known.pc is None or known.sp is None:
            raise ProblemError(f"the registers of thread {thread.num} cannot be read")
        arch = census.target.arch
        if arch not in REGISTERS:
            raise ProblemError(f"goroutines cannot be selected on {arch} (only on {', '.join(REGISTERS)})")
        self._injector.select(
            Injected(
                label=place.label,
                goid=place.goid,
                arch=arch,
                pc=place.pc,
                sp=place.sp,
                bp=place.bp,
                link=place.link,
                thread=thread,
                thread_pc=known.pc,
                thread_sp=known.sp,
            )
        )

    def off(self) -> None:
        """Back to the thread's own frames."""
        if self._injector.pending is not None:
            self._injector.put(None)

    def goid(self) -> Optional[int]:
        """The current goroutine: the one selected, else the one running on the selected thread.

        0 if there is none on it; None if that cannot be known.
        """
        if self.current is not None:
            return self.current.goid
        thread = selected_thread()
        if thread is None:
            return None
        try:
            census = self.census()
        except ProblemError:
            return None
        known = census.thread(thread.num)
        return census.running_on(known) if known is not None else None

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Run a block that selects whatever it wants; thread, goroutine and frame are put back after it."""
        kept = self._keep()
        try:
            yield
        finally:
            self._restore(kept)

    def _keep(self) -> _Kept:
        try:
            frame: Optional[gdb.Frame] = gdb.selected_frame()
        except gdb.error:
            frame = None
        level = frame.level() if frame is not None else 0
        return _Kept(self.moves, selected_thread(), self._injector.pending, frame, level)

    def _restore(self, kept: _Kept) -> None:
        if kept.moves != self.moves or kept.thread is None or not kept.thread.is_valid():
            self.off()
            return
        self._injector.put(kept.injected)
        kept.thread.switch()
        frame: Optional[gdb.Frame] = kept.frame
        if frame is None or not frame.is_valid():
            frame = gdb.newest_frame()
            for _ in range(kept.level):
                frame = frame.older() if frame is not None else None
        (frame or gdb.newest_frame()).select()


def _by_number(number: int) -> Optional[gdb.InferiorThread]:
    return next((t for t in gdb.selected_inferior().threads() if t.num == number), None)


class _After(gdb.Command):
    """Internal."""

    def __init__(self, selector: Selector) -> None:
        super().__init__(_AFTER, gdb.COMMAND_MAINTENANCE)
        self._selector = selector

    def invoke(self, argument: str, from_tty: bool) -> None:
        """`argument` is the command that was run."""
        try:
            with read_only():
                self._selector.after(argument)
        except gdb.error:
            pass  # the thread has no frame that can be read: nothing to say about it


def _add_hooks(selector: Selector) -> None:
    """Hooks, as `define hookpost-thread` makes them; one that the user has stays as it is.

    gdb has an event for what they do since version 17 only, which does not tell the command. Their body is
    no `python` line: an interrupt in one is printed as a traceback, in a command it is gdb's "Quit".
    """
    _After(selector)
    for command in _SWITCHING + _MOVING:
        try:
            output_of(f"show user hookpost-{command}")
        except gdb.error:
            output_of(f"define hookpost-{command}\n{_AFTER} {command}\nend")
            output_of(f"document hookpost-{command}\n{_WHY}\nend")


def _hooked(command: str) -> bool:
    """Whether our hook behind this command of gdb is still there."""
    try:
        return _AFTER in output_of(f"show user hookpost-{command}")
    except gdb.error:
        return False
