"""The gdb implementation of `Target`: the selected inferior, read-only."""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Dict, Iterator, List, NamedTuple, Optional, Protocol, Sequence, Tuple

import gdb

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.debugger.gdb import names as gdb_names
from addrspace_gdb.debugger.gdb import stops
from addrspace_gdb.debugger.gdb.hints import GDB
from addrspace_gdb.debugger.gdb.registers import REGISTERS, GdbRegisters, go_arch, pointer_size
from addrspace_gdb.debugger.gdb.remote_files import RemoteProc
from addrspace_gdb.debugger.gdb.text import output_of, text_of
from addrspace_gdb.debugger.gdb.threads import selected_thread
from addrspace_gdb.debugger.gdb.types import convert
from addrspace_gdb.debugger.gdb.values import evaluate, fetched, values_of
from addrspace_gdb.process.file_backed import FileBacked
from addrspace_gdb.process.kept_memory import KeptMemory
from addrspace_gdb.process.process_memory import ProcessMemory
from addrspace_gdb.process.registers import register_set
from addrspace_gdb.shell.hints import SHELL
from addrspace_gdb.target.hints import Hints
from addrspace_gdb.target.layout import Type
from addrspace_gdb.target.protocol import (
    Facts,
    FrameVariable,
    Named,
    ProcFiles,
    StopSignal,
    Symbol,
    Thread,
    ThreadRegisters,
    Value,
)

if TYPE_CHECKING:
    from addrspace_gdb.debugger.gdb.core_memory import HeldMemory

_LARGE = 1 << 28  # bytes of one read
_UNKNOWN_ARCH = GdbRegisters("pc", "sp", "fp")


class Variables(Protocol):
    """What knows variables sooner than gdb, which reads all debug information of a package for one."""

    def symbol(self, name: str) -> Optional[Symbol]:
        """A variable by its linker name; None: ask gdb."""


class Known(NamedTuple):
    """What whoever started gdb knows of its one target: gdb may have files by other names."""

    executable: Optional[str]  # path of the program, None: as gdb says
    core_file: Optional[str]  # path of the core file, None: it is none
    shown: Optional[str]  # how that core is called
    hints: Hints = SHELL


class GdbTarget:
    """The inferior selected in gdb. One object serves until the inferior moves."""

    def __init__(self, known: Optional[Known] = None, keep: bool = False) -> None:
        """`keep`: a process is let go before all is worked out of what was read."""
        self._inferior = gdb.selected_inferior()
        if not self._inferior.is_valid() or self._inferior.pid == 0 or not self._inferior.threads():
            raise ProblemError(
                "no process: run or attach to one, or load a core file (`core-file FILE`; for a compressed "
                "one, in the shell: addrspace-gdb dump FILE)"
            )
        self._check_stopped()
        connection = self._inferior.connection
        what = connection.type if connection is not None else "native"
        self.kind = "core" if what == "core" else "remote" if "remote" in what else "live"
        self.pid: Optional[int] = self._inferior.pid
        self.executable: Optional[str] = known.executable if known is not None else None
        self.executable = self.executable or _executable(self._inferior)
        self.core_file: Optional[str] = known.core_file if known is not None else None
        if self.kind == "core" and self.core_file is None:
            self.core_file = _core_file(self._inferior)
        self._core_name = (known.shown if known is not None else None) or self.core_file
        name = self._inferior.architecture().name()
        self.hints = known.hints if known is not None else GDB
        self.byte_order = "big" if "big" in output_of("show endian") else "little"
        self.variables: Optional[Variables] = None
        self.arch = go_arch(name, self.byte_order, _width)
        self.pointer_size = pointer_size(self.arch) or _width()
        self._names = REGISTERS.get(self.arch, _UNKNOWN_ARCH)
        self._symbols: Dict[str, Optional[Symbol]] = {}
        self._types: Dict[str, Optional[Type]] = {}
        self._threads: Optional[List[Thread]] = None
        self._auxv: Optional[Dict[int, int]] = None
        self._held_memory: Optional[HeldMemory] = None
        self._process: Optional[ProcessMemory] = None  # of one on this machine
        if self.kind == "live":
            self._process = ProcessMemory(self._inferior.pid, self._memory, keep)

    def _check_stopped(self) -> None:
        running = [t for t in self._inferior.threads() if t.is_running()]
        if running:
            raise ProblemError("the process is running: stop it first (Ctrl-C or `interrupt`)")

    @property
    def _held(self) -> Optional[HeldMemory]:
        """Of a core, what is in it."""
        if self._held_memory is None and self.core_file is not None:
            from addrspace_gdb.debugger.gdb.core_memory import HeldMemory

            self._held_memory = HeldMemory(self.core_file, self.executable)
        return self._held_memory

    def read(self, address: int, size: int) -> bytes:
        """Exactly `size` bytes at `address`."""
        if size == 0:
            return b""
        if size < 0 or address < 0 or address + size >= 1 << (8 * self.pointer_size):
            # Nobody maps the very last byte; of a core gdb 18 makes one up, as the end after it is 0 again.
            raise UnreadableError(address, size)
        if self._process is not None:
            return self._process.read(address, size)
        in_file = self._held.check(address, size) if self._held is not None else None
        return in_file if in_file is not None else self._memory(address, size)

    @property
    def kept(self) -> Optional[KeptMemory]:
        """What is kept of a process that is to be let go."""
        return self._process.kept if self._process is not None else None

    def let_go(self) -> None:
        """The process is about to run on."""
        if self._process is not None:
            self._process.let_go()

    def _check_held(self, what: str) -> None:
        if self._process is not None:
            self._process.check_held(what)

    def _memory(self, address: int, size: int) -> bytes:
        """As gdb reads it."""
        try:
            if size <= _LARGE:
                return bytes(self._inferior.read_memory(address, size))
            # gdb ends itself where it cannot have room for all, before it looks whether there is anything.
            starts = range(address, address + size, _LARGE)
            return b"".join(
                bytes(self._inferior.read_memory(at, min(_LARGE, address + size - at))) for at in starts
            )
        except (gdb.error, MemoryError, OverflowError):
            raise UnreadableError(address, size) from None

    def file_backed(self) -> Optional[FileBacked]:
        """What a process of this machine has mapped of files."""
        return self._process.file_backed if self._process is not None else None

    def symbol(self, name: str) -> Optional[Symbol]:
        """A global variable by its linker name."""
        if self._held is not None and self._held.misplaced:
            return None  # its addresses are not those of the process
        if name not in self._symbols:
            found = self.variables.symbol(name) if self.variables is not None else None
            self._symbols[name] = found if found is not None else self._find_symbol(name)
        return self._symbols[name]

    def _find_symbol(self, name: str) -> Optional[Symbol]:
        try:
            found = gdb.lookup_global_symbol(name, gdb.SYMBOL_VAR_DOMAIN)
            if found is not None and found.addr_class == gdb.SYMBOL_LOC_STATIC:
                value = found.value()
                assert value.address is not None
                return Symbol(name, int(value.address), int(value.type.sizeof), convert(value.type))
            # Without DWARF the ELF symbol table still knows the address, not the size.
            address = int(gdb.parse_and_eval(f"&'{name}'"))
            return Symbol(name, address & ((1 << (8 * self.pointer_size)) - 1), 0)
        except (gdb.error, RuntimeError, TypeError):
            return None

    def type(self, name: str) -> Optional[Type]:
        """A type by its DWARF name."""
        if name not in self._types:
            try:
                self._types[name] = convert(gdb.lookup_type(name))
            except gdb.error:
                self._types[name] = None
        return self._types[name]

    def threads(self) -> List[Thread]:
        """Every thread with the registers of its innermost frame, which are read when they are asked for."""
        if self._threads is None:
            chosen = selected_thread()
            number = chosen.num if chosen is not None else None
            ordered = sorted(self._inferior.threads(), key=lambda thread: thread.num)
            self._threads = [self._thread(one, one.num == number) for one in ordered]
        return self._threads

    def _thread(self, thread: gdb.InferiorThread, selected: bool) -> Thread:
        """`thread` must be valid as long as its registers may be asked for.

        For a frame in Go's runtime gdb needs more than 50 ms; a thread without a goroutine is not looked at.
        """
        tid = thread.ptid[1] or thread.ptid[2] or thread.ptid[0]
        return Thread(
            thread.num,
            int(tid),
            selected,
            partial(self._registers_of, thread),
            partial(self._general_of, thread),
        )

    def _registers_of(self, thread: gdb.InferiorThread) -> ThreadRegisters:
        """What the innermost frame of a thread has; the selection is put back."""
        self._check_held("a thread")
        pc = sp = tls = link = None
        names, width = self._names, self.pointer_size
        with kept_selection():
            try:
                thread.switch()
                frame = gdb.newest_frame()
                pc, sp = int(frame.pc()), _register(frame, names.sp, width)
                tls = _register(frame, names.tls, width) if names.tls else None
                link = _register(frame, names.link, width) if names.link else None
            except gdb.error:
                pass  # a thread without registers (a cut core) stays listed, its registers unknown
        return ThreadRegisters(pc, sp, tls, link)

    def _general_of(self, thread: gdb.InferiorThread) -> Tuple[int, ...]:
        """What the general registers of a thread hold; the selection is put back."""
        self._check_held("a thread")
        known = register_set(self.arch)
        with kept_selection():
            try:
                thread.switch()
                frame = gdb.newest_frame()
            except gdb.error:
                return ()
            names = filter(None, known.names) if known is not None else ()
            read = [_register(frame, name, self.pointer_size) for name in names]
        return tuple(value for value in read if value is not None)

    @property
    def facts(self) -> Facts:
        """What gdb says of it. With all symbols, there is nothing to be found in memory."""
        return Facts(core_name=self._core_name, replaying=self._replaying())

    def _replaying(self) -> bool:
        """Whether memory and registers are those of an earlier moment that gdb recorded (`record full`)."""
        if gdb.current_recording() is None:
            return False
        return "Replay mode" in output_of("info record")

    def proc_files(self) -> Optional[ProcFiles]:
        """/proc/PID, here or behind the remote stub. LetGoError once the process was let go."""
        if self._process is not None:
            return self._process.proc_files()
        connection = self._inferior.connection
        if self.kind == "remote" and self.pid and isinstance(connection, gdb.RemoteTargetConnection):
            return RemoteProc(connection, self.pid)
        return None

    def evaluate(self, expression: str) -> int:
        """An address from an expression."""
        self._check_held("an expression")
        try:
            value = evaluate(expression)
            code = value.type.strip_typedefs().code
            if code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_ARRAY, gdb.TYPE_CODE_FUNC) and value.address:
                return int(value.address)
            return int(fetched(value, self.read)) & ((1 << (8 * self.pointer_size)) - 1)
        except UnreadableError as error:
            raise ProblemError(f"cannot evaluate {printable(expression)!r}: {error}") from None
        except (gdb.error, OverflowError, ValueError, TypeError) as error:
            raise ProblemError(
                f"cannot evaluate {printable(expression)!r}: {printable(str(error))}"
            ) from None

    def values(self, expression: str) -> List[Value]:
        """Every address that an expression comes to."""
        self._check_held("an expression")
        return values_of(expression, self.read, self.pointer_size, self.byte_order)

    def names_at(self, addresses: Sequence[int]) -> List[Optional[Named]]:
        """The symbol that holds each address."""
        return gdb_names.names_at(addresses)

    def frame_variables(self, pc: int) -> List[FrameVariable]:
        """Variables that lie in the frame of the function at `pc`."""
        return gdb_names.frame_variables(pc)

    def debug_file(self, address: int) -> Optional[str]:
        """A file with the debug information of what lies at an address."""
        return gdb_names.debug_file(address)

    def signal(self) -> Optional[StopSignal]:
        """The signal of the selected thread."""
        self._check_held("a signal")
        return stops.signal(self.pointer_size, self.arch.startswith("mips"))

    def auxv(self) -> Dict[int, int]:
        """The auxiliary vector, read once."""
        if self._auxv is None:
            self._check_held("the auxiliary vector")
            self._auxv = stops.auxv()
        return self._auxv

    def instruction(self, pc: int) -> Optional[str]:
        """The instruction at `pc`."""
        self._check_held("an instruction")
        return stops.instruction(self._inferior.architecture(), pc)

    def register(self, name: str) -> Optional[int]:
        """A register of the selected thread's innermost frame."""
        self._check_held("a register")
        try:
            return _register(gdb.newest_frame(), name, self.pointer_size)
        except gdb.error:
            return None


@contextmanager
def kept_selection() -> Iterator[Optional[int]]:
    """Run a block that switches threads, and put thread and frame back; yields the thread's number."""
    thread = selected_thread()
    try:
        frame: Optional[gdb.Frame] = gdb.selected_frame()
    except gdb.error:
        frame = None
    try:
        yield thread.num if thread is not None else None
    finally:
        if thread is not None and thread.is_valid():
            thread.switch()
            if frame is not None and frame.is_valid():
                frame.select()


def _register(frame: gdb.Frame, name: str, pointer_size: int) -> Optional[int]:
    try:
        return int(frame.read_register(name)) & ((1 << (8 * pointer_size)) - 1)
    except (gdb.error, ValueError):
        return None


def _width() -> int:
    """Bytes of a pointer, by gdb's types."""
    return int(gdb.lookup_type("void").pointer().sizeof)


def _executable(inferior: gdb.Inferior) -> Optional[str]:
    space = inferior.progspace
    return text_of(lambda: space.filename or "") or None if space is not None else None


def _core_file(inferior: gdb.Inferior) -> Optional[str]:
    known = getattr(inferior, "corefile", None)  # gdb 17 has it; older ones say it in `info files` only
    if known is not None:
        return text_of(lambda: str(known.filename))
    text = output_of("info files")
    found = re.search(r"core dump file:\s*\n\s*[`'\"](.+)['\"], file type", text)
    return found.group(1) if found else None
