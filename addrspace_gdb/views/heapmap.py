"""The page map in block characters, or in ASCII."""

from __future__ import annotations

from itertools import groupby
from typing import Dict, Iterator, List, NamedTuple

from addrspace_gdb.common import sizes
from addrspace_gdb.goruntime.mspan import PAGE
from addrspace_gdb.space.heap import pages
from addrspace_gdb.space.heap.page_map import MIXED, NOTHING, PageMap
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.text import Line


class _Look(NamedTuple):
    """A use's character, in ASCII, its token, and what the legend says."""

    block: str
    ascii: str
    token: tokens.TokenType
    legend: str

    def cells(self, count: int, unicode: bool) -> str:
        """So many cells."""
        return (self.block if unicode else self.ascii) * count


_LOOKS: Dict[str, _Look] = {
    pages.OBJECTS: _Look("█", "#", tokens.ADDRESS, "objects"),
    MIXED: _Look("▓", "=", tokens.ADDRESS, "mostly objects"),
    pages.STACKS: _Look("s", "s", tokens.GROWTH, "stacks"),
    pages.OTHER: _Look("+", "+", tokens.MARK, "GC work"),
    pages.FREE: _Look("░", "-", tokens.TEXT, "free"),
    pages.RETURNED: _Look("·", ".", tokens.QUIET, "returned"),
    NOTHING: _Look(" ", " ", tokens.TEXT, ""),
}
_EDGE = 2  # blanks between the address and the cells


def map_columns(width: int, pointer_size: int) -> int:
    """Cells in a row: the largest power of two that fits beside an address."""
    room = width - len(sizes.address(0, pointer_size)) - _EDGE
    return 1 << max(3, room.bit_length() - 1)


def page_map_lines(
    found: PageMap, width: int, unicode: bool = True, pointer_size: int = 8
) -> Iterator[tokens.Pair]:
    """A line a row, the lowest addresses first; a heading with the scale and a legend."""
    kind = "a page" if found.cell == PAGE else f"{sizes.size(found.cell)}, {found.cell // PAGE:,} pages"
    row = sizes.size(found.cell * found.columns)
    head = (
        Line(width, unicode)
        .put(tokens.HEADING, "Page map")
        .put(tokens.QUIET, f"  a cell is {kind}; a row {row}")
    )
    yield from head
    edge = len(sizes.address(0, pointer_size)) + _EDGE
    end = found.rows[0].start if found.rows else 0
    for start, cells in found.rows:
        if start != end:
            yield from Line(width, unicode).skip_to(edge).put(tokens.QUIET, "..." if not unicode else "…")
        line = Line(width, unicode).put(tokens.ADDRESS, sizes.address(start, pointer_size)).skip_to(edge)
        for use, group in groupby(cells):
            line.put(_LOOKS[use].token, _LOOKS[use].cells(len(list(group)), unicode))
        yield from line
        end = start + found.cell * found.columns
    yield from _legend(found, width, unicode, edge)


def _legend(found: PageMap, width: int, unicode: bool, edge: int) -> Iterator[tokens.Pair]:
    there = {use for row in found.rows for use in row.cells if use}
    line = Line(width, unicode).skip_to(edge)
    shown: List[str] = [use for use in _LOOKS if use in there]
    for number, use in enumerate(shown):
        look = _LOOKS[use]
        line.put(look.token, look.cells(1, unicode))
        line.put(tokens.QUIET, f" {look.legend}" + ("   " if number + 1 < len(shown) else ""))
    yield from line
