"""Where a variable lies by an expression (DWARF 5, 2.5, 2.6 and 7.7.1), as far as that is its frame."""

from __future__ import annotations

from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

from addrspace_gdb.process.dwarf.abbreviations import leb, signed_leb
from addrspace_gdb.process.dwarf.sections import DamagedError

# DW_OP_*
_FBREG, _PIECE, CALL_FRAME_CFA, _BIT_PIECE = 0x91, 0x93, 0x9C, 0x9D

# What follows an operation: a number of bytes, an address (A), an offset (O), a LEB128 number (L), a block
# whose size is such a number (B) or one byte (b).
_OPERANDS: Dict[int, str] = {
    **dict.fromkeys((0x06, *range(0x12, 0x15), *range(0x16, 0x23)), ""),
    **dict.fromkeys((*range(0x24, 0x28), *range(0x29, 0x2F)), ""),
    **dict.fromkeys((*range(0x30, 0x70), 0x96, 0x97, 0x9B, CALL_FRAME_CFA, 0x9F, 0xE0, 0xF0), ""),
    **dict.fromkeys((0x08, 0x09, 0x15, 0x94, 0x95), "1"),
    **dict.fromkeys((0x0A, 0x0B, 0x28, 0x2F, 0x98), "2"),
    **dict.fromkeys((0x0C, 0x0D, 0x99, 0xFA), "4"),
    **dict.fromkeys((0x0E, 0x0F), "8"),
    **dict.fromkeys((0x10, 0x11, 0x23, *range(0x70, 0x92), _PIECE), "L"),
    **dict.fromkeys((0xA1, 0xA2, 0xA8, 0xA9, 0xF7, 0xF9, 0xFB, 0xFC), "L"),
    **dict.fromkeys((0x92, _BIT_PIECE, 0xA5, 0xF5), "LL"),
    **dict.fromkeys((0x9E, 0xA3, 0xF3), "B"),
    **dict.fromkeys((0xA4, 0xF4), "Lb"),
    **dict.fromkeys((0xA6, 0xF6), "1L"),
    **dict.fromkeys((0xA0, 0xF2), "OL"),
    **dict.fromkeys((0x9A, 0xFD), "O"),
    0x03: "A",
}


class Piece(NamedTuple):
    """A part of a variable."""

    offset: Optional[int]  # from the canonical frame address; None: it does not lie in the frame
    size: Optional[int]  # bytes; None: it is the whole variable


def pieces(expression: bytes, address: int, offset: int) -> List[Piece]:
    """The parts of a variable in their order; one if it is in one. DamagedError.

    `address` and `offset` are the bytes of an address and of an offset in the unit.
    """
    found: List[Piece] = []
    places: List[Optional[int]] = []  # of the operations since the last piece
    for operation, operand in _operations(expression, {"A": address, "O": offset}):
        if operation == _BIT_PIECE:
            return []
        if operation == _PIECE:
            found.append(Piece(places[0] if len(places) == 1 else None, operand))
            places = []
        else:
            places.append(operand if operation == _FBREG else 0 if operation == CALL_FRAME_CFA else None)
    if found or len(places) != 1:
        return found
    return [Piece(places[0], None)]


def _operations(expression: bytes, widths: Dict[str, int]) -> Iterator[Tuple[int, int]]:
    """Each operation, with its last LEB128 number."""
    at = 0
    while at < len(expression):
        operation, at, number = expression[at], at + 1, 0
        if operation not in _OPERANDS:
            raise DamagedError(f"operation {operation:#x} is not known")
        for kind in _OPERANDS[operation]:
            if kind == "L":
                number, at = signed_leb(expression, at) if operation == _FBREG else leb(expression, at)
            elif kind == "B":
                size, at = leb(expression, at)
                at += size
            elif kind == "b":
                at += 1 + int.from_bytes(expression[at : at + 1], "little")
            else:
                at += widths[kind] if kind in widths else int(kind)
        yield operation, number
