"""How control came to an address that holds no code: by a call, a return or a jump. Only on x86."""

from __future__ import annotations

from typing import NamedTuple, Optional

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.process.x86_jumps import CALL, JUMP, RETURN, Jump, calls_before
from addrspace_gdb.space.regions import region as areas
from addrspace_gdb.space.where.locator import Locator
from addrspace_gdb.space.where.signalled import SIGSEGV, Signalled

_LONGEST = 7  # bytes of a call


class Transfer(NamedTuple):
    """`kind` is CALL, RETURN or JUMP."""

    kind: str
    address: int


def transfer(locator: Locator, signal: Signalled, jump: Optional[Jump]) -> Optional[Transfer]:
    """Where it went, if the fault is about that; None for a fault of data."""
    stack = signal.register({"amd64": "rsp", "386": "esp"}.get(locator.target.arch, ""))
    if signal.number != SIGSEGV or stack is None:
        return None
    word = locator.runtime.word
    if signal.address is not None and signal.address == signal.pc:
        if _word(locator, stack - word) == signal.pc:  # what it took from the stack is there still
            return Transfer(RETURN, signal.pc)
        back = _word(locator, stack)
        called = back is not None and _is_after_call(locator, back)
        return Transfer(CALL if called else JUMP, signal.pc)
    if signal.address is not None or jump is None:
        return None
    to = _word(locator, stack) if jump.kind == RETURN else jump.target
    return Transfer(jump.kind, to) if to is not None and _is_odd(locator, to) else None


def _word(locator: Locator, address: int) -> Optional[int]:
    try:
        return locator.runtime.word_at(address)
    except UnreadableError:
        return None


def _is_after_call(locator: Locator, address: int) -> bool:
    """Whether a call stands before it, in memory that holds code."""
    mapping = locator.partition.mapping(address)
    if mapping is None or "x" not in mapping.permissions:
        return False
    try:
        return calls_before(locator.target.read(address - _LONGEST, _LONGEST))
    except UnreadableError:
        return False


def _is_odd(locator: Locator, address: int) -> bool:
    """Whether the processor refuses to go there, whatever is mapped."""
    return locator.partition.region(address).area in (areas.NON_CANONICAL, areas.KERNEL)
