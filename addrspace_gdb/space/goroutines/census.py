"""Where each goroutine stands: on a thread's registers, or at the pc and sp that it saved when it was parked.

The rules are those of Go's own traceback (traceback1, tracebackothers in src/runtime/traceback.go).
"""

from __future__ import annotations

from typing import Dict, FrozenSet, Iterator, List, NamedTuple, Optional, Tuple

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError, Problems, UnreadableError
from addrspace_gdb.goruntime.ports import PORTS
from addrspace_gdb.goruntime.proc import (
    GSCAN,
    RUNNING,
    SYSCALL,
    M,
    is_live,
    read_goroutines,
    read_scheduler,
    status_word,
)
from addrspace_gdb.goruntime.record import MAX_READ, Runtime
from addrspace_gdb.goruntime.symtab import Symtab, load
from addrspace_gdb.goruntime.synctest import Bubble, read_bubbles
from addrspace_gdb.goruntime.traceback import Registers, Stack, Unwinder
from addrspace_gdb.goruntime.waitreason import read_wait_reasons, state_text
from addrspace_gdb.space.goroutines.chosen import Chosen
from addrspace_gdb.target.protocol import Target, Thread


class Place(NamedTuple):
    """Where a goroutine stands. Without `pc` it is where its thread is."""

    goid: int
    label: str  # `goroutine 17 [chan receive]`
    thread: Optional[Thread]  # the thread that it runs on; None: it is parked
    pc: int = 0
    sp: int = 0
    bp: int = 0
    link: int = 0  # the return address of an empty frame, where a register holds it

    @property
    def on_thread(self) -> bool:
        """Whether the thread's registers are the goroutine's."""
        return self.pc == 0


class _Row(NamedTuple):
    address: int
    lo: int
    hi: int
    m: int
    sp: int
    pc: int
    bp: int
    lr: int
    syscallsp: int
    syscallpc: int
    status: int
    goid: int
    waitreason: int


class Census:
    """All goroutines of a target that stands still."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.problems = Problems()
        self._runtime = Runtime(target, self.problems)
        try:
            self._columns = read_goroutines(self._runtime)
        except UnreadableError as error:
            raise ProblemError(f"runtime.allgs: {error}{error.hint}") from None
        except KeyError as error:
            raise ProblemError(
                f"runtime.g has no {error.args[0]}: this Go version is not supported"
            ) from None
        self._index = self._by_goid()
        self._ms: Optional[Dict[int, M]] = None
        self._threads: Optional[Dict[int, Thread]] = None
        self._reasons: Optional[List[str]] = None
        self._bubbles: Optional[Dict[int, Bubble]] = None
        self._unwinder: Optional[Unwinder] = None

    def _by_goid(self) -> Dict[int, int]:
        """goid to row. A dead g keeps its number until it is used again; a living one goes before it."""
        index: Dict[int, int] = {}
        for row, (goid, status) in enumerate(self._columns.rows("goid", "status")):
            if goid and (goid not in index or is_live(status)):
                index[goid] = row
        return index

    def _row(self, goid: int) -> _Row:
        index = self._index.get(goid)
        if index is None:
            raise ProblemError(f"there is no goroutine {goid} (`goroutine-stacks` lists them)")
        row = _Row(*(self._columns.column(name)[index] for name in _Row._fields))
        if not is_live(row.status):
            raise ProblemError(f"goroutine {goid} is dead: it has ended, and has no frames")
        return row

    def address(self, goid: int) -> int:
        """The address of its g. ProblemError if there is no such goroutine."""
        return self._row(goid).address

    def __len__(self) -> int:
        return sum(1 for status in self._columns.column("status") if is_live(status))

    def chosen(self, wanted: Chosen) -> Iterator[int]:
        """The goroutines asked for: in the order of the ranges typed, each of them rising; no one twice.

        Numbers that are asked for one by one come even if there is no such goroutine.
        """
        seen = set()
        goids = sorted(
            goid for goid, row in self._index.items() if is_live(self._columns.column("status")[row])
        )
        named = set(wanted.named())
        for first, last in wanted.ranges or ((0, 1 << 64),):
            among = [first] if first == last else [goid for goid in goids if first <= goid <= last]
            for goid in among:
                if goid not in seen and (goid in named or self._matches(goid, wanted)):
                    seen.add(goid)
                    yield goid

    def _matches(self, goid: int, wanted: Chosen) -> bool:
        index = self._index.get(goid)
        if index is None or not is_live(self._columns.column("status")[index]):
            return False
        if not wanted.filtered:
            return True
        row = self._row(goid)
        if not wanted.has_state(status_word(row.status), self.reason(row)):
            return False
        return not wanted.functions or wanted.has_functions(self._functions(row))

    def reason(self, row: _Row) -> str:
        """What Go prints in brackets: the wait reason, else the status."""
        if self._reasons is None or self._bubbles is None:
            self._reasons = read_wait_reasons(self._runtime)
            self._bubbles = read_bubbles(self._runtime, self._columns)
        bubble = self._bubbles.get(self._index[row.goid])
        durable = bubble is not None and bubble.durable
        return printable(state_text(self._reasons, row.status, row.waitreason, durable))

    def place(self, goid: int) -> Place:
        """Where the goroutine stands. ProblemError, in one line, if it does not exist or is damaged."""
        row = self._row(goid)
        label = f"goroutine {goid} [{self.reason(row)}]"
        status = row.status & ~GSCAN
        thread = self._thread(row, label) if status in (RUNNING, SYSCALL) else None
        if thread is not None and self._is_its_own(row, thread):
            return Place(goid, label, thread)
        pc, sp, bp = self._saved(row, status)
        if not row.lo < sp <= row.hi:
            raise ProblemError(
                f"{label}: its saved stack pointer {sp:#x} is outside its stack {row.lo:#x}-{row.hi:#x}; "
                "the g is damaged, or the goroutine was being switched"
            )
        if not pc:
            raise ProblemError(f"{label}: its saved pc is 0: it was being made")
        link = row.lr if (pc, sp) == (row.pc, row.sp) else 0
        return Place(goid, label, thread, self._resumed(pc), sp, bp, link)

    def _saved(self, row: _Row, status: int) -> Tuple[int, int, int]:
        """pc, sp and frame pointer, which is 0 where Go keeps none (386): gdb cannot do without."""
        if status != SYSCALL or not row.syscallsp:
            return row.pc, row.sp, row.bp
        # Go 1.23 added g.syscallbp. It is what the prologue made it: the slot below the return address.
        delta = self._symtab().sp_delta(row.syscallpc)
        bp = 0
        if self.target.arch == "arm64":
            bp = row.syscallsp - self.target.pointer_size  # where frames begin, less a word
        elif self.target.arch == "amd64" and delta:
            bp = row.syscallsp + delta - self.target.pointer_size
        return row.syscallpc, row.syscallsp, bp

    def _resumed(self, pc: int) -> int:
        """The saved pc as gdb reads it: a return address, which lies behind the call it shows.

        A goroutine that has not run yet, or was preempted at the entry of a function, saved the address of
        a function's first instruction (gostartcall, rewindmorestack); the least size of one is added, or gdb
        would show the function that stands before it in memory.
        """
        func = self._symtab().find(pc)
        port = PORTS.get(self.target.arch)
        return pc + (port.quantum if port else 1) if func is not None and func.entry == pc else pc

    def _symtab(self) -> Symtab:
        return self._names().symtab

    def _names(self) -> Unwinder:
        if self._unwinder is None:
            self._unwinder = Unwinder(load(self.target, self.problems))
        return self._unwinder

    def _threads_of_go(self) -> Dict[int, M]:
        """Every M by its address."""
        if self._ms is None:
            self._ms = {m.address: m for m in read_scheduler(self._runtime).ms}
        return self._ms

    def _by_tid(self) -> Dict[int, Thread]:
        if self._threads is None:
            self._threads = {thread.tid: thread for thread in self.target.threads()}
        return self._threads

    def _thread(self, row: _Row, label: str) -> Optional[Thread]:
        """The thread of a goroutine that is running or in a system call; None if it has none."""
        m = self._threads_of_go().get(row.m)
        thread = self._by_tid().get(m.procid) if m is not None else None
        if thread is None and row.status & ~GSCAN == RUNNING:
            what = (
                f"thread {m.procid}, which the debugger does not have" if m is not None else "no known thread"
            )
            raise ProblemError(f"{label}: it runs on {what}")
        return thread

    def _is_its_own(self, row: _Row, thread: Thread) -> bool:
        """Whether the thread's registers show the goroutine.

        They do on its own stack, and in a signal handler, through whose frame gdb finds the way back. They
        do not while the thread is on its g0 stack (systemstack, cgo): then the goroutine has saved its own.
        """
        m = self._threads_of_go().get(row.m)
        if thread.sp is None or m is None:
            return False
        if row.lo < thread.sp <= row.hi:
            return True
        return m.gsignal_stack[0] < thread.sp <= m.gsignal_stack[1]

    def running_on(self, thread: Thread) -> int:
        """The goid of the goroutine that runs on the thread; 0 if there is none."""
        ms = self._threads_of_go().values()
        curg = next((m.curg for m in ms if m.procid == thread.tid and m.curg), 0)
        try:
            return self._columns.column("goid")[self._columns.column("address").index(curg)]
        except ValueError:
            return 0

    def thread(self, number: int) -> Optional[Thread]:
        """A thread by the debugger's number."""
        return next((t for t in self._by_tid().values() if t.number == number), None)

    def _functions(self, row: _Row) -> FrozenSet[str]:
        """The names of all functions on its stack, inlined ones too; empty if it cannot be walked."""
        try:
            place = self.place(row.goid)
            if not place.on_thread:
                return self._names_from(Registers(place.pc, place.sp, 0, place.link), row.hi, trap=False)
            registers = self._registers(row, place.thread)
            return self._names_from(registers, row.hi, trap=True) if registers else frozenset()
        except (ProblemError, UnreadableError):
            return frozenset()

    def _names_from(self, at: Registers, hi: int, trap: bool) -> FrozenSet[str]:
        frames = self._names().unwind(self._stack(at.sp, hi), at.pc, at.sp, lr=at.lr, trap=trap)
        return frozenset(frame.function for frame in frames if frame.function)

    def _stack(self, sp: int, hi: int) -> Stack:
        if not 0 < hi - sp <= MAX_READ:
            raise UnreadableError(sp, hi - sp)
        return Stack(sp, self.target.read(sp, hi - sp))

    def _registers(self, row: _Row, thread: Optional[Thread]) -> Optional[Registers]:
        """Those on the goroutine's own stack, also while its thread is in a signal handler."""
        if thread is None or thread.pc is None or thread.sp is None:
            return None
        if row.lo < thread.sp <= row.hi:
            return Registers(thread.pc, thread.sp, 0, thread.link)
        stack = self._stack(thread.sp, self._threads_of_go()[row.m].gsignal_stack[1])
        walk = self._names().walk(stack, thread.pc, thread.sp, lr=thread.link, trap=True, on_g0=True)
        found = self._names().interrupted(stack, walk)
        return found if found is not None and row.lo < found.sp <= row.hi else None
