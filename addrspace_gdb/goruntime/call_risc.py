"""Instructions of other processors than x86 before a call, as far as they load addresses: see
call_arguments.py. The encodings are those of the manuals that stripped/code_references.py names.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Iterable, Iterator, Optional, Tuple

from addrspace_gdb.goruntime.call_state import State, put, signed

Found = Optional[Tuple[int, int]]
_AUIPC = re.compile(rb"[\x17\x97]", re.DOTALL)
_LARL = re.compile(rb"\xc0[\x00\x10\x20\x30\x40\x50\x60\x70\x80\x90\xa0\xb0\xc0\xd0\xe0\xf0]", re.DOTALL)
_SP_OF_ARM = 13


def whole(code: bytes) -> Iterable[int]:
    """All of it, where every instruction has four bytes."""
    return (len(code) % 4,)


def _little(code: bytes, at: int) -> int:
    return int.from_bytes(code[at : at + 4], "little")


def _last(code: bytes) -> int:
    return _little(code, len(code) - 4) if len(code) >= 4 else 0


def arm64_call(code: bytes, end: int) -> Found:
    """BL."""
    word = _last(code)
    return (4, end - 4 + 4 * signed(word, 26)) if word >> 26 == 0x25 else None


def arm64_step(state: State, code: bytes, at: int, address: int) -> int:
    """ADRP and ADD make an address."""
    word = _little(code, at)
    to, source = word & 31, word >> 5 & 31
    if word & 0x9F000000 == 0x90000000:
        page = signed((word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3, 21)
        state.put(to, (address & ~0xFFF) + (page << 12))
    elif word & 0xFFC00000 == 0x91000000 and source in state.registers:
        state.put(to, state.registers[source] + (word >> 10 & 0xFFF))
    elif word >> 26 in (0x05, 0x25) or word & 0xFE000000 == 0xD6000000:
        state.forget()
    elif not _arm64_stores(word):
        state.lose(to, *((word >> 10 & 31,) if word & 0x3A000000 == 0x28000000 else ()))
    return 4


def _arm64_stores(word: int) -> bool:
    """STR with an offset, and STP, or a register of the other kind; also what only jumps somewhere."""
    single = word & 0x3B000000 in (0x38000000, 0x39000000)
    if single or word & 0x3A000000 == 0x28000000:
        return bool(word & 1 << 26) or not word & (0x00C00000 if single else 0x00400000)
    return word >> 24 in (0x34, 0x35, 0x36, 0x37, 0x54, 0xB4, 0xB5, 0xB6, 0xB7)


def loong64_call(code: bytes, end: int) -> Found:
    """BL."""
    word = _last(code)
    if word >> 26 != 0x15:
        return None
    return 4, end - 4 + 4 * signed((word & 0x3FF) << 16 | word >> 10 & 0xFFFF, 26)


def loong64_step(state: State, code: bytes, at: int, address: int) -> int:
    """PCALAU12I, up to Go 1.20 PCADDU12I, and ADDI.D make an address."""
    word = _little(code, at)
    to, source, part = word & 31, word >> 5 & 31, signed(word >> 5, 20) << 12
    if word >> 25 in (0x0D, 0x0E):
        state.put(to, (address & ~0xFFF if word >> 25 == 0x0D else address) + part)
    elif word >> 22 == 0x0B and source in state.registers:
        state.put(to, state.registers[source] + signed(word >> 10, 12))
    elif word >> 26 in (0x13, 0x14, 0x15):
        state.forget()
    elif not (0xA4 <= word >> 22 <= 0xA7 or 0xAB <= word >> 22 <= 0xAF or 0x10 <= word >> 26 <= 0x1B):
        state.lose(to)
    return 4


def _ppc64_call(code: bytes, end: int, order: str) -> Found:
    word = int.from_bytes(code[-4:], "big" if order == ">" else "little")
    return (4, end - 4 + signed(word & 0x03FFFFFC, 26)) if word >> 26 == 18 and word & 3 == 1 else None


def _ppc64_step(state: State, code: bytes, at: int, address: int, order: str) -> int:
    """ADDIS of zero and ADDI make an address."""
    word = int.from_bytes(code[at : at + 4], "big" if order == ">" else "little")
    op, to, source = word >> 26, word >> 21 & 31, word >> 16 & 31
    if op == 15 and source == 0:
        state.put(to, signed(word, 16) << 16)
    elif op == 14 and source in state.registers:
        state.put(to, state.registers[source] + signed(word, 16))
    elif op in (18, 19):
        state.forget()
    elif op not in (10, 11, 16, 36, 38, 44, 62, *range(48, 56)):
        state.lose(to, source)
    return 4


def riscv64_call(code: bytes, end: int) -> Found:
    """JAL, or AUIPC and JALR, with the return address in x1."""
    word = _last(code)
    if word & 0xFFF == 0xEF:
        parts = (
            word >> 31 << 20 | (word >> 12 & 0xFF) << 12 | (word >> 20 & 1) << 11 | (word >> 21 & 0x3FF) << 1
        )
        return 4, end - 4 + signed(parts, 21)
    upper = _little(code, len(code) - 8) if len(code) >= 8 else 0
    if word & 0x7FFF == 0xE7 and upper & 0x7F == 0x17 and upper >> 7 & 31 == word >> 15 & 31:
        return 8, end - 8 + (signed(upper >> 12, 20) << 12) + signed(word >> 20, 12)
    return None


def riscv64_starts(code: bytes) -> Iterator[int]:
    """Every AUIPC, the last first."""
    for place in reversed([found.start() for found in _AUIPC.finditer(code)]):
        if (len(code) - place) % 2 == 0:
            yield place


def riscv64_step(state: State, code: bytes, at: int, address: int) -> int:
    """AUIPC and ADDI make an address."""
    if code[at] & 3 != 3:
        return _riscv64_short(state, int.from_bytes(code[at : at + 2], "little"))
    word = _little(code, at)
    op, to, source = word & 0x7F, word >> 7 & 31, word >> 15 & 31
    if op == 0x17:
        state.put(to, address + (signed(word >> 12, 20) << 12))
    elif word & 0x707F == 0x13 and source in state.registers:
        state.put(to, state.registers[source] + signed(word >> 20, 12))
    elif op in (0x67, 0x6F):
        state.forget()
    elif op not in (0x23, 0x27, 0x63):
        state.lose(to)
    return 4


def _riscv64_short(state: State, word: int) -> int:
    """Instructions of two bytes (the C extension)."""
    sort, function, to, small = word & 3, word >> 13, word >> 7 & 31, 8 + (word >> 7 & 7)
    if sort == 0 and function < 4:
        state.lose(8 + (word >> 2 & 7))
    elif sort == 1 and function < 5:
        state.lose(small if function == 4 else to)
    elif (sort == 1 and function == 5) or (sort == 2 and function == 4 and not word >> 2 & 31):
        state.forget()
    elif sort == 2 and function < 5:
        state.lose(to)
    return 2


def s390x_call(code: bytes, end: int) -> Found:
    """BRASL with the return address in r14."""
    if len(code) < 6 or code[-6:-4] != b"\xc0\xe5":
        return None
    return 6, end - 6 + 2 * int.from_bytes(code[-4:], "big", signed=True)


def s390x_starts(code: bytes) -> Iterator[int]:
    """Every LARL, the last first."""
    yield from reversed([found.start() for found in _LARL.finditer(code)])


def s390x_step(state: State, code: bytes, at: int, address: int) -> int:
    """LARL loads an address."""
    first = code[at]
    size = 2 if first < 0x40 else 4 if first < 0xC0 else 6
    if at + size > len(code):
        return 0
    to, more = code[at + 1] >> 4, code[at + 1] & 15
    if first == 0xC0 and more == 0:
        state.put(to, address + 2 * int.from_bytes(code[at + 2 : at + 6], "big", signed=True))
    elif _s390x_jumps(first, more) or (first == 0xEB and code[at + 5] in (0x04, 0x96)):
        state.forget()  # the second: several registers
    elif not _s390x_stores(first, more, code[at + size - 1]):
        state.lose(to)
    return size


def _s390x_jumps(first: int, more: int) -> bool:
    """Also those that do so on a condition."""
    return first in (0x07, 0x0D) or (first in (0xA7, 0xC0) and more in (4, 5))


def _s390x_stores(first: int, more: int, last: int) -> bool:
    """Stores of one or several registers, and moves from memory to memory."""
    if first == 0xE3:
        return last in (0x24, 0x2F, 0x3E, 0x3F, 0x50, 0x70, 0x72)
    return first in (0x40, 0x42, 0x50, 0x60, 0x70, 0x92, 0x95, 0xD2, 0xE5) or (
        first == 0xC4 and more in (7, 11, 15)
    )


def arm_call(code: bytes, end: int) -> Found:
    """BL."""
    word = _last(code)
    return (4, end + 4 + 4 * signed(word, 24)) if word >> 24 == 0xEB else None


def arm_step(state: State, code: bytes, at: int, address: int) -> int:
    """LDR loads an address from the words behind the function, STR puts it onto the stack."""
    word = _little(code, at)
    to, base = word >> 12 & 15, word >> 16 & 15
    offset = word & 0xFFF if word & 0x00800000 else -(word & 0xFFF)
    if word & 0x0F7F0000 == 0x051F0000:
        state.put(to, state.word(address + 8 + offset))
    elif word & 0x0F500000 == 0x05000000 and base == _SP_OF_ARM:
        put(state.stack, offset, None if word & 0x00400000 else state.registers.get(to))
    elif word & 0x0F000000 == 0x0B000000 or word & 0x0E000000 == 0x08000000 or word >> 24 == 0xEA:
        state.forget()  # the second: several registers
    elif word & 0x0C100000 != 0x04000000:
        state.lose(to)
    return 4


ppc64_call, ppc64le_call = partial(_ppc64_call, order=">"), partial(_ppc64_call, order="<")
ppc64_step, ppc64le_step = partial(_ppc64_step, order=">"), partial(_ppc64_step, order="<")
