"""Addresses that machine code refers to: just the operands by which Go's compiler reaches global variables.

This is no disassembler: bytes that only look like such an operand give an address too. Who asks keeps what
lies in the module's data and verifies it.
"""

from __future__ import annotations

import re
import struct
from typing import Callable, Dict, Iterable, Iterator, Optional, Tuple

Decoder = Callable[[bytes, int], Iterator[int]]

# ModRM with mod 00 and r/m 101: on amd64 a 32-bit displacement from the next instruction follows (Intel SDM
# volume 2, table 2-2 and 2.2.1.6).
_RIP_RELATIVE = re.compile(rb"[\x05\x0d\x15\x1d\x25\x2d\x35\x3d]", re.DOTALL)
_ABSOLUTE = re.compile(rb"[\x05\x0d\x15\x1d\x25\x2d\x35\x3d\xa0-\xa3]", re.DOTALL)
_IMMEDIATE_8 = frozenset((0x6B, 0x80, 0x83, 0xC0, 0xC1, 0xC6))  # opcodes with a byte behind the operand
_IMMEDIATE_32 = frozenset((0x69, 0x81, 0xC7))  # with four, or two after the prefix 0x66
_MORE_8 = frozenset((0x70, 0xA4, 0xAC, 0xBA, 0xC2, 0xC4, 0xC5, 0xC6))  # with a byte, after 0x0F
_TEST_8, _TEST_32 = 0xF6, 0xF7  # with an immediate where ModRM's middle field is 0 or 1


def _amd64(code: bytes, address: int) -> Iterator[int]:
    unpack = struct.Struct("<i").unpack_from
    for found in _RIP_RELATIVE.finditer(code, 1, max(1, len(code) - 4)):
        at = found.start()
        (offset,) = unpack(code, at + 1)
        yield address + at + 5 + offset + _immediate(code, at)


def _immediate(code: bytes, at: int) -> int:
    """Bytes of the immediate behind the displacement of the instruction whose ModRM is at `at`."""
    opcode = code[at - 1]
    if at > 1 and code[at - 2] == 0x0F:
        return 1 if opcode in _MORE_8 else 0
    if opcode in _IMMEDIATE_8:
        return 1
    short = b"\x66" in code[max(0, at - 3) : at - 1]
    if opcode in _IMMEDIATE_32:
        return 2 if short else 4
    if opcode in (_TEST_8, _TEST_32) and not code[at] & 0x30:
        return 1 if opcode == _TEST_8 else 2 if short else 4
    return 0


def _absolute(code: bytes, address: int) -> Iterator[int]:
    """386: the same operands hold the address itself, and so do the short MOVs with the accumulator."""
    unpack = struct.Struct("<I").unpack_from
    for found in _ABSOLUTE.finditer(code, 0, max(0, len(code) - 4)):
        yield unpack(code, found.start() + 1)[0]


Upper = Callable[[int, int], Optional[Tuple[int, int]]]
Lower = Callable[[int], Optional[Tuple[int, int, int]]]
_NO_REGISTER = -1


def _paired(words: Iterable[Tuple[int, int]], upper: Upper, lower: Lower) -> Iterator[int]:
    """Addresses in two parts. `words` are instructions with where they stand; `upper` gives the register
    that one loads with the upper part and that part, `lower` the register it reads, what it adds, and the
    register that it overwrites."""
    parts: Dict[int, int] = {}
    for at, word in words:
        use = lower(word)
        if use is not None:
            if use[0] in parts:
                yield parts[use[0]] + use[1]
            parts.pop(use[2], None)
        load = upper(at, word)
        if load is not None:
            parts[load[0]] = load[1]


def _words(order: str, code: bytes, address: int) -> Iterator[Tuple[int, int]]:
    """Instructions of four bytes."""
    for index, (word,) in enumerate(struct.iter_unpack(order + "I", code[: len(code) // 4 * 4])):
        yield address + 4 * index, word


def _signed(number: int, bits: int) -> int:
    return number - ((number & 1 << bits - 1) << 1)


def _arm64(code: bytes, address: int) -> Iterator[int]:
    """ADRP, then ADD, a load or a store with the rest of the address (Arm ARM, C4.1)."""

    def upper(at: int, word: int) -> Optional[Tuple[int, int]]:
        if word & 0x9F000000 != 0x90000000:
            return None
        page = _signed((word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3, 21)
        return word & 31, (at & ~0xFFF) + (page << 12)

    def lower(word: int) -> Optional[Tuple[int, int, int]]:
        if word & 0xFFC00000 == 0x91000000:
            return word >> 5 & 31, word >> 10 & 0xFFF, word & 31
        if word & 0x3B000000 == 0x39000000:
            loads = word & 0x04C00000 == 0x00400000
            return word >> 5 & 31, (word >> 10 & 0xFFF) << (word >> 30), word & 31 if loads else _NO_REGISTER
        return None

    return _paired(_words("<", code, address), upper, lower)


def _riscv64(code: bytes, address: int) -> Iterator[int]:
    """AUIPC, then ADDI, a load or a store (RISC-V ISA manual, RV64I), among short instructions."""

    def words() -> Iterator[Tuple[int, int]]:
        at, unpack = 0, struct.Struct("<I").unpack_from
        while at + 4 <= len(code):
            if code[at] & 3 == 3:
                yield address + at, unpack(code, at)[0]
            at += 4 if code[at] & 3 == 3 else 2

    def upper(at: int, word: int) -> Optional[Tuple[int, int]]:
        return (word >> 7 & 31, at + (_signed(word >> 12, 20) << 12)) if word & 0x7F == 0x17 else None

    def lower(word: int) -> Optional[Tuple[int, int, int]]:
        opcode = word & 0x7F
        if opcode in (0x03, 0x07) or word & 0x707F == 0x13:
            return (
                word >> 15 & 31,
                _signed(word >> 20, 12),
                _NO_REGISTER if opcode == 0x07 else word >> 7 & 31,
            )
        if opcode in (0x23, 0x27):
            return word >> 15 & 31, _signed(word >> 25 << 5 | word >> 7 & 31, 12), _NO_REGISTER
        return None

    return _paired(words(), upper, lower)


def _loong64(code: bytes, address: int) -> Iterator[int]:
    """PCALAU12I (up to Go 1.20 PCADDU12I), then ADDI.D, a load or a store (LoongArch manual, 2.2)."""

    def upper(at: int, word: int) -> Optional[Tuple[int, int]]:
        part = _signed(word >> 5 & 0xFFFFF, 20) << 12
        if word >> 25 == 0x0D:
            return word & 31, (at & ~0xFFF) + part
        return (word & 31, at + part) if word >> 25 == 0x0E else None

    def lower(word: int) -> Optional[Tuple[int, int, int]]:
        if word >> 22 == 0x0B or word >> 26 == 0x0A:
            writes = word >> 24 not in (0x29, 0x2B)
            return word >> 5 & 31, _signed(word >> 10 & 0xFFF, 12), word & 31 if writes else _NO_REGISTER
        return None

    return _paired(_words("<", code, address), upper, lower)


def _ppc64(order: str) -> Decoder:
    """ADDIS of zero, then ADDI, a load or a store (Power ISA, D and DS forms)."""

    def upper(at: int, word: int) -> Optional[Tuple[int, int]]:
        return (
            (word >> 21 & 31, _signed(word & 0xFFFF, 16) << 16) if word & 0xFC1F0000 == 0x3C000000 else None
        )

    def lower(word: int) -> Optional[Tuple[int, int, int]]:
        opcode = word >> 26
        target = word >> 21 & 31 if opcode in (14, 32, 34, 40, 42, 58) else _NO_REGISTER
        if opcode == 14 or 32 <= opcode <= 55:
            return word >> 16 & 31, _signed(word & 0xFFFF, 16), target
        return (word >> 16 & 31, _signed(word & 0xFFFC, 16), target) if opcode in (58, 62) else None

    return lambda code, address: _paired(_words(order, code, address), upper, lower)


def _mips64(order: str) -> Decoder:
    """LUI, then DADDIU or ADDIU, a load or a store (MIPS64 ISA, I type)."""

    def upper(at: int, word: int) -> Optional[Tuple[int, int]]:
        return (word >> 16 & 31, _signed(word & 0xFFFF, 16) << 16) if word >> 26 == 0x0F else None

    def lower(word: int) -> Optional[Tuple[int, int, int]]:
        opcode = word >> 26
        if opcode in (0x09, 0x19) or opcode >= 0x20:
            writes = opcode < 0x28 or opcode == 0x37
            return word >> 21 & 31, _signed(word & 0xFFFF, 16), word >> 16 & 31 if writes else _NO_REGISTER
        return None

    return lambda code, address: _paired(_words(order, code, address), upper, lower)


def _arm(code: bytes, address: int) -> Iterator[int]:
    """LDR from the literals behind the function, which hold addresses, or in position-independent code what
    is to be added to pc, which reads two instructions ahead (Arm ARM, A5)."""
    literals: Dict[int, int] = {}
    for at, word in _words("<", code, address):
        if word & 0x0F7F0000 == 0x051F0000:
            place = at - address + 8 + (word & 0xFFF if word & 0x00800000 else -(word & 0xFFF))
            if 0 <= place <= len(code) - 4:
                literals[word >> 12 & 15] = int.from_bytes(code[place : place + 4], "little")
                yield literals[word >> 12 & 15]
        elif word & 0x0FFF0FF0 == 0x008F0000 and word & 15 in literals:
            yield at + 8 + literals[word & 15] & 0xFFFFFFFF


def _s390x(code: bytes, address: int) -> Iterator[int]:
    """LARL, and loads, stores and comparisons relative to pc (z/Architecture, RIL formats)."""
    at, unpack = 0, struct.Struct(">i").unpack_from
    while at + 6 <= len(code):
        first = code[at]
        if first in (0xC4, 0xC6) or (first == 0xC0 and not code[at + 1] & 15):
            yield address + at + 2 * unpack(code, at + 2)[0]
        at += 2 if first < 0x40 else 4 if first < 0xC0 else 6


DECODERS: Dict[str, Decoder] = {
    "amd64": _amd64,
    "386": _absolute,
    "arm": _arm,
    "arm64": _arm64,
    "loong64": _loong64,
    "mips64": _mips64(">"),
    "mips64le": _mips64("<"),
    "ppc64": _ppc64(">"),
    "ppc64le": _ppc64("<"),
    "riscv64": _riscv64,
    "s390x": _s390x,
}


def operands(arch: str, code: bytes, address: int) -> Iterator[int]:
    """Addresses that `code` at `address` refers to; nothing for an architecture that is not in DECODERS."""
    decoder = DECODERS.get(arch)
    return decoder(code, address) if decoder is not None else iter(())
