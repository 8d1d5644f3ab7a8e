"""Which stack each goroutine has, as a number: stacks that Go prints alike are one, at any two moments."""

from __future__ import annotations

from array import array
from hashlib import blake2b
from itertools import compress
from sys import intern
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.goruntime.proc import is_live
from addrspace_gdb.goruntime.traceback import Walk
from addrspace_gdb.space.goroutines.equal_stacks import same_stacks
from addrspace_gdb.space.goroutines.listing import is_system
from addrspace_gdb.space.goroutines.user_frame import user_spot
from addrspace_gdb.space.reading.goroutines import GoroutineReading

FRAMES = 64  # innermost frames that are kept of a stack; all of them make its key


class StackKey(NamedTuple):
    """A stack that goroutines share: functions and lines, no addresses, so it is alike in any process."""

    key: bytes  # of all frames
    function: Optional[str]  # the user's function; None: not known
    place: Optional[str]  # FILE:LINE in it
    frames: Tuple[str, ...]  # "FUNCTION FILE:LINE", innermost first, at most FRAMES, as Go prints them
    system: bool  # of a goroutine of the runtime's own


def stacks_of(reading: GoroutineReading, positions: Sequence[int]) -> Tuple[List[StackKey], array[int]]:
    """The distinct stacks of the goroutines at `positions`, and which of them each goroutine has."""
    keys = _Keys(reading)
    found = {one.at: keys.number(one.at, one.walk, one.shared) for one in same_stacks(reading, positions)}
    return keys.stacks, array("I", map(found.__getitem__, positions))


class KeyGroup(NamedTuple):
    """A stack and the goroutines that have it."""

    stack: StackKey
    goids: List[int]


def groups_of(reading: GoroutineReading) -> List[KeyGroup]:
    """Every goroutine that exists, by its stack."""
    goids, statuses = reading.goroutines.column("goid"), reading.goroutines.column("status")
    living = {status for status in set(statuses) if is_live(status)}
    positions = list(compress(range(len(statuses)), map(living.__contains__, statuses)))
    stacks, ids = stacks_of(reading, positions)
    found = [KeyGroup(stack, []) for stack in stacks]
    for at, number in zip(positions, ids):
        found[number].goids.append(goids[at])
    return found


class _Keys:
    """Numbers stacks. A shared walk is looked at once, and kept alive here, so that its id stays its own."""

    def __init__(self, reading: GoroutineReading) -> None:
        self._reading = reading
        self.stacks: List[StackKey] = []
        self._numbers: Dict[bytes, int] = {}
        self._shared: Dict[int, Tuple[Walk, int]] = {}

    def number(self, at: int, walk: Walk, shared: bool) -> int:
        known = self._shared.get(id(walk)) if shared else None
        if known is None:
            known = walk, self._new(at, walk)
            if shared:
                self._shared[id(walk)] = known
        return known[1]

    def _new(self, at: int, walk: Walk) -> int:
        unwinder = self._reading.unwinder
        every = unwinder.frames(walk) if walk.pcs else []
        lines = [
            intern(f"{f.name or 'code that is not Go'} {f.file}:{f.line}") for f in unwinder.printed(every)
        ]
        digest = blake2b("\n".join(lines).encode("utf-8", "replace"), digest_size=16)
        if walk.problem:
            digest.update(walk.problem.partition("0x")[0].encode("utf-8", "replace"))
        key = digest.digest()
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.stacks)
            spot = user_spot(every)
            place = f"{spot.file}:{spot.line}" if spot.file else None
            system = is_system(self._reading, at)
            self.stacks.append(StackKey(key, spot.function, place, tuple(lines[:FRAMES]), system))
        return number
