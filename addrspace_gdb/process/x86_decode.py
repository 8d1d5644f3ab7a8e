"""What an x86 instruction does to memory, read from its bytes: for where nobody disassembles.

The encoding is in Intel's Software Developer's Manual, volume 2, chapter 2 (prefixes, ModRM, SIB, VEX, EVEX).
Privileged instructions, 3DNow, XOP and 16-bit addresses are not understood.
"""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Tuple

from addrspace_gdb.process.x86_access import READ, UPDATE, WRITE, Access, Register
from addrspace_gdb.process.x86_opcodes import (
    FAR,
    GROUPS,
    IN_32,
    NARROWED,
    ONE,
    STRINGS,
    TWO,
    VECTOR,
    VECTOR_INDEX,
    WHOLE,
)

MAX_LENGTH = 15  # bytes of an instruction
_KINDS = {"r": READ, "w": WRITE, "u": UPDATE, "R": READ, "W": WRITE}
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
    base: Optional[int] = None  # what the base register of the operand in memory holds; None: it has none


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
        self._base: Optional[int] = None

    def decoded(self) -> Decoded:
        self._read_prefixes()
        self._read_opcode()
        form = self._form()
        if form[0] == "s":
            return Decoded(self._at, [self._implied(*one) for one in STRINGS[self._place]], False)
        found = self._operand(form[0])
        self._skip(form[1:])
        if found is None:
            return Decoded(self._at, [], False)
        address, relative = found
        if address is not None and relative:
            address = (address + self._pc + self._at) & self._mask
        return Decoded(self._at, [Access(_KINDS[form[0]], address)], self._is_code_pointer, self._base)

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
        byte = self._take(1)
        while byte in _PREFIXES:
            self._prefixes.append(byte)
            byte = self._take(1)
        if self._bits == 64 and byte & 0xF0 == 0x40:
            self._rex = byte
        else:
            self._at -= 1
        if _ADDRESS_SIZE in self._prefixes and self._bits == 32:
            raise _NotUnderstoodError
        repeats = [byte for byte in self._prefixes if byte in (_REPNE, _REP)]
        size = _OPERAND_SIZE if _OPERAND_SIZE in self._prefixes else 0
        self._mandatory = repeats[-1] if repeats else size

    def _read_opcode(self) -> None:
        first = self._take(1)
        following = self._code[self._at : self._at + 1]
        if first in (0xC4, 0xC5, 0x62) and (self._bits == 64 or following >= b"\xc0"):
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
        whole = self._place in WHOLE or self._place in ((1, 0x10), (1, 0x11))
        return self._width if whole and self._width else None

    def _form(self) -> str:
        form = self._vector_form() if self._vector else self._plain_form()
        if form == "g":
            self._take(1)
            self._at -= 1
            form = GROUPS[self._place][self._code[self._at] >> 3 & 7]
        if form == "-":
            raise _NotUnderstoodError
        return form

    def _plain_form(self) -> str:
        where, op = self._place
        if where == 0:
            if self._bits == 32:
                return IN_32.get(op, ONE[op])
            return "-" if self._rex and op & 0xF0 == 0x40 else ONE[op]
        if where == 1:
            if self._mandatory == _REP and op == 0x7E:
                return "r"  # movq
            unknown = (op == 0xB8 and self._mandatory != _REP) or (op == 0xAE and self._mandatory == _REP)
            return "o" if unknown else TWO[op]
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
        if self._place in VECTOR:
            return VECTOR[self._place]
        if self._width and self._mandatory == _REP and self._place in NARROWED:
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
        unknown = self._based or self._place in VECTOR_INDEX or self._place in FAR
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
        if not alone:
            self._base = self._value(terms[-1][0])
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
        """mov (%rdx) to a whole register, call *(%rdx), jmp *(%rdx), or with edx in 32 bits."""
        length = 2 + bool(self._rex)
        if self._at != length or self._prefixes or self._rex & (_X | _B):
            return False
        op, modrm = self._code[length - 2 : length]
        if op == 0x8B:
            return bool(self._rex & _W or self._bits == 32) and modrm & 0xC7 == 2
        return op == 0xFF and modrm in (0x12, 0x22)
