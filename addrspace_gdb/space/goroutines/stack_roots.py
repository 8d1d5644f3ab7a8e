"""What goroutines keep alive by their stacks: every pointer that the collector finds there (scanstack in
src/runtime/mgcmark.go).

Goroutines with the same frames have their pointers at the same places: those are worked out once.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.columns import read_columns
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.stackmaps import StackMaps, StackObject, left_by
from addrspace_gdb.space.goroutines.stack_reads import MAX_STACK
from addrspace_gdb.space.goroutines.walk import start_of, walk
from addrspace_gdb.space.reading.signals import before_signals
from addrspace_gdb.space.reading.walkable import Live, Walkable, runs

_MAX_DEFERS = 1 << 16  # of one goroutine
_SIGNAL_FRAME = 512  # bytes of what the kernel leaves on the signal stack that may hold registers
NO_FRAME = ""  # a root that no frame holds: a record of a deferred call, a register


NO_PLACE = 0


class Place(NamedTuple):
    """Where in the frames of a function a pointer stands: what finds the variable's name."""

    pc: int  # an instruction of the call that the frame is at
    offset: int  # bytes from the canonical frame address


class Root(NamedTuple):
    """A pointer of a goroutine into the heap."""

    value: int
    function: str  # whose frame holds it, as the linker knows it; NO_FRAME
    address: int = 0  # where it stands; 0: in a register, or it is not known
    place: int = NO_PLACE  # a number: see StackRoots.places


class OfGoroutine(NamedTuple):
    """What one goroutine keeps."""

    at: int  # its position
    roots: List[Root]
    exact: bool  # by stack maps alone; False: words were taken for pointers that may be none


_Put = Callable[[int, str, int, int], None]  # takes what a root has


class _Frame(NamedTuple):
    """A frame of a plan. `cfa`: bytes from the first frame's sp to what is above it; None: not known."""

    function: str
    pc: int
    cfa: Optional[int]


class _Plan(NamedTuple):
    """Where a stack with certain frames has pointers; offsets are words from the first frame's sp."""

    slots: Tuple[Tuple[int, _Frame, int], ...]  # with the number of the place
    objects: Tuple[Tuple[int, StackObject, _Frame], ...]  # by offset in bytes
    starts: Tuple[int, ...]  # of those
    ranges: Tuple[Tuple[int, int, _Frame], ...]
    reflect: Tuple[Tuple[int, int, _Frame], ...]  # sp of the frame and its arguments, in bytes


class StackRoots:
    """Reads them goroutine by goroutine. Only values in [low, high) are of interest."""

    def __init__(self, reading: Walkable, heap: Tuple[int, int]) -> None:
        self._reading, self._runtime, self._heap = reading, reading.runtime, heap
        self._maps = StackMaps(reading.runtime.target, reading.tables, reading.problems)
        self._plans: Dict[Tuple[bool, Tuple[int, ...]], _Plan] = {}
        self._word = reading.runtime.word
        self._more = _more_of_gs(reading.runtime, reading.goroutines.column("address"))
        self.places: List[Place] = [Place(0, 0)]  # by number; NO_PLACE is none
        self._places: Dict[Place, int] = {}
        self.unknown: List[Tuple[int, str]] = []  # positions of those whose stack cannot be walked, and why

    def read(self, positions: Sequence[int]) -> Iterator[OfGoroutine]:
        """What those of the goroutines keep that are not dead."""
        dead = self._reading.goroutines.dead
        for number, at in enumerate(positions):
            if number % 1024 == 0:
                self._runtime.progress.step("roots on stacks", number, len(positions))
            if not dead[at]:
                yield self._one(at)

    def _one(self, at: int) -> OfGoroutine:
        walked = walk(self._reading, at)
        columns = self._reading.goroutines.columns
        lo, hi = columns["lo"][at], columns["hi"][at]
        pairs = [(pc, sp) for pc, sp in zip(walked.pcs, walked.sps) if lo < sp <= hi]
        whole = walked.problem is None and bool(pairs)
        if not whole:
            self.unknown.append((at, walked.problem or "it has no frame on its stack"))
            start = start_of(self._reading, at).sp
            return self._conservative(at, start if lo < start <= hi else lo, hi)
        trap = walked.trap and pairs[0][0] == walked.pcs[0]
        try:
            stack = _Stack(self._runtime, pairs[0][1], hi, lo)
        except UnreadableError as error:
            self.unknown.append((at, str(error)))
            return OfGoroutine(at, [], False)
        plan = self._plan(pairs, trap, hi)
        return self._apply(at, plan, stack)

    def _conservative(self, at: int, start: int, end: int) -> OfGoroutine:
        """Every word of a stack that cannot be walked."""
        if not 0 < start < end or end - start > MAX_STACK:
            return OfGoroutine(at, [], False)
        low, high = self._heap
        words = self._runtime.words(start, (end - start) // self._word, "a stack")
        at_words = zip(range(start, end, self._word), words)
        roots = [Root(value, NO_FRAME, address) for address, value in at_words if low <= value < high]
        return OfGoroutine(at, [*roots, *self._records(at, [])], False)

    def _plan(self, pairs: List[Tuple[int, int]], trap: bool, hi: int) -> _Plan:
        key = (trap, tuple(pc for pc, _ in pairs))
        found = self._plans.get(key)
        if found is None:
            found = self._plans[key] = self._make(pairs, trap, hi)
        return found

    def _make(self, pairs: List[Tuple[int, int]], trap: bool, hi: int) -> _Plan:
        tables, word, base = self._reading.tables, self._word, pairs[0][1]
        slots: List[Tuple[int, _Frame, int]] = []
        objects: List[Tuple[int, StackObject, _Frame]] = []
        ranges: List[Tuple[int, int, _Frame]] = []
        reflect: List[Tuple[int, int, _Frame]] = []
        callee = ""
        for number, (pc, sp) in enumerate(pairs):
            func = tables.find(pc)
            if func is None:
                continue
            at, size = sp - base, self._reading.unwinder.size(pc)
            call = pc if trap and not number else pc - 1
            frame = _Frame(func.name, call, at + size if size else None)
            found = self._maps.frame(pc, size, left_by(callee, not number, trap))
            for offset in found.pointers:
                slots.append(((at + offset) // word, frame, self._place(frame, at + offset)))
            objects += [(at + one.offset, one, frame) for one in found.objects]
            ranges += [((at + low) // word, (at + high) // word, frame) for low, high in found.ranges]
            if found.reflect >= 0:
                reflect.append((at, at + found.reflect, frame))
            callee = tables.kind(func.func_id)
        objects.sort(key=lambda one: one[0])
        starts = tuple(offset for offset, _, _ in objects)
        return _Plan(tuple(slots), tuple(objects), starts, tuple(ranges), tuple(reflect))

    def _place(self, frame: _Frame, offset: int) -> int:
        """The number of a place, `offset` bytes from the first frame's sp."""
        if frame.cfa is None:
            return NO_PLACE
        place = Place(frame.pc, offset - frame.cfa)
        number = self._places.setdefault(place, len(self.places))
        if number == len(self.places):
            self.places.append(place)
        return number

    def _apply(self, at: int, plan: _Plan, stack: _Stack) -> OfGoroutine:
        """Read the slots, and then what of the stack's own variables they lead to."""
        low, high = self._heap
        roots: List[Root] = []
        inner: List[int] = []

        def put(value: int, function: str, address: int, place: int) -> None:
            if stack.low <= value < stack.high:  # which may lie beyond the last object
                inner.append(value)
            elif low <= value < high:
                roots.append(Root(value, function, address, place))

        for one in self._direct(at, plan, stack):
            put(*one)
        for root in self._records(at, inner):
            put(*root)
        self._follow(plan, stack, inner, put)
        return OfGoroutine(at, roots, not plan.ranges)

    def _direct(self, at: int, plan: _Plan, stack: _Stack) -> Iterator[Tuple[int, str, int, int]]:
        """What the frames and the registers hold, as roots are."""
        words, base, word, count = stack.words, stack.base, self._word, len(stack.words)
        for index, frame, place in plan.slots:
            if index < count:
                yield words[index], frame.function, base + index * word, place
        for first, after, frame in plan.ranges:
            for index, value in enumerate(words[first:after], first):
                yield value, frame.function, base + index * word, self._place(frame, index * word)
        for sp, arguments, frame in plan.reflect:
            for address, value in self._reflect(stack, base + sp, base + arguments):
                yield value, frame.function, address, self._place(frame, address - base)
        live = self._reading.live.get(at)
        if live is not None:
            for value in self._registers(at, live):
                yield value, NO_FRAME, 0, NO_PLACE

    def _follow(self, plan: _Plan, stack: _Stack, inner: List[int], put: _Put) -> None:
        """The pointers of each of the frames' variables that something leads to."""
        words, word, seen = stack.words, stack.word, set()
        while inner:
            offset = inner.pop() - stack.base
            at = bisect_right(plan.starts, offset) - 1
            if at < 0 or at in seen or offset >= plan.starts[at] + plan.objects[at][1].size:
                continue
            seen.add(at)
            start, one, frame = plan.objects[at]
            for pointer in one.pointers:
                index = (start + pointer) // word
                if index < len(words):
                    place = self._place(frame, start + pointer)
                    put(words[index], frame.function, stack.base + index * word, place)

    def _reflect(self, stack: _Stack, sp: int, arguments: int) -> List[Tuple[int, int]]:
        try:
            return [(one, stack.at(one)) for one in self._maps.reflect_arguments(stack.at, sp, arguments)]
        except (UnreadableError, IndexError) as error:
            self._reading.problems.add(f"arguments of a call by reflect: {error}; left out")
            return []

    def _records(self, at: int, inner: List[int]) -> Iterator[Root]:
        """What is not in frames: the saved context, records of deferred calls, and of panics, which lie on
        the stack."""
        columns = self._reading.goroutines.columns
        context, panic = self._more(at)
        yield Root(context, NO_FRAME)
        if panic:
            inner.append(panic)
        first = columns["defer"][at]
        if not first:
            return
        layout = self._runtime.layout("runtime._defer")
        link = layout.scalar("link").offset
        for record in self._runtime.chain(first, link, "deferred calls", _MAX_DEFERS):
            try:
                found = self._runtime.record("runtime._defer", record)
            except UnreadableError:
                return
            yield Root(found.number("fn"), NO_FRAME)
            yield Root(found.number("link"), NO_FRAME)
            if found.number("heap"):
                yield Root(record, NO_FRAME)

    def _registers(self, at: int, live: Live) -> List[int]:
        """The registers of the thread that runs it, as far as they are its own."""
        if live.thread is None or not runs(self._reading, at):
            return []
        if live.on == "signal":
            before = before_signals(
                self._reading.unwinder, self._runtime.target, live.thread, live.m.gsignal_stack[1]
            )
            top = live.m.gsignal_stack[1]
            if before is None or not before.frame:
                return []
            size = min(_SIGNAL_FRAME, max(0, top - before.frame)) // self._word
            return list(self._runtime.words(before.frame, size, "registers of a signal"))
        return [value for value in live.thread.general if value is not None]


class _Stack:
    """The words of a stack from the first frame's sp on."""

    def __init__(self, runtime: Runtime, base: int, high: int, low: int) -> None:
        """UnreadableError if they cannot be read."""
        self.base, self.low, self.high, self.word = base, low, high, runtime.word
        raw = runtime.target.read(base, (high - base) // runtime.word * runtime.word) if high > base else b""
        self.words = array("Q" if runtime.word == 8 else "I", raw)
        if runtime.order != sys.byteorder:
            self.words.byteswap()

    def at(self, address: int) -> int:
        """A word of it. IndexError."""
        index = (address - self.base) // self.word
        if index < 0:
            raise IndexError(address)
        return self.words[index]


def _more_of_gs(runtime: Runtime, addresses: Sequence[int]) -> Callable[[int], Tuple[int, int]]:
    """The saved context and the innermost panic of each g, by position."""
    fields = {"context": "sched.ctxt", "panic": "_panic"}
    try:
        found = read_columns(runtime, addresses, runtime.layout("runtime.g"), fields, "goroutines")
    except (ProblemError, KeyError) as error:
        runtime.problems.add(f"goroutines: {error}")
        return lambda at: (0, 0)
    rows = {address: row for row, address in enumerate(found["address"])}

    def of(at: int) -> Tuple[int, int]:
        row = rows.get(addresses[at])
        return (found["context"][row], found["panic"][row]) if row is not None else (0, 0)

    return of
