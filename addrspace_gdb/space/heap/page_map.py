"""The page map: the heap's pages folded into cells, so that any heap fits a screen."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Sequence

from addrspace_gdb.goruntime.mspan import PAGE
from addrspace_gdb.space.heap.pages import OBJECTS, RESERVED, USES, UseRun

MIXED = "mixed"  # mostly objects, with other pages among them
NOTHING = ""  # reserved, or no arena
_FULL = 7, 8  # a cell of objects has at least so much of them; with less it is mixed


class MapRow(NamedTuple):
    """One row: its first address, and the use of each cell."""

    start: int
    cells: List[str]


class PageMap(NamedTuple):
    """The map; rows with nothing in them are left out."""

    cell: int  # bytes
    columns: int
    rows: List[MapRow]


def page_map(runs: Sequence[UseRun], columns: int, most_rows: int) -> PageMap:
    """Fold the ascending `runs` into at most `most_rows` rows where that is possible.

    A cell is a power of two of pages, at least one, and begins at a multiple of its size.
    """
    used = [run for run in runs if run.use != RESERVED]
    cell = PAGE
    grown = sum(run.size for run in used)
    while cell * columns * most_rows < grown:
        cell *= 2
    while cell < 1 << 62 and _rows(used, cell * columns) > most_rows:
        cell *= 2
    cells = _cells(used, cell)
    rows: List[MapRow] = []
    for index in sorted({at // columns for at in cells}):
        row = [
            _use(cells[at], cell) if at in cells else NOTHING
            for at in range(index * columns, (index + 1) * columns)
        ]
        rows.append(MapRow(index * columns * cell, row))
    return PageMap(cell, columns, rows)


def _rows(used: Sequence[UseRun], width: int) -> int:
    """How many rows of `width` bytes have something in them."""
    count, last = 0, -1
    for run in used:
        first, end = max(run.start // width, last + 1), (run.end - 1) // width
        if end >= first:
            count += end - first + 1
            last = end
    return count


def _cells(used: Sequence[UseRun], cell: int) -> Dict[int, List[int]]:
    """Bytes of each use in each cell that has any."""
    found: Dict[int, List[int]] = {}
    for start, end, use in used:
        place = USES.index(use)
        at = start
        while at < end:
            index = at // cell
            to = min(end, (index + 1) * cell)
            amounts = found.get(index)
            if amounts is None:
                amounts = found[index] = [0] * len(USES)
            amounts[place] += to - at
            at = to
    return found


def _use(amounts: List[int], cell: int) -> str:
    """What a cell shows: what takes most of it."""
    use = USES[amounts.index(max(amounts))]
    if use == OBJECTS and amounts[0] * _FULL[1] < sum(amounts) * _FULL[0]:
        return MIXED
    return use
