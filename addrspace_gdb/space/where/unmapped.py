"""Why nothing is mapped at an address."""

from __future__ import annotations

from typing import Optional

from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.space.regions import region as areas
from addrspace_gdb.space.regions.partition import Partition
from addrspace_gdb.space.regions.region import MAIN_STACK_KIND, Region
from addrspace_gdb.space.where.answers import Gap
from addrspace_gdb.space.where.heap import HeapPlaces

_GUARD_GAP = 256  # pages: stack_guard_gap, mm/mmap.c
_SMALL_NUMBER = 1 << 20
_SMALL = 1 << 30  # a number this close below 2^64 was a small negative one


def gap_at(address: int, region: Region, partition: Partition, reading: Reading, heap: HeapPlaces) -> Gap:
    """What there is to say of an address in a region that is not mapped."""
    field = address if region.area == areas.NULL else None
    below, above = (None, None) if region.area != areas.FREE else partition.neighbours(address)
    hint = _hint(address, region, above, reading, heap)
    return Gap(field, below, above, hint)


def _hint(address: int, region: Region, above: Optional[Region], reading: Reading, heap: HeapPlaces) -> str:
    if region.area == areas.NULL:
        return "a nil pointer" if not address else f"nil + {address:#x}: a field of a nil struct, most likely"
    if region.area in (areas.KERNEL, areas.NON_CANONICAL):
        return _odd(address, region, reading)
    arena = heap.arena(address)
    if arena is not None:
        return f"inside the arena at {arena.start:#x}, in a part of it that is not mapped"
    following = reading.go.arenas.next_arena
    if following is not None and following <= address < following + reading.go.arenas.size:
        return "where the heap's next arena goes"
    if address < _SMALL_NUMBER:
        return f"{address:,}: a number, not a pointer, most likely"
    guard = _GUARD_GAP * reading.info.page_size
    if above is not None and above.kind == MAIN_STACK_KIND and above.start - address <= guard:
        return "the guard gap that the kernel keeps below the main thread's stack, which grows down to it"
    return ""


def _odd(address: int, region: Region, reading: Reading) -> str:
    size = reading.info.pointer_size
    raw = address.to_bytes(size, "little")
    if all(32 <= byte < 127 for byte in raw):
        return f"its bytes are text: {raw.decode('ascii')!r}"
    top = 1 << (8 * size)
    if top - address <= _SMALL:
        return f"{address - top} as a signed number"
    if region.area == areas.KERNEL:
        return "the kernel's half: no access from the program"
    return "non-canonical address: no mapping can exist here"
