"""Stacks copied as they are while the process stands still, to be looked at when it runs again.

A thread copies them, beside whatever else is read: what there is room for, one stack behind the other in the
order of the goroutines.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from itertools import accumulate, compress
from typing import Dict, Iterator, List, Literal, Optional, Sequence, Tuple

from addrspace_gdb.common.problems import ProblemError, Problems, UnreadableError
from addrspace_gdb.goruntime.columns import chosen, pick
from addrspace_gdb.goruntime.record import Runtime, direct_pid
from addrspace_gdb.process.vm_readv import TOGETHER, Pieces, Room, is_there
from addrspace_gdb.space.goroutines.alike import Alike, SideBySide, odd_rows, parked
from addrspace_gdb.space.goroutines.columns import differences
from addrspace_gdb.space.reading.goroutines import GoroutineReading
from addrspace_gdb.target.protocol import Target

_MANY = 4096  # goroutines for which it pays
_MOST, _SAMPLE = 1 << 25, 64
ROOM = 160 << 20  # bytes of stacks that are kept


class Copies:
    """The stacks of goroutines that are simply parked, as many as there is room for."""

    def __init__(self, reading: GoroutineReading, pid: int, mask: bytearray, room: Room) -> None:
        """Begin to copy those with 1 in `mask`, a byte a position, but for what is very large."""
        self._columns, self._word, self._mask = reading.goroutines.columns, reading.runtime.word, mask
        self._sizes = self._used()
        if self._sizes and not self._are_small():
            self._leave_out_large()
        self._pieces = Pieces(pid, self._of("sp"), array("Q", self._sizes.tobytes()), room)

    def _of(self, name: str) -> array[int]:
        return chosen({name: self._columns[name]}, bytes(self._mask))[name]

    def _used(self) -> array[int]:
        return differences(self._of("hi"), self._of("sp"))

    def _are_small(self) -> bool:
        sizes = self._sizes
        return min(sizes) > 0 and max(sizes) <= TOGETHER and not any(odd_rows(sizes, self._word))

    def _leave_out_large(self) -> None:
        """And what is no size at all."""
        for at, size in zip(list(self._positions), self._sizes):
            self._mask[at] = 0 < size <= TOGETHER and size % self._word == 0
        self._sizes = self._used()

    @property
    def _positions(self) -> Sequence[int]:
        everybody = range(len(self._mask))
        return everybody if self._mask.find(0) < 0 else array("I", compress(everybody, self._mask))

    def lacking(self, dead: bytes) -> Iterator[Sequence[int]]:
        """Positions of those that are not copied: there was no room, their stacks cannot be read, or they are
        not simply parked. The dead ones are left out but for those where there is no room any more."""
        positions, count = self._positions, self._pieces.count
        if count < len(positions):
            yield range(positions[count], len(dead))
        for first, after in self._pieces.missed:
            yield positions[first:after]
        either = int.from_bytes(self._mask, "big") | int.from_bytes(dead, "big")
        yield list(_zeros(either.to_bytes(len(dead), "big")))

    def blocks(self) -> Iterator[SideBySide]:
        """Those that are there, some that are alike at a time."""
        count, data, positions = self._pieces.count, self._pieces.data, self._positions
        sizes, pcs = self._sizes[:count], self._of("pc")[:count]
        groups: Dict[Tuple[int, int], List[int]] = defaultdict(list)
        for row, key in enumerate(zip(pcs, sizes)):
            groups[key].append(row)
        missed = {row for first, after in self._pieces.missed for row in range(first, after)}
        places = array("Q", accumulate(sizes, initial=0))
        code: Literal["Q", "I"] = "Q" if self._word == 8 else "I"
        for (pc, size), rows in groups.items():
            most, of = TOGETHER // size, Alike(pc, size, [])
            rows = [row for row in rows if row not in missed] if missed else rows
            for start in range(0, len(rows), most):
                some = rows[start : start + most]
                words = _side_by_side(data, pick(places, some), size).cast(code)
                yield SideBySide(of, list(pick(positions, some)), words)


def _zeros(mask: bytes) -> Iterator[int]:
    """Where they are, of which there are few."""
    at = mask.find(0)
    while at >= 0:
        yield at
        at = mask.find(0, at + 1)


def _side_by_side(data: memoryview, places: Sequence[int], size: int) -> memoryview:
    """So many bytes at each of the ascending places."""
    if places[-1] - places[0] == (len(places) - 1) * size:
        return data[places[0] : places[-1] + size]
    return memoryview(b"".join([data[place : place + size] for place in places]))


def room_for(target: Target) -> Optional[Room]:
    """Room for what is in use of all stacks, going by some of them; None where they are few or damaged. It is
    made ready while other things are read."""
    runtime = Runtime(target, Problems())
    try:
        count, first = (runtime.global_word(f"runtime.{name}") for name in ("allglen", "allgptr"))
        if not _MANY <= count < _MOST:
            return None
        used = [_used_of(runtime, first + count * at // _SAMPLE * runtime.word) for at in range(_SAMPLE)]
    except (UnreadableError, ProblemError, KeyError):
        return None
    return Room(ROOM, sum(used) * count // _SAMPLE * 9 // 8)


def _used_of(runtime: Runtime, place: int) -> int:
    """Bytes in use of the stack of the goroutine that a place of the list of all names."""
    g = runtime.record("runtime.g", runtime.word_at(place))
    return min(TOGETHER, max(0, g.number("stack.hi") - g.number("sched.sp")))


def copies_of(reading: GoroutineReading, room: Optional[Room]) -> Optional[Copies]:
    """The stacks, which from now on are copied; None where they are few, or there is no way to copy them."""
    mask = parked(reading, range(len(reading.goroutines)))
    if mask is None or mask.count(1) < _MANY or not is_there():
        return None
    sps = chosen({"sp": reading.goroutines.columns["sp"]}, bytes(mask))["sp"]
    pid = direct_pid(reading.runtime.target, sps, TOGETHER)
    return Copies(reading, pid, mask, room or Room(ROOM)) if pid is not None else None
