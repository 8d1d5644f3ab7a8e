"""What went wrong: the fault, panic or fatal error at this stop, put together from all who recorded it."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Tuple

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.crash import (
    Crash,
    Panic,
    fatal_message,
    panics,
    printed_before,
    read_crash,
    signal_record,
)
from addrspace_gdb.goruntime.proc import M, is_live
from addrspace_gdb.goruntime.sigframe import SignalFrame, signal_frame
from addrspace_gdb.goruntime.traceback import Frame, Stack, Walk
from addrspace_gdb.process import x86_access
from addrspace_gdb.space.goroutines.walk import start_of, walk, walk_on
from addrspace_gdb.space.where.answers import Where
from addrspace_gdb.space.where.instruction import Instruction, instruction_at
from addrspace_gdb.space.where.locator import Locator
from addrspace_gdb.target.protocol import Stops, StopSignal, Target, Thread, Value

SIGILL, SIGBUS, SIGFPE, SIGSEGV = 4, 7, 8, 11
BUS_ADRALN = 1  # asm-generic/siginfo.h
FAULTS = {SIGILL: "SIGILL", SIGBUS: "SIGBUS", SIGFPE: "SIGFPE", SIGSEGV: "SIGSEGV"}
_MAX_FRAMES = 64
_SHALLOW = 1 << 20  # bytes: a stack that uses more is read in part
_WINDOW = 1 << 16
_MAX_SIGNAL_STACK = 1 << 20  # bytes
_MAX_NESTED = 8  # signal handlers

# Who says what the signal was.
STOP, HANDLER, RUNTIME = "this stop", "the signal handler's frame", "the runtime's record in the g"


class Fault(NamedTuple):
    """A signal for something that an instruction did."""

    signal: int
    code: int
    address: Optional[int]  # None: the kernel gave none
    computed: bool  # the address is from the instruction and its registers, not from the kernel
    access: Optional[str]  # "read", "write", "read and write", "execute"; None: not known
    pc: int
    instruction: Instruction
    source: str
    thread: Optional[Thread]


class CrashReport(NamedTuple):
    """Everything about the crash. At least one of fault, panics, message is there."""

    fault: Optional[Fault]
    where: Optional[Where]  # of the faulting address
    code: Optional[Where]  # of the instruction
    goid: Optional[int]
    frames: List[Frame]  # of the goroutine, as Go would print them
    frames_problem: Optional[str]
    panics: List[Panic]
    message: Optional[str]  # of a fatal error
    printed: List[str]  # what the runtime printed just before
    crashing: bool
    signal: Optional[StopSignal]  # of the stop, whatever it is


def crash_report(locator: Locator) -> Optional[CrashReport]:
    """What went wrong at this stop; None if nothing is on record."""
    with no_cycle_collection():
        return _Reporter(locator).report()


class _Reporter:
    def __init__(self, locator: Locator) -> None:
        self._locator = locator
        self._target: Target = locator.target
        self._reading, self._goroutines = locator.reading, locator.goroutines
        self._stops: Optional[Stops] = self._target if isinstance(self._target, Stops) else None
        self._columns = self._goroutines.goroutines

    def report(self) -> Optional[CrashReport]:
        crash = read_crash(self._locator.runtime, self._reading.go.scheduler.ms)
        stop = self._stops.signal() if self._stops is not None else None
        found, position = self._found(crash, stop)
        if position is None:
            position = self._suspect(crash)
        chain = self._panics(position)
        message = fatal_message(crash.printed) if crash.crashing else None
        if found is None and message is None and not (chain and (crash.crashing or self._stopped_in_panic())):
            return None
        frames, problem = self._frames(position)
        goid = self._columns.column("goid")[position] if position is not None else None
        return CrashReport(
            fault=found,
            where=self._where(found.address) if found is not None and found.address is not None else None,
            code=self._where(found.pc) if found is not None else None,
            goid=goid,
            frames=frames,
            frames_problem=problem,
            panics=chain,
            message=message,
            printed=printed_before(crash.printed) if message is not None else [],
            crashing=crash.crashing,
            signal=stop,
        )

    def _found(self, crash: Crash, stop: Optional[StopSignal]) -> Tuple[Optional[Fault], Optional[int]]:
        """The fault from the best source, and the goroutine's position in the columns."""
        selected = next((t for t in self._reading.threads if t.selected), None)
        handlers = sorted(self._handlers(), key=lambda one: one[1] is not selected)
        faulted = stop is not None and stop.number in FAULTS
        if handlers and (not faulted or handlers[0][1] is selected):
            m, thread, frame = handlers[0]
            position = self._goroutines.position(m.curg) if m.curg else None
            return self._in_handler(frame, thread), position
        if stop is not None and faulted and selected is not None and selected.pc is not None:
            return self._at_stop(stop, selected), self._runs(selected)
        position = self._suspect(crash)
        if position is None:
            return None, None
        return self._recorded(position), position

    def _at_stop(self, stop: StopSignal, thread: Thread) -> Fault:
        assert thread.pc is not None and self._stops is not None
        found = instruction_at(self._target, thread.pc, self._stops.register)
        made = Fault(stop.number, stop.code, stop.address, False, None, thread.pc, found, STOP, thread)
        return self._with_access(made)

    def _in_handler(self, frame: SignalFrame, thread: Thread) -> Fault:
        found = instruction_at(self._target, frame.pc, frame.registers.get)
        made = Fault(
            frame.number, frame.code, frame.address, False, frame.access, frame.pc, found, HANDLER, thread
        )
        return self._with_access(made)

    def _recorded(self, position: int) -> Optional[Fault]:
        record = signal_record(self._locator.runtime, self._columns.column("address")[position])
        if record is None or record.number not in FAULTS:
            return None
        found = instruction_at(self._target, record.pc, lambda name: None)
        # sighandler stores 0 where the kernel gives no address.
        known = record.address if record.code != 0x80 else None
        made = Fault(record.number, record.code, known, False, None, record.pc, found, RUNTIME, None)
        return self._with_access(made)

    def _with_access(self, fault: Fault) -> Fault:
        """What the instruction does to memory: the operand that the fault is about."""
        if fault.signal == SIGBUS and fault.code == BUS_ADRALN and not fault.address:
            fault = fault._replace(address=None)  # x86 has no address for an alignment check
        if fault.address is not None and fault.address == fault.pc:
            return fault._replace(access=x86_access.EXECUTE)
        operands = fault.instruction.accesses
        near = [o for o in operands if o.address is not None and fault.address is not None]
        near = [o for o in near if abs((o.address or 0) - (fault.address or 0)) < 64]
        one = near[0] if near else operands[0] if len(operands) == 1 else None
        if one is None:
            return fault
        if fault.address is None and one.address is not None and fault.signal in (SIGSEGV, SIGBUS):
            fault = fault._replace(address=one.address, computed=True)
        return fault if fault.access else fault._replace(access=one.kind)

    def _handlers(self) -> List[Tuple[M, Thread, SignalFrame]]:
        """Threads that are in a signal handler, and what it interrupted."""
        threads: Dict[int, Thread] = {t.tid: t for t in self._reading.threads}
        found = []
        for m in self._reading.go.scheduler.ms:
            thread, (low, high) = threads.get(m.procid), m.gsignal_stack
            if thread is None or thread.sp is None or not low < thread.sp <= high:
                continue
            frame = self._handler(thread, high) if high - low <= _MAX_SIGNAL_STACK else None
            if frame is not None:
                found.append((m, thread, frame))
        return found

    def _handler(self, thread: Thread, high: int) -> Optional[SignalFrame]:
        """The fault that the thread's handlers were called for: of nested ones the first that happened."""
        unwinder = self._goroutines.unwinder
        found: Optional[SignalFrame] = None
        pc, sp, lr = thread.pc or 0, thread.sp or 0, thread.link
        try:
            stack = Stack(sp, self._target.read(sp, high - sp))
        except UnreadableError:
            return None
        for _ in range(_MAX_NESTED):
            walked = unwinder.walk(stack, pc, sp, lr=lr, trap=True, on_g0=True)
            registers = unwinder.interrupted(stack, walked) if walked.pcs else None
            arch, order = self._target.arch, self._target.byte_order
            frame = signal_frame(stack, registers, arch, order) if registers is not None else None
            if frame is None or registers is None:
                break
            found = frame if frame.number in FAULTS else found
            if not sp < registers.sp <= high:
                break
            pc, sp, lr = registers.pc, registers.sp, registers.lr
        return found

    def _runs(self, thread: Thread) -> Optional[int]:
        m = next((m for m in self._reading.go.scheduler.ms if m.procid == thread.tid and m.curg), None)
        return self._goroutines.position(m.curg) if m is not None else None

    def _suspect(self, crash: Crash) -> Optional[int]:
        """The goroutine that dies: of the M that reports it, else the one with an unrecovered panic."""
        for m in crash.dying:
            position = self._goroutines.position(m.curg) if m.curg else None
            if position is not None:
                return position
        if not crash.crashing and not self._stopped_in_panic():
            return None
        rows = enumerate(self._columns.rows("address", "status"))
        for position, (_, status) in rows:
            if is_live(status) and position in self._goroutines.live and self._panics(position):
                return position
        return None

    def _stopped_in_panic(self) -> bool:
        """Whether the selected thread stands in the runtime's panic code."""
        thread = next((t for t in self._reading.threads if t.selected), None)
        position = self._runs(thread) if thread is not None else None
        if position is None:
            return False
        names = {frame.function for frame in self._frames(position, printed=False)[0]}
        return bool(names & {"runtime.gopanic", "runtime.fatalpanic", "runtime.fatalthrow"})

    def _panics(self, position: Optional[int]) -> List[Panic]:
        if position is None:
            return []
        address = self._columns.column("address")[position]
        found = panics(self._locator.runtime, self._locator.types, address)
        return [panic for panic in found if not panic.goexit]

    def _frames(self, position: Optional[int], printed: bool = True) -> Tuple[List[Frame], Optional[str]]:
        """The goroutine's innermost frames; of a very deep stack only what is near its pointer is read."""
        if position is None:
            return [], None
        walked = self._walk(position)
        unwinder = self._goroutines.unwinder
        frames = unwinder.frames(walked)
        problem = walked.problem if not frames else None
        return (unwinder.printed(frames) if printed else frames)[:_MAX_FRAMES], problem

    def _walk(self, position: int) -> Walk:
        start = start_of(self._goroutines, position)
        hi = self._columns.column("hi")[position]
        if start.problem or hi - start.sp <= _SHALLOW:
            return walk(self._goroutines, position, _MAX_FRAMES)
        try:
            stack = Stack(start.sp, self._target.read(start.sp, _WINDOW))
        except UnreadableError:
            return Walk([], [], "its stack cannot be read", False)
        return walk_on(self._goroutines, start, stack, _MAX_FRAMES)

    def _where(self, address: int) -> Where:
        return self._locator.locate([Value(hex(address), address)])[0]
