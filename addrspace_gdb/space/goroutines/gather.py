"""What takes the process to show goroutines, read ahead so that it can be let go before they are shown.

Columns hold most of it. What is left are the stacks, of which equal ones are one (equal_stacks.py), and
little things of single goroutines: `target.kept` remembers what is read here and gives it back later.
"""

from __future__ import annotations

from itertools import compress
from typing import Sequence

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.goruntime.labels import read_labels
from addrspace_gdb.space.goroutines.columns import odd, pick
from addrspace_gdb.space.goroutines.equal_stacks import fold_of
from addrspace_gdb.space.goroutines.listing import Listing, find_users, system_of
from addrspace_gdb.space.goroutines.user_frame import NOWHERE
from addrspace_gdb.space.goroutines.walk import walk
from addrspace_gdb.space.reading.goroutines import GoroutineReading
from addrspace_gdb.target.protocol import kept_of


def gather_list(listing: Listing, positions: Sequence[int]) -> None:
    """All that the rows of these goroutines show, but frames."""
    reading = listing.reading
    if kept_of(reading.runtime.target) is None:
        return
    with no_cycle_collection():
        find_users(listing, positions)
        system_of(reading)
        _labels(reading, positions)
        strange = odd(reading)
        for at in compress(positions, map(strange.__contains__, positions)):
            walk(reading, at)
        nowhere = {n for n, user in enumerate(listing.users.spots) if user == NOWHERE}
        numbers = listing.users.numbers
        for at in positions:
            if numbers[at] in nowhere and at not in strange:
                walk(reading, at)


def _labels(reading: GoroutineReading, positions: Sequence[int]) -> None:
    for pointer in set(pick(reading.goroutines.column("labels"), positions)):
        read_labels(reading.runtime, pointer, reading.tables.minor)


def gather_stacks(reading: GoroutineReading, positions: Sequence[int]) -> None:
    """The frames of these goroutines: those of equal stacks once, so that no stack is kept."""
    if kept_of(reading.runtime.target) is None:
        return
    with no_cycle_collection():
        fold_of(reading).add(positions)
        system_of(reading)
        odd(reading)
