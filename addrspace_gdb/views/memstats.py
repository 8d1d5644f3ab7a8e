"""`addrspace memstats` as text: MemStats and runtime/metrics row by row, counted and walked."""

from __future__ import annotations

from itertools import chain
from typing import Iterator, List, Optional, Sequence, Tuple

from addrspace_gdb.common import sizes
from addrspace_gdb.common.problems import absences, is_absent
from addrspace_gdb.goruntime import mstats
from addrspace_gdb.goruntime.mstats import BySize
from addrspace_gdb.space.counters.statistics import Statistic, Statistics
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.glyphs import glyphs
from addrspace_gdb.views.kit.table import GAP, Column, narrowed, table
from addrspace_gdb.views.kit.text import Line, cells, clean, clip_left, wrap
from addrspace_gdb.views.kit.units import about, moment, pause
from addrspace_gdb.views.stackparts import program

_MIN_SOURCE = 20  # columns; with less the sources are left out
_PLAIN = 4  # columns where nothing differs
_LINES = 4  # of a reason
_FEW = 12  # statistics that are asked for by name
_LONG = 10**18  # such a number is no quantity: its digits stand without separators


def title(stats: Statistics, width: int, unicode: bool = True) -> Line:
    """Whose statistics these are."""
    info = stats.info
    what = {"live": "pid ", "core": "core of pid "}.get(info.kind, f"{info.kind} pid ")
    facts = [
        program(info.executable),
        f"{what}{info.pid or sizes.UNKNOWN}",
        info.go_version or "Go version ?",
    ]
    facts.append(f"GC phase {stats.phase or sizes.UNKNOWN}")
    text = glyphs(unicode).dot.join(clean(fact, unicode) for fact in facts)
    return Line(width, unicode).put(tokens.HEADING, text)


def statistics_table(
    rows: Sequence[Statistic], width: Optional[int] = 100, unicode: bool = True
) -> Iterator[tokens.Pair]:
    """One row a statistic: counted, walked, what that amounts to; if there is room, where it comes from."""
    columns, texts = _figures(rows, unicode)
    room = _room(columns, texts, width)
    if room is not None and room < 0:
        return _narrow(columns, texts, width or 0, unicode)
    if tells_sources(rows, width, unicode):
        columns.append(Column("From", "left", tokens.QUIET))
        pairs = zip(texts, (_source(row, unicode) for row in rows))
        texts = list(chain.from_iterable(_with_source(*pair, room, unicode) for pair in pairs))
    return table(columns, texts)


def tells_sources(rows: Sequence[Statistic], width: Optional[int] = 100, unicode: bool = True) -> bool:
    """Whether it says where each comes from: in a line, or in more of few or where one is wrong."""
    room = _room(*_figures(rows, unicode), width)
    if room is None or all(cells(_source(row, unicode)) <= room for row in rows):
        return True
    return room >= _MIN_SOURCE and (len(rows) <= _FEW or any(row.reason for row in rows))


def _figures(rows: Sequence[Statistic], unicode: bool) -> Tuple[List[Column], List[Tuple[str, ...]]]:
    differ = any(row.agrees is False for row in rows)
    columns = [
        Column("Name", "left", tokens.NAME),
        Column("Counted", "right", tokens.SIZE),
        Column("Walked", "right", tokens.SIZE),
        *([Column("", "left", tokens.PROBLEM)] if differ else []),
        Column("Human", "right", tokens.TEXT),
    ]
    return columns, [_row(row, differ, unicode) for row in rows]


def _room(columns: List[Column], texts: List[Tuple[str, ...]], width: Optional[int]) -> Optional[int]:
    """What is left of `width` beside them; negative if they do not fit."""
    if width is None:
        return None
    headings = [column.heading for column in columns]
    used = sum(max(map(len, column)) + GAP for column in zip(headings, *texts))
    return width - used if used - GAP <= width else -1


def _with_source(
    row: Tuple[str, ...], source: str, room: Optional[int], unicode: bool
) -> Iterator[Tuple[str, ...]]:
    """A row, and as many more as its source takes."""
    parts = [source] if room is None else wrap(source, room, _LINES, unicode) or [""]
    for number, part in enumerate(parts):
        yield (*(row if number == 0 else [""] * len(row)), part)


def _narrow(
    columns: List[Column], rows: List[Tuple[str, ...]], width: int, unicode: bool
) -> Iterator[tokens.Pair]:
    """Without what was walked, which the last line speaks for, and with names that lose their beginning."""
    shown, some = narrowed(columns, rows, width, () if len(columns) > _PLAIN else (2,))
    widths = [max(map(len, texts)) for texts in zip([column.heading for column in shown], *some)]
    room = max(_MIN_SOURCE, width - sum(widths[1:]) - GAP * (len(shown) - 1))
    return table(shown, [(clip_left(row[0], room, unicode), *row[1:]) for row in some])


def _row(row: Statistic, differ: bool, unicode: bool) -> Tuple[str, ...]:
    texts = [row.name, _number(row.unit, row.counted), _walked(row)]
    if differ:
        texts.append("DIFFERS" if row.agrees is False else "")
    return (*texts, about(row.unit, row.value))


def _source(row: Statistic, unicode: bool) -> str:
    """Where it comes from, or why it is not known."""
    origin = row.source + (f"; {row.over}" if row.over else "")
    return clean(row.reason or origin, unicode)


def _number(unit: str, value: object) -> str:
    if value is None:
        return sizes.UNKNOWN
    if unit == mstats.BOOL:
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value) if isinstance(value, int) and value >= _LONG else f"{value:,}"


def _walked(row: Statistic) -> str:
    return sizes.count(row.walked) if row.over else ""


def by_size_table(by_size: BySize) -> Iterator[tokens.Pair]:
    """MemStats.BySize: a row for each size class that was ever used."""
    columns = [Column(heading, "right", tokens.SIZE) for heading in ("Size", "Mallocs", "Frees")]
    columns += [Column(heading, "right", tokens.TEXT) for heading in ("Live", "Bytes")]
    rows = [
        (*map(sizes.count, (size, mallocs, frees, mallocs - frees)), sizes.size((mallocs - frees) * size))
        for size, mallocs, frees in by_size
        if mallocs
    ]
    return table(columns, rows)


def pauses_table(pauses: Tuple[List[int], List[int]]) -> Iterator[tokens.Pair]:
    """The pauses that PauseNs and PauseEnd still have, the latest first."""
    found = sorted(((end, ns) for ns, end in zip(*pauses) if end), reverse=True)
    rows = [(moment(end), pause(ns), f"{ns:,}", str(end)) for end, ns in found]
    columns = [
        Column("Ended", "left", tokens.TEXT),
        Column("Pause", "right", tokens.TEXT),
        Column("PauseNs", "right", tokens.SIZE),
        Column("PauseEnd", "right", tokens.SIZE),
    ]
    return table(columns, rows)


def agreement(rows: Sequence[Statistic], stats: Statistics, width: int, unicode: bool) -> Iterator[Line]:
    """Whether walks and counters agree, and why they may not."""
    known = [row.agrees for row in rows if row.agrees is not None]
    differ = known.count(False)
    if known and not differ:
        all_ = "it agrees" if len(known) == 1 else "all agree"
        text = f"{sizes.plural(len(known), 'counter')} checked against the heap itself: {all_}"
        yield Line(width, unicode).put(tokens.QUIET, text)
    elif differ:
        text = f"{sizes.count(differ)} of {sizes.plural(len(known), 'counter')} differ from the heap itself"
        yield Line(width, unicode).put(tokens.PROBLEM, text)
    said = [("because: ", line) for line in stats.unsettled] if differ else []
    reasons = [(row.name, row.reason) for row in rows if row.reason is not None]
    said += [("problem: ", f"{name}: {reason}") for name, reason in reasons if not is_absent(reason)]
    for why, count in absences(reason for _, reason in reasons).items():
        said.append(("note: ", f"{sizes.plural(count, 'value')} not known or not walked: that {why}"))
    said += [("problem: ", line) for line in stats.problems] + [("note: ", line) for line in stats.notes]
    for prefix, text in said:
        yield from paragraph(prefix, clean(text, unicode), width, unicode)


def paragraph(prefix: str, text: str, width: int, unicode: bool) -> Iterator[Line]:
    """A few lines, wrapped behind their prefix."""
    token = tokens.PROBLEM if prefix.startswith("problem") else tokens.QUIET
    for number, part in enumerate(wrap(text, width - len(prefix), _LINES, unicode)):
        line = Line(width, unicode).put(token, "" if number else prefix).skip_to(len(prefix))
        yield line.put(tokens.TEXT, part)
