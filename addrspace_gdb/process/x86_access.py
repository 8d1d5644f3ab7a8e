"""What an x86 instruction does to memory, read from its text in AT&T's form."""

from __future__ import annotations

import re
from typing import Callable, List, NamedTuple, Optional

READ, WRITE, UPDATE, EXECUTE = "read", "write", "read and write", "execute"

_PREFIX = re.compile(
    r"(lock|rep|repn?[ze]|notrack|bnd|data(16|32)|addr(16|32)|rex[.WRXB]*|[c-gs]s|xacquire|xrelease|\{\w+\})$"
)
_OPERAND = re.compile(r"(?:\([^)]*\)|[^,(])+")
_MEMORY = re.compile(
    r"(?:%([c-gs]s):)?(-?(?:0x)?[0-9a-f]+)?(?:\((%\w+)?(?:,(%\w+))?(?:,(\d))?\))?(?:\{[^}]*\})*"
)
# Those that name memory and do not use it, and those whose number is where they jump to.
_NO_ACCESS = re.compile(r"lea|nop|ret|cldemote")
_JUMP = re.compile(r"j|call|loop|xbegin")
_ONLY_READ = re.compile(
    r"cmp(?!xchg)|test|bt[lqw]?$|ucomis|comis|ptest|push|l?call|l?jmp|i?div|i?mul|prefetch|cl(flush|wb)"
    r"|f(ld|ild|bld|i?(add|mul|com|sub|div))|(f|fx|x)rstor|v?ldmxcsr|l[gil]dt|ltr|lmsw|ver[rw]|invlpg|xlat|ptwrite"
)
_STORES = re.compile(
    r"v?p?(mov|maskmov|extr)|kmov|set|stos|ins[bwld]?$|f(st|ist|bst|nst|nsave|xsave)|pop|v?stmxcsr"
    r"|s[gil]dt|smsw|str[lqw]?$|v?extract|vcvtps2ph|vp?(compress|scatter)"
)
_FAR = re.compile(r"bt[src]?[lqw]?$")  # with a register, which counts bits from there
_HALF = re.compile(r"%e(\w\w)$|%r(\d+)d$")
_CODE_POINTER = re.compile(
    r"mov\s+\(%(rdx\),%r([a-z]+|\d+)|edx\),%e[a-z]+)\s*$|(call|jmp)\s+\*\(%[re]dx\)\s*$"
)

Register = Callable[[str], Optional[int]]


class Access(NamedTuple):
    """A memory operand. `address` is None where a register is not known."""

    kind: str  # READ, WRITE, UPDATE
    address: Optional[int]


def accesses(text: str, register: Register, bits: int = 64) -> List[Access]:
    """The memory operands of one instruction; empty where it has none or is not understood."""
    text, _, note = text.partition("#")
    words = text.split("<", 1)[0].split(None, 1)
    while words and _PREFIX.match(words[0]):
        words = words[1].split(None, 1) if len(words) > 1 else []
    if len(words) < 2 or _NO_ACCESS.match(words[0]):
        return []
    name, operands = words[0], _OPERAND.findall(words[1].strip())
    unknown = name == "xlat" or (_FAR.match(name) is not None and operands[0].startswith("%"))
    found = []
    for operand in operands:
        match = _memory(name, operand.strip())
        if match is not None:
            address = None if unknown else _address(match, register, bits, note)
            found.append(Access(_kind(name, operand is operands[-1]), address))
    return found


def code_pointer(text: str) -> bool:
    """Whether it loads, or jumps to, the word that rdx points to, or edx in 32 bits.

    So Go calls a func value: that is the closure's register (src/cmd/compile/abi-internal.md).
    """
    return _CODE_POINTER.match(text.split("#", 1)[0]) is not None


def _memory(name: str, operand: str) -> Optional[re.Match[str]]:
    """The parts of an operand that is in memory."""
    if operand == "(%dx)" or (_JUMP.match(name) and not operand.startswith("*")):
        return None  # a port; a place to jump to
    match = _MEMORY.fullmatch(operand[operand.startswith("*") :])
    return match if match is not None and match.group(0) and not operand.startswith("{") else None


def _kind(name: str, last: bool) -> str:
    if not last or _ONLY_READ.match(name):
        return READ
    return WRITE if _STORES.match(name) else UPDATE


def _address(match: re.Match[str], register: Register, bits: int, note: str) -> Optional[int]:
    segment, displacement, base, index, scale = match.groups()
    if segment in ("fs", "gs"):
        return None  # their bases are in registers that are not asked for
    if base in ("%rip", "%eip"):
        words = note.split()
        return int(words[0], 16) if words else None
    total = int(displacement, 16 if "0x" in displacement else 10) if displacement else 0
    parts = [(name, factor) for name, factor in ((base, 1), (index, int(scale or 1))) if name is not None]
    half = bits == 64 and any(_HALF.match(name) for name, _ in parts)
    for name, factor in parts:
        value = 0 if name in ("%riz", "%eiz") else register(_HALF.sub(_whole, name)[1:] if half else name[1:])
        if value is None:
            return None
        total += value * factor
    return total & ((1 << (32 if half else bits)) - 1)


def _whole(match: re.Match[str]) -> str:
    """The name of the 64 bits, of whose lower half `match` is the name."""
    return "%r" + (match.group(1) or match.group(2))
