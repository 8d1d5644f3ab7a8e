"""What may be pointers on the stacks of goroutines that have equal ones.

Only the words that count are copied, as columns, while the stacks are looked at (equal_stacks.py). Which of
them lead to the heap is found out when the process goes on (worker/stacks.py).
"""

from __future__ import annotations

from array import array
from operator import itemgetter
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common.messages import Column
from addrspace_gdb.goruntime.traceback import Walk
from addrspace_gdb.space.goroutines.alike import SideBySide
from addrspace_gdb.space.goroutines.stack_plans import Frame, Plan, Plans
from addrspace_gdb.space.reading.walkable import Walkable

Numbered = Callable[[str], int]  # the number of a function's name


class _Shape(NamedTuple):
    """Stacks of one size with equal frames."""

    number: int
    indices: Sequence[int]  # of the words that count, from the sp on
    exact: bool  # by stack maps alone
    picked: Callable[[Sequence[int]], Sequence[int]]  # those words of a stack


class _Table:
    """Rows of numbers, as columns."""

    def __init__(self, *names: str) -> None:
        self.columns: Dict[str, array[int]] = {name: array("q") for name in names}

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def add(self, *row: int) -> None:
        """One more."""
        for column, number in zip(self.columns.values(), row):
            column.append(number)


class StackColumns:
    """The words, growing. Who was looked at is in `taken`, a byte a position."""

    def __init__(self, reading: Walkable, plans: Plans, numbered: Numbered) -> None:
        self._plans, self._numbered, self._word = plans, numbered, reading.runtime.word
        self._known: Dict[Tuple[int, int], Optional[_Shape]] = {}  # by walk and bytes of stack
        self.taken = bytearray(len(reading.goroutines))
        self.inexact: List[int] = []  # positions of those of which words were taken that may be no pointers
        self._rows, self._words = array("I"), array("Q" if self._word == 8 else "I")
        self._blocks = _Table("block_shapes", "block_rows")  # of the words: a column of rows behind the other
        # How many words count; the slots that hold pointers in any case; variables whose address is taken.
        self._shapes = _Table("shape_widths", "shape_begin", "shape_end", "shape_first", "shape_last")
        # Of those variables: bytes from the sp to both ends, and the slots that they have.
        self._objects = _Table("object_starts", "object_ends", "object_begin", "object_end")
        # Which of the words that count it is, bytes from the sp, function, place.
        self._slots = _Table("slot_columns", "slot_offsets", "slot_functions", "slot_places")

    def take(self, number: int, walk: Walk, block: SideBySide, rows: Sequence[int]) -> None:
        """See equal_stacks.Taker."""
        shape = self._shape(number, walk, block.of.size)
        if shape is not None:
            for index in shape.indices:
                self._words.extend(block.column(index, rows))
            self._put(shape, [block.positions[row] for row in rows])

    def take_one(self, number: int, walk: Walk, at: int, words: memoryview) -> None:
        """See equal_stacks.Taker."""
        shape = self._shape(number, walk, len(words) * self._word)
        if shape is not None:
            self._words.extend(shape.picked(words))
            self._put(shape, [at])

    def _put(self, shape: _Shape, positions: Sequence[int]) -> None:
        self._rows.extend(positions)
        self._blocks.add(shape.number, len(positions))
        for at in positions:
            self.taken[at] = 1
        if not shape.exact:
            self.inexact += positions

    def _shape(self, number: int, walk: Walk, size: int) -> Optional[_Shape]:
        """That of the stacks; None if they must be looked at one by one."""
        key = (number, size)
        if key not in self._known:
            base = walk.sps[0]
            pairs = [(pc, sp - base) for pc, sp in zip(walk.pcs, walk.sps) if sp - base <= size]
            plan = self._plans.of(pairs, False)
            self._known[key] = None if plan.reflect or walk.trap else self._made(plan, size)
        return self._known[key]

    def _made(self, plan: Plan, size: int) -> _Shape:
        count, begin, first = size // self._word, len(self._slots), len(self._objects)
        known: Dict[int, int] = {}  # columns by the index of their word

        def slot(index: int, frame: Frame, place: int) -> None:
            if 0 <= index < count:
                column = known.setdefault(index, len(known))
                self._slots.add(column, index * self._word, self._numbered(frame.function), place)

        for one in plan.slots:
            slot(*one)
        for low, after, frame in plan.ranges:
            for index in range(low, min(after, count)):
                slot(index, frame, self._plans.place(frame, index * self._word))
        end = len(self._slots)
        for start, variable, frame in plan.objects:
            its = len(self._slots)
            for offset in (start + pointer for pointer in variable.pointers):
                slot(offset // self._word, frame, self._plans.place(frame, offset))
            self._objects.add(start, start + variable.size, its, len(self._slots))
        shape = _Shape(len(self._shapes), [*known], not plan.ranges, _picker([*known]))
        self._shapes.add(len(known), begin, end, first, len(self._objects))
        return shape

    def told(self) -> Dict[str, Column]:
        """As the worker is told."""
        found: Dict[str, Column] = {"rows": self._rows, "words": self._words}
        for table in (self._blocks, self._shapes, self._objects, self._slots):
            found.update(table.columns)
        return found


def _picker(indices: Sequence[int]) -> Callable[[Sequence[int]], Sequence[int]]:
    """What gives the words at those indices."""
    if len(indices) > 1:
        return itemgetter(*indices)
    return lambda words: [words[index] for index in indices]
