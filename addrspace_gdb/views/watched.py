"""A watch as text: a line for each sample, and at the end what grows."""

from __future__ import annotations

from typing import Iterator, List, NamedTuple, Optional, Sequence

from addrspace_gdb.common import sizes
from addrspace_gdb.space.moments import sampled
from addrspace_gdb.space.moments import watched as watching
from addrspace_gdb.space.moments.watched import Moment, Watched
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.said import said_lines, wrapped
from addrspace_gdb.views.kit.table import Cells, Column, table
from addrspace_gdb.views.kit.text import Line, clean, clip
from addrspace_gdb.views.kit.units import growth, more
from addrspace_gdb.views.stackparts import program
from addrspace_gdb.views.watch_verdict import NAMES, objects, sentence, span, where

_SOME = 10  # samples: of fewer the share of the time is told by the last stop
_GAP = 2
_LEAST_ROOM = 16  # columns for the name of what grows


class _Column(NamedTuple):
    heading: str
    figure: str


_COLUMNS = (
    _Column("RSS", sampled.RSS),
    _Column("survived", sampled.LIVE),
    _Column("in use", sampled.IN_USE),
    _Column("stacks", sampled.STACKS),
    _Column("goroutines", sampled.GOROUTINES),
    _Column("C", sampled.C_HEAP),
    _Column("free", sampled.FREE),
    _Column("runtime", sampled.RUNTIME),
    _Column("files", sampled.FILES),
)
_UNITS = ("", "K", "M", "G", "T", "P")


def short(number: Optional[int], sign: str = "") -> str:
    """A number of bytes or things in five characters, without its unit's `iB`: "394M", "12.3M", "616"."""
    if number is None:
        return sizes.UNKNOWN
    prefix, rest = "-" if number < 0 else sign, float(abs(number))
    unit = 0
    while rest >= 999.5 and unit + 1 < len(_UNITS):
        rest, unit = rest / 1024, unit + 1
    text = f"{rest:.1f}" if unit and rest < 99.95 else f"{rest:.0f}"
    return prefix + text + _UNITS[unit]


def _figure(watched: Watched, name: str, level: int) -> List[str]:
    """Its value, and, at higher levels, by how much it has grown and how much it grows a minute."""
    value = watched.last.figures[name] if watched.last is not None else None
    trend = watched.trend(name)
    if name in sampled.COUNTS:
        found = [sizes.count(value), more(trend.growth), f"{round(trend.per_minute):+,}"]
    else:
        rate = round(trend.per_minute)
        found = [short(value), short(trend.growth, "+"), short(rate, "+")]
    return found[: level + 1]


class Columns:
    """How much of each figure fits in `width` columns: a value, its growth too, or that a minute as well."""

    WIDE, GROWN, RATE = (7, 8, 10)  # columns that a value, a growth and a rate take with a gap

    def __init__(self, width: int) -> None:
        self._width = width
        self._levels = self._fitting()

    def _fitting(self) -> List[int]:
        for others in (2, 1, 0):
            levels = [2] + [others] * (len(_COLUMNS) - 1)
            if self._taken(levels) <= self._width:
                return levels
        levels = [2] + [0] * (len(_COLUMNS) - 1)
        while len(levels) > 1 and self._taken(levels) > self._width:
            levels.pop()
        return levels

    def _taken(self, levels: Sequence[int]) -> int:
        return sum(map(self._of, levels, _COLUMNS), _TIME)

    def _of(self, level: int, column: _Column) -> int:
        first = max(self.WIDE, len(column.heading) + _GAP)
        return first + (self.GROWN if level else 0) + (self.RATE if level == 2 else 0)

    @property
    def room(self) -> int:
        """Columns that are left for what grows."""
        return self._width - self._taken(self._levels) - _GAP

    def heading(self, unicode: bool) -> Line:
        """The names of the columns."""
        cells = []
        for level, column in zip(self._levels, _COLUMNS):
            cells += [column.heading, "growth", "a minute"][: level + 1]
        names = "  growing most" if self.room >= _LEAST_ROOM else ""
        return Line(self._width, unicode).put(tokens.QUIET, self._row("after", cells) + names)

    def sample(self, watched: Watched, unicode: bool) -> Line:
        """A sample."""
        cells: List[str] = []
        for level, column in zip(self._levels, _COLUMNS):
            cells += _figure(watched, column.figure, level)
        line = Line(self._width, unicode)
        line.put(tokens.TEXT, self._row(span(watched.seconds), cells))
        if self.room >= _LEAST_ROOM:
            line.put(tokens.NAME, "  " + clip(clean(_growing(watched), unicode), self.room, unicode))
        return line

    def _row(self, first: str, cells: Sequence[str]) -> str:
        widths: List[int] = []
        for level, column in zip(self._levels, _COLUMNS):
            value = max(self.WIDE, len(column.heading) + _GAP)
            widths += [value, self.GROWN, self.RATE][: level + 1]
        return first.rjust(_TIME) + "".join(cell.rjust(width) for cell, width in zip(cells, widths))


_TIME = 7


def _growing(watched: Watched) -> str:
    """What grows most, in a few words."""
    if watched.grows(sampled.GOROUTINES) and watched.crowd is not None:
        return where(watched.crowd)
    cause = watched.cause
    if cause == sampled.IN_USE and watched.objects is not None:
        return objects(watched.objects)
    return NAMES[cause] if cause is not None else ""


def head(
    moment: Moment, every: float, until: Optional[float], width: int, unicode: bool
) -> Iterator[tokens.Pair]:
    """What is watched, and for how long."""
    info = moment.info
    end = f" for {span(until)}, or until Ctrl-C" if until is not None else ", until Ctrl-C"
    facts = f"{program(info.executable)}, pid {info.pid}, {info.go_version or 'Go version ?'}"
    text = f"{facts}: a sample every {span(every)}{end}; K, M and G are KiB, MiB and GiB"
    yield from wrapped(tokens.TEXT, text, width, unicode, 2)


# The end

_ENDS = {
    watching.TIME: "",
    watching.INTERRUPTED: "interrupted; ",
    watching.EXITED: "the process has ended; ",
    watching.REPLACED: "the process runs another program now (exec); ",
}


def ending(moment: Moment, width: int, unicode: bool) -> Iterator[tokens.Pair]:
    """The verdict, each figure at the first sample and the last, and how long the process stood still."""
    yield tokens.NEWLINE
    yield from wrapped(tokens.HEADING, sentence(moment), width, unicode)
    if moment.watched.samples > 1:
        yield tokens.NEWLINE
        yield from table(_ENDING, _rows(moment.watched))
    yield tokens.NEWLINE
    yield from wrapped(tokens.QUIET, _held(moment), width, unicode, 2)
    last = moment.watched.last
    yield from said_lines(last.problems if last is not None else [], [], width, unicode)


_ENDING = (
    Column("", "left", tokens.NAME),
    Column("At first", "right", tokens.SIZE),
    Column("Now", "right", tokens.SIZE),
    Column("Growth", "right", tokens.GROWTH),
    Column("A minute", "right", tokens.GROWTH),
)


def _rows(watched: Watched) -> List[Cells]:
    figures = watched.last.figures if watched.last is not None else {}
    rows: List[Cells] = []
    for name in sampled.FIGURES:
        trend, value = watched.trend(name), figures.get(name)
        if not (value or trend.first):
            continue
        if name in sampled.COUNTS:
            rate = f"{trend.per_minute:+,.0f}" if abs(trend.per_minute) >= 0.5 else ""
            rows.append((NAMES[name], sizes.count(trend.first), sizes.count(value), more(trend.growth), rate))
        else:
            rate = growth(round(trend.per_minute))
            rows.append((NAMES[name], sizes.size(trend.first), sizes.size(value), growth(trend.growth), rate))
    return rows


def _held(moment: Moment) -> str:
    held = moment.held
    samples = sizes.plural(moment.watched.samples, "sample")
    stood = f"the process stood still for {_long(held.total)} in all, {_long(held.longest)} at most"
    share = f", {held.share * 100:.1f}% of the time" if moment.watched.samples >= _SOME else ""
    how = _ENDS.get(moment.end or watching.TIME, "")
    return f"{how}{samples} in {span(moment.watched.seconds)}; {stood}{share}"


def _long(seconds: float) -> str:
    """ "850 ms", "127.3 s"."""
    return f"{seconds:.1f} s" if seconds >= _SECONDS else f"{seconds * 1000:.0f} ms"


_SECONDS = 10  # from here on milliseconds say nothing
