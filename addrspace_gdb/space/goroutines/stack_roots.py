"""What goroutines keep alive by their stacks: every pointer that the collector finds there (scanstack in
src/runtime/mgcmark.go).

Goroutines with the same frames have their pointers at the same places: those are worked out once, and the
words there are copied for all of them together. Others are looked at one by one.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from typing import Callable, Dict, Iterator, List, NamedTuple, Sequence, Tuple

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.common.messages import Column
from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.proc import GSCAN, MAX_STACK, SYSCALL
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.space.goroutines.equal_stacks import fold_of, walk_of
from addrspace_gdb.space.goroutines.stack_columns import Numbered, StackColumns
from addrspace_gdb.space.goroutines.stack_plans import NO_PLACE, Place, Plan, Plans
from addrspace_gdb.space.goroutines.stack_records import StackRecords
from addrspace_gdb.space.goroutines.walk import start_of
from addrspace_gdb.space.reading.goroutines import GoroutineReading
from addrspace_gdb.space.reading.signals import before_signals
from addrspace_gdb.space.reading.walkable import Live, runs

_SIGNAL_FRAME = 512  # bytes of what the kernel leaves on the signal stack that may hold registers
NO_FRAME = ""  # a root that no frame holds: a record of a deferred call, a register


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


class StackRoots:
    """Reads those of all goroutines. Only values in [low, high) are of interest."""

    def __init__(self, reading: GoroutineReading, heap: Tuple[int, int], numbered: Numbered) -> None:
        """`numbered` gives each function's name a number."""
        self._reading, self._runtime, self._heap = reading, reading.runtime, heap
        self._numbered = numbered
        self._plans = Plans(reading)
        self._columns = StackColumns(reading, self._plans, numbered)
        self._word = reading.runtime.word
        self._records = StackRecords(reading)
        self._of_records: Tuple[array[int], array[int]] = (array("I"), array("Q"))
        self._apart: List[OfGoroutine] = []
        self.unknown: List[Tuple[int, str]] = []  # positions of those whose stack cannot be walked, and why

    @property
    def places(self) -> Sequence[Place]:
        """Where roots stand in frames, by number."""
        return self._plans.places

    @property
    def inexact(self) -> List[int]:
        """The positions of those of which words were taken for pointers that may be none."""
        return [*self._columns.inexact, *(one.at for one in self._apart if not one.exact)]

    def read(self) -> None:
        """All that needs the process."""
        everybody = range(len(self._reading.goroutines))
        with no_cycle_collection():
            fold_of(self._reading).add(everybody, self._columns)
            self._of_records = self._records.of_many(self._columns.taken)
            self._apart.extend(self._one_by_one())

    def _one_by_one(self) -> Iterator[OfGoroutine]:
        """Those that were not looked at together."""
        dead, taken = self._reading.goroutines.dead, self._columns.taken
        left = [at for at, done in enumerate(map(max, dead, taken)) if not done]
        for number, at in enumerate(left):
            if number % 1024 == 0:
                self._runtime.progress.step("roots on stacks", number, len(left))
            yield self._one(at)

    def told(self) -> Tuple[Dict[str, object], Dict[str, Column]]:
        """As the worker is told, which finds out what leads to the heap."""
        columns, low_high = self._reading.goroutines.columns, self._heap
        tables = self._reading.tables
        starts = columns["startpc"]
        numbers = {pc: self._numbered(tables.function_name(pc) or "?") for pc in set(starts)}
        found = {**self._columns.told(), **self._apart_told()}
        found.update({f"all_{name}": columns[name] for name in ("sp", "lo", "hi", "goid")})
        found["all_started"] = array("I", map(numbers.__getitem__, starts))
        found["record_rows"], found["record_values"] = self._of_records
        header: Dict[str, object] = {
            "low": low_high[0],
            "high": low_high[1],
            "no_frame": self._numbered(NO_FRAME),
        }
        return header, found

    def _apart_told(self) -> Dict[str, Column]:
        rows, functions, places = array("I"), array("q"), array("q")
        values, addresses = array("Q"), array("Q")
        for one in self._apart:
            for root in one.roots:
                rows.append(one.at)
                values.append(root.value)
                functions.append(self._numbered(root.function))
                addresses.append(root.address)
                places.append(root.place)
        names = ("rows", "values", "functions", "addresses", "places")
        return {
            f"apart_{name}": one for name, one in zip(names, (rows, values, functions, addresses, places))
        }

    def _one(self, at: int) -> OfGoroutine:
        walked = walk_of(self._reading, at)
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
        return self._apply(at, self._plans.of(pairs, trap), stack)

    def _conservative(self, at: int, start: int, end: int) -> OfGoroutine:
        """Every word of a stack that cannot be walked."""
        if not 0 < start < end or end - start > MAX_STACK:
            return OfGoroutine(at, [], False)
        low, high = self._heap
        words = self._runtime.words(start, (end - start) // self._word, "a stack")
        held = [*zip(range(start, end, self._word), words), *((0, value) for value in self._records.of(at))]
        roots = [Root(value, NO_FRAME, address) for address, value in held if low <= value < high]
        return OfGoroutine(at, roots, False)

    def _apply(self, at: int, plan: Plan, stack: _Stack) -> OfGoroutine:
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
        for value in self._records.of(at):
            put(value, NO_FRAME, 0, NO_PLACE)
        self._follow(plan, stack, inner, put)
        return OfGoroutine(at, roots, not plan.ranges)

    def _direct(self, at: int, plan: Plan, stack: _Stack) -> Iterator[Tuple[int, str, int, int]]:
        """What the frames and the registers hold, as roots are."""
        words, base, word, count = stack.words, stack.base, self._word, len(stack.words)
        for index, frame, place in plan.slots:
            if index < count:
                yield words[index], frame.function, base + index * word, place
        for first, after, frame in plan.ranges:
            for index, value in enumerate(words[first:after], first):
                yield value, frame.function, base + index * word, self._plans.place(frame, index * word)
        for sp, arguments, frame in plan.reflect:
            for address, value in self._reflect(stack, base + sp, base + arguments):
                yield value, frame.function, address, self._plans.place(frame, address - base)
        live = self._reading.live.get(at)
        if live is not None:
            for value in self._registers(at, live):
                yield value, NO_FRAME, 0, NO_PLACE

    def _follow(self, plan: Plan, stack: _Stack, inner: List[int], put: _Put) -> None:
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
                    place = self._plans.place(frame, start + pointer)
                    put(words[index], frame.function, stack.base + index * word, place)

    def _reflect(self, stack: _Stack, sp: int, arguments: int) -> List[Tuple[int, int]]:
        try:
            return [
                (one, stack.at(one)) for one in self._plans.maps.reflect_arguments(stack.at, sp, arguments)
            ]
        except (UnreadableError, IndexError) as error:
            self._reading.problems.add(f"arguments of a call by reflect: {error}; left out")
            return []

    def _registers(self, at: int, live: Live) -> List[int]:
        """The registers of the thread that runs it, as far as they are its own. In a system call none is:
        what it left there is stale, and the collector looks at its stack alone."""
        status = self._reading.goroutines.columns["status"][at] & ~GSCAN
        if live.thread is None or status == SYSCALL or not runs(self._reading, at):
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
