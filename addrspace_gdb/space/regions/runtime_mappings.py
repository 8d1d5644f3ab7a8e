"""Mappings that the Go runtime made, for targets that list none (see process/mapping_list.py)."""

from __future__ import annotations

from typing import Iterator, List

from addrspace_gdb.goruntime.all_of_go import GoView
from addrspace_gdb.goruntime.buildinfo import parse_version
from addrspace_gdb.goruntime.malloc import Owned
from addrspace_gdb.goruntime.mheap import arena_base_offset
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.space.regions.overlay import normalise, overlay
from addrspace_gdb.space.regions.region import HEAP, RUNTIME, Claim

INFERRED = (
    "the stub lists no mappings: shown are the program's segments, the main thread's stack and what the Go "
    "runtime mapped; C's memory, shared libraries and the program's own mmap are not known and stand as free"
)
_USED, _RESERVED = "rw-?", "---?"
_INDEXES = ("page summaries", "scavenge index")
_MAPPED_WHOLE = 128 << 10  # bytes: the highest level of summaries; on 32 bits everything is, and smaller
_ADDRESS_BITS, _WRAP = 48, 1 << 64  # heapAddrBits of 64-bit Linux ports (src/runtime/malloc.go)


def runtime_mappings(go: GoView, arch: str, page_size: int) -> List[Mapping]:
    """Arenas, used as far as the heap has grown (sysMap in src/runtime/mem_linux.go), and what lies outside
    them."""
    found = [Mapping(start, end, _USED, None) for start, end in go.pages.in_use]
    found += [Mapping(start, end, _RESERVED, None) for start, end in _ungrown(go)]
    outside = normalise(Claim(*o.pages(page_size), RUNTIME, _access(o)) for o in go.owned)
    used = normalise(claim for o in go.owned for claim in _indexed(o, go, arena_base_offset(arch), page_size))
    found += [Mapping(c.start, c.end, c.kind, None) for c in overlay(outside, used)]
    return sorted(found)


def _access(owned: Owned) -> str:
    """How it is mapped: some are reserved whole, and used as the heap grows."""
    large = owned.end - owned.start > _MAPPED_WHOLE
    return _RESERVED if owned.label == "reserved" or (owned.kind in _INDEXES and large) else _USED


def _indexed(owned: Owned, go: GoView, offset: int, page_size: int) -> Iterator[Claim]:
    """Pages of a reservation, indexed by address, that belong to what the heap has grown into (sysGrow in
    src/runtime/mpagealloc_64bit.go). Up to Go 1.20 the scavenge index is mapped from its beginning."""
    if owned.kind not in _INDEXES or _access(owned) != _RESERVED:
        return
    size = owned.end - owned.start
    for start, end in go.pages.in_use:
        first, last = (owned.start + ((a - offset) % _WRAP * size >> _ADDRESS_BITS) for a in (start, end - 1))
        if owned.kind == "scavenge index" and (parse_version(go.version or "").minor or 99) <= 20:
            first = owned.start
        if owned.start <= first <= last < owned.end:
            yield Claim(_down(first, page_size), _down(last, page_size) + page_size, RUNTIME, _USED)


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
