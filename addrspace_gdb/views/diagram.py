"""The diagram: the tutorial's box with the live process in it, in true address order, on one screen.

On a screen with too few lines the separators go first, then rows: those that are not mapped, smallest
first, then small mapped ones, but never the heap, the stacks, or where the selected thread is.

A row carved out of another one is drawn inside it; together they are a group. An address stands at a
separator only where what is above starts and what is below ends there. Where two neighbours do not meet
(rows in several pieces lie between one another), the separator has no address and both say their range.
"""

from __future__ import annotations

from typing import Iterator, List, Optional, Sequence, Tuple

from addrspace_gdb.common import sizes
from addrspace_gdb.space.regions.model import Picture, Row
from addrspace_gdb.space.regions.region import GOROUTINE_STACKS, HEAP
from addrspace_gdb.views.kit import facts, tokens
from addrspace_gdb.views.kit.block import Block, BoxColumns, block
from addrspace_gdb.views.kit.box import draw, draw_close, height
from addrspace_gdb.views.kit.text import Line

MAX_LINES = 50
MIN_WIDTH = 72
MIN_LINES = 16  # however low the terminal is
FOOTER_LINES = 5  # that the rows leave free, if the footer has so much to say


def diagram(
    picture: Picture, width: int = 100, unicode: bool = True, screen: Optional[int] = None
) -> Iterator[tokens.Pair]:
    """The picture in at most MAX_LINES lines of `width` columns, at least MIN_WIDTH; with the lines of a
    `screen` in one less, at least MIN_LINES: a prompt follows.

    Without a screen every row has a line, so that more than 40 rows (no process has so many) make it longer.
    """
    width = max(width, MIN_WIDTH)
    most = MAX_LINES if screen is None else max(MIN_LINES, min(MAX_LINES, screen - 1))
    head = facts.header(picture, width, unicode)
    wanted = facts.footer(picture, width, unicode, most)
    room = most - len(head) - min(len(wanted), FOOTER_LINES if most > MAX_LINES // 2 else 3)
    box = _fold(picture.rows, BoxColumns.of(picture, width, unicode), room, screen is not None)
    foot = facts.footer(picture, width, unicode, most - len(head) - len(box))
    for line in (*head, *box, *foot):
        yield from line


def _fold(rows: Sequence[Row], frame: BoxColumns, room: int, least: bool) -> List[Line]:
    """The box in `room` lines: every row gets one, and more while there is room.

    With `least` rows are left out, and counted, where there are too many.
    """
    nested = nested_rows(rows)
    blocks = _blocks(rows, frame, ranged_rows(rows, nested), room - 2 * len(rows) - 1)
    if height(blocks) <= room:
        return draw(blocks, frame)
    kept = _kept(rows, room - 3) if least and len(rows) + 2 > room else rows
    lines = draw_close(_blocks(kept, frame, [False] * len(kept), room - 2 - len(kept)), frame)
    if len(kept) < len(rows):
        lines.append(_left_out([row for row in rows if row not in kept], frame))
    return lines


def _blocks(rows: Sequence[Row], frame: BoxColumns, ranged: Sequence[bool], spare: int) -> List[Block]:
    """Each row in one line, and in more in the order of `_wishes` as long as there are lines to spare."""
    nested = nested_rows(rows)
    blocks = [block(*row, frame, 0) for row in zip(rows, nested, ranged)]
    for i, limit in _wishes(rows, [not one.complete for one in blocks]):
        longer = block(rows[i], nested[i], ranged[i], frame, limit)
        more = longer.height - blocks[i].height
        if 0 <= more <= spare:
            spare -= more
            blocks[i] = longer
    return blocks


def _kept(rows: Sequence[Row], most: int) -> List[Row]:
    """The `most` rows that matter most, in their order."""

    def matters(row: Row) -> Tuple[bool, bool, int]:
        return bool(row.marks) or row.area in (HEAP, GOROUTINE_STACKS), row.mapped, row.size or 0

    best = sorted(range(len(rows)), key=lambda i: matters(rows[i]), reverse=True)[: max(1, most)]
    return [rows[i] for i in sorted(best)]


def _left_out(rows: Sequence[Row], frame: BoxColumns) -> Line:
    mapped = [row for row in rows if row.mapped and row.pieces]
    said = sizes.plural(len(rows) - len(mapped), "unmapped row")
    if mapped:
        known = [row.resident for row in mapped if row.resident is not None]
        resident = sizes.size(sum(known) if len(known) == len(mapped) else None)
        total = sizes.size(sum(row.size or 0 for row in mapped))
        said += f", {len(mapped)} small ({total}, {resident} resident)"
    return Line(frame.width, frame.unicode).put(tokens.QUIET, f"left out: {said}")


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
