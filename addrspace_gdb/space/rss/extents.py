"""jemalloc's extents in the tree: what of its memory is in use, kept for later, or given back."""

from __future__ import annotations

import os
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.common.sizes import size as in_words
from addrspace_gdb.process.jemalloc import ACTIVE, DIRTY, MUZZY, RETAINED, Extents, read_extents
from addrspace_gdb.process.loaded import LoadedImage
from addrspace_gdb.process.mappings import is_anonymous
from addrspace_gdb.process.paged_words import PagedWords
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.space.regions.region import Region
from addrspace_gdb.space.rss import places as places
from addrspace_gdb.space.rss.amounts import amount_of, split_off, within
from addrspace_gdb.space.rss.tree import Amount, Leaves, Path, under
from addrspace_gdb.target.protocol import Target

EXTENTS = under(places.C_HEAP, "jemalloc's extents")
IN_USE, KEPT = under(EXTENTS, "in use"), under(EXTENTS, "free, kept for later")
RETURNED = under(EXTENTS, "returned to the OS")
_STATES = ((ACTIVE, IN_USE), (DIRTY, KEPT), (MUZZY, KEPT), (RETAINED, RETURNED))


def gather_extents(target: Target, reading: Reading) -> Optional[Extents]:
    """jemalloc's, where its library is loaded."""
    allocator = reading.allocator
    if allocator is None or allocator.name != "jemalloc" or not allocator.file:
        return None
    resident = reading.residency.resident

    def read(address: int, size: int) -> bytes:
        if resident(address, address + size) == 0:
            raise UnreadableError(address, size)  # nobody has written there, and reading would fetch a page
        return target.read(address, size)

    images = [i for i in reading.loaded.libraries if os.path.basename(i.image.path) == allocator.file]
    data = [m for m in sorted(reading.mappings) if is_anonymous(m) and m.permissions[:2] == "rw"]
    words = PagedWords(read, target.pointer_size, target.byte_order)
    return read_extents(words, list(written(reading, images)), [(m.start, m.end) for m in data])


def written(reading: Reading, images: Sequence[LoadedImage]) -> Iterator[Tuple[int, int]]:
    """What images may write."""
    for image in images:
        for mapping in reading.mappings:
            inside = image.start <= mapping.start < image.end
            if inside and mapping.permissions[1] in "w?":
                yield mapping.start, mapping.end


def split_extents(
    leaves: Leaves, reading: Reading, regions: Sequence[Region], found: Optional[Extents]
) -> Optional[str]:
    """Put them in place of what is likely to be jemalloc's. Why that cannot be done, in words."""
    if found is None or reading.allocator is None:
        return None
    path = under(places.C_HEAP, reading.allocator.kind)
    if path not in leaves.amounts:
        return None
    if not found.whole:
        return "there are too many of them"
    own = [region for region in regions if region.kind == reading.allocator.kind]
    why = split_off(leaves, path, _by_state(reading, own, found), path)
    if found.free_slots and why is None:
        leaves.notes[IN_USE] = f"{in_words(found.free_slots)} of it is free slots between blocks in use"
    return why


def _by_state(reading: Reading, own: List[Region], extents: Extents) -> Dict[Path, Amount]:
    found: Dict[Path, Amount] = {}
    for state, path in _STATES:
        ranges = within(extents.starts[state], extents.ends[state], own)
        amount = amount_of(reading.residency, *ranges)
        amount = amount._replace(kept=0) if state == RETAINED else amount
        if amount.size:
            found[path] = found.get(path, Amount()).plus(amount)
    return found
