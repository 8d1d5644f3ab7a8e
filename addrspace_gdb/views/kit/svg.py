"""Tokens as an SVG picture, for talks and pages: text stays text, every run of it at its own column.

Pygments' own SvgFormatter leaves the picture without a size and a background, and lets each font say how wide
a character is, which pulls boxes apart. So only the styles are Pygments'.
"""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Tuple, Type
from xml.sax.saxutils import escape

from pygments.style import Style

from addrspace_gdb.common.escape import printable
from addrspace_gdb.views.kit.render import DEFAULT_STYLE, find_style
from addrspace_gdb.views.kit.text import cells
from addrspace_gdb.views.kit.tokens import Tokens, TokenType

SIZE = 14  # of the letters, in pixels; a column is 0.6 of that in nearly every monospaced font
COLUMN, LINE, MARGIN = 8.4, 17, 14
_FONTS = "ui-monospace,'DejaVu Sans Mono','Cascadia Mono',Menlo,Consolas,'Liberation Mono',monospace"
# Background and text on light and on dark, for our own style, which reads on both.
_LIGHT, _DARK = ("#ffffff", "#24292f"), ("#0d1117", "#e6edf3")

# Glyphs that must meet their neighbours whatever the font: lines of boxes by where their arms go, and shades.
_ARMS = {
    "─": "EW",
    "│": "NS",
    "┌": "ES",
    "┐": "SW",
    "└": "NE",
    "┘": "NW",
    "├": "NES",
    "┤": "NSW",
    "┬": "ESW",
    "┴": "NEW",
    "┼": "NESW",
    "╌": "EW",
    "╎": "NS",
    "┊": "NS",
}
_DASHED = "╌╎┊"
_SHADES = {"█": "1", "▓": ".65", "▒": ".45", "░": ".22"}
_ALONE = "│┌┐└┘├┤┬┴┼╎┊"
_PARTS = re.compile(rf"([─╌█▓▒░])\1*|[{_ALONE}]|(?![─╌█▓▒░{_ALONE} ])[^─╌█▓▒░{_ALONE}]*[^─╌█▓▒░{_ALONE} ]")

_Run = Tuple[TokenType, int, str]  # with the column where it stands


def svg(tokens: Tokens, title: str, style: str = DEFAULT_STYLE) -> Iterator[str]:
    """The picture, in pieces. ProblemError if there is no style of that name."""
    looks = _Looks(find_style(style), style == DEFAULT_STYLE)
    runs = [(number, run) for number, line in enumerate(_lines(tokens)) for run in line]
    body = [_drawn(run, number, looks) for number, run in runs]
    columns = max((column + cells(text) for _, (_, column, text) in runs), default=0)
    lines = runs[-1][0] + 1 if runs else 0
    width, height = round(columns * COLUMN) + 2 * MARGIN, lines * LINE + 2 * MARGIN
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}">\n<title>{_escaped(title)}</title>\n'
        f"<style>\n{looks.css()}</style>\n"
        f'<rect class="back" width="{width}" height="{height}" rx="6"/>\n'
    )
    yield from body
    yield "</svg>\n"


def _lines(tokens: Tokens) -> Iterator[List[_Run]]:
    """Line by line the runs that have something to see: text without the blanks around it, or one glyph."""
    line: List[_Run] = []
    column = 0
    for token, text in tokens:
        for number, part in enumerate(text.split("\n")):
            if number:
                yield line
                line, column = [], 0
            for found in _PARTS.finditer(part):
                before = cells(part[: found.start()])
                line.append((token, column + before, found.group()))
            column += cells(part)
    if line:
        yield line


def _drawn(run: _Run, number: int, looks: _Looks) -> str:
    """A run of the line of that number."""
    token, column, text = run
    x, y, width = MARGIN + column * COLUMN, MARGIN + number * LINE, cells(text) * COLUMN
    look = looks.of(token)
    kind = f' class="{look}"' if look else ""
    if text[0] in _SHADES:
        return (
            f'<rect{kind} x="{x:.1f}" y="{y}" width="{width:.1f}" height="{LINE}"'
            f' fill-opacity="{_SHADES[text[0]]}"/>\n'
        )
    if text[0] in _ARMS:
        dashes = ' stroke-dasharray="3 2.6"' if text[0] in _DASHED else ""
        return f'<path{kind}{dashes} d="{_strokes(text[0], x, y, width)}"/>\n'
    return (
        f'<text{kind} x="{x:.1f}" y="{y + SIZE - 1}" textLength="{width:.1f}"'
        f' lengthAdjust="spacingAndGlyphs">{_escaped(text)}</text>\n'
    )


def _strokes(glyph: str, x: float, y: float, width: float) -> str:
    """The lines of a glyph of a box; many of one in a row are one line."""
    arms = _ARMS[glyph]
    middle, across = x + COLUMN / 2, y + LINE / 2
    left, right = (x if "W" in arms else middle), (x + width if "E" in arms else middle)
    top, bottom = (y if "N" in arms else across), (y + LINE if "S" in arms else across)
    level = f"M{left:.1f} {across:.1f}H{right:.1f}" if left != right else ""
    return level + (f"M{middle:.1f} {top:.1f}V{bottom:.1f}" if top != bottom else "")


def _escaped(text: str) -> str:
    """Text as XML can have it."""
    return escape(text if text.isprintable() else printable(text))


class _Looks:
    """The classes of CSS for the tokens that occur."""

    def __init__(self, style: Type[Style], own: bool) -> None:
        self._style, self._own = style, own
        self._names: Dict[TokenType, str] = {}
        self._rules: Dict[str, str] = {}  # by what they say, their names

    def of(self, token: TokenType) -> str:
        """A token's class; empty if it looks as all text does."""
        name = self._names.get(token)
        if name is None:
            rule = self._rule(token)
            name = self._rules.setdefault(rule, f"t{len(self._rules)}") if rule else ""
            self._names[token] = name
        return name

    def _rule(self, token: TokenType) -> str:
        look = self._style.style_for_token(token)
        said = [
            f"color:#{look['color']}" if look["color"] else "",
            "font-weight:bold" if look["bold"] else "",
            "font-style:italic" if look["italic"] else "",
            "text-decoration:underline" if look["underline"] else "",
        ]
        return ";".join(filter(None, said))

    def css(self) -> str:
        """The style sheet."""
        back, text = _LIGHT if self._own else self._of_style()
        made = [
            f"svg{{color:{text}}}",
            f"text{{font:{SIZE}px {_FONTS};white-space:pre;fill:currentColor}}",
            "path{fill:none;stroke:currentColor}rect{fill:currentColor}",
            f"rect.back{{fill:{back}}}",
        ]
        if self._own:
            dark, light = _DARK
            made.append(f"@media(prefers-color-scheme:dark){{svg{{color:{light}}}rect.back{{fill:{dark}}}}}")
        made += [f".{name}{{{rule}}}" for rule, name in self._rules.items()]
        return "\n".join(made) + "\n"

    def _of_style(self) -> Tuple[str, str]:
        """Background and text of a style of Pygments."""
        back = self._style.background_color
        digits = back.lstrip("#")
        if len(digits) == 3:
            digits = "".join(digit * 2 for digit in digits)
        dark = sum(int(digits[at : at + 2], 16) for at in (0, 2, 4)) < 384
        return back, _DARK[1] if dark else _LIGHT[1]
