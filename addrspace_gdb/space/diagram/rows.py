"""From a reading to the finished address space: claims, partition, totals, checks, picture."""

from __future__ import annotations

from bisect import bisect_right
from typing import Dict, Iterator, List, Sequence, Tuple

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.space.counters.checks import checks
from addrspace_gdb.space.diagram import bands as rows
from addrspace_gdb.space.diagram.row_details import detail
from addrspace_gdb.space.reading.claims import all_claims, regions_of, rest_in, unmapped_of
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.space.regions import region as areas
from addrspace_gdb.space.regions.model import AddressSpace, AreaTotal, MappingUse, Picture, Row
from addrspace_gdb.space.regions.partition import area_totals, mapping_uses, partition, total
from addrspace_gdb.space.regions.region import Region


def build(reading: Reading, each_goroutine: bool = True, check: bool = False) -> AddressSpace:
    """The whole answer. Without `each_goroutine` neighbouring stacks are one region (the diagram)."""
    with no_cycle_collection():
        return _build(reading, each_goroutine, check)


def _build(reading: Reading, each_goroutine: bool, check: bool) -> AddressSpace:
    regions, unmapped = regions_of(reading) if each_goroutine else _with_stacks_joined(reading)
    uses = mapping_uses(reading.mappings, reading.residency)
    return AddressSpace(
        target=reading.info,
        mappings=uses,
        regions=regions,
        unmapped=unmapped,
        areas=_all_areas(unmapped, regions),
        goroutines=reading.goroutines,
        memstats=reading.go.memstats,
        checks=(
            checks(reading.mappings, regions, reading.go, reading.smaps, reading.in_motion) if check else []
        ),
        picture=_picture(reading, regions, unmapped, uses),
        spans=list(reading.go.spans.classes.values()),
    )


def _with_stacks_joined(reading: Reading) -> Tuple[List[Region], List[Region]]:
    claims = all_claims(reading, each_goroutine=False)
    return partition(reading.mappings, claims, rest_in(reading), reading.residency), unmapped_of(reading)


def _all_areas(unmapped: Sequence[Region], regions: Sequence[Region]) -> List[AreaTotal]:
    return area_totals(unmapped) + area_totals(regions)


def _picture(
    reading: Reading, regions: Sequence[Region], unmapped: Sequence[Region], uses: Sequence[MappingUse]
) -> Picture:
    return Picture(
        target=reading.info,
        rows=_rows(reading, regions, unmapped),
        threads=len(reading.threads),
        goroutines=reading.goroutines,
        gc_phase=reading.go.gc_phase,
        virtual=sum(m.size for m in reading.mappings),
        resident=total(use.resident for use in uses),
        swapped=total(use.swapped for use in uses),
        selected=reading.selected,
        notes=list(reading.notes),
        problems=list(reading.problems),
    )


def _rows(reading: Reading, regions: Sequence[Region], unmapped: Sequence[Region]) -> List[Row]:
    """Rows from high to low: the kernel's half, then zones of mappings with the gaps between."""
    user = [r for r in regions if r.start < reading.geometry.user_end]
    zones = rows.bands(user)
    gaps_above = _gaps_between(zones, reading)
    made: List[Row] = list(_top(reading, unmapped))
    heap_zone = next((i for i, z in enumerate(zones) if any(b.name == rows.HEAP_ROW for b in z)), None)
    for index in range(len(zones) - 1, -1, -1):
        gap = gaps_above.get(index)
        if gap is not None:
            made.append(_gap(gap, index == heap_zone, reading))
        made.extend(_zone_rows(zones[index], reading))
    made.extend(_bottom(zones, unmapped))
    return _with_absent(made, reading)


def _gaps_between(zones: List[List[rows.Band]], reading: Reading) -> Dict[int, Tuple[int, int]]:
    """The unmapped range above each zone (up to the next one, or to the end of the user half)."""
    found: Dict[int, Tuple[int, int]] = {}
    for index, zone in enumerate(zones):
        low = max(band.end for band in zone)
        higher = zones[index + 1] if index + 1 < len(zones) else None
        high = min(b.start for b in higher) if higher else reading.geometry.user_end
        if low < high:
            found[index] = (low, high)
    return found


def _top(reading: Reading, unmapped: Sequence[Region]) -> Iterator[Row]:
    for region in reversed(unmapped):
        if region.area == areas.KERNEL:
            text = "reserved for the kernel"
            yield rows.gap_row("Kernel Space", region.area, region.start, region.end, text)
        elif region.area == areas.NON_CANONICAL:
            bits = reading.geometry.user_end.bit_length()
            text = f"no valid addresses ({bits}-bit)"
            if reading.geometry.kernel_start is None:
                text = "beyond what the page tables reach"
            yield rows.gap_row("Non-canonical hole", region.area, region.start, region.end, text)


def _gap(gap: Tuple[int, int], above_heap: bool, reading: Reading) -> Row:
    if not above_heap:
        guard = gap[1] == reading.geometry.user_end and gap[1] - gap[0] <= reading.info.page_size
        text = "the kernel's guard page" if guard else "unmapped"
        return rows.gap_row("free", areas.FREE, *gap, text)
    return rows.gap_row(rows.FREE_ROW, areas.FREE, *gap, "the heap grows up into this gap")


def _zone_rows(zone: List[rows.Band], reading: Reading) -> Iterator[Row]:
    has_heap = any(band.name == rows.HEAP_ROW for band in zone)
    for band in reversed(zone):
        inside = rows.HEAP_ROW if band.name == rows.STACKS_ROW and has_heap else None
        yield rows.band_row(band, detail(band.name, band.regions, reading), _marks(band, reading), inside)


def _marks(band: rows.Band, reading: Reading) -> Tuple[str, ...]:
    thread = next((t for t in reading.threads if t.selected), None)
    if thread is None:
        return ()
    pointers = (("pc", thread.pc), ("sp", thread.sp))
    return tuple(name for name, value in pointers if value is not None and _holds(band, value))


def _holds(band: rows.Band, address: int) -> bool:
    index = bisect_right([r.start for r in band.regions], address) - 1
    return index >= 0 and address < band.regions[index].end


def _bottom(zones: List[List[rows.Band]], unmapped: Sequence[Region]) -> Iterator[Row]:
    null = next((r for r in unmapped if r.area == areas.NULL), None)
    floor = null.end if null is not None else 0
    lowest = min((b.start for z in zones for b in z), default=0)
    if floor < lowest:
        yield rows.gap_row("free", areas.FREE, floor, lowest, "unmapped")
    if null is not None:
        text = "a nil dereference faults here"
        yield rows.gap_row("Reserved / NULL", areas.NULL, 0, floor, text)


def _with_absent(made: List[Row], reading: Reading) -> List[Row]:
    """The tutorial's areas are always there, also those that this process does not have."""
    names = {row.name for row in made}
    anchor = next((i for i, row in enumerate(made) if row.name in (rows.FREE_ROW, rows.HEAP_ROW)), len(made))
    if rows.LIBS_ROW not in names:
        made.insert(anchor, rows.absent_row(rows.LIBS_ROW, areas.SHARED_LIBS, "statically linked"))
    wanted = (
        (rows.HEAP_ROW, areas.HEAP),
        (rows.FREE_ROW, areas.FREE),
        (rows.STACKS_ROW, areas.GOROUTINE_STACKS),
        (rows.GLOBALS_ROW, areas.GLOBALS),
        (rows.CODE_ROW, areas.CODE),
        ("Reserved / NULL", areas.NULL),
    )
    for name, area in wanted:
        if name not in names:
            made.append(rows.absent_row(name, area, "none found"))
    return made
