"""Groups of goroutines, stack bytes by function, and the stacks of threads, as tables."""

from __future__ import annotations

from typing import Callable, Iterator, List, Optional, Sequence, Tuple

from addrspace_gdb.common import sizes
from addrspace_gdb.goruntime.traceback import Frame
from addrspace_gdb.space.goroutines.by_frame import GUARD, ByFrame
from addrspace_gdb.space.goroutines.groups import Group
from addrspace_gdb.space.goroutines.thread_stacks import MStack
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.said import wrapped
from addrspace_gdb.views.kit.table import Column, fitted, table
from addrspace_gdb.views.kit.text import Line, clean, clip_function, clip_left
from addrspace_gdb.views.stackparts import frame_lines, place, waited

_HEADINGS = {"function": "User function", "created-by": "Created by", "status": "State"}
_MIN_LAST = 20
_AMOUNTS = 58  # columns for the numbers of a group and the end of a file's name


def group_table(
    groups: Sequence[Group],
    by: str,
    total: int,
    exact: bool,
    width: Optional[int] = 100,
    unicode: bool = True,
) -> Iterator[tokens.Pair]:
    """One row a group: how many, their share, stack bytes, the longest wait, and what they share."""
    columns = [
        Column("Count", "right", tokens.SIZE),
        Column("of all", "right", tokens.QUIET),
        Column("Stacks", "right", tokens.SIZE),
        Column("Used", "right", tokens.SIZE),
        Column("Longest", "right", tokens.TEXT),
        Column(_HEADINGS[by], "left", tokens.NAME),
        Column("" if by == "status" else "At", "left", tokens.QUIET),
    ]
    rows: List[Tuple[str, ...]] = [
        (
            sizes.count(one.many),
            sizes.share(one.many, total),
            sizes.size(one.size),
            sizes.size(one.used),
            waited(one.waited, exact, unicode),
            clean(one.name or "not known", unicode),
            clean(_short(one.place, width), unicode),
        )
        for one in groups
    ]
    if any(one.keeps is not None for one in groups):
        columns.insert(4, Column("Keeps", "right", tokens.SIZE))
        rows = [(*row[:4], sizes.size(one.keeps), *row[4:]) for row, one in zip(rows, groups)]
    longest = len(columns) - 3
    if not any(row[longest] for row in rows):
        columns, rows = _without(columns, rows, longest)
    if not any(row[-1] for row in rows):
        columns, rows = _without(columns, rows, len(columns) - 1)
    if width is not None:
        name = max(_MIN_LAST, width - _AMOUNTS)
        rows = [
            (*row[:-2], *[clip_function(text, name, unicode) for text in row[-2:-1]], row[-1]) for row in rows
        ]
    yield from table(*fitted(columns, rows, width, (1, 3), _MIN_LAST, unicode, clip_left))


def _short(text: Optional[str], width: Optional[int]) -> str:
    if text is None or width is None:
        return text or ""
    file, _, line = text.rpartition(":")
    return place(file, int(line) if line.isdecimal() else None)


def _without(
    columns: List[Column], rows: List[Tuple[str, ...]], at: int
) -> Tuple[List[Column], List[Tuple[str, ...]]]:
    return [*columns[:at], *columns[at + 1 :]], [(*row[:at], *row[at + 1 :]) for row in rows]


def fit_last(
    columns: Sequence[Column], rows: List[Tuple[str, ...]], width: Optional[int], unicode: bool
) -> List[Tuple[str, ...]]:
    """The last column cut, at its beginning, to what the others leave of `width`."""
    return fitted(columns, rows, width, (), _MIN_LAST, unicode, clip_left)[1]


def stack_groups(
    groups: Sequence[Group],
    frames: Callable[[Group], List[Frame]],
    limit: int,
    total: int,
    exact: bool,
    width: Optional[int] = 100,
    unicode: bool = True,
) -> Iterator[tokens.Pair]:
    """Each distinct stack once: how many goroutines have it, which, and its frames."""
    for number, one in enumerate(groups):
        if number:
            yield tokens.NEWLINE
        room = width if width is not None else 1 << 16
        line = Line(room, unicode).put(tokens.HEADING, sizes.plural(one.many, "goroutine"))
        line.put(tokens.TEXT, f"  {sizes.share(one.many, total)}  ")
        line.put(tokens.TEXT, clean(_states(one), unicode))
        time = waited(one.waited, exact, unicode)
        yield from line.put(tokens.TEXT, f", {time}" if time else "")
        goids = ", ".join(map(str, one.goids)) + (", ..." if one.many > len(one.goids) else "")
        text = f"  {sizes.size(one.size)} of stack, {sizes.size(one.used)} used; goid {goids}"
        if one.keeps is not None:
            text = f"  keeps {sizes.size(one.keeps)} of the heap; {text.lstrip()}"
        yield from Line(room, unicode).put(tokens.QUIET, text)
        if one.makers:
            yield from Line(room, unicode).put(tokens.QUIET, f"  created by {clean(_makers(one), unicode)}")
        yield from _stack(one, frames(one), limit, width, unicode)


def _makers(one: Group) -> str:
    """Who created most of a group: with how many, where that is not all."""
    name, many = one.makers[0]
    if many == one.many:
        return name
    rest = len(one.makers) - 1
    more = f" and {sizes.plural(rest, 'other function')}" if rest else ""
    return f"{name} ({sizes.count(many)}){more}"


def _stack(
    one: Group, frames: List[Frame], limit: int, width: Optional[int], unicode: bool
) -> Iterator[tokens.Pair]:
    room = width if width is not None else 1 << 16
    lines = frame_lines(frames, width, unicode)
    for row in lines[:limit]:
        yield from row
    if len(lines) > limit:
        text = f"    {sizes.plural(len(lines) - limit, 'more line')}: --frames shows all"
        yield from Line(room, unicode).put(tokens.QUIET, text)
    elif not frames and one.walk is not None and one.walk.problem:
        yield from Line(room, unicode).put(tokens.PROBLEM, f"    {clean(one.walk.problem, unicode)}")


def _states(one: Group) -> str:
    if len(one.states) == 1:
        return f"[{next(iter(one.states))}]"
    return "[" + ", ".join(f"{sizes.count(n)} {state}" for state, n in one.states.items()) + "]"


def by_frame_table(
    answer: ByFrame, limit: int, width: Optional[int] = 100, unicode: bool = True
) -> Iterator[tokens.Pair]:
    """Functions by the stack bytes of their frames, then what is no function, then the sum of all."""
    columns = [
        Column("Flat", "right", tokens.SIZE),
        Column("of all", "right", tokens.QUIET),
        Column("Cumulative", "right", tokens.SIZE),
        Column("Frames", "right", tokens.TEXT),
        Column("Goroutines", "right", tokens.TEXT),
        Column("Function", "left", tokens.NAME),
    ]
    rows: List[Tuple[str, ...]] = []
    for use in answer.functions[:limit]:
        share = sizes.share(use.flat, answer.total)
        counts = sizes.count(use.frames), sizes.count(use.goroutines)
        rows.append(
            (sizes.size(use.flat), share, sizes.size(use.cumulative), *counts, clean(use.function, unicode))
        )
    rest = answer.functions[limit:]
    if rest:
        flat = sum(use.flat for use in rest)
        name = f"({sizes.plural(len(rest), 'more function')}: --limit all)"
        frames = sizes.count(sum(use.frames for use in rest))
        rows.append((sizes.size(flat), sizes.share(flat, answer.total), "", frames, "", name))
    for name, size, count in answer.others:
        rows.append(
            (sizes.size(size), sizes.share(size, answer.total), "", "", sizes.count(count), f"({name})")
        )
    yield from table(*fitted(columns, rows, width, (1, 4, 3), _MIN_LAST, unicode, clip_left))
    yield tokens.HEADING, f"{answer.total:,} bytes in all"
    if answer.counter == answer.total:
        yield tokens.GOOD, ", exactly MemStats.StackInuse"
    else:
        yield tokens.PROBLEM, f", but MemStats.StackInuse is {sizes.count(answer.counter)}"
    yield tokens.NEWLINE
    if any(name == GUARD for name, _, _ in answer.others):
        legend = f"({GUARD}) = reserve that every Go stack keeps for overflow checks"
        yield from wrapped(tokens.QUIET, legend, width, unicode)


def thread_table(
    stacks: Sequence[MStack], width: Optional[int] = 100, unicode: bool = True
) -> Iterator[tokens.Pair]:
    """The g0 and signal stacks of each M."""
    columns = [
        Column("M", "right", tokens.ADDRESS),
        Column("Thread", "left", tokens.TEXT),
        Column("Stack", "left", tokens.NAME),
        Column("Low", "left", tokens.ADDRESS),
        Column("Size", "right", tokens.SIZE),
        Column("Used", "right", tokens.SIZE),
        Column("Resident", "right", tokens.SIZE),
        Column("Goid", "right", tokens.TEXT),
        Column("Function", "left", tokens.TEXT),
    ]
    rows: List[Tuple[str, ...]] = [
        (
            f"m{one.m}",
            f"{one.number} ({one.tid})" if one.number is not None else f"({one.tid})" if one.tid else "",
            one.kind,
            sizes.address(one.lo),
            sizes.size(one.hi - one.lo),
            sizes.size(one.used) if one.used is not None else "",
            sizes.size(one.resident),
            str(one.goid) if one.goid is not None else "",
            clean(one.function or "", unicode),
        )
        for one in stacks
    ]
    yield from table(*fitted(columns, rows, width, (7, 1, 4), _MIN_LAST, unicode, clip_left))
