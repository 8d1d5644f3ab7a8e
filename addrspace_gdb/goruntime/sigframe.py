"""The frame that the kernel leaves on a signal stack: registers, error code, siginfo.

Where registers and siginfo lie is in ports.py. On amd64 the registers (struct sigcontext_64 of
uapi/asm/sigcontext.h) are r8-r15 rdi rsi rbp rbx rdx rax rcx rsp rip eflags, selectors, then err, trapno,
oldmask and cr2.
"""

from __future__ import annotations

import struct
from typing import Dict, NamedTuple, Optional, Tuple

from addrspace_gdb.common.signals import number_and_code
from addrspace_gdb.goruntime.ports import PORTS
from addrspace_gdb.goruntime.traceback import Registers, Stack

_REGISTERS = (
    *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rdi", "rsi", "rbp", "rbx"),
    *("rdx", "rax", "rcx", "rsp", "rip"),
)
_ERR, _TRAPNO, _FIRST = 19, 20, 40
_FLAGS, _SELECTORS = 40 + 17 * 8, 40 + 18 * 8  # eflags; cs, gs, fs, ss
_RUNS = 0x202  # of eflags: the one that is always set, and interrupts
_INFO, _WHOLE = 304, 304 + 24  # the siginfo, and the end of what is looked at
_SIGNAL = (40 + 16 * 8, 40 + 15 * 8, 40 + 10 * 8)  # rip, rsp, rbp
_USER_CODE = b"\x33\0"  # __USER_CS (arch/x86/include/asm/segment.h)
_PAGE_FAULT = 14
_WRITE, _EXECUTE = 2, 16  # bits of the page fault's error code (arch/x86/include/asm/trap_pf.h)
_FAULTS = (4, 7, 8, 11)  # SIGILL SIGBUS SIGFPE SIGSEGV: siginfo has si_addr


class SignalFrame(NamedTuple):
    """What a handler interrupted."""

    number: int
    code: int
    address: Optional[int]
    pc: int
    registers: Dict[str, int]  # on amd64; elsewhere empty
    access: Optional[str]  # "read", "write", "execute", by the hardware's error code; None: not known
    sender: Optional[int] = None  # the process that sent it, where one did


def signal_frame(stack: Stack, registers: Registers, arch: str, byte_order: str) -> Optional[SignalFrame]:
    """The frame on a signal `stack` whose interrupted `registers` an unwinder found there."""
    port = PORTS.get(arch)
    if port is None or port.signal is None or not registers.frame:
        return None
    data, base = bytes(stack.data), registers.frame - stack.low
    order = "<" if byte_order == "little" else ">"
    place, form = (12, "I") if arch in ("386", "arm") else (16, "Q")  # si_addr
    info = base + port.signal.info
    try:
        words = struct.unpack_from(order + "3i", data, info)
        (address,) = struct.unpack_from(order + form, data, info + place)
        (sender,) = struct.unpack_from(order + "i", data, info + place)
        values, access = _amd64(data, base) if arch == "amd64" else ({}, None)
    except struct.error:
        return None
    if not 0 < words[0] < 65:
        return None
    number, code = number_and_code(words, arch.startswith("mips"))
    fault = number in _FAULTS and 0 < code < 0x80
    sent = sender if code <= 0 else None
    return SignalFrame(number, code, address if fault else None, registers.pc, values, access, sent)


def scan_frame(stack: Stack, start: int, arch: str) -> Optional[Registers]:
    """The first frame that the kernel left from `start` on, by what is in it: for handlers that Go does not
    know the way out of (C's own, and what a symbolizer of cgo puts in between). Only on amd64."""
    if arch != "amd64":
        return None
    data = bytes(stack.data)
    for at in range((max(start, stack.low) - stack.low + 7) & ~7, len(data), 8):
        if _is_frame(data, at):
            places = _SIGNAL[:3]
            pc, sp, bp = (struct.unpack_from("<Q", data, at + place)[0] for place in places)
            return Registers(pc, sp, bp, None, stack.low + at)
    return None


def is_frame(stack: Stack, base: int, arch: str) -> bool:
    """Whether the kernel left a frame there; True where that cannot be told."""
    return arch != "amd64" or _is_frame(bytes(stack.data), base - stack.low)


def _is_frame(data: bytes, at: int) -> bool:
    """Whether a ucontext and its siginfo lie there: no link, a signal, the flags of user's code."""
    if at < 0 or data[at + _SELECTORS : at + _SELECTORS + 2] != _USER_CODE or len(data) < at + _WHOLE:
        return False
    (link,) = struct.unpack_from("<Q", data, at + 8)
    (flags,) = struct.unpack_from("<Q", data, at + _FLAGS)
    (number,) = struct.unpack_from("<i", data, at + _INFO)
    return bool(link == 0 and 0 < number < 65 and flags & _RUNS == _RUNS)


def _amd64(data: bytes, base: int) -> Tuple[Dict[str, int], Optional[str]]:
    """The registers, and what the instruction tried."""
    values = struct.unpack_from("<17Q", data, base + _FIRST)
    err, trap = struct.unpack_from("<2Q", data, base + _FIRST + 8 * _ERR)
    access = None
    if trap == _PAGE_FAULT:
        access = "execute" if err & _EXECUTE else "write" if err & _WRITE else "read"
    return dict(zip(_REGISTERS, values)), access
