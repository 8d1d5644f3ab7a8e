"""The diagram: the tutorial's box with the live process in it, in true address order, on one screen.

A row carved out of another one is drawn inside it; together they are a group. An address stands at a
separator only where what is above starts and what is below ends there. Where two neighbours do not meet
(rows in several pieces lie between one another), the separator has no address and both say their range.
"""

from __future__ import annotations

from typing import Iterator, List, Optional, Sequence, Tuple

from addrspace_gdb.space.regions.model import Picture, Row
from addrspace_gdb.space.regions.region import GOROUTINE_STACKS, HEAP
from addrspace_gdb.views.kit import facts, tokens
from addrspace_gdb.views.kit.block import BoxColumns, block
from addrspace_gdb.views.kit.box import draw, draw_close, height
from addrspace_gdb.views.kit.text import Line

MAX_LINES = 50
MIN_WIDTH = 72
FOOTER_LINES = 5  # that the rows leave free, if the footer has so much to say


def diagram(picture: Picture, width: int = 100, unicode: bool = True) -> Iterator[tokens.Pair]:
    """The picture in at most MAX_LINES lines of `width` columns, at least MIN_WIDTH.

    Every row has a line, so that more than 40 rows (no process has so many) make it longer.
    """
    width = max(width, MIN_WIDTH)
    head = facts.header(picture, width, unicode)
    wanted = facts.footer(picture, width, unicode, MAX_LINES)
    room = MAX_LINES - len(head) - min(len(wanted), FOOTER_LINES)
    box = _fold(picture.rows, BoxColumns.of(picture, width, unicode), room)
    foot = facts.footer(picture, width, unicode, MAX_LINES - len(head) - len(box))
    for line in (*head, *box, *foot):
        yield from line


def _fold(rows: Sequence[Row], frame: BoxColumns, room: int) -> List[Line]:
    """The box in `room` lines: every row gets one, and more in the order of `_wishes` while there is room."""
    nested = nested_rows(rows)
    ranged = ranged_rows(rows, nested)
    blocks = [block(*row, frame, 0) for row in zip(rows, nested, ranged)]
    used = height(blocks)
    if used > room:
        return draw_close(blocks, frame)
    for i, limit in _wishes(rows, [not b.complete for b in blocks]):
        longer = block(rows[i], nested[i], ranged[i], frame, limit)
        if longer.height < blocks[i].height:
            continue
        if used + longer.height - blocks[i].height <= room:
            used += longer.height - blocks[i].height
            blocks[i] = longer
    return draw(blocks, frame)


def _wishes(rows: Sequence[Row], urgent: Sequence[bool]) -> Iterator[Tuple[int, int]]:
    """Which row wants how many more lines: those that are `urgent`, heap and stacks, then the largest."""
    by_size = sorted(range(len(rows)), key=lambda i: -(rows[i].size or 0))
    hurry = [i for i in by_size if urgent[i]]
    first = [i for i in by_size if rows[i].area in (HEAP, GOROUTINE_STACKS)]
    mapped = [i for i in by_size if rows[i].mapped and i not in first]
    rest = [i for i in by_size if not rows[i].mapped]
    for group, limit in (
        *((hurry, 1), (first, 1), (first, 2), (mapped, 1), (first, 3)),
        *((rest, 1), (mapped, 2), (rest, 2)),
    ):
        for i in group:
            yield i, limit


def nested_rows(rows: Sequence[Row]) -> List[bool]:
    """Which rows are drawn inside another: those that follow the row they are carved out of."""
    flags: List[bool] = []
    outer: Optional[str] = None
    for row in rows:
        flags.append(row.inside is not None and row.inside == outer and row.pieces > 0)
        if not flags[-1]:
            outer = row.name if row.pieces else None
    return flags


def ranged_rows(rows: Sequence[Row], nested: Sequence[bool]) -> List[bool]:
    """Which rows say their own range: nested ones, and those that separators cannot speak for."""
    flags = list(nested)
    above: Optional[int] = None
    low = 0
    for i, row in enumerate(rows):
        if nested[i] or not row.pieces:
            continue
        start, end = extent(rows, nested, i)
        if (start, end) != (row.start, row.end):
            flags[i] = True
        if above is not None and low != end:
            flags[above] = flags[i] = True
        above, low = i, start
    return flags


def extent(rows: Sequence[Row], nested: Sequence[bool], outer: int) -> Tuple[int, int]:
    """From where to where a row reaches together with those inside it."""
    start, end = rows[outer].start, rows[outer].end
    for row, inside in zip(rows[outer + 1 :], nested[outer + 1 :]):
        if not inside:
            break
        start, end = min(start, row.start), max(end, row.end)
    return start, end
