"""Stack frames: src/runtime/traceback.go's unwinder, over the bytes of a stack.

The stack-pointer tables of pclntab give every Go frame's size exactly at any instruction, prologues
included; frame pointers are followed only out of code that has no such table (C). Where a call pushes the
return address, it lies at the top of the callee's frame. Where it goes to a link register, functions that
call others save it at the bottom of their frame, and the register itself counts for an innermost function
that has none.
"""

from __future__ import annotations

import struct
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.goruntime import funcid
from addrspace_gdb.goruntime.frames import Creator, Frame, Registers, Saved, Stack, State, Walk
from addrspace_gdb.goruntime.pclntab import SP_WRITE, TOP_FRAME, Func
from addrspace_gdb.goruntime.ports import PORTS
from addrspace_gdb.goruntime.symtab import Location, Symtab

__all__ = ["Creator", "Frame", "Registers", "Saved", "Stack", "Unwinder", "Walk"]

MAX_FRAMES = 1_000_000
_OUTSIDE = (struct.error, IndexError, OverflowError)  # of a read beyond the bytes of the stack
_MAX_FOREIGN = 64  # frames of C
_SIGNAL_ENTRY = "runtime.sigtramp"
_SIGNAL_RETURN = "runtime.sigreturn__sigaction"  # what sigtramp returns to, with sp at the ucontext
_TO_G0 = ("systemstack", "mcall", "morestack", "asmcgocall")
_UNKNOWN = -1  # a frame size


class _Step(NamedTuple):
    """What is known about a pc: its function and frame size, and what follows it if not simply a caller."""

    func: Optional[Func]
    size: int  # of the frame, with a return address that the call pushed; _UNKNOWN if not known
    kind: str
    stop: Optional[str]  # "" for the proper top of a stack, else why the walk cannot go on


class Unwinder:
    """Unwinds any number of stacks of one target, remembering what it learns about each pc."""

    def __init__(self, symtab: Symtab) -> None:
        self.symtab = symtab
        self._word = symtab.pointer_size
        code = ("<" if symtab.byte_order == "little" else ">") + ("Q" if self._word == 8 else "I")
        self._read_word = struct.Struct(code).unpack_from
        self._sizes: Dict[int, int] = {}  # pc to frame size, only where the caller simply follows
        self._steps: Dict[int, _Step] = {}
        self._expanded: Dict[Tuple[int, bool], Tuple[Location, ...]] = {}
        self._port = PORTS.get(symtab.arch)
        self._supported = self._port is not None
        self.linked = self._port is not None and self._port.link  # whether a register holds return addresses
        self._pushed = 0 if self.linked else self._word  # bytes that a call pushes

    def walk(
        self,
        stack: Stack,
        pc: int,
        sp: int,
        *,
        bp: Optional[int] = None,
        lr: Optional[int] = None,
        trap: bool = False,
        in_syscall: bool = False,
        on_g0: bool = False,
        saved: Optional[Saved] = None,
        limit: int = MAX_FRAMES,
    ) -> Walk:
        """Physical frames from (pc, sp) to the top of the stack.

        trap: pc and sp are a thread's registers (not g.sched, g.syscallpc, which hold a return address).
        in_syscall: they are g.syscallpc and g.syscallsp. on_g0: it is the stack of a g0 or gsignal, whose
        frames end in systemstack, mcall or morestack; go on at `saved` then, if given. bp: the frame
        pointer, to leave code that is not Go. lr: the link register (g.sched.lr), where there is one.
        Never raises.
        """
        state = State(stack, pc, sp, on_g0 or saved is not None, saved)
        state.lr, state.trap = (lr or 0) if self.linked else 0, trap
        first: Optional[str] = None
        try:
            if not pc:  # a call of a nil func: the caller's frame is the innermost
                state.pc = state.lr if self.linked else self._word_at(stack, sp)
                state.sp, state.lr, trap = sp + self._pushed, 0, False
            if self._step(state.pc).func is None:
                first = self._leave_foreign(state, bp)
            else:
                self._first_frame(state, in_syscall)
            if first is None:
                first = self._run(state, limit)
        except _OUTSIDE:
            first = f"the stack pointer {state.sp:#x} is outside the stack"
        return Walk(state.pcs, state.sps, first or None, trap)

    def _word_at(self, stack: Stack, address: int) -> int:
        if address < stack.low:
            raise IndexError(address)
        return int(self._read_word(stack.data, address - stack.low)[0])

    def _run(self, state: State, limit: int) -> str:
        """Walk until something stops it; returns why, "" at the proper top of the stack."""
        while True:
            reason = self._callers(state, limit)
            if reason is not None:
                return reason
            step = self._step(state.pc)
            if step.func is None and state.pcs:
                caller = self._step(state.pcs[-1]).func
                name = caller.name if caller else "code that is not Go"
                return f"the return address {state.pc:#x} of {name} is in no Go function"
            if step.kind in _TO_G0 and step.size != _UNKNOWN and self._supported:
                if self._is_whole(state, step):
                    if not self.linked or self._has_caller(state, step):
                        self._leave(state, step)
                        continue
                elif self._jump(state, step):
                    continue
            elif self.linked and step.stop is None and self._has_caller(state, step):
                self._leave(state, step)
                continue
            state.pcs.append(state.pc)
            state.sps.append(state.sp)
            if step.stop is None and step.kind not in _TO_G0 and step.func is not None:
                return f"the return address of {step.func.name} is in a register that is not known"
            return step.stop or ""

    def _is_whole(self, state: State, step: _Step) -> bool:
        """Whether a function that switches stacks has its caller on this one: not switched yet, or back."""
        return not state.on_g0 or (self.linked and step.kind == "systemstack" and not step.size)

    def _has_caller(self, state: State, step: _Step) -> bool:
        """Whether the return address is known: an empty frame has it in the link register only. (Of what a
        goroutine saved Go itself reads the word at sp.)"""
        return bool(step.size or state.lr or not (state.pcs or state.trap))

    def _leave(self, state: State, step: _Step) -> None:
        """Take the frame at (pc, sp) and go to its caller's."""
        state.pcs.append(state.pc)
        state.sps.append(state.sp)
        if not self.linked:
            state.sp += step.size
            state.pc = self._word_at(state.stack, state.sp - self._word)
            return
        back = state.lr if state.lr and not step.size else self._word_at(state.stack, state.sp)
        state.pc, state.sp, state.lr = back, state.sp + step.size, 0
        if funcid.is_injected(step.kind) and self._port is not None:
            # sighandler saved the link register on the stack before it made up the call.
            link = self._word_at(state.stack, state.sp)
            state.sp += self._port.injected
            caller = self._step(state.pc)
            if caller.func is None:
                state.pc = link
            elif not caller.size:
                state.lr = link

    def _callers(self, state: State, limit: int) -> Optional[str]:
        """The inner loop: frames whose caller simply follows. None when `state.pc` needs a decision."""
        if self.linked:
            return self._linked_callers(state, limit)
        sizes, read, pcs, sps = self._sizes, self._read_word, state.pcs, state.sps
        data, base = state.stack.data, state.stack.low + self._word
        pc, sp = state.pc, state.sp
        if sp < state.stack.low:
            raise IndexError(sp)
        try:
            while len(pcs) < limit:
                size = sizes.get(pc)
                if size is None:
                    size = self._learn(pc)
                    if size is None:
                        return None
                pcs.append(pc)
                sps.append(sp)
                sp += size
                (pc,) = read(data, sp - base)
            return f"the stack has more than {limit} frames"
        finally:
            state.pc, state.sp = pc, sp

    def _linked_callers(self, state: State, limit: int) -> Optional[str]:
        """The same where the return address lies at the bottom of the frame."""
        sizes, read, pcs, sps = self._sizes, self._read_word, state.pcs, state.sps
        data, base = state.stack.data, state.stack.low
        pc, sp, before = state.pc, state.sp, len(pcs)
        if sp < base:
            raise IndexError(sp)
        try:
            while len(pcs) < limit:
                size = sizes.get(pc)
                if size is None:
                    size = self._learn(pc)
                    if size is None:
                        return None
                pcs.append(pc)
                sps.append(sp)
                (pc,) = read(data, sp - base)
                sp += size
            return f"the stack has more than {limit} frames"
        finally:
            state.pc, state.sp = pc, sp
            if len(pcs) > before:
                state.lr = 0

    def _learn(self, pc: int) -> Optional[int]:
        step = self._step(pc)
        if step.stop is not None:
            return None
        if self.linked and (not step.size or step.kind in _TO_G0 or funcid.is_injected(step.kind)):
            return None
        self._sizes[pc] = step.size
        return step.size

    def _step(self, pc: int) -> _Step:
        step = self._steps.get(pc)
        if step is None:
            step = self._steps[pc] = self._classify(pc)
        return step

    def _classify(self, pc: int) -> _Step:
        func = self.symtab.find(pc)
        if func is None:
            return _Step(None, _UNKNOWN, funcid.NORMAL, f"{pc:#x} is in no Go function")
        kind = self.symtab.kind(func.func_id)
        delta = self.symtab.sp_delta(pc)
        size = _UNKNOWN if delta is None else delta + self._pushed
        stop = None
        if func.flags & TOP_FRAME or func.name == _SIGNAL_RETURN:
            stop = ""
        elif func.flags & SP_WRITE and kind != "cgocallback":
            # cgocallback keeps a valid frame of itself on both stacks while it switches.
            stop = f"{func.name} switches stacks"
        elif size == _UNKNOWN:
            stop = f"{func.name} has no stack size table"
        elif not self._supported:
            stop = f"frames on {self.symtab.arch} cannot be unwound"
        return _Step(func, size, kind, stop)

    def _first_frame(self, state: State, in_syscall: bool) -> None:
        """An innermost SPWRITE function can still be left while it has not touched sp: in the state saved
        at the entry of a system call, and at its first instruction."""
        step = self._step(state.pc)
        if step.func is None or not step.stop or step.size == _UNKNOWN or not self._supported:
            return
        if self.linked and not self._has_caller(state, step):
            return
        before_gogo = state.on_g0 and not self.linked and step.func.name in funcid.GOGO
        in_place = state.trap and (before_gogo or step.func.name in funcid.INTO_VDSO)
        if in_syscall or in_place or state.pc == step.func.entry:
            self._leave(state, step)

    def _jump(self, state: State, step: _Step) -> bool:
        """Follow a switch from g0 to the user goroutine's stack (unwindJumpStack in traceback.go).

        systemstack returns to its caller, so its frame is taken on the user's stack; morestack never
        returns, and is left out; mcall's caller is what curg.sched says, which Go itself does not follow.
        """
        saved = state.saved
        if saved is None or step.kind == "asmcgocall":
            return False
        state.stack, state.on_g0, state.saved = saved.stack, False, None
        if step.kind == "systemstack":
            state.sp = saved.sp
            self._leave(state, step)
            return True
        if step.kind == "mcall":
            state.pcs.append(state.pc)
            state.sps.append(state.sp)
        state.pc, state.sp, state.lr = saved.pc, saved.sp, saved.lr
        return True

    def _leave_foreign(self, state: State, bp: Optional[int]) -> Optional[str]:
        """Follow frame pointers out of C until a Go return address; None when one was found."""
        pc, sp = state.pc, state.sp
        state.pcs.append(pc)
        state.sps.append(sp)
        for _ in range(_MAX_FOREIGN if bp else 0):
            if not bp or bp < sp or bp - state.stack.low + 2 * self._word > len(state.stack.data):
                break
            pc, sp = self._word_at(state.stack, bp + self._word), bp + 2 * self._word
            bp = self._word_at(state.stack, bp)
            if self._step(pc).func is not None:
                state.pc, state.sp = pc, sp
                return None
            state.pcs.append(pc)
            state.sps.append(sp)
        return f"{state.pc:#x} is in no Go function"

    def frames(self, walk: Walk) -> List[Frame]:
        """Every logical frame of `walk`, inlined calls expanded, innermost first."""
        result: List[Frame] = []
        trap = walk.trap
        for pc, sp in zip(walk.pcs, walk.sps):
            step = self._step(pc)
            size = max(0, step.size)
            cfa = sp + size if step.size != _UNKNOWN else None
            if step.func is None:
                trap = False
                result.append(Frame(pc, sp, None, 0, None, None, "?", 0, False, funcid.NORMAL, None, 0, None))
                continue
            for place in self.locations(pc, trap):
                result.append(
                    Frame(
                        pc=pc,
                        sp=sp,
                        cfa=cfa,
                        size=0 if place.inlined else size,
                        function=place.function,
                        name=place.name,
                        file=place.file,
                        line=place.line,
                        inlined=place.inlined,
                        kind=place.kind,
                        entry=step.func.entry,
                        start_line=place.start_line,
                    )
                )
            trap = funcid.is_injected(step.kind)
        if walk.problem and result:
            result[-1] = result[-1]._replace(problem=walk.problem)
        return result

    def unwind(self, stack: Stack, pc: int, sp: int, **how: Any) -> List[Frame]:
        """`walk` and `frames` in one: the logical frames of one stack. `how`: what else `walk` takes."""
        return self.frames(self.walk(stack, pc, sp, **how))

    def locations(self, pc: int, trap: bool = False) -> Tuple[Location, ...]:
        """The logical frames at a frame's pc. Without `trap`, pc is a return address and the call before
        it counts, unless it is the function's first instruction (a goroutine that has not run yet)."""
        key = (pc, trap)
        found = self._expanded.get(key)
        if found is None:
            func = self._step(pc).func
            back = func is not None and not trap and pc > func.entry
            found = self._expanded[key] = self.symtab.locations(pc - 1 if back else pc)
        return found

    def enters_signal(self, pc: int) -> bool:
        """Whether a pc is in the function that the kernel calls for a signal, or in what that returns to."""
        func = self._step(pc).func
        return func is not None and func.name in (_SIGNAL_ENTRY, _SIGNAL_RETURN)

    def interrupted(self, stack: Stack, walk: Walk) -> Optional[Registers]:
        """What a signal handler interrupted, if `walk`, over the signal `stack`, ends in sigtramp.

        None where the frame that the kernel left there is not known (see ports.py).
        """
        step = self._step(walk.pcs[-1])
        name = step.func.name if step.func else None
        places = self._port.signal if self._port is not None else None
        if places is None or name not in (_SIGNAL_ENTRY, _SIGNAL_RETURN):
            return None
        base = walk.sps[-1] + (0 if name == _SIGNAL_RETURN else max(0, step.size))
        try:
            pc, sp, bp = (self._word_at(stack, base + place) for place in places[:3])
            lr = self._word_at(stack, base + places.link) if places.link is not None else None
        except _OUTSIDE:
            return None
        return Registers(pc, sp, bp, lr, base)

    def size(self, pc: int) -> int:
        """Bytes of the physical frame at `pc`, with a return address that the call pushed; 0 if not known."""
        return max(0, self._step(pc).size)

    def frame_size(self, pc: int) -> Optional[int]:
        """As `size`, with None where it is not known: where there is a link register, frames may be empty."""
        size = self._step(pc).size
        return size if size != _UNKNOWN else None

    def creator(self, gopc: int, parent_goid: int) -> Optional[Creator]:
        """What g.gopc and g.parentGoid say: the function with the go statement; None if there is none.

        parentGoid is 0 for the first goroutines. Inlining is not expanded, as in printcreatedby.
        """
        func = self.symtab.find(gopc)
        if func is None:
            return None
        at = gopc - 1 if gopc > func.entry else gopc
        place = (self.symtab.locations(at) or (None,))[-1]
        file, line = self.symtab.file_line(at)
        kind = place.kind if place else funcid.NORMAL
        shown = funcid.is_shown(func.name, kind, funcid.NORMAL, False, self.symtab.minor)
        return Creator(parent_goid, func.name, self.symtab.printed(func.name), file, line, shown)

    def printed(self, frames: Sequence[Frame], level: int = 1) -> List[Frame]:
        """The frames Go's own dump prints (showframe), with the names it prints.

        level: GOTRACEBACK's; 1 ("single", "all") hides the runtime and wrappers, 2 ("system") nothing.
        If all would be hidden, all are shown.
        """
        shown: List[Frame] = []
        callee = funcid.NORMAL
        for frame in frames:
            name = frame.function
            if name is None:
                continue
            if level > 1 or funcid.is_shown(name, frame.kind, callee, not shown, self.symtab.minor):
                shown.append(frame._replace(name="panic") if name == "runtime.gopanic" else frame)
            callee = frame.kind
        if not shown and level < 2 and frames:
            return self.printed(frames, 2)
        return shown
