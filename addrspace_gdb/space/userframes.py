"""The user's frame of many goroutines, reading only the top of each stack."""

from __future__ import annotations

import sys
from itertools import compress, islice
from operator import le
from typing import Dict, List, NamedTuple, Optional, Sequence

from addrspace_gdb.bulkmode import no_cycle_collection
from addrspace_gdb.space.goroutine_reading import GoroutineReading
from addrspace_gdb.space.goroutine_walk import walk
from addrspace_gdb.space.stackbytes import windows
from addrspace_gdb.space.stackcolumns import by_stack, odd, pick
from addrspace_gdb.space.userframe import NOWHERE, Skipper, Spot, user_spot

_WINDOW = 1024  # bytes above sp that nearly always reach to the user's frame


class UserFrames(NamedTuple):
    """What was found."""

    spots: Dict[int, Spot]  # by position
    odd: List[int]  # positions of goroutines that are not simply parked with a sound stack


def user_frames(reading: GoroutineReading, positions: Sequence[int]) -> UserFrames:
    """The user's frame of each goroutine."""
    with no_cycle_collection():
        strange = odd(reading)
        parked: Sequence[int] = positions
        apart = list(compress(positions, map(strange.__contains__, positions)))
        if apart:
            parked = [at for at in positions if at not in strange]
        found: Dict[int, Spot] = {}
        for at in apart + _fast(reading, parked, found):
            found[at] = user_of(reading, at)
        return UserFrames(found, apart)


def user_of(reading: GoroutineReading, at: int) -> Spot:
    """The user's frame by walking the whole stack."""
    found = walk(reading, at)
    return user_spot(reading.unwinder.frames(found)) if found.pcs else NOWHERE


def _fast(reading: GoroutineReading, parked: Sequence[int], users: Dict[int, Spot]) -> List[int]:
    """Put what is found into `users`; returns the positions where only the whole stack can tell."""
    if sys.byteorder != reading.runtime.order:
        return list(parked)
    columns, word, progress = reading.goroutines.columns, reading.runtime.word, reading.runtime.progress
    order = by_stack(reading, parked)
    sps = pick(columns["sp"], order)
    if not all(map(le, sps, islice(sps, 1, None))):  # stacks overlap
        order = sorted(order, key=columns["sp"].__getitem__)
        sps = pick(columns["sp"], order)
    his, pcs = pick(columns["hi"], order), pick(columns["pc"], order)
    seeker = _Seeker(reading)
    seek = seeker.seek_linked if reading.unwinder.linked else seeker.seek
    left: List[int] = []
    for low, data, first, after in windows(reading.runtime.target.read, sps, his, _WINDOW):
        progress.step("stacks", first, len(order))
        whole = memoryview(data)[: len(data) // word * word]
        words = whole.cast("Q") if word == 8 else whole.cast("I")
        spots = seek(words, low, sps[first:after], pcs[first:after])
        here = order[first:after]
        users.update(zip(here, spots))  # type: ignore[arg-type]
        if None in spots:
            left += [at for at, spot in zip(here, spots) if spot is None]
    return left


class _Seeker:
    """Goes up parked stacks to the user's frame."""

    def __init__(self, reading: GoroutineReading) -> None:
        self._skipper = Skipper(reading.unwinder)
        self._ends: Dict[int, Optional[Spot]] = {}
        self._shift = reading.runtime.word.bit_length() - 1

    def seek(
        self, words: memoryview, low: int, sps: Sequence[int], pcs: Sequence[int]
    ) -> List[Optional[Spot]]:
        """The spot of each stack; None where only the whole stack can tell. `words` begin at `low`."""
        known, learn, end, shift = self._skipper.skip.get, self._skipper.words, self._end, self._shift
        ends, found = self._ends.get, []
        for sp, pc in zip(sps, pcs):
            here = (sp - low >> shift) - 1
            try:
                while True:
                    step = known(pc)
                    if step is None:
                        step = learn(pc)
                        if step is None:
                            break
                    here += step
                    pc = words[here]
                found.append(ends(pc) or end(pc))
            except IndexError:
                found.append(None)
        return found

    def seek_linked(
        self, words: memoryview, low: int, sps: Sequence[int], pcs: Sequence[int]
    ) -> List[Optional[Spot]]:
        """The same where a frame has its return address in its lowest word."""
        known, learn, end, shift = self._skipper.skip.get, self._skipper.words, self._end, self._shift
        ends, found = self._ends.get, []
        for sp, pc in zip(sps, pcs):
            here, size = sp - low >> shift, 0
            try:
                while True:
                    step = known(pc)
                    if step is None:
                        step = learn(pc)
                        if step is None:
                            break
                    here += size
                    size = step
                    pc = words[here]
                found.append(ends(pc) or end(pc))
            except IndexError:
                found.append(None)
        return found

    def _end(self, pc: int) -> Optional[Spot]:
        if pc not in self._ends:
            self._ends[pc] = self._skipper.end(pc)
        return self._ends[pc]
