"""What a call passes that the program knows beforehand: addresses that the instructions in front of it load.

The compiler makes such an argument anew for every call, so that a few instructions say it. They are carried
out as far as that matters: an instruction that is not known makes what it may have written unknown. Where
arguments are is in cmd/compile/abi-internal.md; 386 and arm pass them on the stack.
"""

from __future__ import annotations

from typing import Callable, Dict, Iterable, NamedTuple, Optional, Tuple

from addrspace_gdb.goruntime import call_risc as risc
from addrspace_gdb.goruntime import call_x86 as x86
from addrspace_gdb.goruntime.call_state import State, Word

WINDOW = 96  # bytes in front of a call that are looked at


class Call(NamedTuple):
    """A call at `address`. `code` is in front of it."""

    target: int
    address: int
    code: bytes


class _Machine(NamedTuple):
    call: Callable[
        [bytes, int], Optional[Tuple[int, int]]
    ]  # bytes and target of the one in front of an address
    starts: Callable[[bytes], Iterable[int]]  # where to begin, the nearest first
    step: Callable[[State, bytes, int, int], int]
    registers: Tuple[int, ...] = ()  # of the first arguments
    stack: int = 0  # distance of the first one from sp where they are on the stack
    since: int = 0  # the release that passes them so


def call_before(arch: str, code: bytes, end: int) -> Optional[Call]:
    """The call that `code` ends with, in front of `end`; None if that is none to an address that it says."""
    machine = _MACHINES.get(arch)
    found = machine.call(code, end) if machine is not None else None
    return Call(found[1], end - found[0], code[: -found[0]]) if found is not None else None


def argument(arch: str, minor: int, call: Call, number: int, word: Word) -> Optional[int]:
    """The address that the call passes as that argument, counted from 0; None if that is not known. `word`
    reads constants among the code."""
    machine = _MACHINES.get(arch)
    if machine is None or minor < machine.since:
        return None
    for start in machine.starts(call.code):
        state = State({}, {}, word)
        if _leads(machine, state, call, start):
            found = _passed(machine, state, number)
            if found is not None:
                return found
    return None


def _leads(machine: _Machine, state: State, call: Call, at: int) -> bool:
    """Whether instructions from there on lead to the call; carries them out."""
    code = call.code
    while at < len(code):
        size = machine.step(state, code, at, call.address - len(code) + at)
        if not size:
            return False
        at += size
    return at == len(code)


def _passed(machine: _Machine, state: State, number: int) -> Optional[int]:
    if machine.registers:
        return state.registers.get(machine.registers[number])
    return state.stack.get(machine.stack + 4 * number)


_MACHINES: Dict[str, _Machine] = {
    "amd64": _Machine(x86.call_64, x86.starts_64, x86.step_64, (0, 3, 1, 7, 6)),
    "386": _Machine(x86.call_32, x86.starts_32, x86.step_32),
    "arm": _Machine(risc.arm_call, risc.whole, risc.arm_step, stack=4),
    "arm64": _Machine(risc.arm64_call, risc.whole, risc.arm64_step, (0, 1, 2, 3, 4)),
    "loong64": _Machine(risc.loong64_call, risc.whole, risc.loong64_step, (4, 5, 6, 7, 8), since=22),
    "ppc64": _Machine(risc.ppc64_call, risc.whole, risc.ppc64_step, (3, 4, 5, 6, 7)),
    "ppc64le": _Machine(risc.ppc64le_call, risc.whole, risc.ppc64le_step, (3, 4, 5, 6, 7)),
    "riscv64": _Machine(risc.riscv64_call, risc.riscv64_starts, risc.riscv64_step, (10, 11, 12, 13, 14)),
    "s390x": _Machine(risc.s390x_call, risc.s390x_starts, risc.s390x_step, (2, 3, 4, 5, 6), since=26),
}
