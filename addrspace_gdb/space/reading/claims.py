"""From a reading to what everybody claims, what is left over, and what is not mapped."""

from __future__ import annotations

from functools import reduce
from typing import Callable, List, Optional, Tuple

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.process.geometry import gaps, null_end
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.process.threads import MAIN_THREAD, ThreadStack
from addrspace_gdb.space.reading.cached import once
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.space.regions import region as areas
from addrspace_gdb.space.regions.go_claims import heap_claims, outside_claims, owned_claims
from addrspace_gdb.space.regions.image_claims import image_claims
from addrspace_gdb.space.regions.overlay import normalise, overlay
from addrspace_gdb.space.regions.partition import partition
from addrspace_gdb.space.regions.region import Claim, Region
from addrspace_gdb.space.regions.unclaimed import rest_of

LINKER_DATA = "dynamic linker data"


@once
def regions_of(reading: Reading) -> Tuple[List[Region], List[Region]]:
    """What is mapped, each goroutine's stack by itself, and what is not; made once for a reading."""
    with no_cycle_collection():
        claims = all_claims(reading, each_goroutine=True)
        mapped = partition(reading.mappings, claims, rest_in(reading), reading.residency)
        return mapped, unmapped_of(reading)


def rest_in(reading: Reading) -> Callable[[Mapping], Claim]:
    """The function that names what is left of a mapping of `reading`."""
    kind = reading.allocator.kind if reading.allocator is not None else ""
    return rest_of(reading.mappings, reading.loaded, reading.info.arch, reading.go.race, kind)


def all_claims(reading: Reading, each_goroutine: bool) -> List[Claim]:
    """All claims, the surer over the less sure: libc by content, images, thread stacks, Go's runtime."""
    libc = normalise(Claim(s, e, areas.FOREIGN, kind) for s, e, kind in reading.libc)
    images = image_claims(reading.loaded, reading.info.page_size)
    stacks = normalise(
        Claim(s.start, s.end, areas.THREAD_STACKS, stack_kind(s), _thread_label(s.tid))
        for s in reading.thread_stacks
        if s.kind != "tls"  # the dynamic linker's, and less sure than any other owner
    )
    heap = heap_claims(reading.go, each_goroutine)
    owned = owned_claims(reading.go, reading.info.page_size, reading.problems)
    linker = normalise(Claim(s, e, areas.SHARED_LIBS, LINKER_DATA) for s, e in reading.linker)
    layers = [linker, normalise(outside_claims(reading.go)), libc, owned, images, stacks, heap]
    return reduce(overlay, layers)


THREAD_STACK = "thread stack"
_STACK_KINDS = {"stack": THREAD_STACK, "guard": "stack guard"}


def stack_kind(stack: ThreadStack) -> str:
    """The kind of its region."""
    if stack.kind == "stack" and stack.note == MAIN_THREAD:
        return areas.MAIN_STACK_KIND
    return _STACK_KINDS.get(stack.kind, stack.kind)


def _thread_label(tid: Optional[int]) -> str:
    return f"thread {tid}" if tid else ""


def unmapped_of(reading: Reading) -> List[Region]:
    """Kernel, non-canonical hole, free gaps and the null area, in address order."""
    shape = reading.geometry
    made = []
    low = null_end(reading.mappings, shape)
    if low:
        made.append(_empty(0, low, areas.NULL, "null"))
    made += [_empty(start, end, areas.FREE, "free") for start, end in gaps(reading.mappings, shape)]
    if shape.non_canonical is not None:
        made.append(_empty(*shape.non_canonical, areas.NON_CANONICAL, "non-canonical"))
    top = 1 << (8 * reading.info.pointer_size)
    if shape.kernel_start is not None and shape.kernel_start < top:
        made.append(_empty(shape.kernel_start, top, areas.KERNEL, "kernel"))
    return made


def _empty(start: int, end: int, area: str, kind: str) -> Region:
    return Region(start, end, area, kind, "", "", None, None, None)
