"""Where an x86 instruction goes that does not go on: returns, calls and jumps through a register.

Intel's Software Developer's Manual, volume 2: RET, CALL, JMP, DIV and IDIV.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from addrspace_gdb.process.x86_access import Register

RETURN, CALL, JUMP = "return", "call", "jump"
_REGISTERS = ("ax", "cx", "dx", "bx", "sp", "bp", "si", "di")
_PREFIXES = (0x3E, 0x66, 0xF2, 0xF3)  # notrack, operand size, bnd, rep
_RETURNS, _GROUP_5, _GROUP_3 = (0xC2, 0xC3), 0xFF, (0xF6, 0xF7)


class Jump(NamedTuple):
    """Of one instruction. `target` is None where it is not in a register: a return's is on the stack."""

    kind: str
    target: Optional[int]


class _Parts(NamedTuple):
    op: int
    modrm: int
    rex: int


def _parts(code: bytes, bits: int) -> Optional[_Parts]:
    at, rex = 0, 0
    while code[at : at + 1] and code[at] in _PREFIXES:
        at += 1
    if bits == 64 and code[at : at + 1] and code[at] & 0xF0 == 0x40:
        rex, at = code[at], at + 1
    if len(code) <= at:
        return None
    return _Parts(code[at], code[at + 1] if at + 1 < len(code) else 0, rex)


def _operand(parts: _Parts, register: Register, bits: int) -> Optional[int]:
    """The register that ModRM names; None where that is memory, or is not known."""
    if parts.modrm < 0xC0:
        return None
    number = parts.modrm & 7 | (parts.rex & 1) << 3
    return register(f"r{number}" if number >= 8 else ("r" if bits == 64 else "e") + _REGISTERS[number])


def jump(code: bytes, register: Register, bits: int = 64) -> Optional[Jump]:
    """What the instruction is, if it returns, or calls or jumps to where a register or memory says."""
    parts = _parts(code, bits)
    if parts is None:
        return None
    if parts.op in _RETURNS:
        return Jump(RETURN, None)
    kind = {2: CALL, 4: JUMP}.get(parts.modrm >> 3 & 7)
    return Jump(kind, _operand(parts, register, bits)) if parts.op == _GROUP_5 and kind is not None else None


def divisor(code: bytes, register: Register, bits: int = 64) -> Optional[int]:
    """What a division in whole registers divides by; None where it is none, or the divisor is in memory."""
    parts = _parts(code, bits)
    if parts is None or parts.op not in _GROUP_3 or parts.modrm >> 3 & 7 not in (6, 7):
        return None
    value = _operand(parts, register, bits)
    if value is None or parts.op == 0xF6:
        return None
    return value if parts.rex & 8 or bits == 32 else value & 0xFFFFFFFF


def is_trap(code: bytes) -> bool:
    """ud2, with which compilers mark what must not be reached, and __builtin_trap."""
    return code[:2] == b"\x0f\x0b"


def calls_before(code: bytes) -> bool:
    """Whether bytes that end at a return address end with a call."""
    return code[-5:-4] == b"\xe8" or any(
        len(code) >= size and code[-size] == _GROUP_5 and code[-size + 1] >> 3 & 7 == 2
        for size in (2, 3, 4, 6, 7)
    )
