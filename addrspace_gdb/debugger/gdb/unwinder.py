"""Puts a goroutine's frames where gdb looks for them, without writing a register.

gdb unwinds from the registers of the selected thread, which cannot be replaced. But it asks Python how to
go from that innermost frame to its caller: the answer given here is the goroutine's saved pc, sp and bp.
So the thread's own frame stays at level 0 and the goroutine's frames follow it. `bt` leaves level 0 out.
"""

from __future__ import annotations

from itertools import chain
from typing import Iterator, NamedTuple, Optional

import gdb
from gdb.FrameDecorator import FrameDecorator
from gdb.unwinder import Unwinder, register_unwinder

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.debugger.gdb.frames import careful
from addrspace_gdb.debugger.gdb.registers import REGISTERS
from addrspace_gdb.debugger.gdb.text import output_of, text_of
from addrspace_gdb.debugger.gdb.threads import selected_thread

# Frames of the thread that may stand before the goroutine's: its innermost one, and what is inlined in it.
_MAX_OWN_FRAMES = 64
_NAME = "addrspace-goroutine"
_OUTERMOST = "runtime.goexit"  # what a goroutine returns to; the words above it on the stack are no frame
_FIRST = 1 << 30  # priority: before all other frame filters, which then do not see the thread's own frame


class Injected(NamedTuple):
    """The frames to show, and the thread they are shown on."""

    label: str  # `goroutine 17 [chan receive]`
    goid: int
    arch: str
    pc: int
    sp: int
    bp: int
    thread: gdb.InferiorThread
    link: int  # the return address of an empty frame, where a register holds it; 0: it has none
    thread_pc: int  # the thread's registers: they tell its innermost frame from all others
    thread_sp: int

    def here(self) -> bool:
        """Whether gdb now looks at the thread that shows the goroutine."""
        return bool(self.thread.is_valid()) and selected_thread() == self.thread


class Injector:
    """Shows one goroutine at a time, or none."""

    def __init__(self) -> None:
        self._unwinder = _Unwinder()
        self._filter = _Filter()
        self._current: Optional[Injected] = None
        self._past_main = False  # whether that setting was turned on here
        register_unwinder(None, self._unwinder, replace=True)
        gdb.frame_filters[_NAME] = self._filter  # type: ignore[assignment]

    @property
    def current(self) -> Optional[Injected]:
        """What is shown on the selected thread, if that thread still exists and is selected."""
        return self._current if self._current is not None and self._current.here() else None

    @property
    def pending(self) -> Optional[Injected]:
        """What is shown, whichever thread is selected."""
        return self._current

    def put(self, injected: Optional[Injected]) -> None:
        """Show another goroutine, or none. gdb selects the thread's innermost frame."""
        self.forget(injected)
        gdb.invalidate_cached_frames()

    def forget(self, injected: Optional[Injected] = None) -> None:
        """As `put`, where gdb drops its frames itself: the inferior runs, or is gone."""
        if injected is None and self._past_main:
            self._past_main = False
            output_of("set backtrace past-main off")
        self._current = injected
        self._unwinder.injected = self._filter.injected = injected
        self._filter.enabled = injected is not None

    def select(self, injected: Injected) -> None:
        """Show a goroutine and select its innermost frame. ProblemError if gdb does not follow."""
        self.put(injected)
        frame = first_frame(injected)
        if frame is None and not gdb.parameter("backtrace past-main"):
            # gdb looks for no caller of main.main, where the thread may stand. It will until the goroutine
            # is left.
            self._past_main = True
            output_of("set backtrace past-main on")
            frame = first_frame(injected)
        if frame is None:
            self.put(None)
            raise ProblemError(f"{injected.label}: gdb cannot unwind to {injected.pc:#x}")
        frame.select()


def first_frame(injected: Injected) -> Optional[gdb.Frame]:
    """The goroutine's innermost frame, as gdb sees it now; None if it is not there."""
    stack_pointer = REGISTERS[injected.arch].sp
    try:
        frame: Optional[gdb.Frame] = gdb.newest_frame()
        for _ in range(_MAX_OWN_FRAMES):
            if frame is None:
                return None
            if number(frame.read_register(stack_pointer)) == injected.sp:
                return frame
            frame = frame.older()
    except gdb.error:  # no registers, or memory that cannot be read
        return None
    return None


class FrameId:
    """What create_unwind_info wants; gdb.unwinder.FrameId came with gdb 14."""

    def __init__(self, sp: gdb.Value, pc: gdb.Value) -> None:
        self.sp, self.pc = sp, pc


class _Unwinder(Unwinder):
    """Claims the innermost frame of the thread, and says that the goroutine called it."""

    def __init__(self) -> None:
        super().__init__(_NAME)
        self.injected: Optional[Injected] = None

    def __call__(self, pending_frame: gdb.PendingFrame) -> Optional[gdb.UnwindInfo]:
        """None for every frame but that one, and where its registers cannot be read: what is raised here is
        printed, and ends the backtrace."""
        it = self.injected
        try:
            return self._claim(it, pending_frame) if it is not None and it.here() else None
        except gdb.error:
            return None

    @staticmethod
    def _claim(it: Injected, pending_frame: gdb.PendingFrame) -> Optional[gdb.UnwindInfo]:
        names = REGISTERS[it.arch]
        pc, sp = (pending_frame.read_register(name) for name in names[:2])
        if (number(pc), number(sp)) != (it.thread_pc, it.thread_sp):
            return None
        # gdb wants callers at rising addresses: with the thread's own sp in the id it would stop here
        # ("previous frame inner to this frame"), so the id lies just below the goroutine's stack pointer.
        below = it.sp - pc.type.sizeof
        info = pending_frame.create_unwind_info(FrameId(_as(below, sp), _as(it.pc, pc)))
        values = [(names.pc, it.pc), (names.sp, it.sp), (names.fp, it.bp)]
        values += [(names.link, it.link)] if names.link else []
        for name, value in values:
            info.add_saved_register(name, _as(value, pending_frame.read_register(name)))
        return info


def number(register: gdb.Value) -> int:
    """A register as an address: gdb has signed and pointer types for some."""
    return int(register) & ((1 << 8 * register.type.sizeof) - 1)


def name_of(frame: gdb.Frame) -> str:
    """The name of its function; empty if there is none."""
    return text_of(lambda: frame.name() or "")


def _as(value: int, like: gdb.Value) -> gdb.Value:
    return gdb.Value(value).cast(like.type)


class _Filter:
    """Leaves the thread's own frame out of `bt`, and what gdb makes of the words above the stack's end."""

    def __init__(self) -> None:
        self.name, self.priority, self.enabled = _NAME, _FIRST, False
        self.injected: Optional[Injected] = None

    def filter(self, frames: Iterator[FrameDecorator]) -> Iterator[FrameDecorator]:
        """Only where the goroutine is shown; other threads' frames pass."""
        it = self.injected
        if it is None or not it.here():
            return careful(frames)
        first = first_frame(it)
        return careful(frames) if first is None else _shown(careful(frames), first.level(), it.label)


def _shown(frames: Iterator[FrameDecorator], first: int, label: str) -> Iterator[FrameDecorator]:
    """In place of the thread's own frames one that names the goroutine, unless one of its is selected.

    It is not when gdb looks at each thread in turn, as in `thread apply all bt`.
    """
    for frame in frames:
        if frame.inferior_frame().level() >= first:
            frames = chain([frame], frames)
            break
        if frame.inferior_frame().level() == 0 and _selected_level() < first:
            yield Marker(frame, label)
    for frame in frames:
        yield frame
        if name_of(frame.inferior_frame()) == _OUTERMOST:
            return


def _selected_level() -> int:
    try:
        return gdb.selected_frame().level()
    except gdb.error:
        return 0


class Marker(FrameDecorator):
    """`#0 <goroutine 17 [chan receive]>`: everything of the thread's own frame is left out."""

    def __init__(self, base: FrameDecorator, label: str) -> None:
        super().__init__(base)
        self._label = label

    def function(self) -> str:
        """What stands in place of the function's name."""
        return f"<{self._label}>"

    def _nothing(self) -> None:
        return None

    address = filename = line = frame_args = frame_locals = _nothing
