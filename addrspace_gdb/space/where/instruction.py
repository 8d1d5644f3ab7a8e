"""The instruction that faulted: as text where a debugger disassembles, else from its bytes.

Only x86 is told apart so: on other architectures (arm64, riscv64, ...) nothing of the instruction is known
without a debugger but its bytes, and with one its text. There the kernel gives the address of every fault.
"""

from __future__ import annotations

from typing import List, NamedTuple, Optional

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.process import x86_access, x86_decode, x86_jumps
from addrspace_gdb.process.x86_access import Access, Register
from addrspace_gdb.process.x86_closures import WINDOW, loads_code
from addrspace_gdb.process.x86_jumps import Jump
from addrspace_gdb.target.protocol import Stops, Target

_X86 = ("amd64", "386")
_PAGE = 4096  # bytes of the smallest page that any of them has


class Instruction(NamedTuple):
    """At a pc. Its text and its bytes are for people."""

    text: Optional[str]
    code: bytes  # of the instruction, or as many as one can have; empty where there is a text, or no memory
    accesses: List[Access]
    code_pointer: bool  # it takes the code's address out of a func value
    base: Optional[int] = None  # what the base register of its operand in memory holds
    jump: Optional[Jump] = None  # it returns, or goes where a register or memory says
    divisor: Optional[int] = None  # of a division in registers
    trap: bool = False  # it is there to stop the program


def instruction_at(target: Target, pc: int, register: Register) -> Instruction:
    """What is at `pc`. `register` has the registers that it ran with, by gdb's names."""
    text = target.instruction(pc) if isinstance(target, Stops) else None
    if target.arch not in _X86:
        return Instruction(text, b"" if text is not None else _code(target, pc), [], False)
    code, bits = _code(target, pc, WINDOW), 8 * target.pointer_size
    decoded = x86_decode.decode(code, pc, register, bits)
    length = decoded.length if decoded is not None else x86_decode.MAX_LENGTH
    found = Instruction(
        None,
        code[:length],
        decoded.accesses if decoded is not None else [],
        loads_code(code, pc, bits) or (decoded is not None and decoded.code_pointer),
        decoded.base if decoded is not None else None,
        x86_jumps.jump(code, register, bits),
        x86_jumps.divisor(code, register, bits),
        x86_jumps.is_trap(code),
    )
    return found if text is None else _with_text(found, text, register, bits)


def _with_text(found: Instruction, text: str, register: Register, bits: int) -> Instruction:
    """A debugger that disassembles knows more instructions than we do."""
    accesses = x86_access.accesses(text, register, bits)
    called = found.code_pointer or x86_access.code_pointer(text)
    return found._replace(text=text, code=b"", accesses=accesses, code_pointer=called)


def _code(target: Target, pc: int, most: int = x86_decode.MAX_LENGTH) -> bytes:
    """As many bytes as an instruction has at most, or those up to the end of the memory."""
    for size in (most, -pc % _PAGE):
        try:
            return target.read(pc, min(size, most))
        except UnreadableError:
            continue
    return b""
