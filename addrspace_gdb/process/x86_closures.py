"""How Go calls a func value on x86: the code's address is loaded from it, and rdx points to it for the call.

src/cmd/compile/abi-internal.md, "Closure calling sequence". The compiler may load through any register, and
moves that to rdx before the call.
"""

from __future__ import annotations

from typing import Optional, Tuple

from addrspace_gdb.process.x86_decode import decode

_MOVE_LOAD, _MOVE_STORE, _GROUP_5 = 0x8B, 0x89, 0xFF
_DX = 2
_MOST = 6  # instructions from the load to the call
WINDOW = 48  # bytes that these may have


def loads_code(code: bytes, pc: int, bits: int = 64) -> bool:
    """Whether the first instruction loads the code's address of a func value that is called soon after."""
    load = _load(code, bits)
    if load is None:
        return False
    base, to, at = load
    in_place = base == _DX
    for _ in range(_MOST):
        op, left, right = _move(code, at, bits)
        if op == _GROUP_5:
            return in_place and right == to and left in (2, 4)
        if op == _MOVE_STORE and (left, right) == (base, _DX):
            in_place = True
        elif op in (_MOVE_STORE, _MOVE_LOAD) and right == to:
            return False
        found = decode(code[at:], pc + at, lambda name: None, bits)
        if found is None:
            return False
        at += found.length
    return False


def _load(code: bytes, bits: int) -> Optional[Tuple[int, int, int]]:
    """(base, destination, length) of `mov (base), destination` in whole registers."""
    rex, at = (code[0], 1) if bits == 64 and code[:1] and code[0] & 0xF8 == 0x48 else (0, 0)
    if (bits == 64 and not rex) or rex & 2 or len(code) < at + 4 or code[at] != _MOVE_LOAD:
        return None
    modrm, at = code[at + 1], at + 2
    mod, to, base = modrm >> 6, modrm >> 3 & 7 | (rex & 4) << 1, modrm & 7
    if base == 4:
        if code[at] & 0x3F != 0x24:  # an index
            return None
        at += 1
    if mod == 1 and base == 5 and code[at] == 0:  # rbp and r13 need a distance
        at += 1
    elif mod or base == 5:
        return None
    return base | (rex & 1) << 3, to, at


def _move(code: bytes, at: int, bits: int) -> Tuple[int, int, int]:
    """(opcode, field reg, field rm) of an instruction on registers alone; zeroes for another."""
    rex = 0
    if bits == 64 and at < len(code) and code[at] & 0xF0 == 0x40:
        rex, at = code[at], at + 1
    if at + 1 >= len(code) or code[at + 1] < 0xC0 or code[at] not in (_MOVE_LOAD, _MOVE_STORE, _GROUP_5):
        return 0, 0, 0
    op, modrm = code[at], code[at + 1]
    left, right = modrm >> 3 & 7 | (rex & 4) << 1, modrm & 7 | (rex & 1) << 3
    return (_MOVE_STORE, right, left) if op == _MOVE_LOAD else (op, left, right)
