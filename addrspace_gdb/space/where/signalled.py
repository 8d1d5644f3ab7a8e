"""Which signal a process dies of: of those that its threads handle, and that of the stop.

The runtime's own way to die is SIGABRT (dieFromSignal in src/runtime/signal_unix.go), and with GOTRACEBACK=
crash it sends SIGQUIT to every other thread first: neither is what it dies of.
"""

from __future__ import annotations

from typing import Callable, FrozenSet, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.proc import M
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.sigframe import SignalFrame
from addrspace_gdb.goruntime.symtab import Symtab
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.space.reading.goroutines import GoroutineReading
from addrspace_gdb.space.reading.signals import Interrupted, interrupted
from addrspace_gdb.target.protocol import Stops, StopSignal, Target, Thread

SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGTERM = 3, 4, 5, 6, 7, 8, 11, 15
SIGXCPU, SIGXFSZ, SIGSYS = 24, 25, 31
NAMES = {
    1: "SIGHUP",
    3: "SIGQUIT",
    4: "SIGILL",
    5: "SIGTRAP",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    10: "SIGUSR1",
    11: "SIGSEGV",
    12: "SIGUSR2",
    13: "SIGPIPE",
    14: "SIGALRM",
    15: "SIGTERM",
    16: "SIGSTKFLT",
    24: "SIGXCPU",
    25: "SIGXFSZ",
    27: "SIGPROF",
    31: "SIGSYS",
}
FAULTS = (SIGILL, SIGBUS, SIGFPE, SIGSEGV)
_DEADLY = (*FAULTS, SIGQUIT, SIGTRAP, SIGABRT, 16, SIGXCPU, SIGXFSZ, SIGSYS)
# A debugger stops a process by others, and at its breakpoints.
_OF_STOPS = (*FAULTS, SIGQUIT, SIGABRT, SIGTERM, 1, 16, SIGXCPU, SIGXFSZ, SIGSYS)
_MAX_STACK = 1 << 16  # bytes of a stack that is no signal stack
_NEEDS_M = "runtime.badsignal"

# Who says what the signal was.
STOP, HANDLER = "this stop", "the signal handler's frame"


class Signalled(NamedTuple):
    """A signal, and the thread that got it."""

    number: int
    code: int
    address: Optional[int]  # of a fault; None: the kernel gave none
    sender: Optional[int]  # the process that sent it; None: nobody did
    pc: int
    register: Callable[[str], Optional[int]]
    access: Optional[str]  # by the hardware's error code
    source: str
    thread: Thread
    m: Optional[M]
    foreign: bool  # the thread is none that Go made, or that runs Go

    @property
    def is_fault(self) -> bool:
        """Whether an instruction did it, and nobody sent it."""
        return self.number in FAULTS and self.code > 0


def signalled(
    target: Target, goroutines: GoroutineReading, mappings: List[Mapping], dying: Sequence[M]
) -> Optional[Signalled]:
    """The signal that this is about; None where there is none, or only the runtime's own.

    `dying` are the Ms that report a death: up to Go 1.22 it was another one that then ended the process.
    """
    return _Finder(target, goroutines, mappings, dying).found()


def flag(runtime: Runtime, m: M, name: str) -> bool:
    """A field of an M; False where this Go has none of that name."""
    try:
        record = runtime.record("runtime.m", m.address)
    except (UnreadableError, ProblemError):
        return False
    return record.has(name) and bool(record.number(name))


class _Finder:
    def __init__(
        self, target: Target, goroutines: GoroutineReading, mappings: List[Mapping], dying: Sequence[M]
    ) -> None:
        self._dying = {m.procid for m in dying}
        self._target, self._goroutines, self._mappings = target, goroutines, mappings
        self._threads = goroutines.threads
        self._tables: Symtab = goroutines.tables
        self._by_tid = {m.procid: m for m in goroutines.scheduler.ms}
        self._selected = next((t for t in self._threads if t.selected), None)

    def found(self) -> Optional[Signalled]:
        """That of the thread that reports its death, of the selected one, then the kernel's word for it, then
        another thread's fault."""
        stops = self._target if isinstance(self._target, Stops) else None
        stop = stops.signal() if stops is not None else None
        first = [t for t in self._threads if t.tid in self._dying]
        for thread in [*first, *([self._selected] if self._selected is not None else [])]:
            own = self._handled(thread)
            if own is not None:
                return own
        fault = stop is not None and stop.number in FAULTS and stop.code > 0
        others = None if fault else self._of_others()
        if others is not None or stop is None or stops is None or self._selected is None:
            return others
        if stop.number not in _OF_STOPS or (not fault and self._raised_by_go(self._selected.pc or 0)):
            return None
        return self._at_stop(stops, stop, self._selected)

    def _at_stop(self, stops: Stops, stop: StopSignal, thread: Thread) -> Optional[Signalled]:
        if thread.pc is None:
            return None
        m = self._by_tid.get(thread.tid)
        where = (thread.pc, stops.register, None, STOP, thread, m, self._is_foreign(m))
        return Signalled(stop.number, stop.code, stop.address, stop.sender, *where)

    def _is_foreign(self, m: Optional[M]) -> bool:
        """Whether the thread is none of Go's; its M is for when it calls Go, which it does not now."""
        return m is None or flag(self._goroutines.runtime, m, "isExtraInC")

    def _of_others(self) -> Optional[Signalled]:
        """A fault or an abort that another thread handles; not what the runtime sends around."""
        others = [t for t in self._threads if not t.selected and t.tid in self._by_tid]
        found = [one for one in map(self._handled, others) if one is not None]
        faults = [one for one in found if one.is_fault]
        aborts = [one for one in found if one.number in (SIGABRT, SIGTRAP)]
        return next(iter([*faults, *aborts]), None)

    def _handled(self, thread: Thread) -> Optional[Signalled]:
        """The first deadly signal that this thread handles; None for the runtime's own."""
        m = self._by_tid.get(thread.tid)
        kept: List[Tuple[SignalFrame, FrozenSet[str]]] = []
        for one in self._chain(thread, m):
            if one.frame is None or one.frame.number not in _DEADLY or self._raised_by_go(one.registers.pc):
                continue
            kept.append((one.frame, one.handler))
        return self._signalled(thread, m, *kept[-1]) if kept else None

    def _signalled(
        self, thread: Thread, m: Optional[M], frame: SignalFrame, handler: FrozenSet[str]
    ) -> Signalled:
        foreign = _NEEDS_M in handler or self._is_foreign(m)
        where = (frame.pc, frame.registers.get, frame.access, HANDLER, thread, m, foreign)
        return Signalled(frame.number, frame.code, frame.address, frame.sender, *where)

    def _chain(self, thread: Thread, m: Optional[M]) -> List[Interrupted]:
        if thread.sp is None:
            return []
        low, top = m.gsignal_stack if m is not None else (0, 0)
        own = low < thread.sp <= top
        if not own:
            if not thread.selected:
                return []
            top = self._top(thread.sp)
        return interrupted(self._goroutines.unwinder, self._target, thread, top, only_go=not own)

    def _top(self, sp: int) -> int:
        """Where to stop reading a stack that is not a signal stack."""
        end = next((m.end for m in self._mappings if m.start <= sp < m.end), sp)
        return min(end, sp + _MAX_STACK)

    def _raised_by_go(self, pc: int) -> bool:
        """Whether the runtime sent it to its own thread: to die, or to see that the kernel ends it."""
        func = self._tables.find(pc)
        return func is not None and func.name == "runtime.raise"
