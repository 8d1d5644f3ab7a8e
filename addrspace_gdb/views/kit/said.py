"""Problems and notes below a view."""

from __future__ import annotations

from typing import Iterator, List, Optional, Sequence, Tuple

from addrspace_gdb.views.kit.text import Line, clean, wrap
from addrspace_gdb.views.kit.tokens import PROBLEM, QUIET, Pair, TokenType

_LINES = 3  # of one of them
_MOST = 6  # lines of another text: a verdict ends with the command that leads on


def wrapped(
    token: TokenType, text: str, width: Optional[int], unicode: bool, lines: int = _MOST
) -> Iterator[Pair]:
    """A text in as few lines of `width` columns as it takes, at most so many; None: in one."""
    room = width or 1 << 16
    for part in wrap(clean(text, unicode), room, lines, unicode):
        yield from Line(room, unicode).put(token, part)


def said_lines(
    problems: Sequence[str], notes: Sequence[str], width: int, unicode: bool, indent: int = 0
) -> Iterator[Pair]:
    """Each wrapped into `width` columns, what goes on `indent` columns further in."""
    said: List[Tuple[TokenType, str]] = [(PROBLEM, f"problem: {text}") for text in problems]
    said += [(QUIET, f"note: {text}") for text in notes]
    for token, text in said:
        for number, part in enumerate(wrap(clean(text, unicode), width - indent, _LINES, unicode)):
            yield from Line(width, unicode).skip_to(indent if number else 0).put(token, part)
