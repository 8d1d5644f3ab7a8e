"""The goroutine that lldb shows as a thread of its own, as long as the process stands still.

lldb asks for it in callbacks in which no call of its API may be made (it deadlocks, or ends itself): all that
is asked for is put here by the command that selects the goroutine.
"""

from __future__ import annotations

import os
import struct
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

FIRST = 1 << 30  # thread ids from here on are goroutines' (PID_MAX_LIMIT is 1 << 22)
ARCHITECTURES = ("amd64",)
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

    tid: int
    label: str
    pcs: List[int]  # of its frames, innermost first, at least one; those of callers are return addresses
    sp: int  # of the innermost frame
    bp: int  # its frame pointer; 0: not known
    switches: Tuple[int, ...]  # what `switches_of` said when it was found


class _State:
    """What is shown; lldb makes its own objects of the classes that ask."""

    shown: Optional[Shown] = None
    pid: Optional[int] = None  # of the live process; None: a core


STATE = _State()


def show(shown: Shown, pid: Optional[int]) -> None:
    """From now on this is the one; `pid` is the process that may move, None of a core."""
    STATE.shown, STATE.pid = shown, pid


def current() -> Optional[Shown]:
    """What is shown, unless the process has moved since."""
    if STATE.shown is not None and switches_of(STATE.pid) != STATE.shown.switches:
        STATE.shown = None
    return STATE.shown


def switches_of(pid: Optional[int]) -> Optional[Tuple[int, ...]]:
    """How often each thread was given a processor: the same as long as none runs. Of a core nothing; None if
    it is not known, as of a process that is gone."""
    if pid is None:
        return ()
    found: List[int] = []
    try:
        for tid in sorted(os.listdir(f"/proc/{pid}/task")):
            with open(f"/proc/{pid}/task/{tid}/schedstat", encoding="ascii") as file:
                found += (int(tid), int(file.read().split()[2]))
    except (OSError, ValueError, IndexError):
        return None
    return tuple(found)


def as_thread(shown: Shown) -> Dict[str, Any]:
    """What lldb wants to know of a thread."""
    return {"tid": shown.tid, "name": shown.label, "state": "stopped", "stop_reason": "none"}


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
