"""One row of the diagram laid out: what stands inside the box, and what beside it."""

from __future__ import annotations

from typing import List, NamedTuple

from addrspace_gdb.common import sizes
from addrspace_gdb.space.regions.model import Picture, Row
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.glyphs import Glyphs, glyphs
from addrspace_gdb.views.kit.text import Line, cells, clean, clip, clip_words, wrap

COLUMN = 10  # columns for a size
WIDE = 96  # from this width on the box is a little wider
LEGIBLE = 10  # columns below which the beginning of a text is not worth showing


class BoxColumns(NamedTuple):
    """Where the columns stand."""

    width: int
    unicode: bool
    glyphs: Glyphs
    pointer_size: int
    left: int  # columns for the addresses at the left edge
    inner: int  # columns between the edges of the box

    @classmethod
    def of(cls, picture: Picture, width: int, unicode: bool) -> BoxColumns:
        """The frame for these rows: the left edge is as wide as the widest address of them."""
        pointer_size = picture.target.pointer_size
        ends = [address for row in picture.rows if row.pieces for address in (row.start, row.end)]
        left = max((len(sizes.address(end, pointer_size)) for end in ends), default=0)
        return cls(width, unicode, glyphs(unicode), pointer_size, min(left, 18), 23 if width >= WIDE else 22)

    @property
    def right(self) -> int:
        """The column at which what stands beside the box begins."""
        return self.left + self.inner + (5 if self.width >= WIDE else 4)

    @property
    def tail(self) -> int:
        """The column at which what follows the sizes begins."""
        return self.right + 2 * COLUMN + 3

    def line(self, address: str = "") -> Line:
        """A new line, with an address at its left edge or without."""
        address = clip(address, self.left, self.unicode)
        line = Line(self.width, self.unicode).skip_to(self.left - len(address))
        return line.put(tokens.ADDRESS, address).skip_to(self.left + 1)

    def address(self, n: int) -> str:
        """An address of the target."""
        return sizes.address(n, self.pointer_size)

    def range(self, row: Row, width: int) -> str:
        """Both ends of a row, if need be shortened to `width`, or else so that it can be wrapped."""
        start, end = self.address(row.start), self.address(row.end)
        for text in (f"{start}-{end}", f"{start}-{end[2:]}"):
            if len(text) <= width:
                return text
        return f"{start}- {end}"


class Block(NamedTuple):
    """A row, laid out."""

    row: Row
    nested: bool  # drawn inside the block before it
    inside: List[str]  # lines in the box
    marks: str  # "◀ pc sp", after the sizes
    range: str  # after the marks, if it goes there
    tail: str  # at the end of the first line
    detail: List[str]  # lines below the sizes
    complete: bool  # nothing about where the row lies was left out, of its detail perhaps something

    @property
    def height(self) -> int:
        """Lines, without separators."""
        return max(len(self.inside), 1 + len(self.detail))


def block(row: Row, nested: bool, ranged: bool, frame: BoxColumns, limit: int) -> Block:
    """Lay out `row` in at most 1 + `limit` lines.

    `ranged`: it must say its own range, as the separators cannot. What fits beside the sizes stands there.
    """
    name, detail = clean(row.name, frame.unicode), clean(row.detail, frame.unicode)
    growth, pieces, origin = _growth(row, frame), _pieces(row), "" if nested else _origin(row, frame)
    marks = f"{frame.glyphs.pointer} {' '.join(row.marks)}" if row.marks else ""
    room = frame.width - frame.tail - (len(marks) + 2 if marks else 0)
    span = frame.range(row, frame.width - frame.right) if ranged else ""
    beside = span if len(span) <= room else ""
    room -= len(beside) + 2 if beside else 0
    span = "" if beside else span
    notes = [text for text in (growth, pieces, origin) if text]
    if growth and pieces and limit == 1:
        notes[:2] = [f"{growth[:1]} {pieces}"]
    if limit:
        inside, tail = [name, *notes[:limit]], _join(span, *notes[limit:], detail)
    else:
        marked = f"{name} {growth[:1]}".rstrip()
        whole = cells(marked) <= frame.inner - (6 if nested else 3)  # the name matters more than the mark
        inside, tail = [marked if whole else name], _join(span, pieces, origin, detail)
    lines: List[str] = []
    must = _join(span, *(notes[limit:] if limit else (pieces, origin)))
    if limit and cells(tail) > room:
        tail, lines = "", wrap(tail, frame.width - frame.right, limit, frame.unicode)
    elif cells(tail) > room:
        tail = clip_words(tail, room, frame.unicode) if room >= LEGIBLE else ""
    return Block(row, nested, inside, marks, beside, tail, lines, bool(lines) or tail.startswith(must))


def _join(*texts: str) -> str:
    return "; ".join(text for text in texts if text)


def _growth(row: Row, frame: BoxColumns) -> str:
    verb = "grow" if row.name.endswith("s") else "grows"
    arrow = {"up": frame.glyphs.up, "down": frame.glyphs.down}.get(row.growth)
    return f"{arrow} {verb} {row.growth}ward" if arrow else ""


def _pieces(row: Row) -> str:
    return f"in {sizes.count(row.pieces)} pieces" if row.pieces > 1 else ""


def _origin(row: Row, frame: BoxColumns) -> str:
    return clean(f"inside {row.inside}", frame.unicode) if row.inside else ""
