"""The characters that boxes are drawn with: Unicode, and plain ASCII that says the same."""

from __future__ import annotations

from typing import NamedTuple


class Glyphs(NamedTuple):
    """One character each, except where said."""

    horizontal: str
    vertical: str
    gap: str  # the vertical edge of a row that is not mapped
    corners: str  # four: top left, top right, bottom left, bottom right
    left_tee: str
    right_tee: str
    inner: str  # the vertical edge of a row inside another row
    inner_top: str  # three: left corner, line, right corner
    inner_foot: str  # where an inner edge stands on the outer row's frame
    up: str
    down: str
    pointer: str
    dot: str  # between facts, with its blanks
    level: str  # before what is one level down in a tree, with its blank


UNICODE = Glyphs("─", "│", "┊", "┌┐└┘", "├", "┤", "╎", "┌╌┐", "┴", "↑", "↓", "◀", " · ", "· ")
ASCII = Glyphs("-", "|", ":", "++++", "+", "+", "|", "+-+", "+", "^", "v", "<", ", ", ". ")


def glyphs(unicode: bool) -> Glyphs:
    """The set for a terminal that shows Unicode, or for one that may not."""
    return UNICODE if unicode else ASCII
