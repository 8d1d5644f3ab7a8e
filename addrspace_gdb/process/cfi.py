"""Unwinds frames of C by the tables that compilers leave for exceptions (.eh_frame, found by .eh_frame_hdr).

DWARF 5, section 6.4; Linux Standard Base, chapter "Exception Frames"; the numbers of registers are those of
each processor's ABI. Rules that are DWARF expressions (stubs of the linker, the kernel's trampoline) are not
followed: such a frame ends the walk.
"""

from __future__ import annotations

import struct
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.process.cfi_rules import Rules, rules_at
from addrspace_gdb.process.cfi_tables import Bytes, Frames, frames_of
from addrspace_gdb.process.imports import imported_as
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.process.x86_jumps import calls_before

# gdb's names of the registers by their DWARF numbers; the stack pointer's, and where the return address is.
_NAMES: Dict[str, Tuple[str, ...]] = {
    "amd64": (
        *("rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp"),
        *(f"r{number}" for number in range(8, 16)),
        "rip",
    ),
    "386": ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip"),
    "arm64": (*(f"x{number}" for number in range(31)), "sp"),
}
_SP = {"amd64": 7, "386": 4, "arm64": 31}
_MAX_FRAMES = 64
_LONGEST = 7  # bytes of a call on x86

Read = Callable[[int, int], bytes]
Register = Callable[[str], Optional[int]]


class CFrame(NamedTuple):
    """A frame of C."""

    pc: int
    sp: int
    entry: Optional[int]  # of its function; None: nothing describes it
    called: bool  # pc is where a call returns to


class Walked(NamedTuple):
    """Frames, innermost first, and where the first caller stands that is not C's."""

    frames: List[CFrame]
    pc: int  # 0: not reached
    sp: int


class CUnwinder:
    """Of one process."""

    def __init__(self, arch: str, order: str, read: Read, mappings: Sequence[Mapping]) -> None:
        self._arch = arch
        self._names, self._sp = _NAMES.get(arch, ()), _SP.get(arch, 0)
        self._read, self._mappings = read, mappings
        self._word = struct.Struct(("<" if order == "little" else ">") + ("I" if arch == "386" else "Q"))
        self._link = arch == "arm64"
        self._bytes = Bytes(read, order, self._word.size)
        self._frames: Dict[str, Optional[Frames]] = {}  # by file

    def walk(self, register: Register, stops: Callable[[int], bool]) -> Walked:
        """From the registers of an instruction that was interrupted, up to a pc that `stops` is true of."""
        known = {number: register(name) for number, name in enumerate(self._names)}
        pc, sp = register(self._names[16] if "rip" in self._names else "pc"), known.get(self._sp)
        found: List[CFrame] = []
        called = False
        while pc is not None and sp is not None and len(found) < _MAX_FRAMES and not stops(pc):
            if called and not self._is_code(pc):
                return Walked(found, 0, 0)
            rules = self._rules(pc - called)
            found.append(CFrame(pc, sp, rules.entry if rules else None, called))
            caller = self._caller(rules, known) if rules else self._jumped(pc, sp, known, len(found))
            if caller is None or caller[1] < sp:
                return Walked(found, 0, 0)
            (pc, sp), called = caller, True
        return Walked(found, pc or 0, sp or 0)

    def imported_as(self, caller: int, entry: int) -> Optional[str]:
        """The name under which the file that has the instruction `caller` imports the function at `entry`."""
        mapping = next((m for m in self._mappings if m.start <= caller < m.end), None)
        if mapping is None or mapping.file is None:
            return None
        return imported_as(self._bytes, self._mappings, mapping.file, self._arch, entry)

    def _rules(self, pc: int) -> Optional[Rules]:
        mapping = next((m for m in self._mappings if m.start <= pc < m.end), None)
        if mapping is None or mapping.file is None:
            return None
        if mapping.file not in self._frames:
            self._frames[mapping.file] = frames_of(self._bytes, self._mappings, mapping.file)
        frames = self._frames[mapping.file]
        try:
            entry = frames.find(pc) if frames is not None else None
            return rules_at(entry, pc, self._bytes) if entry is not None else None
        except (UnreadableError, struct.error, IndexError, ValueError, OverflowError):
            return None

    def _caller(self, rules: Rules, known: Dict[int, Optional[int]]) -> Optional[Tuple[int, int]]:
        """pc and sp of the caller; `known` becomes what it has of registers."""
        base = known.get(rules.cfa_register)
        if base is None:
            return None
        cfa = (base + rules.cfa_offset) & self._bytes.mask
        before = dict(known)
        try:
            for number, (kind, value) in rules.registers.items():
                known[number] = self._saved(kind, value, cfa, before)
        except UnreadableError:
            return None
        known[self._sp] = cfa
        pc = known.get(rules.return_register)
        return (pc, cfa) if pc is not None else None

    def _saved(self, kind: str, value: int, cfa: int, before: Dict[int, Optional[int]]) -> Optional[int]:
        if kind == "at":
            return self._at(cfa + value)
        if kind == "is":
            return cfa + value
        return before.get(value) if kind == "in" else None

    def _at(self, address: int) -> int:
        found = self._word.unpack(self._read(address & self._bytes.mask, self._word.size))
        return int(found[0])

    def _jumped(
        self, pc: int, sp: int, known: Dict[int, Optional[int]], level: int
    ) -> Optional[Tuple[int, int]]:
        """The caller of an innermost frame that nothing describes: a call of what is no function."""
        if level > 1 or self._link or self._is_code(pc):
            return None
        back, called = 0, False
        try:
            back = self._at(sp)
            called = self._is_code(back) and calls_before(self._read(back - _LONGEST, _LONGEST))
            returned = called and self._at(sp - self._word.size) == pc
        except UnreadableError:
            returned = False  # below the end of what is mapped
        if not called or returned:
            return None
        known[self._sp] = sp + self._word.size
        return back, sp + self._word.size

    def _is_code(self, pc: int) -> bool:
        return any(m.start <= pc < m.end and "x" in m.permissions for m in self._mappings)
