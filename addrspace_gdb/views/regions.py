"""Regions as tables: every region, a summary by area and kind, and the invariants that were checked."""

from __future__ import annotations

from collections import Counter
from typing import Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

from addrspace_gdb.common import sizes
from addrspace_gdb.space.regions.model import Check
from addrspace_gdb.space.regions.region import AREAS, UNMAPPED_AREAS, Region
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.said import wrapped
from addrspace_gdb.views.kit.table import GAP, Cells, Column, fitted, narrowed, table
from addrspace_gdb.views.kit.text import clean, clip_left

_MIN_CHECK = 30  # columns for what was checked
MIN_LABEL = 16  # columns for what a region is called, however narrow the rest leaves it
_LEAST = 10  # the same where there is no room at all


def regions_table(
    regions: Sequence[Region], width: Optional[int] = 100, unicode: bool = True, pointer_size: int = 8
) -> Iterator[tokens.Pair]:
    """One row a region, in the order given, and a line of totals.

    To fit `width` permissions give way first, then kind and label share a column, then the area goes, and
    what is left of the last column is cut (paths lose their beginning); None, as for a file, cuts nothing.
    """
    swapped = any(region.swapped for region in regions)
    locked = any(region.locked for region in regions)
    columns = [
        Column("Range", "left", tokens.ADDRESS),
        Column("Size", "right", tokens.SIZE),
        Column("Resident", "right", tokens.SIZE),
        *([Column("Swapped", "right", tokens.SIZE)] if swapped else []),
        *([Column("", "left", tokens.MARK)] if locked else []),
        Column("Perm", "left", tokens.QUIET),
        Column("Area", "left", tokens.NAME),
        Column("Kind", "left", tokens.TEXT),
        Column("Label", "left", tokens.TEXT),
    ]
    rows = [_row(region, (swapped, locked), unicode, pointer_size) for region in regions]
    yield from table(*_fit(columns, rows, width, unicode))
    yield from wrapped(tokens.HEADING, _totals(regions), width, unicode)


def _row(region: Region, has: Tuple[bool, bool], unicode: bool, pointer_size: int) -> Tuple[str, ...]:
    start, end = sizes.address(region.start, pointer_size), sizes.address(region.end, pointer_size)
    cells = [f"{start}-{end}", sizes.size(region.size), _use(region, region.resident)]
    swapped, locked = has
    if swapped:
        cells.append(_use(region, region.swapped))
    if locked:
        cells.append("locked" if region.locked else "")
    label = region.label
    if region.file and region.file not in label:
        label = f"{label} {region.file}".lstrip()
    cells += [region.permissions, region.area, region.kind, label]
    return tuple([cell if cell.isascii() and cell.isprintable() else clean(cell, unicode) for cell in cells])


def _use(region: Region, n: Optional[int]) -> str:
    """Resident or swapped bytes; nothing where nothing is mapped, which is not the same as not known."""
    return "" if region.area in UNMAPPED_AREAS else sizes.size(n)


def _fit(
    columns: Sequence[Column], rows: Sequence[Cells], width: Optional[int], unicode: bool
) -> Tuple[List[Column], List[Cells]]:
    """What `regions_table` says of a width."""
    count = len(columns)
    shown, some = narrowed(columns, rows, width, [count - 4], MIN_LABEL)
    if width is None or _used(shown, some) + MIN_LABEL <= width:
        return fitted(shown, some, width, (), MIN_LABEL, unicode, clip_left)
    some = [(*row[:-2], row[-1] if row[-2] in row[-1] else f"{row[-2]} {row[-1]}".rstrip()) for row in some]
    shown = [*shown[:-2], Column("What", "left", tokens.TEXT)]
    return fitted(shown, some, width, [len(shown) - 2], _LEAST, unicode)


def _used(columns: Sequence[Column], rows: Sequence[Cells]) -> int:
    """Columns of a screen that all but the last one take."""
    widths = [max(map(len, cells)) for cells in zip([column.heading for column in columns], *rows)]
    return sum(width + GAP for width in widths[:-1])


def _totals(regions: Sequence[Region]) -> str:
    mapped = [region for region in regions if region.area not in UNMAPPED_AREAS]
    size, resident, swapped = _sums(mapped)
    text = f"{sizes.plural(len(mapped), 'region')}, {sizes.size(size)}"
    if mapped:
        text += f", {sizes.size(resident)} resident"
    if swapped:
        text += f", {sizes.size(swapped)} swapped"
    if any(region.locked for region in mapped):
        held = _sums(region for region in mapped if region.locked)[1]
        text += f"; {sizes.size(held)} of what is resident is locked (mlock, mlockall)"
    if len(mapped) < len(regions):
        text += f"; {sizes.count(len(regions) - len(mapped))} not mapped"
    return text


def _sums(regions: Iterable[Region]) -> Tuple[int, Optional[int], Optional[int]]:
    """Size, resident and swapped bytes; the last two None as soon as one region's is not known."""
    size = 0
    resident: Optional[int] = 0
    swapped: Optional[int] = 0
    for region in regions:
        size += region.end - region.start
        resident = None if resident is None or region.resident is None else resident + region.resident
        swapped = None if swapped is None or region.swapped is None else swapped + region.swapped
    return size, resident, swapped


def regions_summary(
    regions: Iterable[Region], width: Optional[int] = 100, unicode: bool = True
) -> Iterator[tokens.Pair]:
    """One row an area and kind, of what is mapped: how many regions, their bytes, their share of all."""
    groups: Dict[Tuple[str, str], List[Region]] = {}
    for region in regions:
        if region.area not in UNMAPPED_AREAS:
            groups.setdefault((region.area, region.kind), []).append(region)
    places = {area: place for place, area in enumerate(AREAS)}
    sums = {key: (len(group), *_sums(group)[:2]) for key, group in groups.items()}
    everything = [region for group in groups.values() for region in group]
    size, resident, _ = _sums(everything)
    rows = []
    for key in sorted(sums, key=lambda key: (places.get(key[0], len(places)), -sums[key][1], key)):
        row = _summary_row(clean(key[0], unicode), *sums[key], size, resident)
        rows.append((*row, clean(key[1], unicode)))
    rows.append((*_summary_row("all", len(everything), size, resident, size, resident), ""))
    columns = [
        Column("Area", "left", tokens.NAME),
        Column("Regions", "right", tokens.SIZE),
        Column("Size", "right", tokens.SIZE),
        Column("of all", "right", tokens.QUIET),
        Column("Resident", "right", tokens.SIZE),
        Column("of all", "right", tokens.QUIET),
        Column("Kind", "left", tokens.TEXT),
    ]
    yield from table(*fitted(columns, rows, width, (3, 5), MIN_LABEL, unicode))


def _summary_row(
    area: str, count: int, size: int, resident: Optional[int], all_size: int, all_resident: Optional[int]
) -> Tuple[str, ...]:
    return (
        area,
        sizes.count(count),
        sizes.size(size),
        sizes.share(size, all_size),
        sizes.size(resident),
        sizes.share(resident, all_resident),
    )


_OK, _MISMATCH, _UNKNOWN, _CHANGING = "ok", "MISMATCH", "unknown", "changing"
_COUNTED = {_OK: "ok", _MISMATCH: "mismatched", _CHANGING: "changing", _UNKNOWN: "unknown"}


def _verdict(check: Check) -> str:
    return _CHANGING if check.because else {True: _OK, False: _MISMATCH, None: _UNKNOWN}[check.ok]


def checks_table(
    checks: Sequence[Check], width: Optional[int] = None, unicode: bool = True
) -> Iterator[tokens.Pair]:
    """One row an invariant: our number, the other one and whose it is, and whether they agree; then why some
    may differ at this moment."""
    rows = [
        (
            _verdict(c),
            sizes.count(c.ours),
            sizes.count(c.theirs),
            clean(c.source, unicode),
            clean(c.name, unicode),
        )
        for c in checks
    ]
    columns = [
        Column("Check", "left", tokens.TEXT),
        Column("Ours", "right", tokens.SIZE),
        Column("Theirs", "right", tokens.SIZE),
        Column("Source", "left", tokens.QUIET),
        Column("What", "left", tokens.TEXT),
    ]
    verdicts = {_OK: tokens.GOOD, _MISMATCH: tokens.PROBLEM}
    for token, text in table(*fitted(columns, rows, width, (3,), _MIN_CHECK, unicode)):
        yield verdicts.get(text.strip(), token), text
    for reason in dict.fromkeys(reason for check in checks for reason in check.because):
        yield from wrapped(tokens.QUIET, f"note: {reason}", width, unicode)
    counts = Counter(_verdict(check) for check in checks)
    text = ", ".join(
        f"{counts[verdict]} {word}"
        for verdict, word in _COUNTED.items()
        if counts[verdict] or verdict != _CHANGING
    )
    token = tokens.PROBLEM if counts[_MISMATCH] else tokens.HEADING
    yield from wrapped(token, f"{sizes.plural(len(checks), 'check')}: {text}", width, unicode)
