"""Tables of text. tabulate lays them out; what is too long for it to be quick is laid out alike, here.

tabulate 0.10 takes 1.1 s for 60,000 rows of 7 columns and 0.05 s to import, padding the same strings
here 0.06 s; the text is the same to the character.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import Any, Callable, Iterable, Iterator, List, Mapping, NamedTuple, Sequence, Tuple

from addrspace_gdb.views.kit.tokens import HEADING, NEWLINE, TEXT, Pair, TokenType

TABULATE_ROWS = 1000  # at most
GAP = 2  # columns between columns, as tabulate's "plain" has it


class Column(NamedTuple):
    """A column: its heading, "left" or "right", and the token of its cells."""

    heading: str
    align: str
    token: TokenType


Cells = Tuple[str, ...]

_CHUNK = 1000  # lines handed on together


def table(columns: Sequence[Column], rows: Sequence[Tuple[str, ...]]) -> Iterator[Pair]:
    """Lines of a table. Cells are clean text; characters of another width stand in the last column only."""
    columns_of_text = [[column.heading for column in columns], *rows]
    widths = [max(map(len, cells)) for cells in zip(*columns_of_text)]
    lines = _tabulated(columns, rows) if len(rows) <= TABULATE_ROWS else _padded(columns, rows, widths)
    bounds = _bounds(widths)
    slots = [(column.token, *bound) for column, bound in zip(columns, bounds)]
    if len(rows) > TABULATE_ROWS:  # nobody looks at the colours of so many
        yield from _chunks(lines)
        return
    for number, line in enumerate(lines):
        if number == 0:
            yield HEADING, line
        else:
            for token, start, end in slots:
                if line[start:end]:
                    yield token, line[start:end]
        yield NEWLINE


def long_table(
    columns: Sequence[Column],
    numbers: Sequence[int],
    kinds: Sequence[Any],
    cells: Mapping[Any, Tuple[str, ...]],
) -> Iterator[Pair]:
    """A table of very many rows: a number, then the cells of the row's kind, of which there are few.

    `kinds` has the key into `cells` of each row. The text is that of `table`.
    """
    widths = [max(map(len, column)) for column in zip(*cells.values(), (c.heading for c in columns[1:]))]
    first = max(len(str(max(numbers))), len(columns[0].heading))
    form = _form(columns[1:], widths)
    gap = " " * GAP
    ends = {kind: f"{gap}{form(*row).rstrip()}\n" for kind, row in cells.items()}
    yield HEADING, columns[0].heading.rjust(first) + gap + form(*(c.heading for c in columns[1:])).rstrip()
    yield NEWLINE
    halves = zip(map(f"%{first}d".__mod__, numbers), map(ends.__getitem__, kinds))
    for _ in range(0, len(numbers), _CHUNK):
        yield TEXT, "".join(chain.from_iterable(islice(halves, _CHUNK)))


def _form(columns: Sequence[Column], widths: Sequence[int]) -> Callable[..., str]:
    sides = {"left": "<", "right": ">"}
    return (" " * GAP).join(f"{{:{sides[c.align]}{w}}}" for c, w in zip(columns, widths)).format


def _chunks(lines: Iterable[str]) -> Iterator[Pair]:
    """The heading, then many lines at a time."""
    rest = iter(lines)
    yield HEADING, next(rest)
    yield NEWLINE
    while True:
        part = list(islice(rest, _CHUNK))
        if not part:
            return
        yield TEXT, "\n".join(part) + "\n"


def _bounds(widths: Sequence[int]) -> List[Tuple[int, int]]:
    """Where each column starts in a line and where the next one does; the last has no end."""
    bounds = []
    start = 0
    for width in widths:
        bounds.append((start, start + width + GAP))
        start += width + GAP
    bounds[-1] = (bounds[-1][0], 1 << 30)
    return bounds


def _tabulated(columns: Sequence[Column], rows: Sequence[Tuple[str, ...]]) -> List[str]:
    from tabulate import tabulate

    # The headings are a row among rows: as headers they would get two columns more than they need.
    text = tabulate(
        [[column.heading for column in columns], *rows],
        tablefmt="plain",
        disable_numparse=True,
        colalign=[column.align for column in columns],
    )
    return text.split("\n")


def _padded(
    columns: Sequence[Column], rows: Sequence[Tuple[str, ...]], widths: Sequence[int]
) -> Iterator[str]:
    form = _form(columns, widths)
    yield form(*(column.heading for column in columns)).rstrip()
    for row in rows:
        yield form(*row).rstrip()
