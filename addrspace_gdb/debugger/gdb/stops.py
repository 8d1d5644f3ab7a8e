"""What the kernel told the program and the debugger: auxiliary vector, siginfo, where the thread stopped."""

from __future__ import annotations

import re
from typing import Dict, Optional

import gdb

from addrspace_gdb.common.signals import usual_number
from addrspace_gdb.debugger.gdb.text import output_of
from addrspace_gdb.target.protocol import StopSignal

_FAULTS = (4, 5, 7, 8, 11)  # SIGILL SIGTRAP SIGBUS SIGFPE SIGSEGV: siginfo has si_addr


# `info auxv`: number, name and meaning, value, and of a string its text.
_AUXILIARY = re.compile(r"(?m)^(\d+)\s+.*?\s(0x[0-9a-f]+|\d+)(?: \".*)?$")


def auxv() -> Dict[int, int]:
    """The auxiliary vector; gdb has it of live processes, cores, and stubs that serve it."""
    try:
        text = output_of("info auxv")
    except gdb.error:
        return {}
    return {int(number): int(value, 0) for number, value in _AUXILIARY.findall(text)}


def signal(pointer_size: int, mips: bool) -> Optional[StopSignal]:
    """From $_siginfo, which gdb has for live processes and for cores with the note."""
    try:
        info = gdb.parse_and_eval("$_siginfo")
        if info.type.code == gdb.TYPE_CODE_VOID:
            return None
        number, code = usual_number(int(info["si_signo"]), mips), int(info["si_code"])
        address = None
        # si_code <= 0: somebody sent it; SI_KERNEL (0x80): a fault without an address.
        if number in _FAULTS and 0 < code < 0x80:
            address = int(info["_sifields"]["_sigfault"]["si_addr"]) & ((1 << (8 * pointer_size)) - 1)
        sender = int(info["_sifields"]["_kill"]["si_pid"]) if code <= 0 else None
        return StopSignal(number, code, address, sender)
    except (gdb.error, TypeError, ValueError, OverflowError):
        return None


def instruction(architecture: gdb.Architecture, pc: int) -> Optional[str]:
    """One instruction as text, in AT&T's form on x86 whatever the setting says."""
    try:
        intel = gdb.parameter("disassembly-flavor") == "intel"
    except (gdb.error, RuntimeError):
        intel = False  # no x86: there is no such setting
    try:
        if intel:
            output_of("set disassembly-flavor att")
        try:
            return str(architecture.disassemble(pc, count=1)[0]["asm"])
        finally:
            if intel:
                output_of("set disassembly-flavor intel")
    except (gdb.error, IndexError, KeyError):
        return None
