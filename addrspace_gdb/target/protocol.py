"""What every room above needs from a debugger: the `Target` protocol, and nothing of gdb.

Reads raise `UnreadableError` for the range asked and change nothing. All of it is read-only.
"""

from __future__ import annotations

from functools import cached_property
from typing import (
    Callable,
    Dict,
    Final,
    List,
    NamedTuple,
    Optional,
    Protocol,
    Sequence,
    Tuple,
    runtime_checkable,
)

from addrspace_gdb.target.hints import Hints
from addrspace_gdb.target.layout import Type


class Symbol(NamedTuple):
    """A variable of the target: its name, run-time address (load bias applied) and size in bytes."""

    name: str
    address: int
    size: int  # 0 where only the ELF symbol table knows the name
    type: Optional[Type] = None  # its layout, None without debug information


class ThreadRegisters(NamedTuple):
    """Registers of a thread's innermost frame. One that cannot be read is None."""

    pc: Optional[int] = None
    sp: Optional[int] = None
    tls: Optional[int] = None  # fs_base on amd64: the thread pointer, which lies in the pthread's stack block
    link: Optional[int] = None  # the link register, where the architecture has one


class Thread:
    """An OS thread as the debugger sees it; itself and no other, so threads are told apart by `tid`.

    Its registers are read when the first of them is asked for: to find a frame, a debugger may read all debug
    information of its function's package.
    """

    def __init__(
        self,
        number: int,
        tid: int,
        selected: bool,
        read: Callable[[], ThreadRegisters],
        read_general: Callable[[], Tuple[int, ...]] = tuple,
    ) -> None:
        self.number: Final = number  # the debugger's own, as `info threads` prints it
        self.tid: Final = tid  # the kernel's thread id
        self.selected: Final = selected
        self._read: Final = read
        self._read_general: Final = read_general

    @cached_property
    def registers(self) -> ThreadRegisters:
        """Those of the innermost frame, read once."""
        return self._read()

    @property
    def pc(self) -> Optional[int]:
        """As ThreadRegisters has it."""
        return self.registers.pc

    @property
    def sp(self) -> Optional[int]:
        """As ThreadRegisters has it."""
        return self.registers.sp

    @property
    def tls(self) -> Optional[int]:
        """As ThreadRegisters has it."""
        return self.registers.tls

    @property
    def link(self) -> Optional[int]:
        """As ThreadRegisters has it."""
        return self.registers.link

    @cached_property
    def general(self) -> Tuple[int, ...]:
        """What its general registers hold, those included, as far as that can be read."""
        return self._read_general()


class ProcFiles(Protocol):
    """The files of /proc/PID of the target, on this machine or through a remote stub."""

    local: bool  # True: `path` names a file this process can open itself (needed for ioctl)

    def path(self, name: str) -> str:
        """The path of /proc/PID/`name`."""

    def read(self, name: str, offset: int = 0, size: Optional[int] = None) -> bytes:
        """Bytes of /proc/PID/`name` from `offset` (to the end without `size`). Raises OSError."""


class Facts(NamedTuple):
    """What is known of a target besides its memory, by now: some of it is found only when it is needed."""

    core_name: Optional[str] = None  # how the core is called where it is shown; None: it is none
    replaying: bool = False  # memory and registers are those of an earlier moment that the debugger recorded
    is_go: bool = False  # a Go program, by what is in its memory: the debugger does not have all its symbols
    build_version: Optional[str] = None  # of Go, where it is known and runtime.buildVersion is not had
    guessed: bool = False  # its Go is newer than the layouts that are used for want of debug information


class Target(Protocol):
    """One inferior that is stopped: a live process, a core file, or a remote process."""

    kind: str  # "live", "core" or "remote"
    pid: Optional[int]
    executable: Optional[str]  # path as the debugger knows it
    core_file: Optional[str]  # path of the core, only for kind "core"
    arch: str  # Go's name: amd64, 386, arm64 ...
    pointer_size: int
    byte_order: str  # "little" or "big"
    hints: Hints  # how whoever uses it is told what to do

    @property
    def facts(self) -> Facts:
        """What is known of it by now."""

    def read(self, address: int, size: int) -> bytes:
        """Exactly `size` bytes at `address`; UnreadableError if any of them cannot be read."""

    def symbol(self, name: str) -> Optional[Symbol]:
        """A global variable by its linker name (`runtime.mheap_`), None if there is no such symbol."""

    def type(self, name: str) -> Optional[Type]:
        """A type by its DWARF name (`runtime.mspan`), None if there is no debug information for it."""

    def threads(self) -> List[Thread]:
        """Every thread, with pc and sp of its innermost frame."""

    def proc_files(self) -> Optional[ProcFiles]:
        """/proc/PID of the target where it can be had, else None (cores; stubs without file access)."""

    def evaluate(self, expression: str) -> int:
        """An address from an expression in the debugger's own syntax. Raises ProblemError."""


class Value(NamedTuple):
    """One address that an expression comes to, and what the debugger knows to lie there."""

    expression: str  # as typed; "EXPR[3]" for an element of an array made with @
    address: int
    type: Optional[str] = None  # of what lies at the address, by its static type; None: not known
    size: Optional[int] = None  # bytes of it
    said_by: int = 0  # address of the type descriptor (eface) or itab (iface) of an interface value
    note: str = ""  # "the bytes of a string" ...: how the address came of the value, if not plainly
    held_at: Optional[int] = None  # where the pointer itself lies; None: in a register, or it was typed


class Named(NamedTuple):
    """The symbol that holds an address."""

    name: str  # the linker's
    offset: int
    section: str
    file: Optional[str]  # the object file, None where the debugger does not say


class FrameVariable(NamedTuple):
    """A local variable or argument, or a piece of it, that lies in a frame at a fixed distance of its CFA."""

    name: str
    offset: int  # from the canonical frame address: sp of the caller once it has returned there
    size: int
    within: int = 0  # where in the variable this piece begins


@runtime_checkable
class Expressions(Protocol):
    """A target whose debugger tells more of an expression than an address. Optional."""

    def values(self, expression: str) -> List[Value]:
        """Every address that `expression` comes to. Raises ProblemError."""


@runtime_checkable
class Names(Protocol):
    """A target whose debugger names addresses. Optional."""

    def names_at(self, addresses: Sequence[int]) -> List[Optional[Named]]:
        """The symbol that holds each address, None for none."""

    def frame_variables(self, pc: int) -> List[FrameVariable]:
        """Variables that lie in the frame of the function at the instruction `pc`, by debug information."""


@runtime_checkable
class DebugFiles(Protocol):
    """A target that knows where debug information is. Optional."""

    def debug_file(self, address: int) -> Optional[str]:
        """A file of this machine with the debug information of what lies at an address; None if there is
        none. It may have been opened for this, and is there as long as the target."""


@runtime_checkable
class Auxiliary(Protocol):
    """A target whose debugger gives the auxiliary vector. Optional."""

    def auxv(self) -> Dict[int, int]:
        """The auxiliary vector by AT_ number; empty if there is none."""


class FileMemory(Protocol):
    """What a process has mapped of files, read from the files (`process.file_backed`)."""

    @property
    def notes(self) -> List[str]:
        """One line if anything that has a file was read from memory."""

    @property
    def has_every_file(self) -> bool:
        """Whether all files can be read in place of memory; False if they are very many."""

    def covers(self, address: int, size: int) -> bool:
        """Whether any of that memory is a file's."""

    def covers_any(self, addresses: Sequence[int], size: int) -> bool:
        """Whether any of `size` bytes at any of the ascending `addresses` is a file's."""

    def read(self, address: int, size: int, memory: Callable[[int, int], bytes]) -> bytes:
        """Exactly `size` bytes at `address`, from `memory` where the process has pages of its own."""


@runtime_checkable
class MapsFiles(Protocol):
    """A target on this machine. What it has mapped of files it reads from the files. Optional."""

    def file_backed(self) -> Optional[FileMemory]:
        """Its file mappings; None where its memory is read as it comes. Who reads around `read` asks it."""


class Kept(Protocol):
    """What was read of a process that is to be let go (`process.kept_memory`)."""

    let_go: bool  # it runs again: nothing more is read of it
    whole: bool  # False: more was read than is kept, so it must stay until all is done


@runtime_checkable
class LetsGo(Protocol):
    """A target whose process may run on before all is worked out of what was read. Optional."""

    @property
    def kept(self) -> Optional[Kept]:
        """What is kept of it; None: it stays as long as it is asked."""


def kept_of(target: Target) -> Optional[Kept]:
    """What is kept of its process; None where that stays as long as it is asked."""
    return target.kept if isinstance(target, LetsGo) else None


class StopSignal(NamedTuple):
    """A signal that a thread stopped or died with, as its siginfo has it."""

    number: int
    code: int
    address: Optional[int]  # si_addr of a fault that the kernel gave an address for
    sender: Optional[int] = None  # si_pid, where si_code <= 0: somebody sent it


@runtime_checkable
class Stops(Protocol):
    """A target whose debugger tells why the selected thread stopped. Optional."""

    def signal(self) -> Optional[StopSignal]:
        """The signal of the selected thread, None where there is none or it is not known."""

    def instruction(self, pc: int) -> Optional[str]:
        """The instruction at `pc` in the assembler's usual form for the architecture (AT&T on x86)."""

    def register(self, name: str) -> Optional[int]:
        """A register of the selected thread's innermost frame, None if it cannot be read."""
