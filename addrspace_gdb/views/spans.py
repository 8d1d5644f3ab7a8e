"""Spans and arenas as tables, and one span with a picture of its slots."""

from __future__ import annotations

from functools import lru_cache
from typing import Iterable, Iterator, List, Optional, Sequence, Tuple

from addrspace_gdb.common import sizes
from addrspace_gdb.goruntime.slotcount import Parts
from addrspace_gdb.goruntime.slots import popcount
from addrspace_gdb.space.heap import pages
from addrspace_gdb.space.heap.pages import ArenaUse
from addrspace_gdb.space.heap.spans import ChosenSpans, Slot, Span, SpanCard
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.table import Column, fitted, table
from addrspace_gdb.views.kit.text import Line, clean
from addrspace_gdb.views.stackparts import bar

_STATE_WORDS = {
    "live": "allocated; survived the last GC",
    "since": "allocated since the last GC",
    "dead": "dead, not swept yet (MemStats counts it as allocated)",
    "free": "free",
}
_LOOKS = {"live": "█#", "since": "▓+", "dead": "xx", "free": "░-"}
_SLOTS_A_ROW = 64
_MIN_PROBLEM = 12
_GIVE_WAY = (10, 2, 8, 3)  # columns in this order: bar, resident, live, class


def span_table(
    spans: Iterable[Span], width: Optional[int] = 100, unicode: bool = True, pointer_size: int = 8
) -> Iterator[tokens.Pair]:
    """One row a span. Wide output, as to a file (`width` None), cuts nothing."""
    columns = [
        Column("Span", "left", tokens.ADDRESS),
        Column("Size", "right", tokens.SIZE),
        Column("Resident", "right", tokens.SIZE),
        Column("Class", "right", tokens.NAME),
        Column("Object", "right", tokens.SIZE),
        Column("", "left", tokens.QUIET),
        Column("Slots", "right", tokens.SIZE),
        Column("Used", "right", tokens.SIZE),
        Column("Live", "right", tokens.SIZE),
        Column("Free", "right", tokens.SIZE),
        Column("", "left", tokens.GROWTH),
        Column("State", "left", tokens.TEXT),
    ]
    rows = [_row(span, unicode, pointer_size) for span in spans]
    yield from table(*fitted(columns, rows, width, _GIVE_WAY, _MIN_PROBLEM, unicode))


def _row(span: Span, unicode: bool, pointer_size: int) -> Tuple[str, ...]:
    row = span.row
    place = (sizes.address(row.start, pointer_size), sizes.size(row.size), sizes.size(span.resident))
    return place + _cells(
        span.kind, span.sweep, row.spanclass, row.element, row.slots, span.objects, span.problem, unicode
    )


@lru_cache(maxsize=1 << 14)
def _cells(
    kind: str,
    sweep: str,
    spanclass: int,
    element: int,
    slots: int,
    objects: Optional[Parts],
    problem: Optional[str],
    unicode: bool,
) -> Tuple[str, ...]:
    """What many spans have in common."""
    if not sweep:
        return ("", sizes.count(element) if element else "", *[""] * 6, kind)
    class_ = str(spanclass >> 1) if spanclass > 1 else "large"
    what = (class_, sizes.count(element), "noscan" if spanclass & 1 else "scan")
    if objects is None:
        return (*what, *["?"] * 4, "", clean(problem or "?", unicode))
    counts = (slots, objects.allocated, objects.live, objects.free)
    full = bar(objects.allocated, slots, unicode)
    state = sweep if kind != "user arena" else f"user arena, {sweep}"
    return (*what, *map(sizes.count, counts), full, state)


def spans_total(chosen: ChosenSpans, shown: int) -> str:
    """The line under the table."""
    text = f"{sizes.plural(len(chosen.addresses), 'span')}, {sizes.size(chosen.size)}"
    if chosen.slots:
        text += f"; {sizes.count(chosen.used)} of {sizes.plural(chosen.slots, 'slot')} used"
    rest = len(chosen.addresses) - shown
    return text + (f"; {sizes.count(rest)} more are not shown (--limit all)" if rest else "")


def span_card(
    card: SpanCard, width: int, unicode: bool = True, pointer_size: int = 8
) -> Iterator[tokens.Pair]:
    """One span: what it is, its slots, and which the address hits."""
    row = card.span.row
    ends = f"{sizes.address(row.start, pointer_size)}-{sizes.address(row.end, pointer_size)}"
    head = Line(width, unicode).put(tokens.HEADING, "span ").put(tokens.ADDRESS, ends)
    yield from head.put(tokens.TEXT, f"  {sizes.size(row.size)}, {card.span.kind}")
    for name, text in _facts(card, pointer_size):
        line = Line(width, unicode).put(tokens.QUIET, f"  {name}").skip_to(12)
        yield from line.put(tokens.PROBLEM if name == "problem" else tokens.TEXT, clean(text, unicode))
    if card.masks is not None and row.slots > 1:
        yield tokens.NEWLINE
        yield from _slots(card, width, unicode)


def _facts(card: SpanCard, pointer_size: int) -> Iterator[Tuple[str, str]]:
    span, row = card.span, card.span.row
    if span.slotted:
        class_ = f"size class {row.spanclass >> 1}" if row.spanclass > 1 else "no size class"
        kind = "noscan (no pointers)" if row.spanclass & 1 else "scan (with pointers)"
        yield "holds", f"{sizes.plural(row.slots, 'slot')} of {row.element:,} bytes, {class_}, {kind}"
    elif row.element:
        yield "holds", f"stacks of {row.element:,} bytes"
    objects = span.objects
    if objects is not None:
        dead = f", {objects.dead:,} dead and not swept" if objects.dead else ""
        text = f"{objects.live:,} survived the last GC, {objects.since:,} allocated since{dead}"
        yield "slots", f"{text}, {objects.free:,} free; {span.waste:,} bytes of tail waste"
        yield "GC", f"{span.sweep}; {popcount(card.marked):,} marked"
    yield "resident", sizes.size(span.resident)
    yield "mspan", f"{span.address:#x}, freeindex {row.freeindex:,}, allocCount {row.allocated:,}"
    if span.problem:
        yield "problem", span.problem
    yield from _hit(card, pointer_size)


def _hit(card: SpanCard, pointer_size: int) -> Iterator[Tuple[str, str]]:
    asked, slot = sizes.address(card.asked, pointer_size), card.slot
    if slot is None:
        if card.masks is not None:
            yield "address", f"{asked} is in the tail waste, behind the last slot"
        return
    base = sizes.address(slot.base, pointer_size)
    where = f"slot {slot.number:,} at {base}" + (f" + {slot.offset:,}" if slot.offset else "")
    yield "address", f"{asked} is in {where}"
    yield "", _state(slot)
    if slot.header:
        yield "", f"the object begins {slot.header} bytes into the slot, behind its type (malloc header)"


def _state(slot: Slot) -> str:
    return _STATE_WORDS[slot.state] + ("; marked in this cycle" if slot.marked else "")


def _slots(card: SpanCard, width: int, unicode: bool) -> Iterator[tokens.Pair]:
    """A character a slot, the one that was hit marked below."""
    count, hit = card.span.row.slots, card.slot.number if card.slot is not None else None
    states = _slot_states(card)
    for first in range(0, count, _SLOTS_A_ROW):
        part = states[first : first + _SLOTS_A_ROW]
        text = "".join(_LOOKS[state][0 if unicode else 1] for state in part)
        line = Line(width, unicode).put(tokens.QUIET, f"{first:>9,}").skip_to(12)
        yield from line.put(tokens.TEXT, text)
        if hit is not None and first <= hit < first + len(part):
            mark = Line(width, unicode).skip_to(12 + hit - first)
            yield from mark.put(tokens.MARK, ("▲" if unicode else "^") + f" slot {hit:,}")
    line = Line(width, unicode).skip_to(12)
    there = [state for state in _LOOKS if state in states]
    words = {"live": "survived the last GC", "since": "allocated since", "dead": "dead, not swept"}
    for state in there:
        line.put(tokens.TEXT, _LOOKS[state][0 if unicode else 1])
        line.put(tokens.QUIET, f" {words.get(state, state)}   ")
    yield from line


def _slot_states(card: SpanCard) -> List[str]:
    states = ["free"] * card.span.row.slots
    assert card.masks is not None
    for name, mask in zip(card.masks._fields, card.masks):
        for index in range(len(states)):
            if mask >> index & 1:
                states[index] = name
    return states


def arena_table(
    arenas: Sequence[ArenaUse],
    width: Optional[int] = 100,
    unicode: bool = True,
    pointer_size: int = 8,
) -> Iterator[tokens.Pair]:
    """One row an arena."""
    columns = [
        Column("Arena", "left", tokens.ADDRESS),
        Column("Size", "right", tokens.SIZE),
        Column("Resident", "right", tokens.SIZE),
        Column("Objects", "right", tokens.SIZE),
        Column("Stacks", "right", tokens.SIZE),
        Column("Free", "right", tokens.SIZE),
        Column("Returned", "right", tokens.SIZE),
        Column("Reserved", "right", tokens.SIZE),
        Column("", "left", tokens.GROWTH),
        Column("", "left", tokens.QUIET),
    ]
    rows = [_arena_row(arena, unicode, pointer_size) for arena in arenas]
    yield from table(*fitted(columns, rows, width, (8, 1, 2), 0, unicode))


def _arena_row(arena: ArenaUse, unicode: bool, pointer_size: int) -> Tuple[str, ...]:
    uses = arena.uses
    taken = arena.size - uses[pages.RESERVED] - uses[pages.FREE] - uses[pages.RETURNED]
    kept = (pages.OBJECTS, pages.STACKS, pages.FREE, pages.RETURNED, pages.RESERVED)
    other = uses[pages.OTHER]
    notes = ["user arenas"] if arena.arena.user else []
    notes += [f"GC work {sizes.size(other)}"] if other else []
    return (
        sizes.address(arena.arena.start, pointer_size),
        sizes.size(arena.size),
        sizes.size(arena.resident),
        *[sizes.size(uses[use]) for use in kept],
        bar(taken, arena.size, unicode),
        ", ".join(notes),
    )


def arenas_total(arenas: Sequence[ArenaUse], shown: int) -> str:
    """The line under the table."""
    resident: Optional[int] = 0
    for arena in arenas:
        resident = None if resident is None or arena.resident is None else resident + arena.resident
    grown = sum(arena.size - arena.uses[pages.RESERVED] for arena in arenas)
    text = f"{sizes.plural(len(arenas), 'arena')}, {sizes.size(sum(a.size for a in arenas))}"
    text += f", {sizes.size(grown)} in use, {sizes.size(resident)} resident"
    rest = len(arenas) - shown
    return text + (f"; {sizes.count(rest)} more are not shown (--limit all)" if rest else "")
