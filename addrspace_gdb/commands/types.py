"""`addrspace types`: what the objects of the heap are."""

from __future__ import annotations

import argparse
from functools import cached_property
from typing import Any, Dict, Iterator, Optional

from addrspace_gdb.commands.command import TYPED_GRAPH, Command, Look, document, drawn, first_of
from addrspace_gdb.commands.heap_graph import TypedGraph, Use, add_memory, typed_graph_of
from addrspace_gdb.commands.options import Parser, add_output
from addrspace_gdb.commands.session import Session
from addrspace_gdb.commands.values import limit_value, rows_shown
from addrspace_gdb.common.sizes import plural
from addrspace_gdb.space.graph.counted import (
    BYTES,
    KIND,
    NAME,
    OBJECTS,
    PACKAGE,
    TYPE,
    Counted,
    Sites,
    clashes,
    grouped,
    ordered,
    rows_of,
    untyped,
    with_paths,
)
from addrspace_gdb.space.graph.kept import Size
from addrspace_gdb.views.documents.types import types_json
from addrspace_gdb.views.kit.said import said_lines, wrapped
from addrspace_gdb.views.kit.text import Line
from addrspace_gdb.views.kit.tokens import HEADING, NEWLINE, QUIET, TEXT, Pair
from addrspace_gdb.views.types import known_lines, types_table, verdict_line

_ROWS = 40

_EPILOG = """\
Types are those that the runtime keeps before large objects, those of variables where there is debug
information, those that a program allocates where the heap profile has samples, and what they and interfaces
lead to: pointers, slices, strings, maps, channels and closures. `[...]T` is the array behind a slice.
Types are called as Go's %T prints them, with the path of the package where two packages share a name; JSON
has the path apart. What has no type that is known is listed by the size of its objects. All rows add up to
HeapAlloc and HeapObjects.
  addrspace types --by package             who made the types that fill the heap
  addrspace types --unreachable            what waits for the collector"""


def parser() -> Parser:
    """The command's arguments."""
    made = Parser(
        prog="addrspace types",
        description="Show what the objects of the heap are: bytes and objects by Go type.",
        epilog=_EPILOG,
    )
    add = made.add_argument
    add("--sort", choices=[BYTES, OBJECTS, NAME], default=BYTES, help="order of the rows (default: bytes)")
    add("--by", choices=[TYPE, PACKAGE, KIND], default=TYPE, help="what to group by (default: type)")
    add("--unreachable", action="store_true", help="only objects that nothing leads to")
    add("--limit", type=limit_value, metavar="N", help="at most N rows, or `all`")
    add_memory(made)
    add_output(made, ["text", "json"])
    return made


class Answer:
    """A heap that was read; the rest is worked out when it is shown."""

    def __init__(self, graph: TypedGraph, arguments: argparse.Namespace) -> None:
        self._graph, self.arguments = graph, arguments

    @cached_property
    def found(self) -> Counted:
        """Everything. ProblemError."""
        graph, arguments = self._graph, self.arguments
        told = graph.ask("types")
        rows = rows_of(told, graph.shapes.all, graph.function_at)
        asked = arguments.unreachable
        return Counted(
            graph.reading.info,
            graph.totals,
            ordered(grouped(rows, arguments.by), arguments.sort, asked),
            arguments.by,
            asked,
            *untyped(rows),
            told.header["conflicts"],
            clashes(told.header["examples"], graph.shapes.all),
            told.header["misplaced"],
            Sites(*graph.sampled, Size(*reversed(told.header["by_sites"])), told.header["site_conflicts"]),
            graph.notes,
            graph.problems,
        )


def ask(session: Session, arguments: argparse.Namespace) -> Answer:
    """Read the heap of the selected inferior."""
    return Answer(typed_graph_of(session, Use(arguments.memory, tree=False, want="types")), arguments)


def as_json(answer: Answer) -> Dict[str, Any]:
    """types/1."""
    found, limit = answer.found, answer.arguments.limit
    return types_json(found if limit is None else found._replace(rows=found.rows[:limit]))


def verdict(answer: Answer) -> Optional[str]:
    """What is damaged."""
    return first_of(answer.found.problems)


def draw(answer: Answer, look: Look) -> Iterator[Pair]:
    """The verdict, the rows, and how much is known."""
    found, wide = with_paths(answer.found), look.width or 1 << 16
    yield from wrapped(HEADING, verdict_line(found), wide, look.unicode)
    yield NEWLINE
    limit = rows_shown(answer.arguments.limit, look.file, _ROWS)
    shown = found.rows[:limit]
    yield from types_table(found, shown, look.width, look.unicode)
    rest = len(found.rows) - len(shown)
    if rest:
        text = f"{plural(rest, 'more row')}: --limit all shows every one"
        yield from Line(look.screen, look.unicode).put(QUIET, text)
    yield NEWLINE
    for text in known_lines(found):
        yield from wrapped(TEXT, text, wide, look.unicode)
    yield from said_lines(found.problems, found.notes, wide, look.unicode)


COMMAND = Command(
    "addrspace types",
    parser,
    ask,
    {"text": drawn(draw), "json": document(as_json)},
    verdict,
    graph=lambda _: TYPED_GRAPH,
)
