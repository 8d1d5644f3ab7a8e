"""Which operands the opcodes of x86 have, and how long they are.

Intel's Software Developer's Manual, volume 2, appendix A: tables A-2 (one byte), A-3 (0F), A-4 (0F 38), A-5
(0F 3A), A-6 (groups) and A-7 to A-22 (x87). Forms stand in the order of the opcodes, 16 a line.
"""

from __future__ import annotations

from typing import Dict, List, Tuple

from addrspace_gdb.process.x86_access import READ, WRITE

# How an opcode goes on. The first letter:
#   r w u  ModRM follows, whose operand, if it is in memory, is read, written, both;
#   n o    ModRM follows, of memory only the address is used; memory is not allowed;
#   g      as GROUPS has it for the field reg of ModRM;
#   R W    the operand is at an address that follows;
#   . s -  no ModRM; operands as in STRINGS; not understood;
# and the second, if there is one, what comes after all that:
#   b w z v  1, 2, 2 or 4, 2 or 4 or 8 bytes;   e f  3 bytes, 6 bytes;   j  a distance to jump, 4 bytes.


def _words(text: str) -> List[str]:
    return text.split()


def _groups(text: str) -> Dict[Tuple[int, int], List[str]]:
    """Lines of map and opcode, and eight forms."""
    rows = map(_words, text.strip().splitlines())
    return {(int(where), int(op, 16)): forms for where, op, *forms in rows}


_SUMS = "u u r r .b .z"
ONE = _words(f"""
{_SUMS} - - {_SUMS} - -
{_SUMS} - - {_SUMS} - -
{_SUMS} - - {_SUMS} - -
{_SUMS} - - r r r r .b .z - -
- - - - - - - - - - - - - - - -
. . . . . . . . . . . . . . . .
- - - r - - - - .z rz .b rb s s s s
.b .b .b .b .b .b .b .b .b .b .b .b .b .b .b .b
g g - g r r u u w w r r w n r g
. . . . . . . . . . - . . . . .
R R W W s s s s .b .z s s s s s s
.b .b .b .b .b .b .b .b .v .v .v .v .v .v .v .v
ub ub .w . - - g g .e . .w . . .b - .
u u u u - - - s g g g g g g g g
.b .b .b .b .b .b .b .b .j .j - .b . . . .
- . - - . . g g . . . . . . g g
""")
TWO = _words("""
g g r r - . - - . . - . - r . -
r w r w r r r w r n - - n n n n
- - - - - - - - r w r w r r r r
- . - - . - - . - - - - - - - -
r r r r r r r r r r r r r r r r
o r r r r r r r r r r r r r r r
r r r r r r r r r r r r r r r r
rb ob ob ob r r r . - - - - r r w w
.j .j .j .j .j .j .j .j .j .j .j .j .j .j .j .j
w w w w w w w w w w w w w w w w
. . . r ub u - - . . - u ub u g r
u u r u r r r r r r g u r r r r
u u rb w rb ob rb g . . . . . . . .
r r r r r r w o r r r r r r r r
r r r r r r r w r r r r r r r r
r r r r r r r s r r r r r r r r
""")
IN_32: Dict[int, str] = {
    **dict.fromkeys(
        (0x06, 0x07, 0x0E, 0x16, 0x17, 0x1E, 0x1F, 0x27, 0x2F, 0x37, 0x3F, *range(0x40, 0x50)), "."
    ),
    0x60: ".",
    0x61: ".",
    0x62: "r",
    0x63: "u",
    0x9A: ".f",
    0xC4: "r",
    0xC5: "r",
    0xCE: ".",
    0xD4: ".b",
    0xD5: ".b",
    0xEA: ".f",
}
# By map (0; 1 for 0F) and opcode: for each value of the field reg.
GROUPS = _groups("""
0 80 ub ub ub ub ub ub ub rb
0 81 uz uz uz uz uz uz uz rz
0 83 ub ub ub ub ub ub ub rb
0 8F w - - - - - - -
0 C6 wb - - - - - - ob
0 C7 wz - - - - - - oj
0 D8 r r r r r r r r
0 D9 r o w w r r w w
0 DA r r r r r r r r
0 DB r w w w o r o w
0 DC r r r r r r r r
0 DD r w w w r o w w
0 DE r r r r r r r r
0 DF r w w w r r w w
0 F6 rb rb u u r r r r
0 F7 rz rz u u r r r r
0 FE u u - - - - - -
0 FF u u r r r r r -
1 00 w w r r r r - -
1 01 w w r r w o r r
1 AE w r r w u r u r
1 BA - - - - rb ub ub ub
1 C7 - u - r u u o o
""")
# Operands that need no naming, in the order of the assembler's text.
STRINGS: Dict[Tuple[int, int], Tuple[Tuple[str, str], ...]] = {
    **{(0, op): ((WRITE, "di"),) for op in (0x6C, 0x6D, 0xAA, 0xAB)},
    **{(0, op): ((READ, "si"),) for op in (0x6E, 0x6F, 0xAC, 0xAD)},
    **{(0, op): ((READ, "si"), (WRITE, "di")) for op in (0xA4, 0xA5)},
    **{(0, op): ((READ, "di"), (READ, "si")) for op in (0xA6, 0xA7)},
    **{(0, op): ((READ, "di"),) for op in (0xAE, 0xAF)},
    (0, 0xD7): ((READ, ""),),  # xlat: at bx, and al after it
}
# What VEX and EVEX have otherwise, by map and opcode.
VECTOR: Dict[Tuple[int, int], str] = {
    **{(1, op): "r" for op in (*range(0x78, 0x7C), 0x90, 0x92, 0x93, 0x98, 0x99)},
    **{(2, op): "w" for op in (0x2E, 0x2F, 0x63, 0x8A, 0x8B, 0x8E, *range(0xA0, 0xA4))},
    **{(3, op): "wb" for op in (0x19, 0x1B, 0x1D, 0x39, 0x3B)},
}
# Truncating stores of EVEX, with the prefix F3.
NARROWED = {(2, high + low) for high in (0x10, 0x20, 0x30) for low in range(6)}
FAR = {(1, op) for op in (0xA3, 0xAB, 0xB3, 0xBB)}  # bt, bts, btr, btc: the register counts bits from there
VECTOR_INDEX = {(2, op) for op in (*range(0x90, 0x94), *range(0xA0, 0xA4))}  # gather, scatter
# EVEX counts a distance of one byte in units of what is moved: of these the whole vector.
WHOLE = {
    *((1, op) for op in (0x28, 0x29, 0x2B, 0x6F, 0x7F, 0xE7, 0x74, 0x75, 0x76, 0xDA, 0xDB, 0xEB, 0xEF)),
    *((2, op) for op in (0x26, 0x27)),
    *((3, op) for op in (0x1E, 0x1F, 0x25, 0x3E, 0x3F)),
}
