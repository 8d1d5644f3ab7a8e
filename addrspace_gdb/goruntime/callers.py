"""What package runtime makes of a list of pcs for package runtime/pprof (src/runtime/symtab.go).

A pc in such a list stands behind a call. Functions that were inlined have pcs of their own, behind the marks
that the compiler leaves for them, so that each pc is one logical frame.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence

from addrspace_gdb.goruntime.funcid import NORMAL, WRAPPER, elides_wrapper
from addrspace_gdb.goruntime.symtab import Symtab


class CallFrame(NamedTuple):
    """runtime.Frame of one pc."""

    pc: int  # of the call
    function: str  # the linker's name
    name: str  # as Go prints it
    file: str
    line: int
    entry: int  # of the function itself, also for one that is inlined into it
    inlined: bool
    start_line: int


class Callers:
    """Frames of pcs, each worked out once."""

    def __init__(self, symtab: Symtab) -> None:
        self.symtab = symtab
        self._frames: Dict[int, Optional[CallFrame]] = {}

    def frame(self, pc: int) -> Optional[CallFrame]:
        """What CallersFrames says of that one pc; None for code that is not Go's."""
        if pc not in self._frames:
            self._frames[pc] = self._frame(pc)
        return self._frames[pc]

    def _frame(self, pc: int) -> Optional[CallFrame]:
        func = self.symtab.find(pc)
        if func is None:
            return None
        at = pc - 1 if pc > func.entry else pc
        place = next(iter(self.symtab.locations(at)), None)
        if place is None:
            return CallFrame(at, func.name, self.symtab.printed(func.name), "?", 0, func.entry, False, 0)
        return CallFrame(
            at,
            place.function,
            place.name,
            place.file,
            place.line,
            func.entry,
            place.inlined,
            place.start_line,
        )

    def function_at(self, pc: int) -> Optional[str]:
        """How FuncForPC(pc).Name() begins: the innermost function at this very instruction."""
        place = next(iter(self.symtab.locations(pc)), None)
        return place.function if place is not None else self.symtab.function_name(pc)

    def logical(self, pc: int, callee: str = NORMAL) -> List[int]:
        """The pcs that tracebackPCs gives for the frame that stands at the instruction `pc`, without wrappers
        that it leaves out. `callee`: the kind of the frame that this one called."""
        found = []
        for at, place in zip(self.symtab.call_pcs(pc), self.symtab.locations(pc)):
            if place.kind != WRAPPER or not elides_wrapper(callee):
                found.append(at + 1)
            callee = place.kind
        return found

    def whole_end(self, stack: Sequence[int]) -> Sequence[int]:
        """The stack with all that the function of its last pc was inlined into, which may have been cut off
        (runtime_expandFinalInlineFrame)."""
        if not stack:
            return stack
        places = self.symtab.locations(stack[-1] - 1)
        if not places or not places[0].inlined:
            return stack
        return [*stack[:-1], *self.logical(stack[-1] - 1)]

    def expanded(self, stack: Sequence[int], most: int) -> List[int]:
        """A stack whose pcs may be those of the frames alone, with the pcs of inlined functions, but for the
        last one's (expandInlinedFrames, since Go 1.23); no more than `most`, and none that is not Go's."""
        found: List[int] = []
        for number, pc in enumerate(stack):
            following = stack[number + 1] if number + 1 < len(stack) else None
            for at in self._with_callers(pc, following):
                if len(found) >= most:
                    return found
                found.append(at)
        return found or [1]

    def _with_callers(self, pc: int, following: Optional[int]) -> List[int]:
        """One pc, and what its function is inlined into as far as that is not what follows on the stack."""
        frame = self.frame(pc)
        if frame is None:
            return []
        found = [frame.pc + 1]
        if not frame.inlined or following is None:
            return found
        places, calls = self.symtab.locations(frame.pc), self.symtab.call_pcs(frame.pc)
        callee = places[0].kind
        for at, place in zip(calls[1:], places[1:]):
            if following == at + 1:
                break
            if place.kind == WRAPPER and elides_wrapper(callee):
                continue
            found.append(at + 1)
            callee = place.kind
        return found
