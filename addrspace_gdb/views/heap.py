"""The heap as text: where its bytes go, size classes, large objects, free runs."""

from __future__ import annotations

import os
from typing import Iterator, Mapping, Optional, Sequence, Tuple

from addrspace_gdb.common import sizes
from addrspace_gdb.goruntime.mspan import PAGE
from addrspace_gdb.goruntime.own_slots import OwnKind
from addrspace_gdb.goruntime.slotcount import ClassSlots, Large
from addrspace_gdb.space.heap import pages
from addrspace_gdb.space.heap.pages import FreeRuns
from addrspace_gdb.space.heap.summary import Heap
from addrspace_gdb.space.rss.sites import Site
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.glyphs import glyphs
from addrspace_gdb.views.kit.said import wrapped
from addrspace_gdb.views.kit.table import Column, fitted, narrowed, table
from addrspace_gdb.views.kit.text import Line, clean, clip_left
from addrspace_gdb.views.stackparts import bar, program
from addrspace_gdb.views.verdicts import of_heap, verdict_lines


def heading(heap: Heap, width: int, unicode: bool = True) -> Iterator[tokens.Pair]:
    """What most of it is, whose heap it is, and how large."""
    yield from verdict_lines(of_heap(heap), width, unicode)
    dot = glyphs(unicode).dot
    info = heap.info
    what = {"live": "pid ", "core": "core of pid "}.get(info.kind, f"{info.kind} pid ")
    facts = [
        program(info.executable),
        f"{what}{info.pid or sizes.UNKNOWN}",
        info.go_version or "Go version ?",
    ]
    yield from Line(width, unicode).put(tokens.HEADING, dot.join(clean(fact, unicode) for fact in facts))
    arena = f" of {sizes.size(heap.arenas[0].size)}" if heap.arenas else ""
    resident = grown_resident(heap)
    text = f"{sizes.plural(len(heap.arenas), 'arena')}{arena}, in use up to {sizes.size(heap.grown)}"
    text += f", {sizes.size(resident)} resident; GC phase: {heap.gc_phase or sizes.UNKNOWN}"
    yield from wrapped(tokens.TEXT, text, width, unicode)


def bytes_table(heap: Heap, width: Optional[int] = 100, unicode: bool = True) -> Iterator[tokens.Pair]:
    """Every byte the heap has grown into, by what it is."""
    rows = [
        (*_amount(name, size, resident, heap.grown), more) for name, size, resident, more in _amounts(heap)
    ]
    rows.append((*_amount("all", heap.grown, grown_resident(heap), heap.grown), ""))
    columns = [
        Column("Bytes of", "left", tokens.NAME),
        Column("Size", "right", tokens.SIZE),
        Column("of all", "right", tokens.QUIET),
        Column("Resident", "right", tokens.SIZE),
        Column("", "left", tokens.QUIET),
    ]
    yield from table(*fitted(columns, rows, width, (2,), 14, unicode))


def _amount(name: str, size: int, resident: Optional[int], whole: int) -> Tuple[str, str, str, str]:
    return name, sizes.size(size), sizes.share(size, whole), sizes.size(resident)


def _amounts(heap: Heap) -> Iterator[Tuple[str, int, Optional[int], str]]:
    there, slots = heap.slots.resident, heap.slots
    names = {
        "live": "objects that survived the last GC",
        "since": "objects allocated since",
        "dead": "objects dead, not swept yet",
        "free": "free slots",
        "waste": "tail waste",
        "unknown": "damaged spans",
    }
    for part, name in names.items():
        size, count = getattr(slots.bytes, part), getattr(slots.objects, part)
        resident = getattr(there, part) if there is not None else None
        if part == "waste":
            yield name, size, resident, "rest, pointer bits, mark bits"
        elif part == "unknown" and size:
            yield name, size, resident, sizes.plural(slots.impossible, "span")
        elif part in ("live", "since") or (count and part != "unknown") or part == "free":
            yield name, size, resident, sizes.plural(count, "slot" if part == "free" else "object")
    for use, name in (
        (pages.STACKS, "stacks"),
        (pages.OTHER, "GC work buffers"),
        (pages.FREE, "free pages"),
        (pages.RETURNED, "returned pages"),
    ):
        size = heap.uses[use]
        if use == pages.OTHER and not size:
            continue
        yield name, size, heap.resident[use], sizes.plural(size // PAGE, "page")


def own_table(own: Sequence[OwnKind]) -> Iterator[tokens.Pair]:
    """Which of the objects are the runtime's own."""
    columns = [
        Column("Of the objects the runtime's own", "left", tokens.NAME),
        Column("Size", "right", tokens.SIZE),
        Column("Resident", "right", tokens.SIZE),
        Column("Objects", "right", tokens.SIZE),
    ]
    amounts = [(sizes.size(one.size), sizes.size(one.resident), sizes.count(one.objects)) for one in own]
    yield from table(columns, [(one.kind, *amount) for one, amount in zip(own, amounts)])


def site_table(
    sites: Sequence[Site], width: Optional[int] = 100, unicode: bool = True
) -> Iterator[tokens.Pair]:
    """Where most of what is in use was allocated."""
    columns = [
        Column("In use, by the heap profile", "right", tokens.SIZE),
        Column("of all", "right", tokens.QUIET),
        Column("allocated in", "left", tokens.NAME),
    ]
    rows = []
    for site in sites:
        where = site.spot
        line = f" ({os.path.basename(where.file)}:{where.line})" if where.file and where.line else ""
        text = clean(f"{where.function}{line}", unicode)
        rows.append((f"about {sizes.size(site.size)}", sizes.share(site.size, site.whole), text))
    yield from table(*fitted(columns, rows, width, (1,), 24, unicode, clip_left))


def states_line(heap: Heap, width: int, unicode: bool = True) -> Iterator[tokens.Pair]:
    """How many spans are in each state."""
    text = "Spans: " + ", ".join(f"{sizes.count(state.spans)} {state.state}" for state in heap.states)
    yield from wrapped(tokens.TEXT, text, width, unicode)


def grown_resident(heap: Heap) -> Optional[int]:
    """Resident bytes of what the heap has grown into."""
    parts = [size for use, size in heap.resident.items() if use != pages.RESERVED]
    return None if None in parts else sum(size or 0 for size in parts)


def class_table(classes: Sequence[ClassSlots], width: Optional[int] = 100) -> Iterator[tokens.Pair]:
    """One row a size class, scan and noscan apart."""
    damaged = any(one.bytes.unknown for one in classes)
    columns = [
        Column("Class", "right", tokens.ADDRESS),
        Column("Object", "right", tokens.SIZE),
        Column("", "left", tokens.QUIET),
        Column("Spans", "right", tokens.SIZE),
        Column("Size", "right", tokens.SIZE),
        Column("Slots", "right", tokens.SIZE),
        Column("Used", "right", tokens.SIZE),
        Column("Free", "right", tokens.SIZE),
        Column("Free bytes", "right", tokens.SIZE),
        Column("Tail waste", "right", tokens.SIZE),
        *([Column("Damaged", "right", tokens.PROBLEM)] if damaged else []),
    ]
    rows = [_class_row(one, damaged) for one in classes]
    yield from table(*narrowed(columns, rows, width, (9, 7, 5)))


def _class_row(one: ClassSlots, damaged: bool) -> Tuple[str, ...]:
    kind = "user arena" if one.user else "noscan" if one.noscan else "scan"
    return (
        str(one.size_class) if one.size_class else "large",
        sizes.count(one.element) if one.element else "",
        kind,
        sizes.count(one.spans),
        sizes.size(one.size),
        sizes.count(one.slots),
        sizes.count(one.objects.allocated),
        sizes.count(one.objects.free),
        sizes.size(one.bytes.free),
        sizes.size(one.bytes.waste),
        *([sizes.size(one.bytes.unknown) if one.bytes.unknown else ""] if damaged else []),
    )


def large_table(
    large: Sequence[Large],
    pointer_size: int = 8,
    types: Optional[Mapping[int, str]] = None,
    width: Optional[int] = None,
    unicode: bool = True,
) -> Iterator[tokens.Pair]:
    """One row a large object; `types` are names by where objects start."""
    named = types or {}
    told = any(one.start in named for one in large)
    columns = [
        Column("Large object", "left", tokens.ADDRESS),
        Column("Size", "right", tokens.SIZE),
        Column("Span", "right", tokens.SIZE),
        Column("", "left", tokens.QUIET),
        Column("State", "left", tokens.TEXT),
        *([Column("Type", "left", tokens.NAME)] if told else []),
    ]
    words = {"live": "survived the last GC", "since": "allocated since", "dead": "dead, not swept yet"}
    rows = [
        (
            sizes.address(one.start, pointer_size),
            sizes.size(one.used),
            sizes.size(one.size),
            "user arena" if one.user else "noscan" if one.noscan else "scan",
            words.get(one.part, one.part),
            *([clean(named.get(one.start, ""), unicode)] if told else []),
        )
        for one in large
    ]
    if told:
        columns, rows = fitted(columns, rows, width, (2,), 12, unicode, clip_left)
    yield from table(columns, rows)


def free_table(free: FreeRuns, unicode: bool = True, pointer_size: int = 8) -> Iterator[tokens.Pair]:
    """Runs of free pages by length, and the longest."""
    if free.longest is None:
        yield tokens.QUIET, "no free pages"
        yield tokens.NEWLINE
        return
    columns = [
        Column("Free runs of", "left", tokens.NAME),
        Column("Runs", "right", tokens.SIZE),
        Column("Size", "right", tokens.SIZE),
        Column("Returned", "right", tokens.SIZE),
        Column("", "left", tokens.GROWTH),
    ]
    rows = []
    for one in free.by_length:
        low, high = sizes.size(one.pages * PAGE), sizes.size((2 * one.pages - 1) * PAGE)
        length = low if one.pages == 1 else f"{low} to {high}"
        row = (length, sizes.count(one.runs), sizes.size(one.size), sizes.size(one.returned))
        rows.append((*row, bar(one.size, free.size, unicode, 12)))
    yield from table(columns, rows)
    longest = f"longest {sizes.size(free.longest.size)} at {sizes.address(free.longest.start, pointer_size)}"
    text = f"{sizes.plural(free.runs, 'free run')}, {sizes.size(free.size)}; {longest}"
    yield tokens.HEADING, text
    yield tokens.NEWLINE
