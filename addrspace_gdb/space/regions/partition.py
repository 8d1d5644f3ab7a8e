"""The partition: every byte of every mapping in exactly one region (pure data in, data out)."""

from __future__ import annotations

from bisect import bisect_right
from itertools import repeat
from typing import Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.process.residency import Residency
from addrspace_gdb.space.regions.model import AreaTotal, MappingUse
from addrspace_gdb.space.regions.overlay import cut, filled
from addrspace_gdb.space.regions.region import AREAS, FREE, Claim, Region


def partition(
    mappings: Sequence[Mapping],
    claims: Sequence[Claim],
    rest: Callable[[Mapping], Claim],
    residency: Residency,
) -> List[Region]:
    """Regions that cover each of the ascending `mappings` exactly; `rest` names what nobody claims.

    Neighbours of one area, kind and label within a mapping are one region.
    """
    regions: List[Region] = []
    at = 0
    for mapping in mappings:
        inside, at = cut(claims, mapping, at)
        regions += _regions(_joined(filled(inside, mapping, rest(mapping))), mapping, residency)
    return regions


def _joined(claims: Iterable[Claim]) -> Iterator[Claim]:
    """With neighbours of one area, kind and label as one; the claims are of a mapping and leave no holes."""
    pending: Optional[Claim] = None
    for claim in claims:
        if pending is None:
            pending = claim
        elif pending[2:] == claim[2:]:
            pending = pending._replace(end=claim.end)
        else:
            yield pending
            pending = claim
    if pending is not None:
        yield pending


def _regions(claims: Iterable[Claim], mapping: Mapping, residency: Residency) -> Iterator[Region]:
    """The claims as regions of the mapping; there may be a hundred thousand."""
    columns = list(zip(*claims))
    if not columns:
        return iter(())
    starts, ends, *_ = columns
    common = (repeat(mapping.permissions), *residency.of_many(starts, ends), repeat(mapping.file))
    return map(Region, *columns, *common, repeat(mapping.locked))


def mapping_uses(mappings: Iterable[Mapping], residency: Residency) -> List[MappingUse]:
    """Each mapping with its resident and swapped bytes."""
    return [
        MappingUse(m, residency.resident(m.start, m.end), residency.swapped(m.start, m.end)) for m in mappings
    ]


def total(values: Iterable[Optional[int]]) -> Optional[int]:
    """The sum, None as soon as one of them is unknown: a total never includes a guess."""
    added = 0
    for value in values:
        if value is None:
            return None
        added += value
    return added


def area_totals(regions: Sequence[Region]) -> List[AreaTotal]:
    """What each area that occurs adds up to, in the order of `AREAS`."""
    by_area: Dict[str, List[Region]] = {}
    for region in regions:
        by_area.setdefault(region.area, []).append(region)
    return [
        AreaTotal(
            area,
            sum(r.end - r.start for r in by_area[area]),
            total(r.resident for r in by_area[area]),
            total(r.swapped for r in by_area[area]),
            len(by_area[area]),
        )
        for area in AREAS
        if area in by_area
    ]


class Partition:
    """The regions of a process, by address: every address of 2^64 is in exactly one."""

    def __init__(
        self,
        mapped: List[Region],
        unmapped: List[Region],
        mappings: List[Mapping],
        pointer_size: int,
    ) -> None:
        self.mapped, self.unmapped = mapped, unmapped
        self._mapped = [region.start for region in self.mapped]
        self._unmapped = [region.start for region in self.unmapped]
        self._mappings = mappings
        self._starts = [mapping.start for mapping in mappings]
        self._top = 1 << (8 * pointer_size)

    def region(self, address: int) -> Region:
        """The region that holds the address. What is mapped in the kernel's half is a region of its own."""
        for starts, regions in ((self._mapped, self.mapped), (self._unmapped, self.unmapped)):
            index = bisect_right(starts, address) - 1
            if index >= 0 and address < regions[index].end:
                return regions[index]
        end = min((s for s in (*self._mapped, *self._unmapped) if s > address), default=self._top)
        end = max(end, address + 1)
        return Region(address, end, FREE, "free", "", "", None, None, None)

    def mapping(self, address: int) -> Optional[Mapping]:
        """The mapping that holds the address, None for none."""
        index = bisect_right(self._starts, address) - 1
        found = self._mappings[index] if index >= 0 else None
        return found if found is not None and address < found.end else None

    def neighbours(self, address: int) -> Tuple[Optional[Region], Optional[Region]]:
        """The nearest mapped regions below and above an address that is not mapped."""
        index = bisect_right(self._mapped, address)
        below = self.mapped[index - 1] if index else None
        return below, self.mapped[index] if index < len(self.mapped) else None
