"""Goroutines that lldb shows as threads of their own, as long as the process stands still.

lldb asks for them in callbacks in which no call of its API may be made (it deadlocks, or ends itself): all
that is asked for is put here by the command that selects a goroutine. At the next stop lldb asks which
threads there are, and is told of none.
"""

from __future__ import annotations

import struct
import threading
from contextlib import contextmanager
from itertools import count
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

FIRST = 1 << 30  # thread ids from here on are goroutines' (PID_MAX_LIMIT is 1 << 22); lldb's have 32 bits
ARCHITECTURES = ("amd64",)
_LONGEST = 2.0  # seconds that one who asks beside may be kept waiting
_NAMES = ("rax", "rbx", "rcx", "rdx", "rdi", "rsi", "rbp", "rsp") + (
    *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip", "rflags", "cs", "fs", "gs"),
)
# Numbers of DWARF and of exception frames (System V ABI, AMD64 supplement, figure 3.36).
_DWARF = ("rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp") + (
    *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip"),
)
_GENERIC = {"rip": "pc", "rsp": "sp", "rbp": "fp", "rflags": "flags"}


class Shown(NamedTuple):
    """A goroutine as a thread."""

    moment: Tuple[int, int]  # the process and its stop, by lldb's numbers
    label: str
    pcs: List[int]  # of its frames, innermost first, at least one; those of callers are return addresses
    sp: int  # of the innermost frame
    bp: int  # its frame pointer; 0: not known
    resumed: int  # the innermost pc, as if it were behind a call in any case

    @property
    def places(self) -> List[int]:
        """Where its frames are: in the call, also the one by which it parked, for behind it the line may be
        another."""
        return [pc - 1 for pc in (self.resumed, *self.pcs[1:])]


class _State:
    """lldb makes its own objects of the classes that ask."""

    def __init__(self) -> None:
        self.shown: Dict[int, Shown] = {}  # by the thread's id
        self.next = count(FIRST)
        self.asked: Optional[Shown] = None  # whose frames lldb asks for
        self.asker: Optional[int] = None  # the thread of this Python on which it does
        self.others = threading.Event()  # set: other threads are answered at once
        self.others.set()


STATE = _State()


def ids_of(shown: Shown) -> Iterator[int]:
    """The thread ids under which a goroutine may be shown: those that it has at this stop, newest first, then
    a new one."""
    process, stop = shown.moment
    there = STATE.shown.items()
    STATE.shown = {tid: one for tid, one in there if one.moment[0] != process or one.moment[1] == stop}
    yield from [tid for tid, one in reversed(STATE.shown.items()) if one == shown]
    tid = next(STATE.next)
    STATE.shown[tid] = shown
    yield tid


@contextmanager
def frames_are_asked_for(shown: Shown) -> Iterator[None]:
    """A block in which lldb asks for frames, where the same thread of this Python asks it to, of `shown` and
    of nothing else."""
    STATE.asked, STATE.asker = shown, threading.get_ident()
    try:
        yield
    finally:
        STATE.asked = STATE.asker = None


@contextmanager
def others_wait() -> Iterator[None]:
    """A block for as long as which other threads of this Python get no answer, though not for ever."""
    STATE.others.clear()
    try:
        yield
    finally:
        STATE.others.set()


def asked() -> Optional[Shown]:
    """Whose frames lldb asks for here; None: those of a thread that is not made up.

    It may ask for those of other threads at any time, on a thread of its own, and which thread it asks for
    cannot be told without a call of its API.
    """
    if STATE.asker == threading.get_ident():
        return STATE.asked
    STATE.others.wait(_LONGEST)
    return None


def as_thread(tid: int, shown: Shown) -> Dict[str, Any]:
    """What lldb wants to know of a thread."""
    return {"tid": tid, "name": shown.label, "state": "stopped", "stop_reason": "none"}


def register_info() -> Dict[str, Any]:
    """Names and places of the registers in `registers`."""
    made = []
    for number, name in enumerate(_NAMES):
        one: Dict[str, Any] = {"name": name, "bitsize": 64, "offset": 8 * number, "set": 0}
        one.update(encoding="uint", format="hex")
        if name in _DWARF:
            one.update(gcc=_DWARF.index(name), dwarf=_DWARF.index(name), ehframe=_DWARF.index(name))
        if name in _GENERIC:
            one["generic"] = _GENERIC[name]
        made.append(one)
    return {"sets": ["General Purpose Registers"], "registers": made}


def registers(pc: int, sp: int, bp: int) -> bytes:
    """Their values: those that are not known are 0."""
    known = {"rip": pc, "rsp": sp, "rbp": bp}
    return struct.pack(f"={len(_NAMES)}Q", *(known.get(name, 0) for name in _NAMES))
