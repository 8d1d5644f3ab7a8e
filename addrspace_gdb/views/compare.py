"""Two address spaces as text: both diagrams side by side, or a row for each address that was asked for."""

from __future__ import annotations

import os
from typing import Iterator, List, NamedTuple, Optional, Tuple

from addrspace_gdb.common import sizes
from addrspace_gdb.space.diagram.bands import STACKS_ROW
from addrspace_gdb.space.moments.compare import (
    ONE_ONLY,
    OTHER,
    SAME_FILE,
    SAME_PAGE,
    ZERO_PAGE,
    ComparedPlace,
    Comparison,
    Extent,
    PairRow,
    Point,
)
from addrspace_gdb.space.moments.shared_pages import BY_OFFSET, Side
from addrspace_gdb.views.goroutine_groups import fit_last
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.block import COLUMN
from addrspace_gdb.views.kit.glyphs import Glyphs, glyphs
from addrspace_gdb.views.kit.table import Column, table
from addrspace_gdb.views.kit.text import Line, cells, clean, clip
from addrspace_gdb.views.memstats import paragraph
from addrspace_gdb.views.stackparts import program

NARROWEST, WIDEST = 72, 120
_WIDE = 106  # from this width on each side has its sizes
_MIDDLE = 3  # columns of the sign between the boxes
_SIGNS = {True: ("=", "≠", "?"), False: ("=", "x", "?")}


def compare_text(one: Comparison, width: Optional[int] = 100, unicode: bool = True) -> Iterator[tokens.Pair]:
    """The points if there are any, else the diagrams; `width` None cuts no cell of the table (for files)."""
    room = min(max(width or WIDEST, NARROWEST), WIDEST)
    for number, side in enumerate((one.left, one.right), 1):
        yield from _title(number, side, room, unicode)
    yield tokens.NEWLINE
    if one.points:
        yield from _points(one, width, unicode)
    else:
        for line in _diagram(one, room, unicode):
            yield from line
        for line in paragraph("", _sum(one, unicode), room, unicode):
            yield from line
    for side in (one.left, one.right):
        for text in side.snapshot.problems:
            for line in paragraph("problem: ", clean(f"{side.name}: {text}", unicode), room, unicode):
                yield from line
    for text in one.notes:
        for line in paragraph("note: ", clean(text, unicode), room, unicode):
            yield from line


def _title(number: int, side: Side, width: int, unicode: bool) -> Line:
    target = side.snapshot.target
    what = {"live": "pid ", "core": "core of pid "}.get(target.kind, f"{target.kind} pid ")
    facts = [
        side.name,
        f"{what}{target.pid or sizes.UNKNOWN}",
        program(target.executable),
        target.go_version or "Go version ?",
    ]
    text = glyphs(unicode).dot.join(clean(fact, unicode) for fact in facts)
    return Line(width, unicode).put(tokens.MARK, f"{number} ").put(tokens.HEADING, text)


def _sum(one: Comparison, unicode: bool) -> str:
    same = sum(one.shared.runs.ends) - sum(one.shared.runs.starts)
    verb = (
        "are pages of the same files"
        if one.shared.evidence == BY_OFFSET
        else "resident are physically shared"
    )
    text = f"Mapped at the same addresses in both: {sizes.size(one.both)}, of which {sizes.size(same)} {verb}"
    if one.shared.hidden:
        text += f"; not known of {sizes.size(one.shared.hidden)}"
    signs = dict(zip(_SIGNS[unicode], ("the same memory", "other memory", "not known")))
    used = {_sign(row, one, unicode) for row in one.rows}
    legend = ", ".join(f"{sign} {meaning}" for sign, meaning in signs.items() if sign in used)
    return text + (f" ({legend}; told by {one.shared.evidence})" if legend else "")


class _Frame(NamedTuple):
    width: int
    unicode: bool
    g: Glyphs
    pointer_size: int
    left: int  # columns for an address
    inner: int  # columns between the edges of a box
    sized: bool

    @property
    def side(self) -> int:
        """Columns of one side."""
        return self.left + 1 + self.inner + 2 + (COLUMN + 1 if self.sized else 0)


def _diagram(one: Comparison, width: int, unicode: bool) -> List[Line]:
    pointer_size = one.left.snapshot.target.pointer_size
    starts = [side.start for row in one.rows for side in (row.left, row.right) if side is not None]
    left = max((len(sizes.address(start, pointer_size)) for start in starts), default=14)
    sized = width >= _WIDE
    spare = width - _MIDDLE - COLUMN - 1 - 2 * (left + 3 + (COLUMN + 1 if sized else 0))
    frame = _Frame(width, unicode, glyphs(unicode), pointer_size, left, min(22, max(12, spare // 2)), sized)
    lines = [_edge(frame, True)]
    lines += [_row(row, one, frame) for row in one.rows]
    return [*lines, _edge(frame, False)]


def _edge(frame: _Frame, top: bool) -> Line:
    g = frame.g
    a, b = (g.corners[0], g.corners[1]) if top else (g.corners[2], g.corners[3])
    line = Line(frame.width, frame.unicode)
    for side in (0, 1):
        number = f"{g.horizontal} {side + 1} " if top else ""
        at = side * (frame.side + _MIDDLE)
        line.skip_to(at).put(tokens.QUIET, f"{'starts at' if top else '':>{frame.left}} ")
        line.put(tokens.BOX, a + number + g.horizontal * (frame.inner - len(number)) + b)
        if top and frame.sized:
            line.put(tokens.QUIET, f" {'Size':>{COLUMN}}")
    line.skip_to(2 * frame.side + _MIDDLE)
    return line.put(tokens.QUIET, f" {'Same':>{COLUMN}}" if top else "")


def _row(row: PairRow, one: Comparison, frame: _Frame) -> Line:
    line = Line(frame.width, frame.unicode)
    _box(line, row.name, row.left, frame)
    line.skip_to(frame.side).put(tokens.MARK, f" {_sign(row, one, frame.unicode)} ")
    line.skip_to(frame.side + _MIDDLE)
    _box(line, row.name, row.right, frame)
    line.skip_to(2 * frame.side + _MIDDLE)
    return line.put(tokens.GOOD, f" {sizes.size(row.same) if row.same else '':>{COLUMN}}")


def _box(line: Line, name: str, side: Optional[Extent], frame: _Frame) -> None:
    if side is None:
        return
    g = frame.g
    inner = f"{g.inner} " if name == STACKS_ROW else ""
    room = frame.inner - 2 - (2 * len(inner))
    end = f" {g.inner} " if inner else " "
    text = f"{clip(name, room, frame.unicode):<{room}}"
    line.put(tokens.ADDRESS, f"{sizes.address(side.start, frame.pointer_size):>{frame.left}}")
    line.put(tokens.BOX, f" {g.vertical} {inner}").put(tokens.NAME, text).put(tokens.BOX, end + g.vertical)
    if frame.sized:
        line.put(tokens.SIZE, f" {sizes.size(side.size):>{COLUMN}}")


def _sign(row: PairRow, one: Comparison, unicode: bool) -> str:
    """Whether what both have mapped there is the same memory."""
    same, other, unknown = _SIGNS[unicode]
    if row.same:
        return same
    if not row.both:
        return " "
    return unknown if one.shared.hidden else other


def _points(one: Comparison, width: Optional[int], unicode: bool) -> Iterator[tokens.Pair]:
    pointer_size = one.left.snapshot.target.pointer_size
    columns = [
        Column("Address", "left", tokens.ADDRESS),
        Column("In 1", "left", tokens.NAME),
        Column("In 2", "left", tokens.NAME),
        Column("", "left", tokens.MARK),
        Column("Page", "left", tokens.TEXT),
    ]
    rows: List[Tuple[str, ...]] = [
        (
            sizes.address(point.address, pointer_size),
            _place(point.left, unicode),
            _second(point, unicode),
            _point_sign(point, unicode),
            clean(_verdict(point), unicode),
        )
        for point in one.points
    ]
    rows = _places_cut(rows, width, unicode)
    fitted = fit_last(columns, rows, width, unicode)
    cut = [(*row[:-1], clip(row[-1], cells(other[-1]), unicode)) for row, other in zip(rows, fitted)]
    yield from table(columns, cut)


_BESIDE = 43  # columns of an address, a sign, gaps and the least of the verdict


def _places_cut(rows: List[Tuple[str, ...]], width: Optional[int], unicode: bool) -> List[Tuple[str, ...]]:
    """With both places cut to what `width` has for them."""
    if width is None or not rows:
        return rows
    room = max(24, width - _BESIDE)
    second = min(max(cells(row[2]) for row in rows), room // 2)
    return [
        (row[0], clip(row[1], room - second, unicode), clip(row[2], second, unicode), *row[3:])
        for row in rows
    ]


def _second(point: Point, unicode: bool) -> str:
    """What it is in the second, where that is another thing than in the first."""
    first, second = _place(point.left, unicode), _place(point.right, unicode)
    return "the same" if first == second and point.left is not None else second


def _point_sign(point: Point, unicode: bool) -> str:
    same, other, unknown = _SIGNS[unicode]
    if point.verdict in (SAME_PAGE, SAME_FILE, ZERO_PAGE):
        return same
    if point.verdict in (OTHER, ONE_ONLY):
        return other
    return unknown if point.left is not None else ""


def _place(place: Optional[ComparedPlace], unicode: bool) -> str:
    """ "code: text sample+0x1000"; "not mapped"."""
    if place is None:
        return "not mapped"
    what = place.what
    text = f"{what.area}: {what.kind}" + (f" {what.label}" if what.label else "")
    if place.file is not None and place.offset is not None:
        text += f" {os.path.basename(place.file)}+{place.offset:#x}"
    return clip(clean(text, unicode), 44, unicode)


def _verdict(point: Point) -> str:
    frames = [place.frame for place in (point.left, point.right) if place is not None]
    known = [f"{frame:#x}" for frame in frames if frame is not None]
    text = point.verdict
    if len(known) == 2:
        text += f", {known[0]}" if known[0] == known[1] else f", {known[0]} and {known[1]}"
    return text + (f"; {point.reason}" if point.reason else "")
