"""The instruction that faulted: as text where a debugger disassembles, else from its bytes.

Only x86 is told apart so: on other architectures (arm64, riscv64, ...) nothing of the instruction is known
without a debugger but its bytes, and with one its text. There the kernel gives the address of every fault.
"""

from __future__ import annotations

from typing import List, NamedTuple, Optional

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.process import x86_access, x86_decode
from addrspace_gdb.process.x86_access import Access, Register
from addrspace_gdb.target.protocol import Stops, Target

_X86 = ("amd64", "386")
_PAGE = 4096  # bytes of the smallest page that any of them has


class Instruction(NamedTuple):
    """At a pc. Its text and its bytes are for people."""

    text: Optional[str]
    code: bytes  # of the instruction, or as many as one can have; empty where there is a text, or no memory
    accesses: List[Access]
    code_pointer: bool  # it takes the code's address out of a func value


def instruction_at(target: Target, pc: int, register: Register) -> Instruction:
    """What is at `pc`. `register` has the registers that it ran with, by gdb's names."""
    text = target.instruction(pc) if isinstance(target, Stops) else None
    known, bits = target.arch in _X86, 8 * target.pointer_size
    if text is not None:
        accesses = x86_access.accesses(text, register, bits) if known else []
        return Instruction(text, b"", accesses, known and x86_access.code_pointer(text))
    code = _code(target, pc)
    decoded = x86_decode.decode(code, pc, register, bits) if known else None
    if decoded is None:
        return Instruction(None, code, [], False)
    return Instruction(None, code[: decoded.length], decoded.accesses, decoded.code_pointer)


def _code(target: Target, pc: int) -> bytes:
    """As many bytes as an instruction has at most, or those up to the end of the memory."""
    for size in (x86_decode.MAX_LENGTH, -pc % _PAGE):
        try:
            return target.read(pc, min(size, x86_decode.MAX_LENGTH))
        except UnreadableError:
            continue
    return b""
