"""General registers of a machine as Linux hands them over: elf_gregset_t, in cores (pr_reg) and by ptrace.

Names are those that gdb has for them. Orders: arch/*/include/asm/ptrace.h and arch/*/include/asm/elf.h of
the kernel; for mips arch/mips/include/uapi/asm/reg.h.
"""

from __future__ import annotations

import struct
from typing import Dict, NamedTuple, Optional, Tuple


def _numbered(prefix: str, first: int, last: int) -> Tuple[str, ...]:
    return tuple(f"{prefix}{number}" for number in range(first, last + 1))


class RegisterSet(NamedTuple):
    """Of one machine. A name that is empty is a slot that nobody asks for."""

    size: int  # bytes of a register
    names: Tuple[str, ...]
    pc: str
    sp: str
    link: Optional[str] = None  # holds the return address after a call; None: the call puts it on the stack
    tls: Optional[str] = None  # the thread pointer; None: it is in a set of its own, or nowhere

    def decode(self, data: bytes, byte_order: str) -> Dict[str, int]:
        """The registers in `data`, as many as it holds."""
        count = min(len(self.names), len(data) // self.size)
        form = f"{'<' if byte_order == 'little' else '>'}{count}{'Q' if self.size == 8 else 'I'}"
        found = dict(zip(self.names, struct.unpack_from(form, data)))
        found.pop("", None)
        return found


_X86_64 = ("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx") + (
    *("rsi", "rdi", "orig_rax", "rip", "cs", "eflags", "rsp", "ss"),
    *("fs_base", "gs_base", "ds", "es", "fs", "gs"),
)
_I386 = ("ebx", "ecx", "edx", "esi", "edi", "ebp", "eax", "ds", "es", "fs", "gs", "orig_eax") + (
    *("eip", "cs", "eflags", "esp", "ss"),
)
_RISCV = ("pc", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "fp", "s1", *_numbered("a", 0, 7)) + (
    *_numbered("s", 2, 11),
    *_numbered("t", 3, 6),
)
_PPC64 = (*_numbered("r", 0, 31), "pc", "msr", "orig_r3", "ctr", "lr", "xer", "cr")
_MIPS = ("zero", "at", "v0", "v1", "a0", "a1", "a2", "a3") + (
    *_numbered("t", 0, 7),
    *_numbered("s", 0, 7),
    *("t8", "t9", "k0", "k1", "gp", "sp", "s8", "ra", "lo", "hi", "pc", "badvaddr", "status", "cause"),
)
# In the 64-bit ABI four more arguments are in registers, and the temporaries have other names.
_MIPS64 = (*_MIPS[:4], *_numbered("a", 0, 7), *_numbered("t", 0, 3), *_MIPS[16:])

_SETS: Dict[str, RegisterSet] = {
    "amd64": RegisterSet(8, _X86_64, "rip", "rsp", None, "fs_base"),
    "386": RegisterSet(4, _I386, "eip", "esp"),
    "arm64": RegisterSet(8, (*_numbered("x", 0, 30), "sp", "pc", "cpsr"), "pc", "sp", "x30"),
    "arm": RegisterSet(4, (*_numbered("r", 0, 12), "sp", "lr", "pc", "cpsr"), "pc", "sp", "lr"),
    "riscv64": RegisterSet(8, _RISCV, "pc", "sp", "ra", "tp"),
    "ppc64": RegisterSet(8, _PPC64, "pc", "r1", "lr", "r13"),
    "ppc64le": RegisterSet(8, _PPC64, "pc", "r1", "lr", "r13"),
    "s390x": RegisterSet(8, ("pswm", "pc", *_numbered("r", 0, 15)), "pc", "r15", "r14"),
    "loong64": RegisterSet(8, (*_numbered("r", 0, 31), "orig_a0", "pc", "badv"), "pc", "r3", "r1", "r2"),
    "mips64": RegisterSet(8, _MIPS64, "pc", "sp", "ra"),
    "mips64le": RegisterSet(8, _MIPS64, "pc", "sp", "ra"),
    "mips": RegisterSet(4, ("",) * 6 + _MIPS, "pc", "sp", "ra"),
    "mipsle": RegisterSet(4, ("",) * 6 + _MIPS, "pc", "sp", "ra"),
}
# Go's name of an ELF machine, by the machine, the bytes of a pointer and the byte order.
_ARCHITECTURES: Dict[Tuple[str, int, str], str] = {
    ("EM_X86_64", 8, "little"): "amd64",
    ("EM_386", 4, "little"): "386",
    ("EM_AARCH64", 8, "little"): "arm64",
    ("EM_ARM", 4, "little"): "arm",
    ("EM_RISCV", 8, "little"): "riscv64",
    ("EM_PPC64", 8, "big"): "ppc64",
    ("EM_PPC64", 8, "little"): "ppc64le",
    ("EM_S390", 8, "big"): "s390x",
    ("EM_LOONGARCH", 8, "little"): "loong64",
    ("EM_MIPS", 8, "big"): "mips64",
    ("EM_MIPS", 8, "little"): "mips64le",
    ("EM_MIPS", 4, "big"): "mips",
    ("EM_MIPS", 4, "little"): "mipsle",
}


def architecture(machine: str, pointer_size: int, byte_order: str) -> Optional[str]:
    """Go's name of the architecture of an ELF file; None where Go has none."""
    return _ARCHITECTURES.get((machine, pointer_size, byte_order))


def register_set(arch: str) -> Optional[RegisterSet]:
    """The general registers of Go's `arch`; None where they are not known."""
    return _SETS.get(arch)
