"""The user's frame of many goroutines, reading only the top of each stack."""

from __future__ import annotations

import sys
from array import array
from itertools import compress, islice
from operator import le
from typing import List, Optional, Sequence

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.goruntime.record import Bytes, direct_pid
from addrspace_gdb.process.vm_readv import AT_ONCE, read_each
from addrspace_gdb.space.goroutines.columns import by_stack, odd, of_mask, pick
from addrspace_gdb.space.goroutines.equal_stacks import equal_stacks
from addrspace_gdb.space.goroutines.stack_reads import windows
from addrspace_gdb.space.goroutines.user_frame import NOWHERE, Skipper, Spot, Users, user_spot
from addrspace_gdb.space.goroutines.walk import walk
from addrspace_gdb.space.reading.goroutines import GoroutineReading

_TOP = 512  # bytes above sp that mostly reach to the user's frame
_WINDOW = 1024  # that nearly always do
_MANY = 4096  # stacks for which it pays to prepare that


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


def users_of_walks(reading: GoroutineReading, positions: Sequence[int], users: Users) -> List[int]:
    """As `user_frames`, of goroutines whose whole stacks were looked at."""
    for equal in equal_stacks(reading, positions):
        found = equal.walk
        spot = user_spot(reading.unwinder.frames(found)) if found.pcs else NOWHERE
        number = users.number(spot)
        for at in equal.positions:
            users.numbers[at] = number
    strange = odd(reading)
    return list(compress(positions, map(strange.__contains__, positions)))


def user_of(reading: GoroutineReading, at: int) -> Spot:
    """The user's frame by walking the whole stack."""
    found = walk(reading, at)
    return user_spot(reading.unwinder.frames(found)) if found.pcs else NOWHERE


def _fast(reading: GoroutineReading, order: Sequence[int], users: Users) -> List[int]:
    """Put what is found of goroutines in order of their stacks into `users`; returns the positions where
    only the whole stack can tell."""
    if sys.byteorder != reading.runtime.order:
        return list(order)
    column = reading.goroutines.columns["sp"]
    sps = pick(column, order)
    if not all(map(le, sps, islice(sps, 1, None))):  # stacks overlap
        order = sorted(order, key=column.__getitem__)
        sps = pick(column, order)
    seeker = _Seeker(reading, users)
    return _in_windows(seeker, _at_tops(seeker, order, sps) if len(order) > _MANY else order)


def _at_tops(seeker: _Seeker, order: Sequence[int], sps: Sequence[int]) -> Sequence[int]:
    """Look at the first bytes from `sps` of each stack only; returns the positions where that does not do."""
    target, columns = seeker.reading.runtime.target, seeker.reading.goroutines.columns
    pid = direct_pid(target, sps, _TOP)
    if pid is None:
        return order  # no stack lies in a file, but a damaged stack pointer may
    pcs = pick(columns["pc"], order)
    left: List[int] = []
    done = 0
    for data in read_each(pid, array("Q", sps), _TOP):
        seeker.reading.runtime.progress.step("stacks", done, len(order))
        after = min(done + AT_ONCE, len(order))
        if data is None:
            left += order[done:after]
        else:
            size = _TOP // seeker.reading.runtime.word
            starts = range(0, (after - done) * size, size)
            left += seeker.seek(order[done:after], data, starts, pcs[done:after], size)
        done = after
    return [*left, *order[done:]]


def _in_windows(seeker: _Seeker, order: Sequence[int]) -> List[int]:
    """Look at more of each stack, with whatever lies between two of them."""
    left: List[int] = []
    reading = seeker.reading
    columns, word = reading.goroutines.columns, reading.runtime.word
    sps, his, pcs = (pick(columns[name], order) for name in ("sp", "hi", "pc"))
    for low, data, first, after in windows(reading.runtime.target, sps, his, _WINDOW):
        reading.runtime.progress.step("stacks", first, len(order))
        starts = [(sp - low) // word for sp in sps[first:after]]
        left += seeker.seek(order[first:after], data, starts, pcs[first:after], len(data))
    return left


class _Seeker:
    """Goes up parked stacks to the user's frame."""

    def __init__(self, reading: GoroutineReading, users: Users) -> None:
        self.reading = reading
        self._users = users
        self._skipper = Skipper(reading.unwinder, users)
        self._seek = self._linked if reading.unwinder.linked else self._pushed

    def seek(
        self, order: Sequence[int], data: Bytes, starts: Sequence[int], pcs: Sequence[int], most: int
    ) -> List[int]:
        """Find the frames of the goroutines in `order`: their stacks begin at the words `starts` of `data`,
        with `most` words there. Returns those where only more of the stack can tell."""
        word = self.reading.runtime.word
        whole = memoryview(data)[: len(data) // word * word]
        found = self._seek(whole.cast("Q") if word == 8 else whole.cast("I"), starts, pcs, most)
        numbers = self._users.numbers
        for at, number in zip(order, found):
            numbers[at] = number
        return [at for at, number in zip(order, found) if not number] if 0 in found else []

    def _pushed(self, words: memoryview, starts: Sequence[int], pcs: Sequence[int], most: int) -> List[int]:
        """The number of each stack's frame, 0 where only more of the stack can tell."""
        skip, ends = self._skipper.skip, self._skipper.ends
        found: List[int] = []
        add = found.append
        stacks = zip(starts, pcs)
        while len(found) < len(starts):
            try:
                for start, pc in stacks:
                    here = start - 1
                    step = skip[pc]
                    while step:
                        here += step
                        pc = words[here]
                        step = skip[pc]
                    add(ends[pc] if here - start < most else 0)
            except KeyError:  # a pc that was not met before
                add(self._on(words, start, here, pc, most))
            except IndexError:
                add(0)
        return found

    def _on(self, words: memoryview, start: int, here: int, pc: int, most: int) -> int:
        """Go on from `pc`, learning what it and all further ones mean."""
        skip = self._skipper.skip
        while here - start < most:
            step = skip[pc] if pc in skip else self._skipper.words(pc)
            if not step:
                return self._skipper.ends[pc]
            here += step
            if here >= len(words):
                return 0
            pc = words[here]
        return 0

    def _linked(self, words: memoryview, starts: Sequence[int], pcs: Sequence[int], most: int) -> List[int]:
        """The same where a frame has its return address in its lowest word."""
        known, learn, ends = self._skipper.skip.get, self._skipper.words, self._skipper.ends
        found: List[int] = []
        for start, pc in zip(starts, pcs):
            here, size = start, 0
            try:
                while here - start < most:
                    step = known(pc)
                    if step is None:
                        step = learn(pc)
                    if not step:
                        break
                    here += size
                    size = step
                    pc = words[here]
                found.append(ends[pc] if here - start < most else 0)
            except IndexError:
                found.append(0)
        return found
