"""The frame that the kernel leaves on a signal stack: registers, error code, siginfo.

struct rt_sigframe on amd64 is the return address, then the ucontext, then the siginfo
(arch/x86/include/asm/sigframe.h); the ucontext has its registers 40 bytes in (uapi/asm/ucontext.h, struct
sigcontext_64 of uapi/asm/sigcontext.h): r8-r15 rdi rsi rbp rbx rdx rax rcx rsp rip eflags, selectors, then
err, trapno, oldmask and cr2.
"""

from __future__ import annotations

import struct
from typing import Dict, NamedTuple, Optional

from addrspace_gdb.goruntime.traceback import Registers, Stack

_REGISTERS = (
    *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rdi", "rsi", "rbp", "rbx"),
    *("rdx", "rax", "rcx", "rsp", "rip"),
)
_ERR, _TRAPNO = 19, 20
_UCONTEXT = 304  # bytes: flags, link, stack (24), sigcontext (256), signal mask
_PAGE_FAULT = 14
_WRITE, _EXECUTE = 2, 16  # bits of the page fault's error code (arch/x86/include/asm/trap_pf.h)


class SignalFrame(NamedTuple):
    """What a handler interrupted."""

    number: int
    code: int
    address: Optional[int]
    pc: int
    registers: Dict[str, int]
    access: Optional[str]  # "read", "write", "execute", by the hardware's error code; None: no page fault


def signal_frame(stack: Stack, registers: Registers) -> Optional[SignalFrame]:
    """The frame on a signal `stack` whose interrupted `registers` an unwinder found there; amd64 only."""
    data = bytes(stack.data)
    wanted = struct.pack("<QQ", registers.sp, registers.pc)
    at = data.find(wanted) - 15 * 8  # rsp is the sixteenth register
    while at >= 40:
        frame = _decode(data, at)
        if frame is not None:
            return frame
        following = data.find(wanted, at + 15 * 8 + 1)
        if following < 0:
            return None
        at = following - 15 * 8
    return None


def _decode(data: bytes, at: int) -> Optional[SignalFrame]:
    info = at - 40 + _UCONTEXT
    if info + 24 > len(data):
        return None
    values = struct.unpack_from("<17Q", data, at)
    err, trap = struct.unpack_from("<2Q", data, at + 8 * _ERR)
    number, _, code = struct.unpack_from("<3i", data, info)
    (address,) = struct.unpack_from("<Q", data, info + 16)
    if not 0 < number < 65:
        return None
    access = None
    if trap == _PAGE_FAULT:
        access = "execute" if err & _EXECUTE else "write" if err & _WRITE else "read"
    fault = number in (4, 7, 8, 11) and 0 < code < 0x80
    registers = dict(zip(_REGISTERS, values))
    return SignalFrame(number, code, address if fault else None, registers["rip"], registers, access)
