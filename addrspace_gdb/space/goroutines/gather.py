"""What takes the process to show goroutines, read ahead so that it can be let go before they are shown.

Columns hold most of it. What is left are the stacks, of which equal ones are one (equal_stacks.py), and
little things of single goroutines: `target.kept` remembers what is read here and gives it back later.
"""

from __future__ import annotations

from typing import Callable, Optional, Sequence

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.goruntime.columns import pick, places
from addrspace_gdb.goruntime.labels import read_labels
from addrspace_gdb.process.vm_readv import Room
from addrspace_gdb.space.goroutines.columns import odd
from addrspace_gdb.space.goroutines.equal_stacks import fold_of
from addrspace_gdb.space.goroutines.listing import Listing, put_users, system_of
from addrspace_gdb.space.goroutines.stack_copies import room_for
from addrspace_gdb.space.goroutines.user_frame import NOWHERE, Users
from addrspace_gdb.space.goroutines.walk import start_of, walk
from addrspace_gdb.space.reading.goroutines import GoroutineReading
from addrspace_gdb.target.protocol import Target, kept_of


def gather_list(listing: Listing, positions: Sequence[int]) -> None:
    """All that the rows of these goroutines show, but frames."""
    if kept_of(listing.reading.runtime.target) is not None:
        with no_cycle_collection():
            missing = [at for at in positions if at not in listing.users]
            _rows(listing.reading, missing, listing.users)
            _labels(listing.reading, positions)


def gather_every(reading: GoroutineReading) -> Users:
    """The same of all goroutines, before anybody chooses among them; their users' frames."""
    users = Users(len(reading.goroutines))
    with no_cycle_collection():
        everybody = range(len(reading.goroutines))
        _rows(reading, everybody, users)
        _labels(reading, everybody)
    return users


def gather_rest(reading: GoroutineReading) -> None:
    """What rows of all goroutines show beside their frames, after those were gathered: their users' frames
    are found among these when the process has been let go."""
    with no_cycle_collection():
        system_of(reading)
        for at in odd(reading):
            if not reading.goroutines.dead[at]:
                walk(reading, at)
        _labels(reading, range(len(reading.goroutines)))


def _rows(reading: GoroutineReading, positions: Sequence[int], users: Users) -> None:
    """What only the stack tells: the user's frame, and where those stand that are not simply parked."""
    system_of(reading)
    apart = set(put_users(reading, positions, users))
    dead = reading.goroutines.dead
    for at in apart:
        if not dead[at]:
            walk(reading, at)
    for number in [number for number, user in enumerate(users.spots) if user == NOWHERE and number]:
        for at in places(users.numbers, number):
            if at not in apart:
                walk(reading, at)


def _labels(reading: GoroutineReading, positions: Sequence[int]) -> None:
    for pointer in set(pick(reading.goroutines.column("labels"), positions)):
        read_labels(reading.runtime, pointer, reading.tables.minor)


def gather_stacks(reading: GoroutineReading, positions: Sequence[int]) -> None:
    """The frames of these goroutines: those of equal stacks once, so that no stack is kept."""
    if kept_of(reading.runtime.target) is not None:
        with no_cycle_collection():
            fold_of(reading).add(positions)
            _gather_starts(reading)


def expect_stacks(target: Target) -> Optional[Room]:
    """Make room for the stacks of all goroutines, before anything is read: for `begin_stacks`."""
    return room_for(target) if kept_of(target) is not None else None


def begin_stacks(reading: GoroutineReading, room: Optional[Room] = None) -> Callable[[], None]:
    """Begin to read the stacks of all goroutines, beside whatever else is read; the function that is to be
    called when the process is about to be let go. Frames are found when it runs again."""
    kept = kept_of(reading.runtime.target) is not None
    fold = fold_of(reading)
    with no_cycle_collection():
        copying = kept and fold.copy(room)

    def end() -> None:
        with no_cycle_collection():
            if copying:
                fold.copied()
            elif kept:
                fold.add(range(len(reading.goroutines)))
            if kept:
                _gather_starts(reading)

    return end


def _gather_starts(reading: GoroutineReading) -> None:
    system_of(reading)
    for at in reading.live:
        start_of(reading, at)
