"""Mappings that the Go runtime made, for targets that list none (see process/listed.py)."""

from __future__ import annotations

from typing import Iterator, List

from addrspace_gdb.goruntime.view import GoView
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.space.overlay import normalise
from addrspace_gdb.space.region import HEAP, RUNTIME, Claim

INFERRED = (
    "the stub lists no mappings: shown are the program's segments, the main thread's stack and what the Go "
    "runtime mapped; C's memory, shared libraries and the program's own mmap are not known and stand as free"
)
_USED, _RESERVED = "rw-?", "---?"


def runtime_mappings(go: GoView, page_size: int) -> List[Mapping]:
    """Arenas, used as far as the heap has grown (sysMap in src/runtime/mem_linux.go), and what lies outside
    them. Reserved address space outside the arenas (page summaries) counts as used: which pages of it are is
    not on record."""
    found = [Mapping(start, end, _USED, None) for start, end in go.pages.in_use]
    found += [Mapping(start, end, _RESERVED, None) for start, end in _ungrown(go)]
    outside = (Claim(_down(o.start, page_size), -_down(-o.end, page_size), RUNTIME, "") for o in go.owned)
    found += [Mapping(claim.start, claim.end, _USED, None) for claim in normalise(outside)]
    return sorted(found)


def _down(address: int, page_size: int) -> int:
    return address // page_size * page_size


def _ungrown(go: GoView) -> Iterator[tuple[int, int]]:
    """What of the arenas the heap has not grown into."""
    grown = normalise(Claim(start, end, HEAP, "") for start, end in go.pages.in_use)
    for arena in go.arenas.arenas:
        at = arena.start
        for claim in grown:
            if claim.end <= at or claim.start >= arena.end:
                continue
            if claim.start > at:
                yield at, claim.start
            at = claim.end
        if at < arena.end:
            yield at, arena.end
