"""The pacer: when the next collection starts and where it aims (src/runtime/mgcpacer.go: gcControllerState).

The arithmetic is the runtime's, on unsigned 64-bit numbers; it is the same from Go 1.21 to 1.27.
"""

from __future__ import annotations

from typing import NamedTuple, Optional, Tuple

from addrspace_gdb.goruntime.record import Record
from addrspace_gdb.goruntime.symtab import go_minor

UNLIMITED = (1 << 63) - 1  # math.MaxInt64: no memory limit (readGOMEMLIMIT)
NEVER = (1 << 64) - 1  # ^uint64(0): GOGC=off sets no goal; a goal of the scavenger that is not in force

# Constants of mgcpacer.go, Go 1.21 to 1.27.
_HEADROOM_PERCENT = 3  # memoryLimitHeapGoalHeadroomPercent, since Go 1.21
_MIN_HEADROOM = 1 << 20  # memoryLimitMinHeapGoalHeadroom
_MIN_RUNWAY = 64 << 10
_RATIO = 64  # triggerRatioDen
_MIN_TRIGGER, _MAX_TRIGGER = 45, 61  # of 64: minTriggerRatioNum, maxTriggerRatioNum
# defaultHeapMinimum; GOEXPERIMENT=heapminimum512kib makes it 512 KiB.
_HEAP_MINIMUM, _SMALL_HEAP_MINIMUM = 4 << 20, 512 << 10


class Trigger(NamedTuple):
    """Heap sizes in bytes: the collection starts at `trigger` and means to end by `goal`."""

    trigger: int
    goal: int


class Pacer:
    """runtime.gcController, read once."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def number(self, name: str) -> int:
        """The field of that name, as an unsigned number except gcPercent and other signed ones."""
        return self._record.number(name)

    def real(self, name: str) -> float:
        """The float64 of that name, atomic or not (atomic.Float64 holds its bits in a Uint64)."""
        return self._record.real(name)

    @property
    def percent(self) -> Optional[int]:
        """GOGC; None for off."""
        percent = self.number("gcPercent")
        return percent if percent >= 0 else None

    @property
    def limit(self) -> Optional[int]:
        """The memory limit in bytes; None where none is set."""
        limit = self.number("memoryLimit")
        return limit if limit != UNLIMITED else None

    def heap_goal(self, cached: int = 0) -> int:
        """gcController.heapGoal(); `cached` bytes of objects are in mcaches and not in totalAlloc yet."""
        return self._goal(cached)[0]

    def _goal(self, cached: int = 0) -> Tuple[int, int]:
        """heapGoalInternal: the goal, and below which size a collection must not start."""
        goal = self.number("gcPercentHeapGoal")
        by_limit = self.limit_goal(cached)
        if by_limit < goal:
            return by_limit, 0
        sweep = self.number("sweepDistMinTrigger")
        goal = max(goal, sweep)
        triggered = self.number("triggered")
        if triggered != NEVER:
            goal = max(goal, triggered + _MIN_RUNWAY)
        return goal, sweep

    def limit_goal(self, cached: int = 0) -> int:
        """memoryLimitHeapGoal: what the memory limit leaves for the heap, less some headroom."""
        free = self.number("heapFree")
        allocated = (self.number("totalAlloc") + cached - self.number("totalFree")) & NEVER
        ready = self.number("mappedReady")
        limit = self.number("memoryLimit")
        marked = self.number("heapMarked")
        taken = (ready - free - allocated) & NEVER
        taken += max(0, ready - limit)
        if taken >= limit:
            return marked
        goal = limit - taken
        headroom = _MIN_HEADROOM
        if (go_minor(self._record.runtime.target) or 99) >= 21:
            headroom = max(headroom, goal // 100 * _HEADROOM_PERCENT)
        goal = headroom if goal < 2 * headroom else goal - headroom
        return max(goal, marked)

    def trigger(self) -> Trigger:
        """gcController.trigger(): the heap size that starts the next collection, and its goal."""
        goal, least = self._goal()
        marked = self.number("heapMarked")
        if marked >= goal:
            return Trigger(goal, goal)
        part = (goal - marked) // _RATIO
        least = max(least, marked, part * _MIN_TRIGGER + marked)
        most = part * _MAX_TRIGGER + marked
        minimum = self._heap_minimum()
        if goal > minimum:
            most = max(most, goal - minimum)
        most = max(most, least)
        runway = self.number("runway")
        wanted = least if runway > goal else goal - runway
        return Trigger(min(max(wanted, least), most), goal)

    def _heap_minimum(self) -> int:
        """defaultHeapMinimum, told from heapMinimum, which is it times GOGC / 100."""
        percent = self.percent
        small = percent is not None and self.number("heapMinimum") == _SMALL_HEAP_MINIMUM * percent // 100
        return _SMALL_HEAP_MINIMUM if small and percent else _HEAP_MINIMUM
