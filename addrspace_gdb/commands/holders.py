"""`addrspace holders`: what keeps an object alive, field by field."""

from __future__ import annotations

import argparse
from functools import cached_property
from typing import Any, Dict, Iterator, List, Optional, Sequence

from addrspace_gdb.commands.asked_objects import Asked, asked_of, no_object
from addrspace_gdb.commands.command import TYPED_GRAPH, Command, Look, document, drawn, first_of
from addrspace_gdb.commands.heap_graph import TypedGraph, Use, add_memory, typed_graph_of
from addrspace_gdb.commands.holding import Finder
from addrspace_gdb.commands.options import Parser, add_output
from addrspace_gdb.commands.session import Session
from addrspace_gdb.commands.values import ALL, limit_value, rows_shown
from addrspace_gdb.commands.whereis import WITH_VALUE, line_of, take_apart
from addrspace_gdb.common.sizes import plural
from addrspace_gdb.space.graph.holding import Held, Holding
from addrspace_gdb.views.documents.holders import holders_json
from addrspace_gdb.views.holders import held_sentence, path_lines
from addrspace_gdb.views.kit.said import said_lines, wrapped
from addrspace_gdb.views.kit.text import Line
from addrspace_gdb.views.kit.tokens import HEADING, NEWLINE, QUIET, Pair

_PATHS = 10
_WITH_VALUE = (*WITH_VALUE, "--limit", "--memory")

_EPILOG = """\
A path begins at a root of Go's collector and names each object on the way as Go would: the type of what
points to it, and the field with the next pointer; [value] and [key] are of maps, +N is an offset in bytes
where the field is not known. Each root has its shortest path; equal ones of a variable, or of several
goroutines, are one.
EXPR may lead into the middle of an object.
  addrspace holders 0xc000012340
  addrspace holders 'main.cache'.first --all"""


def parser() -> Parser:
    """The command's arguments."""
    made = Parser(
        prog="addrspace holders",
        description="Show what keeps an object alive: the shortest paths from roots to it.",
        epilog=_EPILOG,
    )
    add = made.add_argument
    add("expressions", nargs="*", metavar="EXPR", help="an object: what the debugger evaluates")
    add("--all", action="store_true", help="every path: the same as --limit all")
    add("--limit", type=limit_value, metavar="N", help=f"at most N paths ({_PATHS} on a screen), or `all`")
    add_memory(made)
    add_output(made, ["text", "json"])
    return made


def parse(line: str) -> argparse.Namespace:
    """Take apart what was typed: expressions need not look like a shell's words."""
    expressions, options = take_apart(line, _WITH_VALUE)
    arguments = parser().parse_line(options)
    arguments.expressions = expressions + arguments.expressions
    if not arguments.expressions:
        parser().error("missing EXPR: which object?")
    if arguments.all:
        arguments.limit = ALL
    return arguments


class Answer:
    """A heap that was read; the rest is worked out when it is shown."""

    def __init__(self, graph: TypedGraph, asked: Sequence[Asked], arguments: argparse.Namespace) -> None:
        self._graph, self._asked, self.arguments = graph, asked, arguments

    def found(self, most: Optional[int]) -> Holding:
        """Everything, with so many paths to each object. ProblemError."""
        graph, finder = self._graph, self._finder
        nodes = graph.find([one.address for one in self._asked])
        for one, node in zip(self._asked, nodes):
            if node < 0:
                raise no_object(one)
        held = [finder.held(*one, node, most) for one, node in zip(self._asked, nodes)]
        return Holding(graph.reading.info, held, graph.notes, graph.problems)

    @cached_property
    def _finder(self) -> Finder:
        return Finder(self._graph)

    @property
    def problems(self) -> List[str]:
        """What is damaged."""
        return self._graph.problems


def ask(session: Session, arguments: argparse.Namespace) -> Answer:
    """Read the heap of the selected inferior, and what the expressions come to."""
    asked = asked_of(session, arguments.expressions)
    return Answer(typed_graph_of(session, Use(arguments.memory, want="holders")), asked, arguments)


def as_json(answer: Answer) -> Dict[str, Any]:
    """holders/1."""
    return holders_json(answer.found(answer.arguments.limit))


def verdict(answer: Answer) -> Optional[str]:
    """What is damaged."""
    return first_of(answer.problems)


def draw(answer: Answer, look: Look) -> Iterator[Pair]:
    """A sentence for each object, and its paths."""
    found = answer.found(rows_shown(answer.arguments.limit, look.file, _PATHS))
    width = look.width or 1 << 16
    for number, held in enumerate(found.objects):
        if number:
            yield NEWLINE
        yield from _held_lines(held, found.info.pointer_size, width, look.unicode)
    yield from said_lines(found.problems, found.notes, width, look.unicode)


def _held_lines(held: Held, pointer_size: int, width: int, unicode: bool) -> Iterator[Pair]:
    yield from wrapped(HEADING, held_sentence(held, pointer_size), width, unicode, 4)
    for path in held.paths:
        yield from path_lines(path, pointer_size, width, unicode)
    if held.more:
        text = f"{plural(held.more, 'more path')}: --all shows every one"
        yield from Line(width, unicode).put(QUIET, text)


COMMAND = Command(
    "addrspace holders",
    parser,
    ask,
    {"text": drawn(draw), "json": document(as_json)},
    verdict,
    parse=parse,
    joined=line_of,
    expressions=True,
    graph=lambda _: TYPED_GRAPH,
)
