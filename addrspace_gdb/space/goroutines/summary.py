"""All goroutine stacks in a few numbers."""

from __future__ import annotations

from array import array
from itertools import compress
from typing import Dict, List, NamedTuple, Optional, Sequence

from addrspace_gdb.goruntime.columns import pick
from addrspace_gdb.goruntime.proc import is_live
from addrspace_gdb.goruntime.waitreason import state_text
from addrspace_gdb.space.goroutines.columns import disjoint, residents, sizes_of, states, useds
from addrspace_gdb.space.goroutines.listing import system_of
from addrspace_gdb.space.goroutines.residency import resident_total
from addrspace_gdb.space.reading.goroutines import GoroutineReading


class Most(NamedTuple):
    """The goroutine that has most of something, and how many bytes."""

    goid: int
    size: int


class StackSummary(NamedTuple):
    """Goroutines and stack memory of a process. Sizes in bytes; None: not known."""

    total: int  # goroutines that exist, the runtime's too
    system: int
    dead: int  # g structs that wait to be used again
    by_state: Dict[str, int]  # by Go's own word, most frequent first
    in_use: Optional[int]  # MemStats.StackInuse
    allocated: int  # stacks of goroutines that exist
    used: int  # hi - sp of those whose sp is known
    unknown: int  # goroutines whose sp is not
    resident: Optional[int]  # of the stacks of goroutines that exist
    dead_stacks: int
    free: Optional[int]  # in the pools
    largest: Optional[Most]
    deepest: Optional[Most]  # most used


class Matches(NamedTuple):
    """Some of the goroutines: how many, and bytes of their stacks."""

    many: int
    allocated: int
    used: int  # of those whose sp is known


def matches(reading: GoroutineReading, positions: Sequence[int]) -> Matches:
    """Add up those at these positions."""
    used = sum(max(0, one) for one in pick(useds(reading), positions))
    return Matches(len(positions), sum(pick(sizes_of(reading), positions)), used)


def summarise(reading: GoroutineReading) -> StackSummary:
    """Add up every goroutine, whatever was filtered."""
    columns = reading.goroutines.columns
    by_state: Dict[str, int] = {}
    for (status, number), count in states(reading).items():
        if is_live(status):
            word = state_text(reading.reasons, status, number)
            by_state[word] = by_state.get(word, 0) + count
    gone = {status for status, _ in states(reading) if not is_live(status)}
    dead: List[int] = []
    if gone:
        dead += compress(range(len(columns["status"])), map(gone.__contains__, columns["status"]))
    sizes = sizes_of(reading)[:]
    in_all = sum(sizes)
    for at in dead:
        sizes[at] = 0
    useds_ = useds(reading)  # -1 for the dead: they have no sp
    unknown = useds_.count(-1)
    return StackSummary(
        total=len(sizes) - len(dead),
        system=len(set(system_of(reading)).difference(dead)),
        dead=len(dead),
        by_state=dict(sorted(by_state.items(), key=lambda item: (-item[1], item[0]))),
        in_use=reading.in_use,
        allocated=sum(sizes),
        used=sum(useds_) + unknown,
        unknown=unknown - len(dead),
        resident=_resident(reading, dead),
        dead_stacks=in_all - sum(sizes),
        free=reading.free.total if reading.free is not None else None,
        largest=_most(reading, sizes, 1),
        deepest=_most(reading, useds_, 0),
    )


def _most(reading: GoroutineReading, bytes_: array[int], least: int) -> Optional[Most]:
    most = max(bytes_, default=-1)
    return Most(reading.goroutines.columns["goid"][bytes_.index(most)], most) if most >= least else None


def _resident(reading: GoroutineReading, dead: Sequence[int]) -> Optional[int]:
    """Resident bytes of all stacks but the dead's; where stacks overlap, which none should, counted once."""
    if not disjoint(reading):
        gone, columns = set(dead), reading.goroutines.columns
        living = [at for at in range(len(reading.goroutines)) if at not in gone]
        return resident_total(reading.residency, pick(columns["lo"], living), pick(columns["hi"], living))
    found = residents(reading)
    return None if None in found else sum(found) - sum(pick(found, dead))  # type: ignore[arg-type]
