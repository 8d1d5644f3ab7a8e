"""What every room above needs from a debugger: the `Target` protocol, and nothing of gdb.

Reads raise `UnreadableError` for the range asked and change nothing. All of it is read-only.
"""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Protocol

from addrspace_gdb.debugger.layout import Type


class Symbol(NamedTuple):
    """A variable of the target: its name, run-time address (load bias applied) and size in bytes."""

    name: str
    address: int
    size: int  # 0 where only the ELF symbol table knows the name
    type: Optional[Type] = None  # its layout, None without debug information


class Thread(NamedTuple):
    """An OS thread as the debugger sees it. A register that cannot be read is None."""

    number: int  # the debugger's own number, as `info threads` prints it
    tid: int  # the kernel's thread id
    name: Optional[str]
    pc: Optional[int]
    sp: Optional[int]
    tls: Optional[int]  # fs_base on amd64: the thread pointer, which lies in the pthread's own stack block
    selected: bool


class ProcFiles(Protocol):
    """The files of /proc/PID of the target, on this machine or through a remote stub."""

    local: bool  # True: `path` names a file this process can open itself (needed for ioctl)

    def path(self, name: str) -> str:
        """The path of /proc/PID/`name`."""

    def read(self, name: str, offset: int = 0, size: Optional[int] = None) -> bytes:
        """Bytes of /proc/PID/`name` from `offset` (to the end without `size`). Raises OSError."""


class Target(Protocol):
    """One inferior that is stopped: a live process, a core file, or a remote process."""

    kind: str  # "live", "core" or "remote"
    pid: Optional[int]
    executable: Optional[str]  # path as the debugger knows it
    core_file: Optional[str]  # path of the core, only for kind "core"
    arch: str  # Go's name: amd64, 386, arm64 ...
    pointer_size: int
    byte_order: str  # "little" or "big"

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
