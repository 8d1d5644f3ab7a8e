"""Architectures as gdb names them, by the names that Go has for them, and what gdb calls their registers."""

from __future__ import annotations

from typing import Callable, Dict, NamedTuple, Optional, Tuple


class GdbRegisters(NamedTuple):
    """gdb's names of the registers of an architecture that frames are unwound by."""

    pc: str
    sp: str
    fp: str  # the frame pointer; where Go keeps none, the register that C uses for one
    link: Optional[str] = None  # holds the return address after a call; None: the call puts it on the stack
    tls: Optional[str] = None  # the thread pointer


# By Go's name. On s390x gdb makes `pc` of the status word; it is what frames are unwound by.
REGISTERS: Dict[str, GdbRegisters] = {
    "amd64": GdbRegisters("rip", "rsp", "rbp", None, "fs_base"),
    "386": GdbRegisters("eip", "esp", "ebp", None, "gs_base"),
    "arm64": GdbRegisters("pc", "sp", "x29", "x30", "tpidr"),
    "arm": GdbRegisters("pc", "sp", "r11", "lr"),
    "loong64": GdbRegisters("pc", "r3", "r22", "r1", "r2"),
    "mips": GdbRegisters("pc", "sp", "s8", "ra"),
    "mipsle": GdbRegisters("pc", "sp", "s8", "ra"),
    "mips64": GdbRegisters("pc", "sp", "s8", "ra"),
    "mips64le": GdbRegisters("pc", "sp", "s8", "ra"),
    "ppc64": GdbRegisters("pc", "r1", "r31", "lr", "r13"),
    "ppc64le": GdbRegisters("pc", "r1", "r31", "lr", "r13"),
    "riscv64": GdbRegisters("pc", "sp", "fp", "ra", "tp"),
    "s390x": GdbRegisters("pc", "r15", "r11", "r14"),
}
# gdb's name of an architecture, up to where its variants differ: Go's, little and big endian, 32 and 64 bits.
_GDB: Tuple[Tuple[str, str], ...] = (
    ("i386:x86-64", "amd64"),
    ("i386", "386"),
    ("aarch64", "arm64"),
    ("arm", "arm"),
    ("riscv:rv64", "riscv64"),
    ("s390:64", "s390x"),
    ("powerpc:common64", "ppc64"),
    ("powerpc:e", "ppc64"),
    ("mips", "mips"),
    ("loongarch64", "loong64"),
)
_32_BITS = ("386", "arm", "mips", "mipsle")


def go_arch(gdb_name: str, byte_order: str, width: Callable[[], int]) -> str:
    """Go's name of gdb's architecture; gdb's own name where Go has none. `width` gives bytes of a pointer."""
    name = gdb_name.lower()
    if name.startswith("i386:x64-32"):
        return gdb_name
    found = next((go for prefix, go in _GDB if name.startswith(prefix)), None)
    little = byte_order == "little"
    if found == "mips":
        return ("mips64" if width() == 8 else "mips") + ("le" if little else "")
    if found == "ppc64":
        return "ppc64le" if little else "ppc64"
    return found or gdb_name


def pointer_size(arch: str) -> Optional[int]:
    """Bytes of a pointer of Go's `arch`; None if it is not known."""
    if arch not in REGISTERS:
        return None
    return 4 if arch in _32_BITS else 8
