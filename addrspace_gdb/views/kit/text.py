"""Text that fits: cleaned of what a terminal would obey, cut and wrapped by the columns it takes."""

from __future__ import annotations

import re
import unicodedata
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import chain
from typing import Callable, Iterator, List, Optional

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.sizes import UNITS
from addrspace_gdb.views.kit.tokens import NEWLINE, TEXT, Pair, TokenType

_SPOKEN: ContextVar[Optional[Callable[[str], str]]] = ContextVar("spoken", default=None)


@contextmanager
def spoken(by: Optional[Callable[[str], str]]) -> Iterator[None]:
    """Within the block `clean` has commands in texts (`addrspace gc`) as `by` makes them."""
    token = _SPOKEN.set(by)
    try:
        yield
    finally:
        _SPOKEN.reset(token)


def as_spoken(text: str) -> str:
    """Commands in `text` as they are typed where it is read."""
    by = _SPOKEN.get()
    return by(text) if by is not None else text


def clean(text: str, unicode: bool = True) -> str:
    """`text` on one line with nothing in it that a terminal obeys; plain ASCII unless `unicode`.

    Text that is clean already comes back as it is, so that nothing is escaped twice.
    """
    if not text.isprintable():
        text = printable(text)
    if "`" in text:
        text = as_spoken(text)
    if not unicode and not text.isascii():
        text = (
            text.replace(ellipsis(True), ellipsis(False)).encode("ascii", "backslashreplace").decode("ascii")
        )
    return text


def cells(text: str) -> int:
    """Columns that `text` takes in a terminal: East Asian wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(_cell(character) for character in text)


def _cell(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def ellipsis(unicode: bool) -> str:
    """What stands for text that was cut off."""
    return "…" if unicode else "..."


def clip(text: str, width: int, unicode: bool = True) -> str:
    """At most `width` columns of `text`, its end cut off."""
    if cells(text) <= width:
        return text
    dots = ellipsis(unicode)
    if width < len(dots):
        return ""
    return _fitting(text, width - len(dots)) + dots


def clip_left(text: str, width: int, unicode: bool = True) -> str:
    """At most `width` columns of `text`, its beginning cut off: for paths, whose end says more."""
    if cells(text) <= width:
        return text
    dots = ellipsis(unicode)
    if width < len(dots):
        return ""
    return dots + _fitting(text[::-1], width - len(dots))[::-1]


# Where a package is, before its own name: `github.com/nats-io/` of `github.com/nats-io/server.(*Client).do`.
_PATHS = re.compile(r"(?<![\w./~%-])(?:[\w.~%-]+/)+(?=[\w%-]+[.\w])")


def clip_name(text: str, width: int, unicode: bool = True) -> str:
    """At most `width` columns of what names functions or types: paths of packages give way first."""
    return text if cells(text) <= width else clip(_PATHS.sub(ellipsis(unicode), text), width, unicode)


def clip_function(text: str, width: int, unicode: bool = True) -> str:
    """At most `width` columns of a function's name, whose end says more; a sentence loses its end."""
    dots = ellipsis(unicode)
    short = _PATHS.sub(dots, text)
    if cells(text) <= width or " " in text.partition("[")[0]:
        return clip_name(text, width, unicode)
    return short if cells(short) <= width else clip_left(short.removeprefix(dots), width, unicode)


def clip_words(text: str, width: int, unicode: bool = True) -> str:
    """At most `width` columns of `text`, cut between words, so that no number is cut in two.

    Only a first word that is too long by itself is cut inside.
    """
    if cells(text) <= width:
        return text
    dots = ellipsis(unicode)
    words = _words(text, width)
    line = ""
    for word in words:
        longer = f"{line} {word}".lstrip()
        if cells(longer) + len(dots) + 1 > width:
            break
        line = longer
    if line:
        return f"{line} {dots}"
    return words[0] if words and cells(words[0]) <= width else clip(text, width, unicode)


def _fitting(text: str, width: int) -> str:
    used = 0
    for index, character in enumerate(text):
        used += _cell(character)
        if used > width:
            return text[:index]
    return text


def wrap(text: str, width: int, limit: int, unicode: bool = True) -> List[str]:
    """`text` in at most `limit` lines of `width` columns, broken between words; what is over is cut off.

    Lines end after a comma or semicolon where that costs nothing of the text.
    """
    words = _words(text, width)
    lines = _filled(words, width, limit, unicode, phrases=True)
    if lines and lines[-1].endswith(ellipsis(unicode)):
        return _filled(words, width, limit, unicode, phrases=False)
    return lines


def _filled(words: List[str], width: int, limit: int, unicode: bool, phrases: bool) -> List[str]:
    lines: List[str] = []
    while words and len(lines) < limit:
        if len(lines) == limit - 1:
            lines.append(clip_words(" ".join(words), width, unicode))
            break
        count = _fitting_words(words, width)
        ends = [i for i in range(count, count // 2, -1) if words[i - 1].endswith((",", ";"))]
        if phrases and ends and count < len(words):
            count = ends[0]
        lines.append(clip(" ".join(words[:count]), width, unicode))
        words = words[count:]
    return lines


def _fitting_words(words: List[str], width: int) -> int:
    """How many of the words go on one line, at least one."""
    used = cells(words[0])
    for count, word in enumerate(words[1:], 1):
        used += 1 + cells(word)
        if used > width:
            return count
    return len(words)


_WORD = re.compile(r"\S*`[^`]*`\S*|\S+")


def _words(text: str, width: int) -> List[str]:
    """The words of `text`; a number and its unit are one, and so is `a command` that fits `width`."""
    words: List[str] = []
    found = (one.split() if cells(one) > width else [one] for one in _WORD.findall(text))
    for word in chain.from_iterable(found):
        if words and words[-1][:1].isdigit() and word.rstrip(",;.)") in UNITS:
            words[-1] += " " + word
        else:
            words.append(word)
    return words


class Line:
    """One line of output, built from left to right, that never grows past `width` columns."""

    def __init__(self, width: int, unicode: bool = True) -> None:
        self.width = width
        self.unicode = unicode
        self.used = 0
        self._pairs: List[Pair] = []

    @property
    def room(self) -> int:
        """Columns that are left."""
        return self.width - self.used

    def put(self, token: TokenType, text: str) -> Line:
        """Append `text`, cut to the room there is."""
        text = clip(text, self.room, self.unicode)
        if text:
            self._pairs.append((token, text))
            self.used += cells(text)
        return self

    def skip_to(self, column: int) -> Line:
        """Blanks up to `column`; nothing if the line is that long already."""
        gap = min(column, self.width) - self.used
        if gap > 0:
            self._pairs.append((TEXT, " " * gap))
            self.used += gap
        return self

    def __iter__(self) -> Iterator[Pair]:
        pairs = list(self._pairs)
        while pairs and not pairs[-1][1].strip():
            pairs.pop()
        if pairs:
            pairs[-1] = (pairs[-1][0], pairs[-1][1].rstrip())
        yield from pairs
        yield NEWLINE
