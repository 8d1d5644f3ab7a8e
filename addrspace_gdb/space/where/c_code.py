"""Code that is not Go's: the frames of C at an instruction, each with its function and its file."""

from __future__ import annotations

import os
import re
from typing import Callable, List, NamedTuple, Optional, Sequence

from addrspace_gdb.common.escape import MAX_TEXT, decoded
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.symtab import Symtab
from addrspace_gdb.process.cfi import CFrame, CUnwinder
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.target.protocol import Named, Names, Target

_CGO = re.compile(r"_cgo_\w+?_Cfunc_(\w+)")
_PART = re.compile(r"\.(cold|part|isra|constprop|localalias|lto_priv)(\.\d+)*\b.*$")
_HEAD = 4  # bytes of struct abort_msg_s before its text: its size (glibc's include/stdlib.h)


class CPlace(NamedTuple):
    """One frame. A function that nobody names is None; so is a file that is none."""

    pc: int
    sp: int
    function: Optional[str]
    offset: int
    file: Optional[str]
    called: bool  # pc is where a call returns to
    library: bool  # it is not the program's own

    @property
    def name(self) -> Optional[str]:
        """The function as its author calls it: what cgo makes of a call of C is named as in Go, and a part
        that the compiler set apart as the whole."""
        if self.function is None:
            return None
        cgo = _CGO.match(self.function)
        return f"C.{cgo.group(1)}" if cgo else _PART.sub("", self.function)


class CCode:
    """Of one process."""

    def __init__(self, target: Target, tables: Symtab, reading: Reading) -> None:
        self._target, self._tables, self._mappings = target, tables, reading.mappings
        self._program = os.path.basename(reading.info.executable or "")
        self._names: Optional[Names] = target if isinstance(target, Names) else None
        self._unwinder = CUnwinder(target.arch, target.byte_order, target.read, reading.mappings)

    def frames(self, register: Callable[[str], Optional[int]]) -> List[CPlace]:
        """From those registers up to the first Go function, innermost first; none if they are Go's."""
        walked = self._unwinder.walk(register, lambda pc: self._tables.find(pc) is not None)
        return self._places(walked.frames)

    def _places(self, frames: Sequence[CFrame]) -> List[CPlace]:
        addresses = [frame.pc - frame.called for frame in frames]
        named = self._names.names_at(addresses) if self._names is not None and addresses else []
        places = [self._place(frame, name) for frame, name in zip(frames, named or [None] * len(frames))]
        return [self._imported(*one) for one in zip(places, frames, [*frames[1:], None])]

    def _imported(self, place: CPlace, frame: CFrame, caller: Optional[CFrame]) -> CPlace:
        """A function of a library without a symbol has the name by which its caller asked for it."""
        if place.function is not None or frame.entry is None or caller is None:
            return place
        name = self._unwinder.imported_as(caller.pc - caller.called, frame.entry)
        return place._replace(function=name, offset=frame.pc - frame.entry) if name else place

    def _place(self, frame: CFrame, named: Optional[Named]) -> CPlace:
        mapping = next((m for m in self._mappings if m.start <= frame.pc < m.end), None)
        file = os.path.basename(mapping.file) if mapping is not None and mapping.file is not None else None
        at = frame.pc - frame.called
        if named is not None and frame.entry is not None and at - named.offset < frame.entry:
            named = None  # of the function before it: its own has no symbol
        offset = named.offset + frame.called if named is not None else 0
        return CPlace(
            frame.pc,
            frame.sp,
            named.name if named else None,
            offset,
            file,
            frame.called,
            file != self._program,
        )


def abort_text(runtime: Runtime) -> Optional[str]:
    """What glibc printed before it called abort (__abort_msg): of an assertion, of a heap that is damaged."""
    try:
        place = runtime.target.symbol("__abort_msg")
        at = runtime.word_at(place.address) if place is not None else 0
        return _text(runtime, at + _HEAD) if at else None
    except (UnreadableError, ProblemError):
        return None


def _text(runtime: Runtime, at: int) -> str:
    found = b""
    while len(found) < MAX_TEXT and b"\0" not in found:
        found += runtime.target.read(at + len(found), 64)
    return decoded(found.split(b"\0", 1)[0]).strip()
