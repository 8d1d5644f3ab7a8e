"""The user's frame of many goroutines, reading only the top of each stack."""

from __future__ import annotations

from array import array
from typing import Dict, List, Sequence, Tuple

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.goruntime.columns import pick
from addrspace_gdb.goruntime.record import Bytes
from addrspace_gdb.space.goroutines.alike import Alike, Path, SideBySide, alike, side_by_side
from addrspace_gdb.space.goroutines.equal_stacks import equal_stacks
from addrspace_gdb.space.goroutines.stack_reads import windows
from addrspace_gdb.space.goroutines.user_frame import NOWHERE, Skipper, Spot, Users, user_spot
from addrspace_gdb.space.goroutines.walk import walk
from addrspace_gdb.space.reading.goroutines import GoroutineReading

_TOP = 512  # bytes above sp that mostly reach to the user's frame
_WINDOW = 1024  # that nearly always do
_MANY = 4096  # stacks for which it pays to prepare that


def user_frames(reading: GoroutineReading, positions: Sequence[int], users: Users) -> List[int]:
    """Put the user's frame of each goroutine into `users`.

    Returns the positions of those that are not simply parked with a sound stack.
    """
    with no_cycle_collection():
        together, apart = alike(reading, positions)
        seeker = _Seeker(reading, users)
        left = _at_tops(seeker, together)
        sps = reading.goroutines.columns["sp"]
        dead = reading.goroutines.dead
        for at in apart + _in_windows(seeker, sorted(left, key=sps.__getitem__)):
            user = user_of(reading, at) if not dead[at] else NOWHERE
            users.numbers[at] = users.number(user)
        return apart


def users_of_walks(reading: GoroutineReading, positions: Sequence[int], users: Users) -> List[int]:
    """As `user_frames`, of goroutines whose whole stacks were looked at."""
    apart: List[int] = []
    for found, shared, some in equal_stacks(reading, positions):
        spot = user_spot(reading.unwinder.frames(found)) if found.pcs else NOWHERE
        number = users.number(spot)
        for at in some:
            users.numbers[at] = number
        apart += [] if shared else some
    return apart


def user_of(reading: GoroutineReading, at: int) -> Spot:
    """The user's frame by walking the whole stack."""
    found = walk(reading, at)
    return user_spot(reading.unwinder.frames(found)) if found.pcs else NOWHERE


def _at_tops(seeker: _Seeker, together: Sequence[Alike]) -> List[int]:
    """Look at the first bytes from sp of each stack only; returns the positions where that does not do."""
    if sum(len(one.positions) for one in together) < _MANY:
        blocks = None
    else:
        blocks = side_by_side(seeker.reading, together, _TOP)
    if blocks is None:
        return [at for one in together for at in one.positions]
    left: List[int] = []
    tried: Dict[Tuple[int, int], List[Tuple[Path, int]]] = {}
    for group, some, block in blocks:
        if block is None:
            left += some
        else:
            left += seeker.compare(block, tried.setdefault((group.pc, group.size), []))
    return left


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

    def compare(self, block: SideBySide, tried: List[Tuple[Path, int]]) -> List[int]:
        """Find the frames of goroutines that stand alike. Returns those where only more of the stack can
        tell."""
        left: List[int] = []
        numbers = self._users.numbers

        def follow(row: int) -> Tuple[Path, int, bool]:
            path, number = self._path(block.of.pc, block.stack(row))
            return path, number, number != 0

        for positions, number in block.by_path(tried, follow):
            for at in positions:
                numbers[at] = number
            left += [] if number else positions
        return left

    def _path(self, pc: int, words: array[int]) -> Tuple[Path, int]:
        """Where on a stack the return addresses are that lead to the user's frame, and its number; 0 where
        only more of the stack can tell."""
        skip, linked = self._skipper.skip, self.reading.unwinder.linked
        here, size = 0 if linked else -1, 0
        path: List[Tuple[int, int]] = []
        while True:
            step = skip[pc] if pc in skip else self._skipper.words(pc)
            if not step:
                return path, self._skipper.ends[pc]
            here, size = (here + size, step) if linked else (here + step, 0)
            if here >= len(words):
                return path, 0
            pc = words[here]
            path.append((here, pc))

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
