"""What the unwinder (traceback.py) takes and gives: stacks, frames, registers."""

from __future__ import annotations

from typing import List, NamedTuple, Optional


class Stack(NamedTuple):
    """The bytes [low, low + len(data)) of a stack; `data` may start at sp, but must reach to its top."""

    low: int
    data: bytes  # or any buffer


class Saved(NamedTuple):
    """Where a thread's user goroutine (m.curg) stands while the thread runs on g0: curg.sched."""

    stack: Stack
    pc: int
    sp: int
    lr: int = 0  # where there is a link register


class Walk(NamedTuple):
    """The physical frames of a stack, innermost first, as parallel lists: cheap for millions of frames."""

    pcs: List[int]
    sps: List[int]
    problem: Optional[str]  # why the walk stopped before the top of the stack; None: it reached the top
    trap: bool  # the first pc is an instruction that was interrupted, not one behind a call


class Frame(NamedTuple):
    """One logical frame. Inlined ones share pc, sp and cfa with the physical frame that follows them."""

    pc: int
    sp: int
    cfa: Optional[int]  # sp of the caller once it has returned there; None if the size is not known
    size: int  # cfa - sp, so that sizes add up over a stack; 0 for an inlined frame or if not known
    function: Optional[str]  # the linker's name; None for code that is not Go
    name: Optional[str]  # as Go prints it
    file: str
    line: int
    inlined: bool
    kind: str  # see funcid.py
    entry: Optional[int]
    start_line: int
    problem: Optional[str] = None  # on the last frame: why there is no caller


class Registers(NamedTuple):
    """Where a thread was when a signal interrupted it."""

    pc: int
    sp: int
    bp: int
    lr: Optional[int] = None  # the link register, where there is one
    frame: int = 0  # where the frame begins that the kernel left on the signal stack; 0: none


class Creator(NamedTuple):
    """The go statement that made a goroutine."""

    goid: int  # 0 if not known
    function: str
    name: str
    file: str
    line: int
    shown: bool  # Go's dump prints it


class State:
    """Where a walk stands."""

    def __init__(self, stack: Stack, pc: int, sp: int, on_g0: bool, saved: Optional[Saved]) -> None:
        self.stack, self.pc, self.sp, self.on_g0, self.saved = stack, pc, sp, on_g0, saved
        self.lr = 0  # the return address of an empty frame at (pc, sp), where a register holds it
        self.trap = False
        self.pcs: List[int] = []
        self.sps: List[int] = []
