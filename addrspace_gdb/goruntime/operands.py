"""Addresses that machine code refers to: just the operands by which Go's compiler reaches global variables.

This is no disassembler: bytes that only look like such an operand give an address too. Who asks keeps what
lies in the module's data and verifies it.
"""

from __future__ import annotations

import re
import struct
from typing import Callable, Dict, Iterator

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


def _arm64(code: bytes, address: int) -> Iterator[int]:
    """ADRP, then ADD, a load or a store with the rest of the address (Arm ARM, C4.1)."""
    pages: Dict[int, int] = {}
    for index, (word,) in enumerate(struct.iter_unpack("<I", code[: len(code) // 4 * 4])):
        base = pages.get(word >> 5 & 31)
        if word & 0x9F000000 == 0x90000000:
            offset = (word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3
            offset -= (offset & 1 << 20) << 1
            pages[word & 31] = ((address + 4 * index) & ~0xFFF) + (offset << 12)
        elif base is not None and word & 0xFFC00000 == 0x91000000:
            yield base + (word >> 10 & 0xFFF)
        elif base is not None and word & 0x3B000000 == 0x39000000:
            yield base + ((word >> 10 & 0xFFF) << (word >> 30))


DECODERS: Dict[str, Decoder] = {"amd64": _amd64, "386": _absolute, "arm64": _arm64}


def operands(arch: str, code: bytes, address: int) -> Iterator[int]:
    """Addresses that `code` at `address` refers to; nothing for an architecture that is not in DECODERS."""
    decoder = DECODERS.get(arch)
    return decoder(code, address) if decoder is not None else iter(())
