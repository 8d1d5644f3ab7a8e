"""What is at one address, as a card, or at many, as a table."""

from __future__ import annotations

from typing import Iterator, Optional, Sequence, Tuple

from addrspace_gdb.common import sizes
from addrspace_gdb.space.where.answers import Where
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.table import GAP, Column, narrowed, table
from addrspace_gdb.views.kit.text import Line, clean, clip, wrap
from addrspace_gdb.views.wherewords import facts, what

_INDENT = 14
_MIN_WHAT = 24  # columns for what is there, however narrow the rest leaves it
_MAX_EXPRESSION = 24  # characters
_WIDE = 120  # from here on there is room for permissions and residency
_LINES = 3  # of one fact
_PATH_LINES = 12  # of a path, which says nothing if it is cut


def where_card(
    where: Where, width: Optional[int] = 100, unicode: bool = True, pointer_size: int = 8
) -> Iterator[tokens.Pair]:
    """One address: the one thing to know about it, then everything, from the outside in."""
    columns = width if width is not None else 1 << 16
    address = sizes.address(where.address, pointer_size)
    left = len(address) + GAP
    for number, part in enumerate(wrap(clean(what(where), unicode), columns - left, _LINES, unicode) or [""]):
        head = Line(columns, unicode).put(tokens.ADDRESS, "" if number else address).skip_to(left)
        yield from head.put(tokens.HEADING, part)
    typed = where.value.expression
    if typed and typed not in (address, hex(where.address)):
        line = Line(columns, unicode).put(tokens.QUIET, "  expression").skip_to(_INDENT)
        yield from line.put(tokens.TEXT, clean(typed, unicode))
    for name, text in facts(where, pointer_size, unicode):
        token = tokens.PROBLEM if name == "problem" else tokens.TEXT
        lines = _PATH_LINES if name == "held by" else _LINES
        for number, part in enumerate(wrap(clean(text, unicode), columns - _INDENT, lines, unicode)):
            line = Line(columns, unicode).put(tokens.QUIET, "" if number else f"  {name}").skip_to(_INDENT)
            yield from line.put(token, part)


_AREA = Column("Area", "left", tokens.NAME)


def where_table(
    places: Sequence[Where], width: Optional[int] = 100, unicode: bool = True, pointer_size: int = 8
) -> Iterator[tokens.Pair]:
    """One row an address. Wide output, as to a file (`width` None), cuts nothing; a narrow one says less."""
    columns = [
        Column("Expression", "left", tokens.TEXT),
        Column("Address", "left", tokens.ADDRESS),
        _AREA,
        Column("Perm", "left", tokens.QUIET),
        Column("Page", "left", tokens.QUIET),
        Column("What", "left", tokens.TEXT),
    ]
    rows = [_row(where, width, unicode, pointer_size) for where in places]
    shown = [0] if any(row[0] for row in rows) else []
    if shown:  # beside expressions numbers are told as they were typed
        rows = [(row[0] or clean(one.value.expression, unicode), *row[1:]) for one, row in zip(places, rows)]
    shown += [1, 2, 5] if width is not None and width < _WIDE else [1, 2, 3, 4, 5]
    columns, rows = [columns[i] for i in shown], [tuple(row[i] for i in shown) for row in rows]
    if width is not None:
        columns, rows = narrowed(columns, rows, width, [columns.index(_AREA)], _MIN_WHAT)
        rows = list(_wrapped(columns, rows, width, unicode))
    yield from table(columns, rows)


_PAGES = {True: "in", False: "out", None: "?"}


def _row(where: Where, width: Optional[int], unicode: bool, pointer_size: int) -> Tuple[str, ...]:
    address = sizes.address(where.address, pointer_size)
    typed = clean(where.value.expression, unicode)
    typed = "" if typed in (address, hex(where.address), str(where.address)) else typed
    if width is not None:
        typed = clip(typed, _MAX_EXPRESSION, unicode)
    page = _PAGES[where.resident] if where.mapping is not None else ""
    return (typed, address, where.region.area, where.region.permissions, page, clean(what(where), unicode))


def _wrapped(
    columns: Sequence[Column], rows: Sequence[Tuple[str, ...]], width: int, unicode: bool
) -> Iterator[Tuple[str, ...]]:
    """Each row in as many lines as its last cell takes."""
    used = 0
    for index, column in enumerate(columns[:-1]):
        used += max([len(row[index]) for row in rows] + [len(column.heading)]) + GAP
    empty = [""] * (len(columns) - 1)
    for row in rows:
        for number, part in enumerate(wrap(row[-1], max(width - used, _MIN_WHAT), _LINES, unicode) or [""]):
            yield (*(empty if number else row[:-1]), part)
