"""Where stacks with certain frames have pointers: worked out once for all goroutines that have them."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.goruntime.stackmaps import StackMaps, StackObject, left_by
from addrspace_gdb.space.reading.walkable import Walkable

NO_PLACE = 0


class Place(NamedTuple):
    """Where in the frames of a function a pointer stands: what finds the variable's name."""

    pc: int  # an instruction of the call that the frame is at
    offset: int  # bytes from the canonical frame address


class Frame(NamedTuple):
    """A frame of a plan. `cfa`: bytes from the first frame's sp to what is above it; None: not known."""

    function: str  # as the linker knows it
    pc: int
    cfa: Optional[int]


class Plan(NamedTuple):
    """Where a stack with certain frames has pointers; offsets are words from the first frame's sp."""

    slots: Tuple[Tuple[int, Frame, int], ...]  # with the number of the place
    objects: Tuple[Tuple[int, StackObject, Frame], ...]  # by offset in bytes
    starts: Tuple[int, ...]  # of those
    ranges: Tuple[Tuple[int, int, Frame], ...]
    reflect: Tuple[Tuple[int, int, Frame], ...]  # sp of the frame and its arguments, in bytes


class Plans:
    """Those that were made."""

    def __init__(self, reading: Walkable) -> None:
        self.maps = StackMaps(reading.runtime.target, reading.tables, reading.problems)
        self.places: List[Place] = [Place(0, 0)]  # by number; NO_PLACE is none
        self._reading = reading
        self._known: Dict[Tuple[bool, Tuple[int, ...]], Plan] = {}
        self._places: Dict[Place, int] = {}

    def of(self, pairs: Sequence[Tuple[int, int]], trap: bool) -> Plan:
        """That of a stack by the pc and sp of each frame; `trap`: the first one was interrupted."""
        key = (trap, tuple(pc for pc, _ in pairs))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._make(pairs, trap)
        return found

    def _make(self, pairs: Sequence[Tuple[int, int]], trap: bool) -> Plan:
        tables, word, base = self._reading.tables, self._reading.runtime.word, pairs[0][1]
        slots: List[Tuple[int, Frame, int]] = []
        objects: List[Tuple[int, StackObject, Frame]] = []
        ranges: List[Tuple[int, int, Frame]] = []
        reflect: List[Tuple[int, int, Frame]] = []
        callee = ""
        for number, (pc, sp) in enumerate(pairs):
            func = tables.find(pc)
            if func is None:
                continue
            at, size = sp - base, self._reading.unwinder.size(pc)
            call = pc if trap and not number else pc - 1
            frame = Frame(func.name, call, at + size if size else None)
            found = self.maps.frame(pc, size, left_by(callee, not number, trap))
            for offset in found.pointers:
                slots.append(((at + offset) // word, frame, self.place(frame, at + offset)))
            objects += [(at + one.offset, one, frame) for one in found.objects]
            ranges += [((at + low) // word, (at + high) // word, frame) for low, high in found.ranges]
            if found.reflect >= 0:
                reflect.append((at, at + found.reflect, frame))
            callee = tables.kind(func.func_id)
        objects.sort(key=lambda one: one[0])
        starts = tuple(offset for offset, _, _ in objects)
        return Plan(tuple(slots), tuple(objects), starts, tuple(ranges), tuple(reflect))

    def place(self, frame: Frame, offset: int) -> int:
        """The number of a place, `offset` bytes from the first frame's sp."""
        if frame.cfa is None:
            return NO_PLACE
        place = Place(frame.pc, offset - frame.cfa)
        number = self._places.setdefault(place, len(self.places))
        if number == len(self.places):
            self.places.append(place)
        return number
