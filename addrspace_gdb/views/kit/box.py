"""Blocks to lines: the box itself, with its separators, or close together without them."""

from __future__ import annotations

from typing import List, NamedTuple, Sequence

from addrspace_gdb.views.kit import facts, tokens
from addrspace_gdb.views.kit.block import COLUMN, Block, BoxColumns
from addrspace_gdb.views.kit.text import Line, cells, clip

HIGH = "High memory addresses"
LOW = "Low memory addresses"


class _Group(NamedTuple):
    outer: Block
    inner: List[Block]

    @property
    def start(self) -> int:
        return min(block.row.start for block in (self.outer, *self.inner))

    @property
    def end(self) -> int:
        return max(block.row.end for block in (self.outer, *self.inner))


def height(blocks: Sequence[Block]) -> int:
    """Lines that `draw` takes."""
    return sum(block.height + 1 for block in blocks) + 1


def draw(blocks: Sequence[Block], frame: BoxColumns) -> List[Line]:
    """The box, each row between separators with addresses."""
    groups = _groups(blocks)
    lines = [_top(frame, frame.address(groups[0].end) if _exists(groups[:1]) else "")]
    for index, group in enumerate(groups):
        lines += _rows(group.outer, frame)
        for block in group.inner:
            lines.append(_inner_top(frame))
            lines += _rows(block, frame)
        if index + 1 < len(groups):
            lines.append(_edge(frame, _boundary(groups, index, frame), "tees", bool(group.inner)))
    bottom = frame.address(groups[-1].start) if _exists(groups[-1:]) else ""
    lines.append(_bottom(frame, bottom, bool(groups and groups[-1].inner)))
    return lines


def draw_close(blocks: Sequence[Block], frame: BoxColumns) -> List[Line]:
    """One line a row and no separators, for more rows than a screen has room for: each with its start."""
    lines = [_top(frame, "starts at")]
    for block in blocks:
        start = frame.address(block.row.start) if block.row.pieces else ""
        lines += _rows(block, frame, start)
    lines.append(_bottom(frame, "", bool(blocks and blocks[-1].nested)))
    return lines


def _groups(blocks: Sequence[Block]) -> List[_Group]:
    groups: List[_Group] = []
    for block in blocks:
        if block.nested:
            groups[-1].inner.append(block)
        else:
            groups.append(_Group(block, []))
    return groups


def _exists(groups: Sequence[_Group]) -> bool:
    return bool(groups and groups[0].outer.row.pieces)


def _boundary(groups: Sequence[_Group], index: int, frame: BoxColumns) -> str:
    """The address between a row and the next, "" if they do not meet; rows that do not exist are no wall."""
    above = [group for group in groups[: index + 1] if group.outer.row.pieces]
    below = [group for group in groups[index + 1 :] if group.outer.row.pieces]
    if not above or not below or above[-1].start != below[0].end:
        return ""
    return frame.address(below[0].end)


def _top(frame: BoxColumns, address: str) -> Line:
    g = frame.glyphs
    beside = frame.width - frame.tail >= len(HIGH)
    middle = "" if beside else " High addresses "
    middle = middle.center(frame.inner, "\0").replace("\0", g.horizontal)
    line = frame.line(address).put(tokens.BOX, g.corners[0] + middle + g.corners[1])
    line.skip_to(frame.right).put(tokens.QUIET, f"{'Size':>{COLUMN}} {'Resident':>{COLUMN}}")
    return line.skip_to(frame.tail).put(tokens.QUIET, HIGH if beside else "")


def _bottom(frame: BoxColumns, address: str, foot: bool) -> Line:
    line = _edge(frame, address, "corners", foot)
    column = frame.tail if frame.width - frame.tail >= len(LOW) else frame.right + 1
    return line.skip_to(column).put(tokens.QUIET, LOW)


def _edge(frame: BoxColumns, address: str, kind: str, foot: bool) -> Line:
    """A horizontal line; `foot`: an inner box stands on it."""
    g = frame.glyphs
    left, right = (g.left_tee, g.right_tee) if kind == "tees" else (g.corners[2], g.corners[3])
    middle = g.horizontal * frame.inner
    if foot:
        middle = g.horizontal + g.inner_foot + g.horizontal * (frame.inner - 4) + g.inner_foot + g.horizontal
    return frame.line(address).put(tokens.BOX, left + middle + right)


def _inner_top(frame: BoxColumns) -> Line:
    g = frame.glyphs
    top = g.inner_top[0] + g.inner_top[1] * (frame.inner - 4) + g.inner_top[2]
    return frame.line().put(tokens.BOX, f"{g.vertical} {top} {g.vertical}")


def _rows(block: Block, frame: BoxColumns, address: str = "") -> List[Line]:
    lines = []
    for index in range(block.height):
        line = frame.line(address if index == 0 else "")
        _inside(line, block, index, frame)
        if index == 0:
            _beside(line, block, frame)
        elif index <= len(block.detail):
            token = tokens.TEXT if block.row.mapped else tokens.QUIET
            line.skip_to(frame.right).put(token, block.detail[index - 1])
        lines.append(line)
    return lines


def _inside(line: Line, block: Block, index: int, frame: BoxColumns) -> None:
    """The box's part of a line: edges, and the name or what is said about it."""
    edge = frame.glyphs.vertical if block.row.mapped else frame.glyphs.gap
    if block.nested:
        left, right = f"{edge} {frame.glyphs.inner} ", f" {frame.glyphs.inner} {edge}"
    else:
        left, right = f"{edge}  ", f" {edge}"
    text = block.inside[index] if index < len(block.inside) else ""
    room = frame.inner + 2 - len(left) - len(right)
    token = tokens.QUIET if index or not block.row.mapped else tokens.NAME
    if index and block.row.growth:
        token = tokens.GROWTH
    text = clip(text, room, frame.unicode)
    line.put(tokens.BOX, left).put(token, text).put(tokens.TEXT, " " * (room - cells(text)))
    line.put(tokens.BOX, right)


def _beside(line: Line, block: Block, frame: BoxColumns) -> None:
    """Sizes, marks, range and whatever else fits on the first line of a row."""
    number = tokens.SIZE if block.row.mapped and block.row.pieces else tokens.QUIET
    line.skip_to(frame.right).put(number, f"{facts.size(block.row):>{COLUMN}}")
    line.put(number, f" {facts.resident(block.row):>{COLUMN}}").skip_to(frame.tail)
    pairs = [(tokens.MARK, block.marks), (tokens.ADDRESS, block.range)]
    pairs.append((tokens.TEXT if block.row.mapped else tokens.QUIET, block.tail))
    first = True
    for token, text in pairs:
        if text:
            line.put(tokens.TEXT, "" if first else "  ").put(token, text)
            first = False
