"""Frames of Go code in gdb where the program has no DWARF: unwound and named from Go's own function tables.

gdb knows neither the size of such frames nor their functions. Once a command of this project has found the
Go runtime in an inferior, `bt`, `up` and `goroutine-apply` work there as Go's own traceback does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

import gdb
from gdb.FrameDecorator import FrameDecorator
from gdb.unwinder import Unwinder

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError, Problems, UnreadableError
from addrspace_gdb.debugger.gdb.frames import careful
from addrspace_gdb.debugger.gdb.readonly import read_only
from addrspace_gdb.debugger.gdb.registers import REGISTERS, GdbRegisters
from addrspace_gdb.debugger.gdb.unwinder import FrameId, Marker, number
from addrspace_gdb.goruntime import funcid, symtab
from addrspace_gdb.goruntime.pclntab import TOP_FRAME
from addrspace_gdb.goruntime.ports import PORTS
from addrspace_gdb.goruntime.sigframe import is_frame, signal_frame
from addrspace_gdb.goruntime.stripped.target import StrippedTarget
from addrspace_gdb.goruntime.traceback import Stack, Walk
from addrspace_gdb.goruntime.traceback import Unwinder as GoUnwinder
from addrspace_gdb.target.protocol import Target

_NAME = "addrspace-stripped"
_SIGNAL_FRAME = 1 << 11  # bytes that hold what the kernel left of registers and siginfo
_AFTER_GOROUTINES = 1 << 29  # priority of the frame filter: it gets what the goroutine's leaves


class _Tables(NamedTuple):
    """What names and unwinds the frames of one inferior."""

    target: Target
    go: GoUnwinder
    stripped: bool  # False: gdb has DWARF, which does not say how a signal handler makes up a call


@dataclass
class _Inferior:
    """Its tables are looked for with its first frame: that reads memory, and makes pages of it resident."""

    pid: Optional[int]
    target: Target
    stripped: bool
    asked: bool = False
    tables: Optional[_Tables] = None

    def load(self) -> Optional[_Tables]:
        if not self.asked:
            self.asked = True
            try:
                with read_only():
                    if self.target.symbol("runtime.firstmoduledata"):
                        go = GoUnwinder(symtab.load(self.target, Problems()))
                        self.tables = _Tables(self.target, go, self.stripped)
            except (ProblemError, UnreadableError, gdb.error):
                pass  # the commands that need it say so
        return self.tables


class GoFrames:
    """Keeps the function tables of inferiors without DWARF."""

    def __init__(self) -> None:
        self._inferiors: Dict[int, _Inferior] = {}
        # Behind that of the selected goroutine, whatever was made first: it starts where no frame is yet.
        gdb.frame_unwinders.append(_Unwinder(self.current))
        gdb.invalidate_cached_frames()
        gdb.frame_filters[_NAME] = _Filter(self.current)  # type: ignore[assignment]

    def add(self, inferior: int, target: Target) -> None:
        """From now on the frames of the inferior are Go's, if the target is one without DWARF.

        Else only those of calls that a signal handler made up, on machines with a link register.
        """
        stripped = isinstance(target, StrippedTarget)
        port = PORTS.get(target.arch)
        if not stripped and (port is None or not port.link):
            self._inferiors.pop(inferior, None)
            return
        known = self._inferiors.get(inferior)
        if known is None or (known.pid, known.stripped) != (target.pid, stripped) or not known.tables:
            self._inferiors[inferior] = _Inferior(target.pid, target, stripped)

    def current(self) -> Optional[_Tables]:
        """The tables of the selected inferior."""
        found = self._inferiors.get(gdb.selected_inferior().num)
        return found.load() if found is not None and found.pid == gdb.selected_inferior().pid else None


_Current = Callable[[], Optional[_Tables]]


class _Unwinder(Unwinder):
    """Finds the caller of a Go function by the size of its frame at the pc."""

    def __init__(self, current: _Current) -> None:
        super().__init__(_NAME)
        self._current = current

    def __call__(self, pending_frame: gdb.PendingFrame) -> Optional[gdb.UnwindInfo]:
        """None for what is not Go's, and where something cannot be read: what is raised here is printed, and
        ends the backtrace."""
        try:
            return self._claim(pending_frame)
        except (gdb.error, UnreadableError, ProblemError):
            return None

    def _claim(self, pending_frame: gdb.PendingFrame) -> Optional[gdb.UnwindInfo]:
        tables = self._current()
        names = REGISTERS.get(tables.target.arch) if tables is not None else None
        if tables is None or names is None:
            return None
        read = pending_frame.read_register
        pc, sp = number(read(names.pc)), number(read(names.sp))
        func = tables.go.symtab.find(pc)
        size = tables.go.frame_size(pc)
        made_up = func is not None and funcid.is_injected(tables.go.symtab.kind(func.func_id))
        if func is None or size is None or not (tables.stripped or made_up):
            return None
        if tables.stripped and tables.go.enters_signal(pc):
            return self._interrupted(tables, pending_frame, pc, sp, names)
        top, link = sp + size, 0  # what the register held when this frame called is not known
        if names.link is None:
            back, frame = self._pushed(tables.target, top, size, number(read(names.fp)))
        else:
            back = self._word(tables.target, sp) if size else number(read(names.link))
            if made_up:  # sighandler saved the register on the stack
                link = self._word(tables.target, top)
                top += PORTS[tables.target.arch].injected
            frame = top - tables.target.pointer_size  # what arm64 makes it; other ports keep none
        if func.flags & TOP_FRAME:
            back = 0
        elif not back:
            return None
        values = [(names.pc, back), (names.sp, top), (names.fp, frame)]
        values += [(names.link, link)] if names.link else []
        info = pending_frame.create_unwind_info(
            FrameId(_like(top, read(names.sp)), _like(func.entry, read(names.pc)))
        )
        for name, value in values:
            info.add_saved_register(name, _like(value, read(name)))
        return info

    @staticmethod
    def _interrupted(
        tables: _Tables, pending_frame: gdb.PendingFrame, pc: int, sp: int, names: GdbRegisters
    ) -> Optional[gdb.UnwindInfo]:
        """From the function that the kernel called for a signal on to what the signal interrupted."""
        target, read = tables.target, pending_frame.read_register
        stack = Stack(sp, target.read(sp, _SIGNAL_FRAME))
        found = tables.go.interrupted(stack, Walk([pc], [sp], None, True))
        if found is None or not is_frame(stack, found.frame, target.arch):
            return None
        frame = signal_frame(stack, found, target.arch, target.byte_order)
        values = dict(frame.registers) if frame is not None else {}
        values.update({names.pc: found.pc, names.sp: found.sp, names.fp: found.bp})
        if names.link and found.lr is not None:
            values[names.link] = found.lr
        info = pending_frame.create_unwind_info(FrameId(read(names.sp), read(names.pc)))
        for name, value in values.items():
            info.add_saved_register(name, _like(value, read(name)))
        return info

    def _pushed(self, target: Target, top: int, size: int, frame: int) -> Tuple[int, int]:
        """Return address and frame pointer of the caller, where a call pushes the former.

        The compiler keeps the latter next to it, in frames that are not empty.
        """
        word = target.pointer_size
        back = self._word(target, top - word)
        return back, self._word(target, top - 2 * word) if size > word else frame

    @staticmethod
    def _word(target: Target, address: int) -> int:
        order = "little" if target.byte_order == "little" else "big"
        return int.from_bytes(target.read(address, target.pointer_size), order)  # type: ignore[arg-type]


def _like(value: int, register: gdb.Value) -> gdb.Value:
    return gdb.Value(value).cast(register.type)


class _Filter:
    """Names frames, and puts in those of inlined calls."""

    def __init__(self, current: _Current) -> None:
        self.name, self.priority, self._wanted = _NAME, _AFTER_GOROUTINES, True
        self._current = current

    @property
    def enabled(self) -> bool:
        """Only where the program has no DWARF: without a filter gdb prints frames itself, and better."""
        tables = self._current() if self._wanted else None
        return tables is not None and tables.stripped

    @enabled.setter
    def enabled(self, wanted: bool) -> None:
        self._wanted = wanted  # `disable frame-filter`

    def filter(self, frames: Iterator[FrameDecorator]) -> Iterator[FrameDecorator]:
        """Frames of Go by their names in its own tables."""
        tables = self._current()
        return careful(frames) if tables is None else self._named(frames, tables)

    @staticmethod
    def _named(frames: Iterator[FrameDecorator], tables: _Tables) -> Iterator[FrameDecorator]:
        for decorated in careful(frames):
            places = [] if isinstance(decorated, Marker) else _places(decorated.inferior_frame(), tables)
            if not places:
                yield decorated
            for level, place in enumerate(places):
                yield _Named(decorated, place, level > 0)
            if places and _is_top(decorated.inferior_frame(), tables):
                return


def _places(frame: gdb.Frame, tables: _Tables) -> List[symtab.Location]:
    if frame.function() is not None:  # by DWARF: C may have it
        return []
    try:
        pc = int(frame.pc())
    except gdb.error:
        return []
    return list(tables.go.locations(pc, frame.level() == 0))


def _is_top(frame: gdb.Frame, tables: _Tables) -> bool:
    """Whether nothing called the frame's function: above it on the stack stands no frame."""
    pc = int(frame.pc())
    func = tables.go.symtab.find(pc)  # which was known a moment ago
    return func is not None and bool(func.flags & TOP_FRAME) and not tables.go.enters_signal(pc)


class _Named(FrameDecorator):
    """A frame with the function, file and line of Go's tables; arguments and locals need DWARF."""

    def __init__(self, base: FrameDecorator, place: symtab.Location, again: bool) -> None:
        super().__init__(base)
        self._place, self._again = place, again

    def function(self) -> str:
        """As Go prints it. gdb numbers a frame once: what the function was inlined in follows without."""
        name = printable(self._place.name)
        return f"    inlined in {name}" if self._again else name

    def address(self) -> Optional[int]:
        """The frame's pc, once."""
        return None if self._again else super().address()

    def filename(self) -> Optional[str]:
        """The source file, as the compiler was given it."""
        return printable(self._place.file) if self._place.file != "?" else None

    def line(self) -> Optional[int]:
        """The line in it."""
        return self._place.line or None
