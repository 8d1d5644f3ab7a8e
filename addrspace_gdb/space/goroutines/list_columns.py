"""The chosen goroutines as parallel lists: for views that show a million of them."""

from __future__ import annotations

from itertools import compress
from operator import sub
from typing import Dict, List, NamedTuple, Optional, Set, Tuple

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.goruntime.columns import pick
from addrspace_gdb.goruntime.proc import is_live
from addrspace_gdb.space.goroutines.columns import residents
from addrspace_gdb.space.goroutines.listing import Listing, find_users, is_system, stands
from addrspace_gdb.space.goroutines.user_frame import NOWHERE, Spot, spots
from addrspace_gdb.space.goroutines.walk import start_of
from addrspace_gdb.space.reading.goroutines import GoroutineReading


class Columns(NamedTuple):
    """One item a goroutine in each list, in the listing's order. What is not known is None."""

    goids: List[int]
    states: List[Tuple[int, int]]  # atomicstatus and waitreason, as numbers
    runs: List[Tuple[bool, Optional[int]]]  # one of the runtime's own; the kernel's id of its thread
    los: List[int]
    sizes: List[int]
    useds: List[Optional[int]]
    residents: List[Optional[int]]
    pcs: List[Optional[int]]
    sps: List[Optional[int]]
    stands: List[Spot]
    users: List[Spot]
    starts: List[int]  # pc of the start function
    gopcs: List[int]  # pc of the go statement
    parents: List[int]  # goid of who made it, 0: not known


def columns_of(listing: Listing) -> Columns:
    """Every column of the listing."""
    with no_cycle_collection():
        return _columns(listing)


def _columns(listing: Listing) -> Columns:
    reading, positions = listing.reading, listing.positions
    odd = find_users(listing, positions)

    def column(name: str) -> List[int]:
        return list(pick(reading.goroutines.column(name), positions))

    los, his, pcs, sps = column("lo"), column("hi"), column("pc"), column("sp")
    known: Dict[int, Spot] = {pc: spots(reading.unwinder, pc)[0] for pc in set(pcs)}
    found = Columns(
        goids=column("goid"),
        states=list(zip(column("status"), column("waitreason"))),
        runs=[(False, None)] * len(positions),
        los=los,
        sizes=list(map(sub, his, los)),
        useds=list(map(sub, his, sps)),
        residents=list(pick(residents(reading), positions)),
        pcs=list(pcs),
        sps=list(sps),
        stands=list(map(known.__getitem__, pcs)),
        users=listing.users.of(positions),
        starts=column("startpc"),
        gopcs=column("gopc"),
        parents=column("parent"),
    )
    _mend(listing, found, set(odd))
    return found


def _mend(listing: Listing, found: Columns, odd: Set[int]) -> None:
    """Correct the rows of goroutines that are not simply parked, or are the runtime's own."""
    reading = listing.reading
    system = {pc for pc in set(found.starts) if reading.tables.is_system_goroutine(pc, reading.fing_running)}
    rows = range(len(found.goids))
    for row in compress(rows, map(system.__contains__, found.starts)):
        found.runs[row] = (is_system(reading, listing.positions[row]), None)
    for row in compress(rows, map((1).__eq__, found.goids)):  # made_by says why
        found.gopcs[row] = 0
    for row in compress(rows, map(odd.__contains__, listing.positions)):
        _mend_row(reading, found, row, listing.positions[row])


def _mend_row(reading: GoroutineReading, found: Columns, row: int, at: int) -> None:
    start = start_of(reading, at)
    alive = is_live(found.states[row][0])
    found.pcs[row] = start.pc or None
    found.sps[row] = start.sp or None
    hi = found.los[row] + found.sizes[row]
    found.useds[row] = None if start.problem else hi - start.sp
    found.stands[row] = stands(reading, at, start) if alive else NOWHERE
    if found.sizes[row] < 0:
        found.sizes[row] = 0
        found.useds[row] = None
    if not alive:
        found.pcs[row] = found.sps[row] = None
        found.users[row] = NOWHERE
        return
    thread = reading.live.get(at)
    if thread is not None:
        found.runs[row] = (found.runs[row][0], thread.m.procid or None)
