"""What a function's call frame instructions (DW_CFA_*) say at one of its instructions."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Tuple

from addrspace_gdb.process.cfi_tables import Bytes, Entry, sleb, uleb

Rule = Tuple[str, int]  # "at": saved at cfa + n; "is": cfa + n; "in": register n; "": not known


class Rules(NamedTuple):
    """How to get to the caller."""

    entry: int  # of the function
    cfa_register: int
    cfa_offset: int
    registers: Dict[int, Rule]
    return_register: int


class _Machine:
    def __init__(self, entry: Entry, bytes_: Bytes) -> None:
        self._entry, self._bytes = entry, bytes_
        self.location = entry.start
        self.cfa = (0, 0)
        self.rules: Dict[int, Rule] = {}
        self._first: Dict[int, Rule] = {}
        self._kept: List[Tuple[Tuple[int, int], Dict[int, Rule]]] = []

    def run(self, code: bytes, pc: int) -> None:
        """Up to the rules of `pc`. ValueError where there is an expression."""
        at = 0
        while at < len(code):
            op, at = code[at], at + 1
            high, low = op & 0xC0, op & 0x3F
            if high == 0x40:
                self.location += low * self._entry.code_align
            elif high == 0x80:
                value, at = uleb(code, at)
                self.rules[low] = ("at", value * self._entry.data_align)
            elif high == 0xC0:
                self._restore(low)
            else:
                at = self._extended(op, code, at)
            if self.location > pc:
                return

    def initial(self) -> None:
        """What was run is what all instructions of the function begin with."""
        self._first = dict(self.rules)

    def _restore(self, register: int) -> None:
        self.rules.pop(register, None)
        if register in self._first:
            self.rules[register] = self._first[register]

    def _extended(self, op: int, code: bytes, at: int) -> int:
        if op in (0x02, 0x03, 0x04):  # advance_loc1, 2, 4
            size = 1 << (op - 2)
            self.location += self._bytes.number(code, at, size) * self._entry.code_align
            return at + size
        if op == 0x0A:
            self._kept.append((self.cfa, dict(self.rules)))
        elif op == 0x0B:
            self.cfa, self.rules = self._kept.pop()
        elif op == 0x2E:  # GNU_args_size
            _, at = uleb(code, at)
        elif op in (0x0C, 0x0D, 0x0E, 0x12, 0x13):
            return self._define(op, code, at)
        elif op in (0x05, 0x06, 0x07, 0x08, 0x09, 0x11, 0x14, 0x15, 0x2F):
            return self._rule(op, code, at)
        elif op not in (0x00, 0x2D):  # nop; AARCH64_negate_ra_state
            raise ValueError(op)
        return at

    def _define(self, op: int, code: bytes, at: int) -> int:
        """def_cfa, def_cfa_register, def_cfa_offset, def_cfa_sf, def_cfa_offset_sf."""
        register, offset = self.cfa
        if op in (0x0C, 0x0D, 0x12):
            register, at = uleb(code, at)
        if op in (0x0C, 0x0E):
            offset, at = uleb(code, at)
        elif op in (0x12, 0x13):
            offset, at = sleb(code, at)
            offset *= self._entry.data_align
        self.cfa = register, offset
        return at

    def _rule(self, op: int, code: bytes, at: int) -> int:
        register, at = uleb(code, at)
        if op == 0x06:
            self._restore(register)
        elif op == 0x07:  # undefined
            self.rules[register] = ("", 0)
        elif op == 0x08:  # same_value
            self.rules.pop(register, None)
        elif op == 0x09:
            other, at = uleb(code, at)
            self.rules[register] = ("in", other)
        else:  # offset_extended, offset_extended_sf, val_offset, val_offset_sf, GNU_negative_offset_extended
            value, at = sleb(code, at) if op in (0x11, 0x15) else uleb(code, at)
            value *= -self._entry.data_align if op == 0x2F else self._entry.data_align
            self.rules[register] = ("is" if op in (0x14, 0x15) else "at", value)
        return at


def rules_at(entry: Entry, pc: int, bytes_: Bytes) -> Rules:
    """The rules at `pc`, which lies in the function. ValueError, IndexError where they are not understood."""
    machine = _Machine(entry, bytes_)
    machine.run(entry.cie, pc)
    machine.initial()
    machine.run(entry.fde, pc)
    return Rules(entry.start, *machine.cfa, machine.rules, entry.return_register)
