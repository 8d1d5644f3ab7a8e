"""The user's frame of many goroutines, reading only the top of each stack."""

from __future__ import annotations

import sys
from itertools import compress, islice
from operator import le
from typing import List, Optional, Sequence

from addrspace_gdb.bulkmode import no_cycle_collection
from addrspace_gdb.space.goroutine_reading import GoroutineReading
from addrspace_gdb.space.goroutine_walk import walk
from addrspace_gdb.space.stackbytes import windows
from addrspace_gdb.space.stackcolumns import by_stack, odd, of_mask, pick
from addrspace_gdb.space.userframe import NOWHERE, Skipper, Spot, Users, user_spot

_WINDOW = 1024  # bytes above sp that nearly always reach to the user's frame


def user_frames(
    reading: GoroutineReading, positions: Sequence[int], users: Users, mask: Optional[bytearray] = None
) -> List[int]:
    """Put the user's frame of each goroutine into `users`. `mask`, if there is one, has 1 at each position.

    Returns the positions of those that are not simply parked with a sound stack.
    """
    with no_cycle_collection():
        strange = odd(reading)
        if mask is not None:
            apart, mask = [at for at in strange if mask[at]], mask[:]
            for at in apart:
                mask[at] = 0
            order: Sequence[int] = of_mask(reading, mask)
        else:
            apart = list(compress(positions, map(strange.__contains__, positions)))
            order = by_stack(reading, [at for at in positions if at not in strange] if apart else positions)
        for at in apart + _fast(reading, order, users):
            users.numbers[at] = users.number(user_of(reading, at))
        return apart


def user_of(reading: GoroutineReading, at: int) -> Spot:
    """The user's frame by walking the whole stack."""
    found = walk(reading, at)
    return user_spot(reading.unwinder.frames(found)) if found.pcs else NOWHERE


def _fast(reading: GoroutineReading, order: Sequence[int], users: Users) -> List[int]:
    """Put what is found of goroutines in order of their stacks into `users`; returns the positions where
    only the whole stack can tell."""
    if sys.byteorder != reading.runtime.order:
        return list(order)
    columns, word, progress = reading.goroutines.columns, reading.runtime.word, reading.runtime.progress
    sps = pick(columns["sp"], order)
    if not all(map(le, sps, islice(sps, 1, None))):  # stacks overlap
        order = sorted(order, key=columns["sp"].__getitem__)
        sps = pick(columns["sp"], order)
    his, pcs = pick(columns["hi"], order), pick(columns["pc"], order)
    seeker, numbers = _Seeker(reading, users), users.numbers
    seek = seeker.seek_linked if reading.unwinder.linked else seeker.seek
    left: List[int] = []
    for low, data, first, after in windows(reading.runtime.target, sps, his, _WINDOW):
        progress.step("stacks", first, len(order))
        whole = memoryview(data)[: len(data) // word * word]
        words = whole.cast("Q") if word == 8 else whole.cast("I")
        found = seek(words, low, sps[first:after], pcs[first:after])
        here = order[first:after]
        for at, number in zip(here, found):
            numbers[at] = number
        if 0 in found:
            left += [at for at, number in zip(here, found) if not number]
    return left


class _Seeker:
    """Goes up parked stacks to the user's frame."""

    def __init__(self, reading: GoroutineReading, users: Users) -> None:
        self._skipper = Skipper(reading.unwinder, users)
        self._shift = reading.runtime.word.bit_length() - 1

    def seek(self, words: memoryview, low: int, sps: Sequence[int], pcs: Sequence[int]) -> List[int]:
        """The number of each stack's frame; 0 where only the whole stack can tell. `words` begin at `low`."""
        skip, ends, shift = self._skipper.skip, self._skipper.ends, self._shift
        before = (low >> shift) + 1
        found: List[int] = []
        add = found.append
        stacks = zip(sps, pcs)
        while len(found) < len(sps):
            try:
                for sp, pc in stacks:
                    here = (sp >> shift) - before
                    step = skip[pc]
                    while step:
                        here += step
                        pc = words[here]
                        step = skip[pc]
                    add(ends[pc])
            except KeyError:  # a pc that was not met before
                add(self._on(words, here, pc))
            except IndexError:
                add(0)
        return found

    def _on(self, words: memoryview, here: int, pc: int) -> int:
        """Go on from `pc`, learning what it and all further ones mean."""
        skip = self._skipper.skip
        while True:
            step = skip[pc] if pc in skip else self._skipper.words(pc)
            if not step:
                return self._skipper.ends[pc]
            here += step
            if here >= len(words):
                return 0
            pc = words[here]

    def seek_linked(self, words: memoryview, low: int, sps: Sequence[int], pcs: Sequence[int]) -> List[int]:
        """The same where a frame has its return address in its lowest word."""
        known, learn, ends = self._skipper.skip.get, self._skipper.words, self._skipper.ends
        shift, first = self._shift, low >> self._shift
        found: List[int] = []
        for sp, pc in zip(sps, pcs):
            here, size = (sp >> shift) - first, 0
            try:
                while True:
                    step = known(pc)
                    if step is None:
                        step = learn(pc)
                    if not step:
                        break
                    here += size
                    size = step
                    pc = words[here]
                found.append(ends[pc])
            except IndexError:
                found.append(0)
        return found
