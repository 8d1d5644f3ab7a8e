"""Stack memory by what stands on it: bytes of stack, used, resident, and goroutines, by frames.

Go has no such profile. All of it is MemStats.StackInuse: what is no goroutine's has a name for a frame.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from addrspace_gdb.goruntime.stackpieces import GOROUTINE
from addrspace_gdb.goruntime.traceback import Walk
from addrspace_gdb.space.goroutines.by_frame import living
from addrspace_gdb.space.goroutines.columns import residents, useds
from addrspace_gdb.space.goroutines.equal_stacks import equal_stacks
from addrspace_gdb.space.profiles.goroutines import logical_stack
from addrspace_gdb.space.profiles.locations import Locations
from addrspace_gdb.space.profiles.model import Sample, ValueType
from addrspace_gdb.space.profiles.source import Source
from addrspace_gdb.space.reading.goroutines import GoroutineReading

_ALL = 1 << 20  # frames: every one
_UNKNOWN = "frames not known"
_RESIDENT = ValueType("resident", "bytes")
_Sum = List[int]  # stack, used, resident, goroutines


class StackProfile:
    """`stacks`, the runtime's own goroutines included."""

    kind, default, period, period_type = "stacks", "stack", 0, None

    def __init__(self, source: Source, reading: GoroutineReading) -> None:
        """Read all stacks."""
        source.use(reading)
        self.time, self._source, self._reading = source.time, source, reading
        self.notes: List[str] = []
        self._equal = equal_stacks(reading, living(reading))
        _ = reading.stacks, residents(reading), useds(reading)  # which read
        source.learn(pc for one in self._equal for pc in self._stack(one.walk))

    @cached_property
    def types(self) -> Sequence[ValueType]:
        """Without resident bytes where they are not known, as of a core."""
        known = self._reading.residency.known
        resident = (_RESIDENT,) if known else ()
        if not known:
            self.notes.append("what of the stacks is resident is not known")
        return (
            ValueType("stack", "bytes"),
            ValueType("used", "bytes"),
            *resident,
            ValueType("goroutines", "count"),
        )

    @cached_property
    def made(self) -> Locations:
        """See model.Profile."""
        return self._source.locations()

    def samples(self) -> Iterator[Sample]:
        """One for each stack, the largest first."""
        found = [(total, key, ()) for key, total in self._by_frames().items()]
        named: Dict[str, _Sum] = defaultdict(lambda: [0] * 4)
        for start, end, kind, _ in self._reading.stacks.pieces:
            if kind != GOROUTINE:
                _add(named[kind], end - start, 0, self._reading.residency.resident(start, end), 0)
        rows: List[Tuple[_Sum, Tuple[int, ...], Tuple[str, ...]]] = [
            *found,
            *((total, (), (kind,)) for kind, total in named.items()),
        ]
        rows.sort(key=lambda row: ([-number for number in row[0]], row[1:]))
        for total, stack, names in rows:
            locations = self.made.named(names or (_UNKNOWN,)) if not stack else self.made.pieces(stack)
            yield Sample(self._values(total), locations, ())

    def _values(self, total: _Sum) -> Tuple[int, ...]:
        return tuple(total) if len(self.types) == 4 else (*total[:2], total[3])

    def _by_frames(self) -> Dict[Tuple[int, ...], _Sum]:
        columns, resident, used = (
            self._reading.goroutines.columns,
            residents(self._reading),
            useds(self._reading),
        )
        los, his = columns["lo"], columns["hi"]
        sums: Dict[Tuple[int, ...], _Sum] = defaultdict(lambda: [0] * 4)
        for one in self._equal:
            total = sums[self._stack(one.walk)]
            for at in one.positions:
                _add(total, max(0, his[at] - los[at]), max(0, used[at]), resident[at], 1)
        return sums

    def _stack(self, walk: Walk) -> Tuple[int, ...]:
        return tuple(logical_stack(self._source.callers, walk, _ALL))


def _add(total: _Sum, size: int, used: int, resident: Optional[int], count: int) -> None:
    for place, number in enumerate((size, used, resident or 0, count)):
        total[place] += number
