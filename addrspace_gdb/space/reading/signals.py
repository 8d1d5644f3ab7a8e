"""The signal frames on a thread's signal stack: what its handlers interrupted, one within the other.

With GOTRACEBACK=crash there are two of them on the thread that dies: that of the signal that it dies of, and
within its handler that of the SIGABRT that the runtime raises for a core (dieFromSignal in signal_unix.go).
"""

from __future__ import annotations

from typing import FrozenSet, List, NamedTuple, Optional

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.sigframe import SignalFrame, is_frame, scan_frame, signal_frame
from addrspace_gdb.goruntime.traceback import Registers, Stack, Unwinder, Walk
from addrspace_gdb.target.protocol import Target, Thread

_MAX_NESTED = 8  # signal handlers
_MAX_STACK = 1 << 20  # bytes of a signal stack


class Interrupted(NamedTuple):
    """One signal that a thread handles."""

    registers: Registers  # where it came
    frame: Optional[SignalFrame]  # None: what the kernel said of it is damaged
    handler: FrozenSet[str]  # the Go functions between here and the next signal, or the thread itself


def interrupted(
    unwinder: Unwinder, target: Target, thread: Thread, top: int, only_go: bool = False
) -> List[Interrupted]:
    """The signals whose handlers run on the stack that ends at `top`, the last one first.

    `only_go`: it is no signal stack. What looks like a frame of the kernel there may be left over, and only
    that counts to which Go's handler returns.
    """
    pc, sp, lr = thread.pc or 0, thread.sp or 0, thread.link
    found: List[Interrupted] = []
    if not 0 < top - sp <= _MAX_STACK:
        return found
    try:
        stack = Stack(sp, target.read(sp, top - sp))
    except UnreadableError:
        return found
    while len(found) < _MAX_NESTED:
        walked = unwinder.walk(stack, pc, sp, lr=lr, trap=True, on_g0=True)
        registers = _out_of(unwinder, stack, walked, sp, target.arch, only_go)
        if registers is None:
            break
        names = (frame.function for frame in unwinder.frames(walked))
        frame = signal_frame(stack, registers, target.arch, target.byte_order)
        found.append(Interrupted(registers, frame, frozenset(filter(None, names))))
        if not sp < registers.sp <= top:
            break
        pc, sp, lr = registers.pc, registers.sp, registers.lr
    return found


def before_signals(unwinder: Unwinder, target: Target, thread: Thread, top: int) -> Optional[Registers]:
    """The registers when the first of those signals came; None if that is not known."""
    if thread.sp is None or thread.pc is None:
        return None
    found = interrupted(unwinder, target, thread, top)
    return found[-1].registers if found else None


def _out_of(
    unwinder: Unwinder, stack: Stack, walked: Walk, sp: int, arch: str, only_go: bool
) -> Optional[Registers]:
    """The registers that the handler interrupted: where Go's own code ends, or the next frame of the kernel
    above it, where C called it."""
    found = unwinder.interrupted(stack, walked) if walked.pcs else None
    if found is not None and is_frame(stack, found.frame, arch):
        return found
    if found is None and only_go:
        return None
    return scan_frame(stack, walked.sps[-1] if walked.sps else sp, arch)
