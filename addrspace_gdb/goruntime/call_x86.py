"""Instructions of x86 before a call, as far as they load addresses: see call_arguments.py.

Opcodes are in Intel's Software Developer's Manual, volume 2, appendix A.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Iterator, NamedTuple, Optional, Tuple

from addrspace_gdb.goruntime.call_state import State, put
from addrspace_gdb.process.x86_decode import decode

# LEA of a place that the instruction itself says, and of immediates on 386: mov to a register or the stack.
_LEA = re.compile(rb"\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d]", re.DOTALL)
_IN_32 = re.compile(
    rb"\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d]|[\xb8-\xbf]|\xc7\x04\x24|\xc7\x44\x24", re.DOTALL
)
_PREFIXES = frozenset((0x2E, 0x66, 0xF2, 0xF3))
_SP, _CALL = 4, 0xE8
_JUMPS = (_CALL, 0xC3, 0xE9, 0xEB)
# By opcode, what is written: nothing, the register that ModRM names first, or the second one if it names one.
_NOTHING = frozenset((0x38, 0x39, 0x3A, 0x3B, 0x3C, 0x3D, 0x84, 0x85, 0x90, 0xA8, 0xA9, *range(0x70, 0x80)))
_FIRST = frozenset((0x03, 0x0B, 0x13, 0x1B, 0x23, 0x2B, 0x33, 0x63, 0x69, 0x6B, 0x8A, 0x8B, 0x8D))
_SECOND = frozenset(
    (
        0x01,
        0x09,
        0x11,
        0x19,
        0x21,
        0x29,
        0x31,
        0x80,
        0x81,
        0x83,
        0x88,
        0x89,
        0xC0,
        0xC1,
        0xC6,
        0xC7,
        0xD1,
        0xD3,
    )
)
_ACCUMULATOR = frozenset((0x05, 0x0D, 0x25, 0x2D, 0x35, 0x98))
# The same after 0x0F.
_NOTHING_TWO = frozenset(
    (*range(0x10, 0x18), 0x1F, 0x28, 0x29, 0x2A, 0x51, 0x54, 0x57, 0x58, 0x59, 0x5A, 0x5C, 0x5E, 0x6E, 0x6F)
    + (0x7F, *range(0x80, 0x90), 0xD4, 0xD6, 0xEF, 0xFE)
)
_FIRST_TWO = frozenset((*range(0x40, 0x50), 0xAF, 0xB6, 0xB7, 0xB8, 0xBC, 0xBD, 0xBE, 0xBF))
_SECOND_TWO = frozenset(range(0x90, 0xA0))


class _Operands(NamedTuple):
    first: int
    second: Optional[int]  # a register; None: memory
    sp: Optional[int]  # distance of that memory from sp
    end: int  # where the operands end


def call_before(code: bytes, end: int, bits: int) -> Optional[Tuple[int, int]]:
    """(Bytes, target) of the call that the code ends with, in front of `end`."""
    if len(code) < 5 or code[-5] != _CALL:
        return None
    return 5, end + int.from_bytes(code[-4:], "little", signed=True) & (1 << bits) - 1


def starts(code: bytes, bits: int) -> Iterator[int]:
    """Where an address may be loaded, the nearest first."""
    pattern = _LEA if bits == 64 else _IN_32
    for place in reversed([found.start() for found in pattern.finditer(code)]):
        yield place - 1 if bits == 64 and place else place


def step(state: State, code: bytes, at: int, address: int, bits: int) -> int:
    """Carry out an instruction; its length, 0 if it is not understood."""
    found = decode(code[at:], address, _unknown, bits)
    if found is None:
        return 0
    return found.length if _carry_out(state, code[at : at + found.length], address, bits) else 0


def _unknown(_: str) -> None:
    return None


def _carry_out(state: State, code: bytes, address: int, bits: int) -> bool:
    at = rex = 0
    while code[at] in _PREFIXES:
        at += 1
    if bits == 64 and code[at] & 0xF0 == 0x40:
        rex, at = code[at], at + 1
    op, at = code[at], at + 1
    if op == 0x0F:
        return _two(state, code, at, rex)
    if 0xB8 <= op <= 0xBF:
        state.put(op & 7 | (rex & 1) << 3, int.from_bytes(code[at:], "little") if bits == 32 else None)
        return True
    if op in _JUMPS:
        state.forget()
    if op in _NOTHING or op in _JUMPS:
        return True
    if op in _ACCUMULATOR:
        state.lose(0)
        return True
    if op not in _FIRST and op not in _SECOND:
        return False
    _one(state, code, op, _operands(code, at, rex), address, bits)
    return True


def _two(state: State, code: bytes, at: int, rex: int) -> bool:
    op = code[at]
    if op in _NOTHING_TWO:
        return True
    if op not in _FIRST_TWO and op not in _SECOND_TWO:
        return False
    found = _operands(code, at + 1, rex)
    written = found.first if op in _FIRST_TWO else found.second
    if written is not None:
        state.lose(written)
    return True


def _one(state: State, code: bytes, op: int, found: _Operands, address: int, bits: int) -> None:
    registers = state.registers
    if op == 0x8D:
        state.put(found.first, _said(code, found, address, bits))
    elif op == 0x8B:
        state.put(found.first, registers.get(found.second) if found.second is not None else None)
    elif op in _FIRST:
        state.lose(found.first)
    else:
        value = registers.get(found.first) if op == 0x89 else None
        if op == 0xC7 and bits == 32:
            value = int.from_bytes(code[found.end :], "little")
        if found.second is not None:
            state.put(found.second, value)
        elif found.sp is not None:
            put(state.stack, found.sp, value)


def _said(code: bytes, found: _Operands, address: int, bits: int) -> Optional[int]:
    """What LEA loads, if the instruction says it: relative to the next one, on 386 itself."""
    if found.second is not None or len(code) < 6 or code[-5] & 0xC7 != 5:
        return None
    number = int.from_bytes(code[-4:], "little", signed=bits == 64)
    return address + len(code) + number if bits == 64 else number


def _operands(code: bytes, at: int, rex: int) -> _Operands:
    """By ModRM and what follows it."""
    modrm, at = code[at], at + 1
    mod, first, second = modrm >> 6, modrm >> 3 & 7 | (rex & 4) << 1, modrm & 7
    if mod == 3:
        return _Operands(first, second | (rex & 1) << 3, None, at)
    on_stack = second == _SP and code[at] == 0x24 and not rex & 3
    at += second == _SP
    size = {0: 4 if second == 5 else 0, 1: 1, 2: 4}[mod]
    distance = int.from_bytes(code[at : at + size], "little", signed=True)
    return _Operands(first, None, distance if on_stack else None, at + size)


call_64, call_32 = partial(call_before, bits=64), partial(call_before, bits=32)
starts_64, starts_32 = partial(starts, bits=64), partial(starts, bits=32)
step_64, step_32 = partial(step, bits=64), partial(step, bits=32)
