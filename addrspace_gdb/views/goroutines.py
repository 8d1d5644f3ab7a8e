"""Goroutines as text: the summary, the list, and one goroutine in full."""

from __future__ import annotations

from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from addrspace_gdb.common import sizes
from addrspace_gdb.goruntime.traceback import Frame
from addrspace_gdb.space.goroutines.listing import Goroutine, Listing, details
from addrspace_gdb.space.goroutines.summary import Matches, Most, StackSummary
from addrspace_gdb.space.goroutines.walk import CALLS_C
from addrspace_gdb.space.regions.model import TargetInfo
from addrspace_gdb.views.goroutine_rows import Shared, many_rows, of_dead
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.glyphs import glyphs
from addrspace_gdb.views.kit.table import GAP, AlikeRows, Column, table
from addrspace_gdb.views.kit.text import Line, cells, clean, clip, clip_function, clip_left
from addrspace_gdb.views.stackparts import bar, frame_lines, place, program, waited
from addrspace_gdb.views.verdicts import of_goroutines, of_matches, verdict_lines

_STATES = 3  # lines of counts by status
_STATE_WIDTH = 28
_MIN_STATE = 18
_MIN_FUNCTION = 20
_LEAKED = " (leaked)"
_STATE = 1  # the column
_KEEPS = 6  # the column, where there is one
_GIVE_WAY = (4, 5, 3, _STATE, 2)  # columns in this order: bar, resident, used, a part of the state, size
_MAKER = Column("Created by", "left", tokens.QUIET)
_MANY = 1000  # from here on rows are made from columns


def summary(
    info: TargetInfo,
    total: StackSummary,
    threads: int,
    width: int,
    unicode: bool = True,
    some: Optional[Matches] = None,
) -> Iterator[tokens.Pair]:
    """Goroutines by state, and what their stacks take, in about ten lines; where only `some` are listed,
    what they are of all."""
    said = of_goroutines(total) if some is None else of_matches(some, total)
    yield from verdict_lines(said, width, unicode)
    yield from heading(info, threads, width, unicode)
    if some is not None:
        return
    for line in _states(total, width, unicode):
        yield from line
    yield tokens.NEWLINE
    for name, amount, detail in _amounts(total, unicode):
        line = Line(width, unicode).put(tokens.NAME, name).skip_to(16)
        line.put(tokens.SIZE, f"{amount:>10}").put(tokens.TEXT, "  ").put(tokens.QUIET, detail)
        yield from line


def heading(info: TargetInfo, threads: int, width: int, unicode: bool = True) -> Iterator[tokens.Pair]:
    """The program, in a line."""
    dot = glyphs(unicode).dot
    what = {"live": "pid ", "core": "core of pid "}.get(info.kind, f"{info.kind} pid ")
    facts = [
        program(info.executable),
        f"{what}{info.pid or sizes.UNKNOWN}",
        info.go_version or "Go version ?",
    ]
    text = dot.join(clean(fact, unicode) for fact in [*facts, sizes.plural(threads, "thread")])
    yield from Line(width, unicode).put(tokens.HEADING, text)


def _states(total: StackSummary, width: int, unicode: bool) -> List[Line]:
    """How many goroutines are in each state, broken between states only."""
    text = sizes.plural(total.total, "goroutine")
    if total.system:
        text += f" ({sizes.count(total.system)} of the runtime)"
    parts = [f"{sizes.count(count)} {clean(state, unicode)}" for state, count in total.by_state.items()]
    lines, left = [text + (":" if parts else "")], len(parts)
    for part in parts:
        rest = f"and {left} more states"
        room = width - (cells(rest) + 2 if len(lines) == _STATES and left > 1 else 1)
        if cells(lines[-1]) + 1 + cells(part) > room:
            if len(lines) == _STATES:
                lines[-1] += f" {rest}"
                break
            lines.append(" ")
        left -= 1
        lines[-1] += f" {part}" + ("," if left else "")
    return [Line(width, unicode).put(tokens.TEXT, line) for line in lines]


def _amounts(total: StackSummary, unicode: bool) -> Iterator[Tuple[str, str, str]]:
    yield "Stacks in use", sizes.size(total.in_use), "what runtime.MemStats calls StackInuse"
    used = f"{sizes.size(total.used)} used {bar(total.used, total.allocated, unicode, 12)}"
    used += f" {sizes.share(total.used, total.allocated)}, {sizes.size(total.resident)} resident"
    if total.unknown:
        used += f"; sp of {sizes.count(total.unknown)} not known"
    yield "  of goroutines", sizes.size(total.allocated), used
    if total.dead_stacks:
        yield (
            "  of dead ones",
            sizes.size(total.dead_stacks),
            f"{sizes.count(total.dead)} dead, cached for reuse",
        )
    yield "  free", sizes.size(total.free), "in the stack pools"
    if total.largest is not None:
        yield "Largest", sizes.size(total.largest.size), _whose(total.largest)
    if total.deepest is not None:
        yield "Deepest", sizes.size(total.deepest.size), f"used by {_whose(total.deepest)}"


def _whose(most: Most) -> str:
    return f"goroutine {most.goid}"


def goroutine_table(
    listing: Listing,
    shown: Sequence[int],
    exact: bool,
    width: Optional[int] = 100,
    unicode: bool = True,
    keeps: Optional[Sequence[int]] = None,
) -> Iterator[tokens.Pair]:
    """One row for each position in `shown`. Wide output, as to a file (`width` None), cuts nothing.

    `keeps`: bytes of the heap that each keeps, as a column of its own.
    """
    columns = [
        Column("Goid", "right", tokens.ADDRESS),
        Column("State", "left", tokens.TEXT),
        Column("Stack", "right", tokens.SIZE),
        Column("Used", "right", tokens.SIZE),
        Column("", "left", tokens.GROWTH),
        Column("Resident", "right", tokens.SIZE),
        Column("User function", "left", tokens.NAME),
        Column("At", "left", tokens.QUIET),
    ]
    whole = width is None
    if len(shown) <= _MANY or keeps is not None:
        rows = details(listing, shown)
        if keeps is not None:  # of leaked ones, where it says nothing
            rows = [row._replace(state=row.state.replace(_LEAKED, "")) for row in rows]
        texts = [_row(row, exact, unicode, whole) for row in rows]
        if keeps is not None:
            columns.insert(_KEEPS, Column("Keeps", "right", tokens.SIZE))
            amounts = map(sizes.size, keeps)
            texts = [(*row[:_KEEPS], amount, *row[_KEEPS:]) for row, amount in zip(texts, amounts)]
        fitting = fit_columns(columns, texts, width, unicode)
        yield from table(*_with_makers(*fitting, rows, width, unicode))
        return
    parts = 0 if whole else 2
    many = many_rows(listing, shown, exact, unicode, parts, lambda row: _row(row, exact, unicode, whole))
    longest = str(max(many.goids))
    shown_columns, fitted = fit_columns(
        columns, [(longest, *rest) for rest in many.rests.values()], width, unicode
    )
    rests = dict(zip(many.rests, (row[1:] for row in fitted)))
    yield from table(shown_columns, AlikeRows(many.goids, many.kinds, rests))


def _with_makers(
    columns: List[Column],
    texts: List[Tuple[str, ...]],
    rows: Sequence[Goroutine],
    width: Optional[int],
    unicode: bool,
) -> Tuple[List[Column], List[Tuple[str, ...]]]:
    """The table with who created each goroutine, where a terminal has room for that too."""
    makers = [clean(row.made.function or "" if row.made is not None else "", unicode) for row in rows]
    used = sum(_widest(columns, texts, index) + GAP for index in range(len(columns)))
    longest = max(map(cells, makers), default=0)
    if width is None or not longest or used + max(longest, len(_MAKER.heading)) > width:
        return columns, texts
    return [*columns, _MAKER], [(*text, maker) for text, maker in zip(texts, makers)]


def _row(row: Goroutine, exact: bool, unicode: bool, whole: bool) -> Tuple[str, ...]:
    state = clean(state_of(row, exact, unicode), unicode)
    if row.status == "dead":
        return (str(row.goid), state, *of_dead(row.hi - row.lo, row.resident))
    return (
        str(row.goid),
        state if whole else clip(state, _STATE_WIDTH, unicode),
        sizes.size(row.hi - row.lo),
        sizes.size(row.used),
        bar(row.used, row.hi - row.lo, unicode),
        sizes.size(row.resident),
        clean(row.problem or row.user.function or row.stands.function or row.start or sizes.UNKNOWN, unicode),
        clean(place(row.user.file, row.user.line, 0 if whole else 2), unicode) if not row.problem else "",
    )


def fit_columns(
    columns: Sequence[Column], rows: List[Tuple[str, ...]], width: Optional[int], unicode: bool
) -> Tuple[List[Column], List[Tuple[str, ...]]]:
    """Columns and rows that fit: what says least gives way to functions and to the file and line, which are
    always there. `width` None cuts nothing."""
    if width is None:
        return list(columns), rows
    widths = [_widest(columns, rows, index) for index in range(len(columns))]
    widths[_STATE] = whole = min(widths[_STATE], _STATE_WIDTH)
    line = max([cells(text.rpartition("/")[2]) for text in {row[-1] for row in rows}], default=0)
    left = list(range(len(columns) - 2))
    for index in _GIVE_WAY:
        missing = _MIN_FUNCTION + GAP + line - _room(widths, left, width)
        if missing <= 0:
            break
        if index == _STATE:
            widths[_STATE] = max(min(widths[_STATE], _MIN_STATE), widths[_STATE] - missing)
        else:
            left.remove(index)
    spare = max(0, _room(widths, left, width) - _MIN_FUNCTION - GAP - line)
    widths[_STATE] = min(whole, widths[_STATE] + spare)
    room, state = _room(widths, left, width), widths[_STATE]
    function = min(widths[-2], max(_MIN_FUNCTION, room - GAP - min(widths[-1], max(line, 20))))
    place_ = max(line, room - function - GAP)
    functions = Shared(lambda text: clip_function(text, function, unicode))
    places = Shared(lambda text: _clip_place(text, place_, unicode))
    states = Shared(lambda text: clip(text, state, unicode))
    fitted = [
        (
            *(states[row[index]] if index == _STATE else row[index] for index in left),
            functions[row[-2]],
            places[row[-1]],
        )
        for row in rows
    ]
    return [columns[index] for index in [*left, -2, -1]], fitted


def _room(widths: Sequence[int], left: Sequence[int], width: int) -> int:
    """What the columns `left` leave to the last two."""
    return width - sum(widths[index] + GAP for index in left)


def _widest(columns: Sequence[Column], rows: List[Tuple[str, ...]], index: int) -> int:
    return max([cells(text) for text in {row[index] for row in rows}] + [len(columns[index].heading)])


def _clip_place(text: str, width: int, unicode: bool) -> str:
    """The end says most: the line."""
    name = text.rpartition("/")[2] if cells(text) > width else text
    return clip_left(name, width, unicode) if width > 5 else ""


def state_of(row: Goroutine, exact: bool, unicode: bool) -> str:
    """What Go prints between the brackets, the time in finer units, and the debugger's thread."""
    parts = [row.state]
    time = waited(row.waited, exact, unicode)
    if time:
        parts.append(time)
    if row.number is not None:
        parts.append(f"thread {row.number}")
    elif row.locked is not None:
        parts.append("locked to thread")
    if row.bubble is not None:
        parts.append(row.bubble.text)
    return ", ".join(parts)


def card(
    row: Goroutine,
    frames: Optional[Sequence[Frame]],
    left_out: int,
    exact: bool,
    width: Optional[int],
    unicode: bool = True,
) -> Iterator[tokens.Pair]:
    """One goroutine in full: where it stands, its stack, its frames, who made it."""
    room = width if width is not None else 1 << 16
    head = Line(room, unicode).put(tokens.HEADING, f"goroutine {row.goid} ")
    yield from head.put(tokens.TEXT, clean(f"[{_header(row, exact, unicode)}]", unicode))
    for name, text in _facts(row, unicode).items():
        line = Line(room, unicode).put(tokens.QUIET, f"  {name}").skip_to(14)
        yield from line.put(tokens.TEXT, clean(text, unicode))
    if row.problem:
        yield from (
            Line(room, unicode)
            .put(tokens.PROBLEM, "  problem")
            .skip_to(14)
            .put(tokens.TEXT, clean(row.problem, unicode))
        )
    for line in frame_lines(frames or (), width, unicode):
        yield from line
    if left_out:
        yield from Line(room, unicode).put(tokens.QUIET, f"    {sizes.plural(left_out, 'more frame')}")


def _header(row: Goroutine, exact: bool, unicode: bool) -> str:
    text = state_of(row._replace(number=None), exact, unicode)
    return text + (", system goroutine" if row.system else "")


def _facts(row: Goroutine, unicode: bool) -> Dict[str, str]:
    size = row.hi - row.lo
    facts = {
        "stack": f"{sizes.address(row.lo)}-{sizes.address(row.hi)}  {sizes.size(size)}",
        "used": f"{sizes.size(row.used)} {bar(row.used, size, unicode)}, {sizes.size(row.resident)} resident",
    }
    if row.user.function:
        facts["in"] = f"{row.user.function}  {place(row.user.file, row.user.line)}"
    if row.stands.function and row.stands != row.user:
        facts["at"] = f"{row.stands.function}  {place(row.stands.file, row.stands.line)}"
    if row.start:
        facts["started"] = row.start
    if row.made is not None and row.made.function:
        by = f" in goroutine {row.made.goid}" if row.made.goid else ""
        facts["created by"] = f"{row.made.function}{by}"
    if row.thread is not None:
        number = (
            f"{row.number} ({row.thread})"
            if row.number is not None
            else f"{row.thread}, which is not among the threads"
        )
        in_c = ", in the C code that it called" if row.stands.function == CALLS_C else ""
        facts["thread"] = f"{number}, m{row.m}{in_c}"
    if row.locked is not None:
        facts["locked to"] = f"m{row.locked}"
    if row.labels:
        facts["labels"] = ", ".join(f"{key}={value}" for key, value in row.labels.items())
    return facts
