"""C's heap in the tree: of each part of glibc's heap what is in use, and what malloc could give back."""

from __future__ import annotations

import os
import re
from array import array
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.process import libc
from addrspace_gdb.process.allocators import Allocator
from addrspace_gdb.process.glibc.heap import Malloc, OddHeapError, Place, read_malloc
from addrspace_gdb.process.jemalloc import Extents
from addrspace_gdb.process.mappings import is_anonymous
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.space.regions.region import Region
from addrspace_gdb.space.rss import places as places
from addrspace_gdb.space.rss.amounts import amount_of, split_off, within
from addrspace_gdb.space.rss.extents import EXTENTS, KEPT, gather_extents, written
from addrspace_gdb.space.rss.tree import Amount, Leaves, Node, Path, under
from addrspace_gdb.target.protocol import Target

IN_USE, FREE, TOP, RETURNED = "in use", "free in malloc's lists", "free at the end", "returned to the OS"
OTHERS = "not of malloc"
_KINDS = (libc.BRK, libc.ARENA)
_GLIBC = re.compile(r"libc(-2\.\d+)?\.so(\.6)?")


class CHeap(NamedTuple):
    """What was read of it."""

    malloc: Optional[Malloc]
    problem: Optional[str] = None  # why there is none; None: no heap of glibc's was found
    extents: Optional[Extents] = None  # of jemalloc


class CUse(NamedTuple):
    """Of C's heap what the figures of the tree say. Bytes."""

    arenas: int
    split: bool  # whether that is known
    allocator: Optional[Allocator]  # another one than glibc's, that most of it is likely to be of
    extents: bool = False  # whether what of that is in use is known


def gather_c_heap(target: Target, reading: Reading) -> CHeap:
    """Read it, while the process stands still."""
    return _glibc(target, reading)._replace(extents=gather_extents(target, reading))


def _glibc(target: Target, reading: Reading) -> CHeap:
    if not any(kind in _KINDS for _, _, kind in reading.libc):
        return CHeap(None)
    try:
        malloc = read_malloc(_place(target, reading))
        return CHeap(malloc if malloc is not None and malloc.system else None)
    except OddHeapError as error:
        return CHeap(None, str(error))


def _place(target: Target, reading: Reading) -> Place:
    own = sorted((m.start, m.end) for m in reading.mappings if is_anonymous(m) and m.permissions[:2] == "rw")
    symbol = target.symbol("main_arena")
    return Place(
        target.read,
        target.pointer_size,
        target.byte_order,
        list(_data(reading)),
        [start for start, _, kind in reading.libc if kind == libc.ARENA],
        own,
        symbol.address if symbol is not None else None,
    )


def _data(reading: Reading) -> Iterator[Tuple[int, int]]:
    """Where the C library has its variables: in a library of that name, or in the program."""
    loaded = reading.loaded
    images = [i for i in loaded.libraries if _GLIBC.fullmatch(os.path.basename(i.image.path))]
    yield from written(reading, images or loaded.program)


def split_c_heap(leaves: Leaves, reading: Reading, regions: Sequence[Region], found: CHeap) -> Optional[str]:
    """Put the parts of the heap in place of it. Why that cannot be done, in words."""
    malloc = found.malloc
    if malloc is None:
        return found.problem
    for kind in _KINDS:
        path = under(places.C_HEAP, kind)
        if path not in leaves.amounts:
            continue
        own = [region for region in regions if region.kind == kind]
        why = split_off(leaves, path, _parts(path, reading, own, malloc), under(path, IN_USE))
        if why is not None:
            return f"{kind}: {why}"
    return None


def _parts(path: Path, reading: Reading, own: List[Region], malloc: Malloc) -> Dict[Path, Amount]:
    """All but what is in use."""
    ranges = {
        FREE: (malloc.lists, malloc.list_ends),
        TOP: (malloc.tops, malloc.top_ends),
        RETURNED: (malloc.returned, malloc.returned_ends),
    }
    for region in own if path[-1] == libc.BRK else ():
        ranges[OTHERS] = _around(region, malloc)
    found: Dict[Path, Amount] = {}
    for name, (starts, ends) in ranges.items():
        amount = amount_of(reading.residency, *within(starts, ends, own))
        if amount.size:
            found[under(path, name)] = amount._replace(kept=0) if name == RETURNED else amount
    return found


def _around(region: Region, malloc: Malloc) -> Tuple[array[int], array[int]]:
    """What lies before and behind the main arena."""
    start, end = malloc.main
    if not region.start <= start < end <= region.end:
        return array("Q"), array("Q")
    return array("Q", [region.start, end]), array("Q", [start, region.end])


def use_of(root: Node, found: CHeap, allocator: Optional[Allocator]) -> CUse:
    """What is said of it. What glibc's malloc does not know of the data segment is the other allocator's."""
    if allocator is None:
        return CUse(found.malloc.arenas if found.malloc is not None else 0, found.malloc is not None, None)
    likely = root.find(*places.C_HEAP, allocator.kind).plus(root.find(*EXTENTS))
    brk = () if found.malloc is None else (OTHERS,)
    likely = likely.plus(root.find(*places.C_HEAP, libc.BRK, *brk))
    mostly = 2 * _figure(likely) > _figure(root.find(*places.C_HEAP))
    arenas = found.malloc.arenas if found.malloc is not None else 0
    own = allocator if mostly else None
    return CUse(arenas, found.malloc is not None, own, found.extents is not None)


def _figure(amount: Amount) -> int:
    return amount.kept if amount.resident is None else amount.resident


FREE_PATHS = (*(under(places.C_HEAP, kind, name) for kind in _KINDS for name in (FREE, TOP)), KEPT)
