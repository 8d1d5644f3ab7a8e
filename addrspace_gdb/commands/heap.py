"""`addrspace heap`: the Go heap: where its bytes go, size classes, large objects, free runs, page map."""

from __future__ import annotations

import argparse
from functools import cached_property
from typing import Any, Dict, Iterator, List, Optional

from addrspace_gdb.commands.command import Command, Look, document, drawn, first_of
from addrspace_gdb.commands.options import Parser, add_output
from addrspace_gdb.commands.session import Session
from addrspace_gdb.commands.values import limit_value, rows_shown
from addrspace_gdb.common.sizes import plural
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.slotcount import ClassSlots
from addrspace_gdb.space.heap.large_types import large_types
from addrspace_gdb.space.heap.page_map import page_map
from addrspace_gdb.space.heap.summary import Heap, gather_slots, heap_of
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.space.rss.sites import Sites, sites_of
from addrspace_gdb.target.protocol import Target
from addrspace_gdb.views.documents.heap import heap_json
from addrspace_gdb.views.heap import (
    bytes_table,
    class_table,
    free_table,
    heading,
    large_table,
    own_table,
    site_table,
    states_line,
)
from addrspace_gdb.views.heapmap import map_columns, page_map_lines
from addrspace_gdb.views.kit.said import said_lines
from addrspace_gdb.views.kit.text import Line
from addrspace_gdb.views.kit.tokens import NEWLINE, QUIET, Pair

_SAID_LINES = 3
_MAP_ROWS = 12
_TALL = 48  # rows of a map that is asked for
_CLASSES, _LARGE, _SITES = 8, 5, 5  # rows beside the other tables

_EPILOG = """\
Used slots are what MemStats counts as HeapObjects; free ones wait in spans for objects of their
size class. What is behind the last slot of a span is not large enough for one more, or holds the
runtime's pointer bits and (Go 1.26) mark bits. Large objects (over 32 KiB) have a span each.
Where objects were allocated is sampled, and scaled as pprof does: `addrspace profile heap` has all of it.
  addrspace heap --sizes                   every size class
  addrspace heap --map                     the pages of the heap in more detail
  addrspace spans --class 7 --sort free    the spans of a class, emptiest first"""


def parser() -> Parser:
    """The command's arguments."""
    made = Parser(
        prog="addrspace heap",
        description="Show the Go heap: objects by size class, large objects, free pages, a page map.",
        epilog=_EPILOG,
    )
    add = made.add_argument
    add("--sizes", action="store_true", help="every size class, and nothing else")
    add("--large", action="store_true", help="large objects, the biggest first, and nothing else")
    add("--free", action="store_true", help="runs of free pages by length, and nothing else")
    add("--map", action="store_true", help="the page map, in more rows, and nothing else")
    add("--limit", type=limit_value, metavar="N", help="at most N size classes or large objects, or `all`")
    add_output(made, ["text", "json"])
    return made


class Answer:
    """A heap that was read, and what of it is asked for; the rest is worked out when that is shown."""

    def __init__(
        self,
        reading: Reading,
        target: Target,
        arguments: argparse.Namespace,
        sites: Optional[Sites],
        types: Dict[int, str],
    ) -> None:
        self._reading, self._target, self.arguments = reading, target, arguments
        self._sites = sites
        self.types = types  # of large objects, by where they start

    @property
    def sites(self) -> Optional[Sites]:
        """Where what is in use was allocated; None if the program keeps no heap profile."""
        found = self._sites
        return found if found is not None and found.is_kept(self.heap.slots.bytes.live) else None

    @cached_property
    def heap(self) -> Heap:
        """The heap, its largest objects first."""
        heap = heap_of(self._reading, self._target)
        heap.slots.large.sort(key=lambda one: (-one.size, one.start))
        return heap


def ask(session: Session, arguments: argparse.Namespace) -> Answer:
    """Read the heap of the selected inferior."""
    reading, target = session.reading(), session.target()
    gather_slots(reading, target)
    sites = sites_of(Runtime(target, reading.problems))
    return Answer(reading, target, arguments, sites, large_types(reading, target))


def as_json(answer: Answer) -> Dict[str, Any]:
    """heap/1."""
    return heap_json(answer.heap, answer.sites, answer.types)


def verdict(answer: Answer) -> Optional[str]:
    """What is damaged."""
    return first_of(answer.heap.problems)


def draw(answer: Answer, look: Look) -> Iterator[Pair]:
    """The sections that are asked for, or all of them, short."""
    heap, arguments = answer.heap, answer.arguments
    only = arguments.sizes or arguments.large or arguments.free or arguments.map
    if not only:
        yield from heading(heap, look.screen, look.unicode)
        yield NEWLINE
        yield from bytes_table(heap, look.width, look.unicode)
        yield from states_line(heap, look.screen, look.unicode)
        yield NEWLINE
        yield from own_table(heap.own)
        if answer.sites is not None:
            yield NEWLINE
            yield from site_table(answer.sites.top[:_SITES], look.width, look.unicode)
    if arguments.sizes or not only:
        yield from _gap(only)
        yield from _sizes(heap, rows_shown(arguments.limit, look.file or bool(only), _CLASSES), look)
    if (arguments.large or not only) and heap.slots.large:
        yield from _gap(only)
        yield from _large(
            heap, rows_shown(arguments.limit, look.file, 25 if only else _LARGE), look, answer.types
        )
    if arguments.free or not only:
        yield from _gap(only)
        yield from free_table(heap.free, look.unicode, heap.info.pointer_size)
    if arguments.map or not only:
        yield from _gap(only)
        yield from _map(heap, _TALL if arguments.map else _MAP_ROWS, look)
    yield from said_lines(list(heap.problems), heap.notes, look.width or 1 << 16, look.unicode)


def _gap(only: bool) -> Iterator[Pair]:
    if not only:
        yield NEWLINE


def _sizes(heap: Heap, limit: int, look: Look) -> Iterator[Pair]:
    classes: List[ClassSlots] = heap.slots.classes
    if limit < len(classes):
        largest = sorted(classes, key=lambda one: -one.size)[:limit]
        classes = [one for one in classes if one in largest]
    yield from class_table(classes, look.width)
    yield from _more(len(heap.slots.classes) - len(classes), "size class", "size classes", "--sizes", look)


def _large(heap: Heap, limit: int, look: Look, types: Dict[int, str]) -> Iterator[Pair]:
    shown = heap.slots.large[:limit]
    yield from large_table(shown, heap.info.pointer_size, types, look.width, look.unicode)
    rest = len(heap.slots.large) - len(shown)
    yield from _more(rest, "large object", "large objects", "--large --limit all", look)


def _map(heap: Heap, rows: int, look: Look) -> Iterator[Pair]:
    size = heap.info.pointer_size
    found = page_map(heap.pages, map_columns(look.screen, size), rows)
    yield from page_map_lines(found, look.screen, look.unicode, size)


def _more(count: int, one: str, many: str, option: str, look: Look) -> Iterator[Pair]:
    if count > 0:
        text = f"{plural(count, f'more {one}', f'more {many}')}: {option} shows every one"
        yield from Line(look.screen, look.unicode).put(QUIET, text)


COMMAND = Command("addrspace heap", parser, ask, {"text": drawn(draw), "json": document(as_json)}, verdict)
