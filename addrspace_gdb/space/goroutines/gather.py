"""What takes the process to show goroutines, read ahead so that it can be let go before they are shown.

Columns hold most of it. What is left are the bytes of the stacks, which frames are made of, and little
things of single goroutines: `target.kept` remembers what is read here and gives it back later.
"""

from __future__ import annotations

from array import array
from itertools import compress
from typing import List, Optional, Sequence

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.goruntime.labels import read_labels
from addrspace_gdb.process.vm_readv import read_packed
from addrspace_gdb.space.goroutines.columns import odd, pick
from addrspace_gdb.space.goroutines.equal_stacks import sort_out
from addrspace_gdb.space.goroutines.listing import Listing, find_users, system_of
from addrspace_gdb.space.goroutines.stack_reads import Wanted
from addrspace_gdb.space.goroutines.user_frame import NOWHERE
from addrspace_gdb.space.goroutines.walk import walk
from addrspace_gdb.space.reading.goroutines import GoroutineReading
from addrspace_gdb.target.protocol import Kept, LetsGo, MapsFiles

_MAX_STACKS = 400 << 20  # bytes of all stacks that are kept
_MAX_ALONE = 1 << 12  # stacks that are read one by one


def kept_of(reading: GoroutineReading) -> Optional[Kept]:
    """What is kept of the process; None where it stays."""
    target = reading.runtime.target
    return target.kept if isinstance(target, LetsGo) else None


def gather_list(listing: Listing, positions: Sequence[int]) -> None:
    """All that the rows of these goroutines show, but frames."""
    reading = listing.reading
    if kept_of(reading) is None:
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


def gather_stacks(reading: GoroutineReading, positions: Sequence[int]) -> bool:
    """The bytes of these goroutines' stacks. False if they are too many to be kept: the process must stay."""
    kept = kept_of(reading)
    if kept is None:
        return True
    with no_cycle_collection():
        wanted, apart = sort_out(reading, positions)
        if sum(end - start for start, end, _ in wanted) > _MAX_STACKS:
            return False
        for at in apart:
            walk(reading, at)
        system_of(reading)
        odd(reading)
        return _copied(reading, kept, sorted(wanted))


def _copied(reading: GoroutineReading, kept: Kept, wanted: Sequence[Wanted]) -> bool:
    """Copy ascending pieces; those that cannot be had together are read one by one."""
    target = reading.runtime.target
    starts = array("Q", (start for start, _, _ in wanted))
    sizes = array("Q", (end - start for start, end, _ in wanted))
    backed = target.file_backed() if isinstance(target, MapsFiles) else None
    longest = max(sizes, default=0)
    alone: List[int] = list(range(len(starts)))
    if target.pid is not None and not (backed is not None and backed.covers_any(starts, longest)):
        data, alone = read_packed(target.pid, starts, sizes)
        for at in alone:
            sizes[at] = 0
        offsets = array("Q", [0])
        total = 0
        for size in sizes:
            total += size
            offsets.append(total)
        kept.add(starts, offsets, data)
    if len(alone) > _MAX_ALONE:
        return False
    for at in alone:
        walk(reading, wanted[at][2])
    return True
