"""Which functions take the stack space: bytes of frames, flat and cumulative, over all goroutines.

The rows that are not functions make the whole add up to MemStats.StackInuse: what is unused, the guard
at the low end of each stack, and the stacks that no goroutine runs on.
"""

from __future__ import annotations

from collections import Counter
from itertools import compress
from operator import not_
from typing import Dict, List, NamedTuple, Optional, Tuple

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.goruntime.proc import is_live
from addrspace_gdb.goruntime.stack import Stacks
from addrspace_gdb.goruntime.stackpieces import GOROUTINE
from addrspace_gdb.goruntime.traceback import Walk
from addrspace_gdb.space.goroutines.equal_stacks import Same, same_stacks
from addrspace_gdb.space.goroutines.listing import field_of
from addrspace_gdb.space.goroutines.walk import start_of
from addrspace_gdb.space.reading.goroutines import GoroutineReading

_SAMPLE = 64  # goroutines that are asked for the size of the guard
_MAX_GUARD = 1 << 16  # bytes

UNUSED = "unused"
GUARD = "guard"
TOP = "above the first frame"
NOT_UNWOUND = "frames not unwound"
NO_SP = "sp not known"


class FrameUse(NamedTuple):
    """Bytes of stack of one function. `flat`: of its own frames; `cumulative`: of these and all frames that
    they called, a function that is on a stack several times counted once."""

    function: str  # as Go prints it
    flat: int
    cumulative: int
    frames: int
    goroutines: int


class ByFrame(NamedTuple):
    """Stack memory by what it is spent on."""

    functions: List[FrameUse]  # most bytes first
    others: List[Tuple[str, int, int]]  # what, bytes, how many: the rows that are no function
    total: int  # of all rows
    in_use: int  # bytes of spans given to stacks, counted span by span
    counter: Optional[int]  # MemStats.StackInuse, the runtime's own counter


class _Use:
    __slots__ = ("cumulative", "flat", "frames", "goroutines")

    def __init__(self) -> None:
        self.flat = self.cumulative = self.frames = self.goroutines = 0


def by_frame(reading: GoroutineReading) -> ByFrame:
    """Every byte of every stack, goroutines of the runtime included."""
    with no_cycle_collection():
        stacks = reading.stacks
        uses, own = _Functions(reading).add_up()
        functions = [
            FrameUse(name, use.flat, use.cumulative, use.frames, use.goroutines) for name, use in uses.items()
        ]
        functions.sort(key=lambda use: (-use.flat, -use.cumulative, use.function))
        others = own + _pieces(stacks)
        total = sum(use.flat for use in functions) + sum(size for _, size, _ in others)
        return ByFrame(functions, others, total, stacks.in_use, reading.in_use)


def living(reading: GoroutineReading) -> List[int]:
    """Positions of the goroutines that exist."""
    dead = reading.goroutines.dead
    return list(compress(range(len(dead)), map(not_, dead)))


def _pieces(stacks: Stacks) -> List[Tuple[str, int, int]]:
    """Stack memory that is no living goroutine's, by kind."""
    sizes: Dict[str, int] = {}
    counts: Counter[str] = Counter()
    for start, end, kind, _ in stacks.pieces:
        if kind != GOROUTINE:
            sizes[kind] = sizes.get(kind, 0) + end - start
            counts[kind] += 1
    return [(kind, size, counts[kind]) for kind, size in sorted(sizes.items(), key=lambda item: -item[1])]


class _Equal:
    """A stack that some goroutines have. It keeps the walk, whose id is its key, alive."""

    __slots__ = ("count", "pcs", "size", "walk")

    def __init__(self, walk: Walk, pcs: List[int], size: int) -> None:
        self.walk, self.pcs, self.size, self.count = walk, pcs, size, 0


class _Functions:
    """Adds up frames stack by stack; equal stacks are walked but not added up again."""

    def __init__(self, reading: GoroutineReading) -> None:
        self._reading = reading
        self._uses: Dict[str, _Use] = {}
        self._guard = guard_size(reading)
        self._others: Dict[str, List[int]] = {
            name: [0, 0] for name in (UNUSED, GUARD, TOP, NOT_UNWOUND, NO_SP)
        }
        self._equal: Dict[int, _Equal] = {}  # by the id of the walk

    def add_up(self) -> Tuple[Dict[str, _Use], List[Tuple[str, int, int]]]:
        """Functions by name, and the rows that are no function but lie in living goroutines' stacks."""
        for one in same_stacks(self._reading, living(self._reading)):
            self._one(one)
        for stack in self._equal.values():
            self._stack(stack)
        return self._uses, [(name, size, count) for name, (size, count) in self._others.items() if size]

    def _one(self, one: Same) -> None:
        columns, at, walk = self._reading.goroutines.columns, one.at, one.walk
        lo, hi = columns["lo"][at], columns["hi"][at]
        if not lo < hi:
            return
        plain = one.shared or not (at in self._reading.live or columns["syscallsp"][at])
        sp = columns["sp"][at] if plain else start_of(self._reading, at).sp
        if not lo < sp <= hi:
            self._other(NO_SP, hi - lo)
            return
        guard = min(self._guard, sp - lo)
        self._other(GUARD, guard)
        self._other(UNUSED, sp - lo - guard)
        stack = self._equal.get(id(walk)) if one.shared else None
        if stack is None:
            stack = self._equal[id(walk)] = self._new(walk, None if one.shared else (lo, hi))
        stack.count += 1
        self._other(NOT_UNWOUND if walk.problem else TOP, hi - sp - stack.size)

    def _new(self, walk: Walk, own: Optional[Tuple[int, int]]) -> _Equal:
        """A stack to count; of frames on other stacks (g0) only those that lie in `own` are its."""
        pcs = walk.pcs
        if own is not None:
            pcs = [pc for pc, sp in zip(pcs, walk.sps) if own[0] < sp <= own[1]]
        size = self._reading.unwinder.size
        return _Equal(walk, pcs, sum(size(pc) for pc in pcs))

    def _other(self, name: str, size: int) -> None:
        if size:
            row = self._others[name]
            row[0] += size
            row[1] += 1

    def _stack(self, stack: _Equal) -> None:
        """Add one stack that so many goroutines have."""
        unwinder, pcs, count = self._reading.unwinder, stack.pcs, stack.count
        total = 0
        here: Dict[str, int] = {}  # function to bytes from the innermost frame to its outermost one
        for pc in pcs:
            size = unwinder.size(pc)
            total += size
            name = self._name(pc)
            use = self._uses.get(name)
            if use is None:
                use = self._uses[name] = _Use()
            use.flat += size * count
            use.frames += count
            here[name] = total
        for name, cumulative in here.items():
            use = self._uses[name]
            use.cumulative += cumulative * count
            use.goroutines += count

    def _name(self, pc: int) -> str:
        tables = self._reading.tables
        name = tables.function_name(pc)
        return tables.printed(name) if name else "code that is not Go"


def guard_size(reading: GoroutineReading) -> int:
    """stackGuard (src/runtime/stack.go): g.stackguard0 - stack.lo, unless a preemption is asked for there."""
    los, statuses = reading.goroutines.column("lo"), reading.goroutines.column("status")
    seen: Counter[int] = Counter()
    for at, (lo, status) in enumerate(zip(los, statuses)):
        if lo and is_live(status):
            seen[field_of(reading, at, "stackguard0") - lo] += 1
            if sum(seen.values()) >= _SAMPLE:
                break
    plausible = [(count, size) for size, count in seen.items() if 0 < size < _MAX_GUARD]
    return max(plausible)[1] if plausible else 0
