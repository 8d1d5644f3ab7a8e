"""An address in stack memory: whose stack, which frame, and what of the frame."""

from __future__ import annotations

from bisect import bisect_right
from functools import partial
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime import stackpieces
from addrspace_gdb.goruntime.pclntab import ASSEMBLY
from addrspace_gdb.goruntime.ports import PORTS
from addrspace_gdb.goruntime.proc import M, is_live
from addrspace_gdb.goruntime.traceback import Stack, Walk
from addrspace_gdb.process.threads import GUARD, STACK, TLS
from addrspace_gdb.space.goroutines.walk import start_of, walk
from addrspace_gdb.space.reading.goroutines import GoroutineReading
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.space.where.answers import FrameHit, OnStack
from addrspace_gdb.target.protocol import FrameVariable, Names, Target

_MAX_ARGUMENTS = 1 << 20  # bytes; Func.args is negative where it is not known
_MAX_STACK = 1 << 26  # bytes of a goroutine's stack that are walked
_MAX_G0 = 1 << 24  # bytes read of a thread's own stack


class _Frames(NamedTuple):
    """The frames that lie on one stack, innermost first."""

    pcs: List[int]
    sps: List[int]
    trap: bool
    sp: Optional[int]
    problem: Optional[str]


class StackPlaces:
    """Finds frames. Each stack is walked once."""

    def __init__(self, reading: Reading, goroutines: GoroutineReading, target: Target) -> None:
        self._reading, self._goroutines, self._target = reading, goroutines, target
        self._pieces: Sequence[stackpieces.Piece] = ()
        self._starts: Sequence[int] = ()
        self._positions: Optional[Dict[int, int]] = None
        self._walked: Dict[int, _Frames] = {}  # by the low end of the stack
        self._variables: Dict[int, List[FrameVariable]] = {}  # by pc

    def find(self, address: int, names: bool = True) -> Optional[OnStack]:
        """The place on a stack that a g owns, or that waits in a pool. With `names`, variables by DWARF."""
        piece = self._piece(address)
        if piece is None:
            return None
        if piece.kind in (stackpieces.GOROUTINE, stackpieces.DEAD_GOROUTINE):
            return self._on_goroutine(piece, address, names)
        if piece.kind in (stackpieces.SYSTEM_STACK, stackpieces.SIGNAL_STACK):
            return self._on_thread(piece, address, names)
        return OnStack(piece.kind, None, None, piece.start, piece.end, None, "stale", None, None)

    def thread(self, address: int) -> Optional[OnStack]:
        """The place on a stack that libc or the kernel made for a thread."""
        for own in self._reading.thread_stacks:
            if own.start <= address < own.end and own.kind != TLS:
                thread = next((t for t in self._reading.threads if t.tid == own.tid), None)
                sp = thread.sp if thread is not None and own.kind == STACK else None
                inside = sp if sp is not None and own.start <= sp <= own.end else None
                below = inside is not None and address < inside
                use = "guard" if own.kind == GUARD else "below sp" if below else "not walked"
                return OnStack(own.kind, None, None, own.start, own.end, inside, use, None, None)
        return None

    def _piece(self, address: int) -> Optional[stackpieces.Piece]:
        if not self._pieces:
            found = self._reading.go.stacks
            self._pieces = sorted([*found.pieces, *found.outside])
            self._starts = [piece.start for piece in self._pieces]
        index = bisect_right(self._starts, address) - 1
        if index < 0 or address >= self._pieces[index].end:
            return None
        return self._pieces[index]

    def position(self, lo: int, goid: int) -> Optional[int]:
        """The goroutine with that stack, by its position in the columns."""
        if self._positions is None:
            rows = self._goroutines.goroutines.rows("lo", "hi", "status")
            order = sorted((is_live(status), at, lo) for at, (lo, hi, status) in enumerate(rows) if lo < hi)
            self._positions = {lo: at for _, at, lo in order}  # a live one over a dead one
        at = self._positions.get(lo)
        return at if at is not None and self._goroutines.goroutines.column("goid")[at] == goid else None

    def _on_goroutine(self, piece: stackpieces.Piece, address: int, names: bool) -> OnStack:
        at = self.position(piece.start, piece.owner)
        place = OnStack(piece.kind, piece.owner, None, piece.start, piece.end, None, "not walked", None, None)
        if at is None or piece.kind == stackpieces.DEAD_GOROUTINE:
            return place._replace(use="stale")
        if piece.start not in self._walked:
            sp = start_of(self._goroutines, at).sp
            deep = piece.start < sp <= piece.end and piece.end - sp > _MAX_STACK
            found = Walk([], [], "it is too deep to be walked", False) if deep else walk(self._goroutines, at)
            self._walked[piece.start] = _here(found, piece, sp)
        return self._place(place, self._walked[piece.start], address, names)

    def _on_thread(self, piece: stackpieces.Piece, address: int, names: bool) -> OnStack:
        place = OnStack(piece.kind, None, piece.owner, piece.start, piece.end, None, "not walked", None, None)
        m = next((m for m in self._reading.go.scheduler.ms if m.id == piece.owner), None)
        if m is None:
            return place
        if piece.start not in self._walked:
            self._walked[piece.start] = self._walk_thread(m, piece)
        return self._place(place, self._walked[piece.start], address, names)

    def _walk_thread(self, m: M, piece: stackpieces.Piece) -> _Frames:
        """A g0 or signal stack: walked while its thread is on it."""
        thread = next((t for t in self._reading.threads if t.tid == m.procid), None)
        if thread is None or thread.sp is None or thread.pc is None:
            return _Frames([], [], False, None, "its thread's registers are not known")
        if not piece.start < thread.sp <= piece.end:
            saved = m.g0_sp if piece.kind == stackpieces.SYSTEM_STACK else 0
            inside = saved if piece.start < saved <= piece.end else None
            return _Frames([], [], False, inside, "its thread is not on it")
        if piece.end - thread.sp > _MAX_G0:
            return _Frames([], [], True, thread.sp, "it is too large to be walked")
        try:
            data = self._target.read(thread.sp, piece.end - thread.sp)
        except UnreadableError:
            return _Frames([], [], True, thread.sp, "it cannot be read")
        unwinder = self._goroutines.unwinder
        found = unwinder.walk(
            Stack(thread.sp, data), thread.pc, thread.sp, lr=thread.link, trap=True, on_g0=True
        )
        return _here(found, piece, thread.sp)

    def _place(self, place: OnStack, frames: _Frames, address: int, names: bool) -> OnStack:
        place = place._replace(sp=frames.sp, problem=frames.problem)
        if frames.sp is not None and address < frames.sp:
            return place._replace(use="below sp", problem=None)
        if not frames.sps:
            return place
        index = bisect_right(frames.sps, address) - 1
        if index < 0:
            return place
        cfa = self._cfa(frames, index)
        if cfa is not None and address >= cfa and index == len(frames.sps) - 1:
            if not self._is_argument(frames, index, address):
                return place._replace(use="above the frames", problem=None)
        elif index and self._is_argument(frames, index - 1, address):
            index -= 1
        return place._replace(use="frame", frame=self._frame(frames, index, address, names), problem=None)

    def _cfa(self, frames: _Frames, index: int) -> Optional[int]:
        size = self._goroutines.unwinder.size(frames.pcs[index])
        return frames.sps[index] + size if size else None

    def _is_argument(self, frames: _Frames, index: int, address: int) -> bool:
        """Whether the address is among the arguments of frame `index`, which its caller keeps above it."""
        cfa = self._cfa(frames, index)
        func = self._goroutines.tables.find(frames.pcs[index])
        if cfa is None or func is None or not 0 < func.args < _MAX_ARGUMENTS:
            return False
        port = PORTS.get(self._goroutines.tables.arch)
        first = cfa + (port.arguments if port is not None else 0)
        return first <= address < first + func.args

    def _frame(self, frames: _Frames, index: int, address: int, names: bool) -> FrameHit:
        pc, sp, trap = frames.pcs[index], frames.sps[index], frames.trap and index == 0
        cfa = self._cfa(frames, index)
        places = self._goroutines.unwinder.locations(pc, trap)
        innermost = places[0] if places else None
        at = pc if trap else pc - 1
        return FrameHit(
            level=index,
            function=places[-1].name if places else None,
            file=innermost.file if innermost else "?",
            line=innermost.line if innermost else 0,
            sp=sp,
            cfa=cfa,
            part=self._part(pc, sp, cfa, address),
            name=partial(self._variable, at, cfa, address) if names else lambda: (None, 0),
        )

    def _part(self, pc: int, sp: int, cfa: Optional[int], address: int) -> str:
        word = self._goroutines.runtime.word
        if cfa is None:
            return "frame"
        if address >= cfa:
            return "arguments and results"
        port = PORTS.get(self._goroutines.tables.arch)
        pushed = port is None or not port.link
        if address >= cfa - word if pushed else address < sp + word:
            return "return address"
        top = cfa - word if pushed else cfa
        func = self._goroutines.tables.find(pc)
        keeps = port is not None and port.keeps_fp and func is not None and not func.flags & ASSEMBLY
        return "saved frame pointer" if keeps and address >= top - word else "locals"

    def _variable(self, pc: int, cfa: Optional[int], address: int) -> Tuple[Optional[str], int]:
        """The variable whose place in the frame the address is in, the smallest where several are."""
        if cfa is None or not isinstance(self._target, Names):
            return None, 0
        if pc not in self._variables:
            self._variables[pc] = self._target.frame_variables(pc)
        at = address - cfa
        hits = [v for v in self._variables[pc] if v.offset <= at < v.offset + max(1, v.size)]
        if not hits:
            return None, 0
        best = min(hits, key=lambda v: (v.size, v.name, v.offset))  # two may share a place
        return best.name, at - best.offset + best.within


def _here(found: Walk, piece: stackpieces.Piece, sp: int) -> _Frames:
    """Of a walk, which may come from another stack, the frames on this one."""
    pairs = [(s, pc) for s, pc in zip(found.sps, found.pcs) if piece.start < s <= piece.end]
    rising = [pair for n, pair in enumerate(pairs) if not n or pair[0] >= pairs[n - 1][0]]
    whole = len(pairs) == len(found.sps)
    own = rising[0][0] if rising else sp
    inside = own if piece.start < own <= piece.end else None
    return _Frames(
        [pc for _, pc in rising], [s for s, _ in rising], found.trap and whole, inside, found.problem
    )
