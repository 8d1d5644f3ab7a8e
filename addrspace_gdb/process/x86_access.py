"""What an x86 instruction does to memory, read from its text in AT&T's form."""

from __future__ import annotations

import re
from typing import Callable, List, NamedTuple, Optional

READ, WRITE, UPDATE, EXECUTE = "read", "write", "read and write", "execute"

_PREFIXES = ("lock", "rep", "repz", "repnz", "repe", "repne", "notrack", "data16")
_MEMORY = re.compile(
    r"(?:%[c-gs]s:)?(-?(?:0x)?[0-9a-f]+)?\((%\w+)?(?:,(%\w+))?(?:,(\d))?\)|(?:%[fg]s:)(0x[0-9a-f]+)"
)
_ONLY_READ = re.compile(
    r"(cmp|test|bt[lqw]?$|ucomis|comis|ptest|push|call|jmp|div|idiv|mul|fld|fild|prefetch)"
)
_STORES = re.compile(r"(mov|vmov|set|stos|fst|fist|pop|stmxcsr|fnst|sgdt|sidt|vextract|pextr)")

Register = Callable[[str], Optional[int]]


class Access(NamedTuple):
    """A memory operand. `address` is None where a register is not known."""

    kind: str  # READ, WRITE, UPDATE
    address: Optional[int]


def accesses(text: str, register: Register, bits: int = 64) -> List[Access]:
    """The memory operands of one instruction; empty where it has none or is not understood."""
    words = text.split("#", 1)[0].split("<", 1)[0].split(None, 1)
    while words and words[0] in _PREFIXES:
        words = words[1].split(None, 1) if len(words) > 1 else []
    if not words:
        return []
    name, operands = words[0], words[1] if len(words) > 1 else ""
    if name.startswith(("lea", "nop", "ret")):
        return []
    found = []
    for match in _MEMORY.finditer(operands):
        last = not operands[match.end() :].strip().lstrip(",").strip()
        found.append(Access(_kind(name, last), _address(match, register, bits)))
    return found


def _kind(name: str, last: bool) -> str:
    if not last or _ONLY_READ.match(name):
        return READ
    return WRITE if _STORES.match(name) else UPDATE


def _address(match: re.Match[str], register: Register, bits: int) -> Optional[int]:
    displacement, base, index, scale, segment = match.groups()
    if segment:
        return None  # its base is in a register that is not asked for
    total = int(displacement, 16 if "0x" in displacement else 10) if displacement else 0
    for name, factor in ((base, 1), (index, int(scale or 1))):
        if name is None or name in ("%riz", "%eiz"):
            continue
        value = register(name[1:])
        if value is None:
            return None
        total += value * factor
    return total & ((1 << bits) - 1)
