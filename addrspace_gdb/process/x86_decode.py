"""What an x86 instruction does to memory, read from its bytes: for where nobody disassembles.

The encoding is in Intel's Software Developer's Manual, volume 2: chapter 2 (prefixes, ModRM, SIB, VEX, EVEX),
appendix A, tables A-2 (one byte), A-3 (0F), A-4 (0F 38), A-5 (0F 3A), A-6 (groups) and A-7 to A-22 (x87).
Privileged instructions, XOP and 16-bit addresses are not understood.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Tuple

from addrspace_gdb.process.x86_access import READ, UPDATE, WRITE, Access, Register

MAX_LENGTH = 15  # bytes of an instruction

# How an opcode goes on. The first letter:
#   r w u  ModRM follows, whose operand, if it is in memory, is read, written, both;
#   n o    ModRM follows, of memory only the address is used; memory is not allowed;
#   g      as _GROUPS has it for the field reg of ModRM;
#   R W    the operand is at an address that follows;
#   . s -  no ModRM; operands as in _STRINGS; not understood;
# and the second, if there is one, what comes after all that:
#   b w z v  1, 2, 2 or 4, 2 or 4 or 8 bytes;   e f  3 bytes, 6 bytes;   j  a distance to jump, 4 bytes.
_KINDS = {"r": READ, "w": WRITE, "u": UPDATE, "R": READ, "W": WRITE}
_SUMS = "u u r r .b .z"
_ONE = f"""
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
""".split()
_TWO = """
g g r r - . - - . . - . - r . rb
r w r w r r r w r n n n n n n n
- - - - - - - - r w r w r r r r
- . - - . - - . - - - - - - - -
r r r r r r r r r r r r r r r r
o r r r r r r r r r r r r r r r
r r r r r r r r r r r r r r r r
rb ob ob ob r r r . - - - - r r w w
.j .j .j .j .j .j .j .j .j .j .j .j .j .j .j .j
w w w w w w w w w w w w w w w w
. . . r ub u - - . . - u ub u g r
u u r u r r r r r n g u r r r r
u u rb w rb ob rb g . . . . . . . .
r r r r r r w o r r r r r r r r
r r r r r r r w r r r r r r r r
r r r r r r r s r r r r r r r n
""".split()
_IN_32: Dict[int, str] = {
    **{op: "." for op in (0x06, 0x07, 0x0E, 0x16, 0x17, 0x1E, 0x1F, 0x27, 0x2F, 0x37, 0x3F, 0x60, 0x61, 0xCE)},
    **{op: "." for op in range(0x40, 0x50)},
    **{0x62: "r", 0x63: "u", 0x9A: ".f", 0xC4: "r", 0xC5: "r", 0xD4: ".b", 0xD5: ".b", 0xEA: ".f"},
}
# By map (0; 1 for 0F) and opcode: for each value of the field reg.
_GROUPS: Dict[Tuple[int, int], List[str]] = {
    (0, 0x80): "ub ub ub ub ub ub ub rb".split(),
    (0, 0x81): "uz uz uz uz uz uz uz rz".split(),
    (0, 0x83): "ub ub ub ub ub ub ub rb".split(),
    (0, 0x8F): "w - - - - - - -".split(),
    (0, 0xC6): "wb - - - - - - ob".split(),
    (0, 0xC7): "wz - - - - - - oj".split(),
    (0, 0xD8): "r r r r r r r r".split(),
    (0, 0xD9): "r o w w r r w w".split(),
    (0, 0xDA): "r r r r r r r r".split(),
    (0, 0xDB): "r w w w o r o w".split(),
    (0, 0xDC): "r r r r r r r r".split(),
    (0, 0xDD): "r w w w r o w w".split(),
    (0, 0xDE): "r r r r r r r r".split(),
    (0, 0xDF): "r w w w r r w w".split(),
    (0, 0xF6): "rb rb u u r r r r".split(),
    (0, 0xF7): "rz rz u u r r r r".split(),
    (0, 0xFE): "u u - - - - - -".split(),
    (0, 0xFF): "u u r r r r r -".split(),
    (1, 0x00): "w w r r r r - -".split(),
    (1, 0x01): "w w r r w o r r".split(),
    (1, 0xAE): "w r r w u r u r".split(),
    (1, 0xBA): "- - - - rb ub ub ub".split(),
    (1, 0xC7): "- u - r u u o o".split(),
}
# Operands that need no naming, in the order of the assembler's text.
_STRINGS: Dict[Tuple[int, int], Tuple[Tuple[str, str], ...]] = {
    **{(0, op): ((WRITE, "di"),) for op in (0x6C, 0x6D, 0xAA, 0xAB)},
    **{(0, op): ((READ, "si"),) for op in (0x6E, 0x6F, 0xAC, 0xAD)},
    **{(0, op): ((READ, "si"), (WRITE, "di")) for op in (0xA4, 0xA5)},
    **{(0, op): ((READ, "di"), (READ, "si")) for op in (0xA6, 0xA7)},
    **{(0, op): ((READ, "di"),) for op in (0xAE, 0xAF)},
    (0, 0xD7): ((READ, ""),),  # xlat: at bx, and al after it
}
# What VEX and EVEX have otherwise, by map and opcode.
_VECTOR: Dict[Tuple[int, int], str] = {
    **{(1, op): "r" for op in (*range(0x78, 0x7C), 0x90, 0x92, 0x93, 0x98, 0x99)},
    **{(2, op): "w" for op in (0x2E, 0x2F, 0x63, 0x8A, 0x8B, 0x8E, *range(0xA0, 0xA4))},
    **{(3, op): "wb" for op in (0x19, 0x1B, 0x1D, 0x39, 0x3B)},
}
# Truncating stores of EVEX, with the prefix F3.
_NARROWED = {(2, high + low) for high in (0x10, 0x20, 0x30) for low in range(6)}
_FAR = {(1, op) for op in (0xA3, 0xAB, 0xB3, 0xBB)}  # bt, bts, btr, btc: the register counts bits from there
_VECTOR_INDEX = {(2, op) for op in (*range(0x90, 0x94), *range(0xA0, 0xA4))}  # gather, scatter
# EVEX counts a distance of one byte in units of what is moved: of these the whole vector.
_WHOLE = {
    *((1, op) for op in (0x28, 0x29, 0x2B, 0x6F, 0x7F, 0xE7, 0x74, 0x75, 0x76, 0xDA, 0xDB, 0xEB, 0xEF)),
    *((2, op) for op in (0x26, 0x27)),
    *((3, op) for op in (0x1E, 0x1F, 0x25, 0x3E, 0x3F)),
}
_REGISTERS = ("ax", "cx", "dx", "bx", "sp", "bp", "si", "di")
_FS, _GS, _OPERAND_SIZE, _ADDRESS_SIZE, _LOCK, _REPNE, _REP = 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3
_PREFIXES = (0x26, 0x2E, 0x36, 0x3E, _FS, _GS, _OPERAND_SIZE, _ADDRESS_SIZE, _LOCK, _REPNE, _REP)
_MANDATORY = (0, _OPERAND_SIZE, _REP, _REPNE)  # as VEX numbers them
_W, _R, _X, _B = 8, 4, 2, 1  # bits of REX


class Decoded(NamedTuple):
    """One instruction."""

    length: int  # bytes
    accesses: List[Access]
    code_pointer: bool  # see x86_access.code_pointer


class _NotUnderstoodError(Exception):
    """The bytes end too early, or nothing is known of them."""


def decode(code: bytes, pc: int, register: Register, bits: int = 64) -> Optional[Decoded]:
    """The instruction at `pc`, whose bytes `code` begins with; None if it is not understood.

    `register` is asked for registers of `bits` by gdb's names. MAX_LENGTH bytes of code are always enough.
    """
    try:
        return _Decoder(code[:MAX_LENGTH], pc, register, bits).decoded()
    except _NotUnderstoodError:
        return None


class _Decoder:
    def __init__(self, code: bytes, pc: int, register: Register, bits: int) -> None:
        self._code, self._pc, self._register, self._bits = code, pc, register, bits
        self._at = 0
        self._prefixes: List[int] = []
        self._rex = 0
        self._vector = False  # VEX or EVEX
        self._mandatory = 0
        self._unit: Optional[int] = 1  # bytes that a distance of one byte counts in; None: not known
        self._width = 0  # bytes of EVEX's vector; 0: one element for all, or no EVEX
        self._place = 0, 0  # map and opcode

    def decoded(self) -> Decoded:
        self._read_prefixes()
        self._read_opcode()
        form = self._form()
        if form[0] == "s":
            return Decoded(self._at, [self._implied(*one) for one in _STRINGS[self._place]], False)
        found = self._operand(form[0])
        self._skip(form[1:])
        if found is None:
            return Decoded(self._at, [], False)
        address, relative = found
        if address is not None and relative:
            address = (address + self._pc + self._at) & self._mask
        return Decoded(self._at, [Access(_KINDS[form[0]], address)], self._is_code_pointer)

    def _take(self, size: int) -> int:
        data = self._code[self._at : self._at + size]
        if len(data) < size:
            raise _NotUnderstoodError
        self._at += size
        return int.from_bytes(data, "little")

    def _signed(self, size: int) -> int:
        value, half = self._take(size), 1 << (8 * size - 1)
        return (value ^ half) - half

    def _read_prefixes(self) -> None:
        while True:
            byte = self._take(1)
            if byte in _PREFIXES:
                self._prefixes.append(byte)
                self._rex = 0  # one that is not the last prefix does not count
            elif self._bits == 64 and byte & 0xF0 == 0x40:
                self._rex = byte
            else:
                break
        self._at -= 1
        if _ADDRESS_SIZE in self._prefixes and self._bits == 32:
            raise _NotUnderstoodError
        repeats = [byte for byte in self._prefixes if byte in (_REPNE, _REP)]
        size = _OPERAND_SIZE if _OPERAND_SIZE in self._prefixes else 0
        self._mandatory = repeats[-1] if repeats else size

    def _read_opcode(self) -> None:
        first = self._take(1)
        if first in (0xC4, 0xC5, 0x62) and (self._bits == 64 or self._code[self._at : self._at + 1] >= b"\xc0"):
            self._read_vector(first)
        elif first != 0x0F:
            self._place = 0, first
        else:
            second = self._take(1)
            where = {0x38: 2, 0x3A: 3}.get(second)
            self._place = (1, second) if where is None else (where, self._take(1))

    def _read_vector(self, first: int) -> None:
        """What stands in VEX or EVEX instead of prefixes; the bits of REX are inverted there."""
        if self._rex or {_OPERAND_SIZE, _LOCK, _REPNE, _REP} & set(self._prefixes):
            raise _NotUnderstoodError
        self._vector = True
        where = 1
        last = one = self._take(1)
        if first == 0xC5:
            self._rex = (one >> 5 & _R) ^ _R
        else:
            last = self._take(1)
            self._rex = (one >> 5 ^ 7) | (last >> 4 & _W)
            where = one & 31 if first == 0xC4 else one & 15
        self._mandatory = _MANDATORY[last & 3]
        third = self._take(1) if first == 0x62 else 0
        if not 1 <= where <= 3:
            raise _NotUnderstoodError
        self._place = where, self._take(1)
        if first == 0x62:
            self._width = 0 if third & 0x10 else 16 << (third >> 5 & 3)
            self._unit = self._counted()

    def _counted(self) -> Optional[int]:
        if self._place in ((1, 0x10), (1, 0x11)) and self._mandatory in (_REP, _REPNE):
            return 4 if self._mandatory == _REP else 8
        whole = self._place in _WHOLE or self._place in ((1, 0x10), (1, 0x11))
        return self._width if whole and self._width else None

    def _form(self) -> str:
        form = self._vector_form() if self._vector else self._plain_form()
        if form == "g":
            self._take(1)
            self._at -= 1
            form = _GROUPS[self._place][self._code[self._at] >> 3 & 7]
        if form == "-":
            raise _NotUnderstoodError
        return form

    def _plain_form(self) -> str:
        where, op = self._place
        if where == 0:
            return _IN_32.get(op, _ONE[op]) if self._bits == 32 else _ONE[op]
        if where == 1:
            if self._mandatory == _REP and op == 0x7E:
                return "r"  # movq
            unknown = (op == 0xB8 and self._mandatory != _REP) or (op == 0xAE and self._mandatory == _REP)
            return "o" if unknown else _TWO[op]
        if where == 2:
            return self._of_0f38(op)
        return "wb" if 0x14 <= op <= 0x17 else "rb"

    def _of_0f38(self, op: int) -> str:
        if op == 0xF1:
            return "r" if self._mandatory == _REPNE else "w"  # crc32, movbe
        if op == 0xF9:
            return "w"  # movdiri
        return "-" if op in (0xF5, 0xF8) or (op == 0xF6 and not self._mandatory) else "r"

    def _vector_form(self) -> str:
        where, op = self._place
        if self._place in _VECTOR:
            return _VECTOR[self._place]
        if self._width and self._mandatory == _REP and self._place in _NARROWED:
            return "w"
        form = self._plain_form() if where != 2 else "r"
        return form if form[0] in "rwuog" or op == 0x77 else "-"

    def _implied(self, kind: str, name: str) -> Access:
        based = not name or (name == "si" and self._based)
        address = None if based else self._value(_REGISTERS.index(name))
        return Access(kind, address if address is None else address & self._mask)

    def _operand(self, use: str) -> Optional[Tuple[Optional[int], bool]]:
        """(Address, whether from the next instruction on) of an operand in memory."""
        if use == ".":
            return None
        if use in "RW":
            address: Optional[int] = self._take(4 if self._mask >> 32 == 0 else 8)
            return (None if self._based else address), False
        modrm = self._take(1)
        if modrm >= 0xC0:
            return None
        if use == "o":
            raise _NotUnderstoodError
        found = self._addressed(modrm >> 6, modrm & 7)
        if use == "n":
            return None
        unknown = self._based or self._place in _VECTOR_INDEX or self._place in _FAR
        return (None, False) if unknown else found

    @property
    def _based(self) -> bool:
        return bool({_FS, _GS} & set(self._prefixes))

    @property
    def _mask(self) -> int:
        return (1 << (32 if self._bits == 32 or _ADDRESS_SIZE in self._prefixes else 64)) - 1

    def _addressed(self, mod: int, rm: int) -> Tuple[Optional[int], bool]:
        relative = mod == 0 and rm == 5 and self._bits == 64
        terms: List[Tuple[int, int]] = []  # register, factor
        if rm == 4:
            sib = self._take(1)
            index, rm = sib >> 3 & 7 | (self._rex & _X) << 2, sib & 7
            if index != 4:
                terms.append((index, 1 << (sib >> 6)))
        alone = mod == 0 and rm == 5
        if not alone:
            terms.append((rm | (self._rex & _B) << 3, 1))
        total = self._signed(4) if alone or mod == 2 else self._near() if mod == 1 else 0
        for number, factor in terms:
            value = self._value(number)
            total = None if value is None or total is None else total + value * factor
        return (None if total is None else total & self._mask), relative

    def _near(self) -> Optional[int]:
        distance = self._signed(1)
        return None if self._unit is None else distance * self._unit

    def _value(self, number: int) -> Optional[int]:
        if number >= 8:
            return self._register(f"r{number}")
        return self._register(("r" if self._bits == 64 else "e") + _REGISTERS[number])

    def _skip(self, rest: str) -> None:
        """What follows the operands."""
        wide, short = bool(self._rex & _W), _OPERAND_SIZE in self._prefixes
        if rest == "j" and short and not wide:
            raise _NotUnderstoodError  # processors differ
        if rest:
            usual = 4 if wide or not short else 2
            sizes = {"b": 1, "w": 2, "z": usual, "v": 8 if wide else usual, "j": 4, "e": 3, "f": usual + 2}
            self._take(sizes[rest])

    @property
    def _is_code_pointer(self) -> bool:
        """mov (%rdx) to a whole register, call *(%rdx), jmp *(%rdx)."""
        length = 2 + bool(self._rex)
        if self._bits != 64 or self._at != length or self._prefixes or self._rex & (_X | _B):
            return False
        op, modrm = self._code[length - 2 : length]
        if op == 0x8B:
            return bool(self._rex & _W) and modrm & 0xC7 == 2
        return op == 0xFF and modrm in (0x12, 0x22)
