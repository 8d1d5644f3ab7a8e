"""What went wrong: the fault, panic or fatal error at this stop, put together from all who recorded it."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Tuple

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
from addrspace_gdb.goruntime.proc import is_live
from addrspace_gdb.goruntime.threadids import inner_id
from addrspace_gdb.goruntime.traceback import Frame, Stack, Walk
from addrspace_gdb.process import x86_access
from addrspace_gdb.space.goroutines.walk import start_of, walk, walk_on
from addrspace_gdb.space.regions import region as areas
from addrspace_gdb.space.where.answers import Where
from addrspace_gdb.space.where.c_code import CCode, CPlace, abort_text
from addrspace_gdb.space.where.deadlock import Blocked, blocked
from addrspace_gdb.space.where.instruction import Instruction, instruction_at
from addrspace_gdb.space.where.locator import Locator
from addrspace_gdb.space.where.signalled import (
    FAULTS,
    SIGABRT,
    SIGBUS,
    SIGFPE,
    SIGILL,
    SIGSEGV,
    SIGSYS,
    Signalled,
    flag,
    signalled,
)
from addrspace_gdb.space.where.transfers import transfer
from addrspace_gdb.target.protocol import Target, Thread, Value

BUS_ADRALN = 1  # asm-generic/siginfo.h
_MAX_FRAMES = 64
_SHALLOW = 1 << 20  # bytes: a stack that uses more is read in part
_WINDOW = 1 << 16
_STACK_POINTERS = {"amd64": "rsp", "386": "esp"}

RUNTIME = "the runtime's record in the g"  # who says what the signal was, beside signalled.STOP and HANDLER


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
    transfer: Optional[str] = None  # how it came to code that is none: "call", "return", "jump"


class Death(NamedTuple):
    """A signal for nothing that an instruction did to memory: somebody sent it, or it was a trap."""

    signal: int
    code: int
    sender: Optional[int]  # the process that sent it, None: nobody did; 0: none that it can see
    itself: bool  # the process sent it to itself
    pc: int
    source: str
    thread: Thread
    text: Optional[str]  # what C said before it aborted
    call: Optional[int] = None  # the number of the system call that was refused


class CrashReport(NamedTuple):
    """Everything about the crash. At least one of fault, death, panics, message is there."""

    fault: Optional[Fault]
    death: Optional[Death]
    where: Optional[Where]  # of the faulting address
    code: Optional[Where]  # of the instruction
    goid: Optional[int]
    frames: List[Frame]  # of the goroutine, as Go would print them
    frames_problem: Optional[str]
    panics: List[Panic]
    message: Optional[str]  # of a fatal error
    printed: List[str]  # what the runtime printed just before
    crashing: bool
    c_frames: List[CPlace]  # of C, from where it happened to the first caller that is Go's
    foreign: bool  # it happened on a thread that Go did not make, outside all goroutines
    in_c: bool  # C code ran, whatever is known of it
    blocked: Optional[Blocked] = None  # who waits in a deadlock


def crash_report(locator: Locator) -> Optional[CrashReport]:
    """What went wrong at this stop; None if nothing is on record."""
    with no_cycle_collection():
        return _Reporter(locator).report()


class _Reporter:
    def __init__(self, locator: Locator) -> None:
        self._locator = locator
        self._target: Target = locator.target
        self._reading, self._goroutines = locator.reading, locator.goroutines
        self._c = CCode(self._target, locator.tables, self._reading)
        self._columns = self._goroutines.goroutines

    def report(self) -> Optional[CrashReport]:
        crash = read_crash(self._locator.runtime, self._reading.go.scheduler.ms)
        signal = signalled(self._target, self._goroutines, self._reading.mappings, crash.dying)
        position = self._of_signal(signal) if signal is not None else self._suspect(crash)
        found = self._fault(signal, position)
        chain = self._panics(position)
        message = fatal_message(crash.printed) if crash.crashing else None
        death = self._death(signal) if signal is not None and not signal.is_fault else None
        told = message is not None or (chain and (crash.crashing or self._stopped_in_panic()))
        if found is None and death is None and not told:
            return None
        frames, problem = self._frames(position)
        c_frames = self._c.frames(signal.register) if signal is not None else []
        pc = found.pc if found is not None else death.pc if death is not None else None
        return CrashReport(
            fault=found,
            death=death,
            where=self._where(found.address) if found is not None and found.address is not None else None,
            code=self._where(pc) if pc is not None else None,
            goid=self._columns.column("goid")[position] if position is not None else None,
            frames=frames,
            frames_problem=problem,
            panics=chain,
            message=message,
            printed=printed_before(crash.printed) if message is not None else [],
            crashing=crash.crashing,
            c_frames=c_frames,
            foreign=signal is not None and signal.foreign,
            in_c=signal is not None and self._in_c(signal, position, c_frames),
            blocked=blocked(self._goroutines, message),
        )

    def _of_signal(self, signal: Signalled) -> Optional[int]:
        """The goroutine that the thread was running, on its own stack or in C."""
        if signal.foreign or signal.m is None or not signal.m.curg:
            return None
        (low, high), sp = signal.m.g0_stack, self._stack_pointer(signal)
        calls = any(flag(self._locator.runtime, signal.m, name) for name in ("incgo", "vdsoSP"))
        if low < (sp or 0) <= high and not calls:
            return None  # Go says goroutine 0: the runtime's own work
        return self._goroutines.position(signal.m.curg)

    def _stack_pointer(self, signal: Signalled) -> Optional[int]:
        return signal.register(_STACK_POINTERS.get(self._target.arch, "sp"))

    def _in_c(self, signal: Signalled, position: Optional[int], frames: List[CPlace]) -> bool:
        """By the frames, and by the stack where the pc is nowhere."""
        if signal.foreign or any(frame.file for frame in frames):
            return True
        sp = self._stack_pointer(signal)
        if position is None or sp is None or self._locator.tables.find(signal.pc) is not None:
            return False
        lo, hi = (self._columns.column(name)[position] for name in ("lo", "hi"))
        vdso = self._locator.partition.region(signal.pc).area == areas.VDSO  # which Go calls itself
        return not lo < sp <= hi and not vdso

    def _fault(self, signal: Optional[Signalled], position: Optional[int]) -> Optional[Fault]:
        if signal is None:
            return self._recorded(position) if position is not None else None
        if not signal.is_fault:
            return None
        found = instruction_at(self._target, signal.pc, signal.register)
        made = Fault(
            signal.number,
            signal.code,
            signal.address,
            False,
            signal.access,
            signal.pc,
            found,
            signal.source,
            signal.thread,
        )
        made = self._with_access(made)
        to = transfer(self._locator, signal, made.instruction.jump)
        if to is None:
            return made
        computed = made.computed or signal.address is None
        return made._replace(
            address=to.address, access=x86_access.EXECUTE, transfer=to.kind, computed=computed
        )

    def _death(self, signal: Signalled) -> Death:
        own = (self._reading.info.pid, inner_id(self._target))
        itself = signal.sender is not None and signal.sender in own
        text = abort_text(self._locator.runtime) if signal.number == SIGABRT else None
        call = signal.register("rax") if signal.number == SIGSYS and signal.code > 0 else None
        where = (signal.pc, signal.source, signal.thread, text, call)
        return Death(signal.number, signal.code, signal.sender, itself, *where)

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
        if fault.signal in (SIGFPE, SIGILL):
            return fault._replace(address=None)  # the kernel's is that of the instruction
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
