"""Tokens to text: plain, or coloured by a Pygments style. Plain text loads nothing more of Pygments."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Iterator, Type

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.views.kit.tokens import Pair, Tokens

if TYPE_CHECKING:
    from pygments.style import Style

DEFAULT_STYLE = "quiet"
SUGGESTED_STYLES = (DEFAULT_STYLE, "default", "monokai", "solarized-dark", "solarized-light", "bw")


def render(tokens: Tokens, color: bool = False, style: str = DEFAULT_STYLE, truecolor: bool = False) -> str:
    """The text of `tokens`, with ANSI escapes if `color`.

    `style` is "quiet" or the name of any installed Pygments style; ProblemError if there is none of
    that name. `truecolor` is for terminals with 24-bit colour; without it the 256-colour palette is used.
    """
    if not color:
        return "".join([text for _, text in tokens])
    from pygments.formatters.terminal256 import Terminal256Formatter, TerminalTrueColorFormatter

    formatter = TerminalTrueColorFormatter if truecolor else Terminal256Formatter
    from io import StringIO

    out = StringIO()
    formatter(style=find_style(style)).format(_runs(tokens), out)
    return out.getvalue()


def find_style(name: str) -> Type[Style]:
    """The style class of that name. ProblemError, with a few names that exist, if there is none."""
    if name == DEFAULT_STYLE:
        from addrspace_gdb.views.kit.style import QuietStyle

        return QuietStyle
    from pygments.styles import get_style_by_name
    from pygments.util import ClassNotFound

    try:
        return get_style_by_name(name)
    except (ClassNotFound, ImportError, ValueError):
        some = ", ".join(SUGGESTED_STYLES)
        raise ProblemError(f'no style is called "{printable(name)}"; try one of {some}') from None


def _runs(tokens: Tokens) -> Iterator[Pair]:
    """Neighbours of one token as one pair: the formatter works pair by pair."""
    for token, pairs in groupby(tokens, key=itemgetter(0)):
        yield token, "".join([text for _, text in pairs])
