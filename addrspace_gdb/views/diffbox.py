"""The diagram of a difference: the rows of both moments in address order, and how much each has grown.

Above the heap's row stands what it grew upward by, parted from it where it ended before.
"""

from __future__ import annotations

from typing import List, NamedTuple, Optional

from addrspace_gdb.common import sizes
from addrspace_gdb.space.diagram.bands import HEAP_ROW, STACKS_ROW
from addrspace_gdb.space.moments.diff import Difference, HeapGrowth, RowChange
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.block import COLUMN
from addrspace_gdb.views.kit.glyphs import Glyphs, glyphs
from addrspace_gdb.views.kit.text import Line, clip
from addrspace_gdb.views.kit.units import growth

_INNER = 22  # columns between the edges of the box
_WIDE = 92  # from this width on there is room for what is resident now


class _Frame(NamedTuple):
    width: int
    unicode: bool
    g: Glyphs
    pointer_size: int
    left: int  # columns for addresses

    @property
    def right(self) -> int:
        """Where the numbers begin."""
        return self.left + 1 + _INNER + 2

    @property
    def wide(self) -> bool:
        return self.width >= _WIDE

    @property
    def narrow(self) -> bool:
        """There is room for what has changed alone."""
        return self.right + 3 * (1 + COLUMN) > self.width

    def line(self, address: Optional[int] = None) -> Line:
        text = "" if address is None else sizes.address(address, self.pointer_size)
        return (
            Line(self.width, self.unicode).put(tokens.ADDRESS, f"{text:>{self.left}}").put(tokens.TEXT, " ")
        )

    def numbers(self, line: Line, *cells: str) -> Line:
        line.skip_to(self.right)
        for cell in cells:
            token = tokens.GROWTH if cell.startswith(("+", "-")) else tokens.SIZE
            line.put(tokens.TEXT, " ").put(token, f"{cell:>{COLUMN}}")
        return line


def diff_box(diff: Difference, width: int, unicode: bool = True) -> List[Line]:
    """One line a row, and the heap's growth drawn on top of it."""
    pointer_size = diff.after.target.pointer_size
    addresses = [row.start for row in diff.rows]
    if diff.heap is not None:
        addresses.append(diff.heap.top_before)
    left = max((len(sizes.address(one, pointer_size)) for one in addresses), default=0)
    frame = _Frame(width, unicode, glyphs(unicode), pointer_size, left)
    lines = [_top(frame)]
    top = next((row for row in diff.rows if row.name == HEAP_ROW), None)
    nests = False
    for row in diff.rows:
        if row is top and diff.heap is not None and diff.heap.top_after > diff.heap.top_before:
            lines += _grown(diff.heap, frame)
        lines.append(_row(row, frame, nests and row.name == STACKS_ROW))
        nests = row.name == HEAP_ROW
    g = frame.g
    lines.append(frame.line().put(tokens.BOX, g.corners[2] + g.horizontal * _INNER + g.corners[3]))
    return lines


def _top(frame: _Frame) -> Line:
    g = frame.g
    line = Line(frame.width, frame.unicode).put(tokens.QUIET, f"{'starts at':>{frame.left}} ")
    line.put(tokens.BOX, g.corners[0] + g.horizontal * _INNER + g.corners[1]).skip_to(frame.right)
    headings = ("Size", "Change", "Resident", "Change") if frame.wide else ("Size", "Change", "Resident")
    shown = headings[1:] if frame.narrow else headings
    return line.put(tokens.QUIET, "".join(f" {heading:>{COLUMN}}" for heading in shown))


def _grown(heap: HeapGrowth, frame: _Frame) -> List[Line]:
    """What is above the heap's old end, and the line where it ended."""
    g = frame.g
    line = frame.line(heap.top_before).put(tokens.BOX, f"{g.vertical} ")
    line.put(tokens.GROWTH, f" {f'{g.up} grew upward':<{_INNER - 2}}").put(tokens.BOX, g.vertical)
    end = sizes.address(heap.top_after, frame.pointer_size)
    line.put(tokens.GROWTH, f"  +{sizes.size(heap.above)}").put(tokens.TEXT, f" in use, up to {end}")
    dashes = g.inner_top[1] * _INNER
    edge = frame.line().put(tokens.BOX, f"{g.left_tee}{dashes}{g.right_tee}")
    return [line, edge.put(tokens.QUIET, "  the heap ended here")]


def _row(row: RowChange, frame: _Frame, nested: bool) -> Line:
    g, change = frame.g, row.change
    gone, new = change.after.regions == 0, change.before.regions == 0
    edge = g.gap if gone else g.vertical
    inner = f"{g.inner} " if nested else " "
    room = _INNER - 1 - len(inner) - (2 if nested else 0)
    name = f"{clip(row.name, room, frame.unicode):<{room}}" + (f" {g.inner}" if nested else "")
    line = frame.line(row.start).put(tokens.BOX, f"{edge} {inner}")
    line.put(tokens.QUIET if gone else tokens.NAME, name).put(tokens.BOX, edge)
    cells = [sizes.size(change.after.size) if not gone else "", growth(change.size)]
    if frame.wide:
        cells.append(sizes.size(change.after.resident) if not gone else "")
    cells.append(growth(change.resident))
    frame.numbers(line, *cells[frame.narrow :])
    remark = "gone" if gone else "new" if new else ""
    return line.put(tokens.MARK, f"  {remark}" if remark else "")
