"""Goroutines that can never run again, and what would be freed if they were gone."""

from __future__ import annotations

from typing import Callable, Dict, List, NamedTuple, Sequence, Tuple

from addrspace_gdb.goruntime.proc import GSCAN, LEAKED
from addrspace_gdb.space.goroutines.columns import states
from addrspace_gdb.space.goroutines.groups import Group, group, parts
from addrspace_gdb.space.goroutines.listing import Listing
from addrspace_gdb.space.graph.kept import Size
from addrspace_gdb.space.reading.cached import forget
from addrspace_gdb.space.reading.goroutines import GoroutineReading


class Kept(NamedTuple):
    """What some goroutines keep of the heap by their stacks: what only they lead to."""

    all: Size
    groups: List[Size]
    each: Dict[int, Size]  # by position


class Leaks(NamedTuple):
    """How many there are, and what those that are listed keep."""

    blocked: int  # goroutines that wait for what only the program can do
    leaked: int  # those of them that can never run again
    listed: int  # those of these that were asked for
    kept: Size
    stacks: int  # bytes of their stacks


Keeps = Callable[[Sequence[Sequence[int]]], Kept]  # of groups of goroutines, by position


def put_leaked(reading: GoroutineReading, positions: Sequence[int]) -> None:
    """From now on that is their state, as it is in Go once its own collector has found them."""
    status = reading.goroutines.column("status")
    for at in positions:
        status[at] = LEAKED | status[at] & GSCAN
    forget(reading, states)


def grouped(listing: Listing, by: str, keeps: Keeps) -> Tuple[List[Group], Kept]:
    """As `groups.group`, with what each keeps, and what they do."""
    found = parts(listing, by)
    kept = keeps(found)
    sizes = kept.groups
    made = [group(listing.part(part), by)[0]._replace(keeps=size.bytes) for part, size in zip(found, sizes)]
    return sorted(made, key=lambda one: (-one.many, -one.size, one.name or "", one.goids)), kept
