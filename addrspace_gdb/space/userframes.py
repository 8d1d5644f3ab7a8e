"""The user's frame of many goroutines, reading only the top of each stack."""

from __future__ import annotations

import sys
from typing import Dict, List, NamedTuple, Optional, Sequence

from addrspace_gdb.bulkmode import no_cycle_collection
from addrspace_gdb.space.goroutine_reading import GoroutineReading
from addrspace_gdb.space.goroutine_walk import is_plain, walk
from addrspace_gdb.space.stackbytes import LARGEST, Wanted, blocks
from addrspace_gdb.space.userframe import NOWHERE, Skipper, Spot, user_spot

_WINDOW = 1024  # bytes above sp that nearly always reach to the user's frame


class UserFrames(NamedTuple):
    """What was found."""

    spots: Dict[int, Spot]  # by position
    odd: List[int]  # positions of goroutines that are not simply parked with a sound stack


def user_frames(reading: GoroutineReading, positions: Sequence[int]) -> UserFrames:
    """The user's frame of each goroutine."""
    with no_cycle_collection():
        wanted: List[Wanted] = []
        odd = _sort_out(reading, positions, wanted)
        found: Dict[int, Spot] = {}
        slow = _fast(reading, wanted, found)
        for at in odd + slow:
            found[at] = user_of(reading, at)
        return UserFrames(found, odd)


def user_of(reading: GoroutineReading, at: int) -> Spot:
    """The user's frame by walking the whole stack."""
    found = walk(reading, at)
    return user_spot(reading.unwinder.frames(found)) if found.pcs else NOWHERE


def _sort_out(reading: GoroutineReading, positions: Sequence[int], wanted: List[Wanted]) -> List[int]:
    """Put the top of each parked goroutine's stack into `wanted`; returns all others."""
    columns = reading.goroutines.columns
    names = ("lo", "hi", "sp", "status", "syscallsp")
    picked = zip(positions, *(map(columns[name].__getitem__, positions) for name in names))
    plain = {status for status in set(columns["status"]) if is_plain(status)}
    live, mask = reading.live, reading.runtime.word - 1
    odd: List[int] = []
    for at, lo, hi, sp, status, call in picked:
        sound = lo < sp <= hi and hi - sp < LARGEST and not sp & mask
        if sound and not call and status in plain and at not in live:
            end = sp + _WINDOW
            wanted.append((sp, end if end < hi else hi, at))
        else:
            odd.append(at)
    return odd


def _fast(reading: GoroutineReading, wanted: List[Wanted], users: Dict[int, Spot]) -> List[int]:
    """Put what is found into `users`; returns the positions where only the whole stack can tell."""
    skipper = Skipper(reading.unwinder)
    known, learn, end = skipper.skip.get, skipper.words, skipper.end
    pcs, word = reading.goroutines.column("pc"), reading.runtime.word
    if sys.byteorder != reading.runtime.order:
        return [at for _, _, at in wanted]
    left, done = [], 0
    ends: Dict[int, Optional[Spot]] = {}
    for low, data, members in blocks(reading.runtime.target.read, wanted):
        reading.runtime.progress.step("stacks", done, len(wanted))
        done += len(members)
        whole = memoryview(data)[: len(data) // word * word]
        words = whole.cast("Q") if word == 8 else whole.cast("I")
        for sp, _, at in members:
            pc, here = pcs[at], (sp - low) // word - 1
            try:
                while True:
                    step = known(pc)
                    if step is None:
                        step = learn(pc)
                        if step is None:
                            break
                    here += step
                    pc = words[here]
            except IndexError:
                left.append(at)
                continue
            if pc not in ends:
                ends[pc] = end(pc)
            found = ends[pc]
            if found is None:
                left.append(at)
            else:
                users[at] = found
    return left
