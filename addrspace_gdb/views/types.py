"""What the heap consists of, as text: how much has a type, then a row for each."""

from __future__ import annotations

from typing import Iterator, List, Optional, Sequence, Tuple

from addrspace_gdb.common import sizes
from addrspace_gdb.space.graph.counted import PACKAGE, TYPE, Counted, Row, Sites
from addrspace_gdb.space.graph.kept import Size
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.table import Column, fitted, table
from addrspace_gdb.views.kit.text import clean, clip_name
from addrspace_gdb.views.retained import NOT_READ

_MIN_NAME = 24
_TITLES = {TYPE: "Type", PACKAGE: "Package"}


def verdict_line(found: Counted) -> str:
    """How much there is, and what most of it is."""
    whole = found.totals.unreached if found.unreached else found.totals.allocated
    dead = NOT_READ if found.problems else "wait for the collector"
    one = whole.objects == 1
    what = dead if found.unreached else "is allocated" if one else "are allocated"
    text = f"{sizes.size(whole.bytes)} in {sizes.plural(whole.objects, 'object')} {what}"
    rows = [row for row in found.rows if row.name]
    if not rows or not whole.bytes:
        return f"{text}."
    first = max(rows, key=lambda row: of_row(row, found.unreached).bytes)
    part = of_row(first, found.unreached).bytes
    share = sizes.share(part, whole.bytes)
    text += f", the largest {found.by} is {name_of(first)} with {sizes.size(part)} ({share})"
    return f"{text}; {_next(found)}."


def _next(found: Counted) -> str:
    """What to look at after it."""
    if found.unreached:
        return "`addrspace gc` says when they are collected"
    by = PACKAGE if found.by == PACKAGE else TYPE
    return f"`addrspace retained --by {by}` says what they keep"


def of_row(row: Row, unreached: bool) -> Size:
    """What the row is about."""
    return row.unreached if unreached else row.size


def name_of(row: Row) -> str:
    """A type in words."""
    if row.name is None:
        if row.slot is None:
            return "no type known"
        inner = "with pointers" if row.pointers else "without pointers"
        return f"no type known: {sizes.size(row.slot)} each, {inner}"
    return row.name or "of no package"


def types_table(
    found: Counted, rows: Sequence[Row], width: Optional[int], unicode: bool
) -> Iterator[tokens.Pair]:
    """A row a type."""
    whole = (found.totals.unreached if found.unreached else found.totals.allocated).bytes
    lines = [_line(row, whole, found.unreached, unicode) for row in rows]
    columns = [
        Column("Bytes", "right", tokens.SIZE),
        Column("of all", "right", tokens.QUIET),
        Column("Objects", "right", tokens.SIZE),
        Column("not reached", "right", tokens.QUIET),
        Column(_TITLES.get(found.by, "Kind"), "left", tokens.NAME),
    ]
    yield from table(*fitted(columns, lines, width, (1,), _MIN_NAME, unicode, clip_name))


def _line(row: Row, whole: int, unreached: bool, unicode: bool) -> Tuple[str, str, str, str, str]:
    size, gone = of_row(row, unreached), row.unreached.bytes
    dead = sizes.size(gone) if gone else ""
    name = clean(name_of(row), unicode)
    return sizes.size(size.bytes), sizes.share(size.bytes, whole), sizes.count(size.objects), dead, name


def _sites_line(sites: Sites) -> str:
    typed, samples = sites.typed, sizes.plural(sites.samples, "sample")
    verb = "is" if typed.objects == 1 else "are"
    return (
        f"{sizes.size(typed.bytes)} in {sizes.plural(typed.objects, 'object')} {verb} known by allocation "
        f"sites, those of {sizes.count(sites.known)} of {samples} of the heap profile"
    )


def known_lines(found: Counted) -> List[str]:
    """How much has a type, and what contradicts."""
    whole = found.totals.allocated.bytes
    rest = found.untyped
    known = f"{sizes.share(whole - rest.bytes, whole)} of the bytes have a type"
    reached = found.totals.reached.bytes
    if found.totals.unreached.objects:
        share = sizes.share(reached - found.untyped_reached.bytes, reached)
        known += f" ({share} of those that are reached)"
    lines = [f"{known}; {sizes.size(rest.bytes)} in {sizes.plural(rest.objects, 'object')} have none known"]
    if found.sites.typed.objects:
        lines.append(_sites_line(found.sites))
    if found.sites.conflicts:
        have = "has another type than its" if found.sites.conflicts == 1 else "have other types than their"
        lines.append(f"{sizes.plural(found.sites.conflicts, 'sampled object')} {have} allocation site says")
    if found.conflicts:
        say = "says another type than its" if found.conflicts == 1 else "say another type than their"
        lines.append(f"{sizes.plural(found.conflicts, 'pointer')} {say} object has{_such_as(found)}")
    if found.misplaced:
        stand = "stands where its" if found.misplaced == 1 else "stand where their"
        lines.append(f"{sizes.plural(found.misplaced, 'pointer')} {stand} object's type has none")
    return lines


def _such_as(found: Counted) -> str:
    """One of the types that contradict each other."""
    if not found.examples:
        return ""
    first = found.examples[0]
    such = f"{first.said} of what is {first.type}"
    return f": {such}" if found.conflicts == 1 else f", such as {such}"
