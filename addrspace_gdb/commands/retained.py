"""`addrspace retained`: who keeps how much of the heap alive."""

from __future__ import annotations

import argparse
from functools import cached_property
from typing import Any, Dict, Iterator, List, Optional, Sequence

from addrspace_gdb.commands.asked_objects import Asked, asked_of, no_object
from addrspace_gdb.commands.command import PLAIN_GRAPH, TYPED_GRAPH, Command, Look, document, drawn, first_of
from addrspace_gdb.commands.heap_graph import (
    HeapGraph,
    TypedGraph,
    Use,
    add_memory,
    graph_of,
    typed_graph_of,
)
from addrspace_gdb.commands.options import Parser, add_output
from addrspace_gdb.commands.session import Session
from addrspace_gdb.commands.values import ALL, limit_value, rows_shown
from addrspace_gdb.commands.whereis import WITH_VALUE, line_of, take_apart
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.common.sizes import plural
from addrspace_gdb.space.graph.kept import (
    OBJECT,
    PACKAGE,
    ROOT,
    SHARED,
    TYPE,
    Found,
    Node,
    Retained,
    Row,
    Size,
    counted_rows,
    deepened,
    group_of,
    root_rows,
    with_paths,
    with_types,
)
from addrspace_gdb.views.documents.retained import retained_json
from addrspace_gdb.views.kit.said import said_lines, wrapped
from addrspace_gdb.views.kit.text import Line, clean
from addrspace_gdb.views.kit.tokens import HEADING, NEWLINE, QUIET, TEXT, Pair
from addrspace_gdb.views.retained import VERDICT_LINES, retained_table, verdict_line, whole_line

_ROWS, _CHILDREN = 20, 5
_MAX_DEPTH = 32
_WITH_VALUE = (*WITH_VALUE, "--limit", "--depth", "--by", "--memory")

_EPILOG = """\
What a row keeps is what would be freed if it held nothing any more: its part of the dominator tree.
What several roots hold together is in rows of its own, so that all rows add up to what is reached; below
large ones of these are the objects that keep most, which --depth shows of every row.
Roots are those of Go's collector: variables, live slots of stacks by the compiler's maps, records of
finalizers, cleanups and weak handles. With EXPR: what the object at that address keeps.
By type or package a row is what all objects of that type keep, others in it too: such rows do not add up.
  addrspace retained --depth 3             below each root the objects that keep most
  addrspace retained --by type             whose objects keep most, whoever holds them
  addrspace retained 0xc000012340          what this object keeps"""


def parser() -> Parser:
    """The command's arguments."""
    made = Parser(
        prog="addrspace retained",
        description="Show who keeps how much of the heap alive: the dominator tree, by root.",
        epilog=_EPILOG,
    )
    add = made.add_argument
    add("expressions", nargs="*", default=[], metavar="EXPR", help="objects: what the debugger evaluates")
    add("--by", choices=[ROOT, TYPE, PACKAGE], default=ROOT, help="what to group by (default: root)")
    add("--depth", type=depth_value, default=0, metavar="N", help="levels of the tree below each row")
    add(
        "--limit",
        type=limit_value,
        metavar="N",
        help="at most N rows, and a quarter as many below each, or `all`",
    )
    add_memory(made)
    add_output(made, ["text", "json"])
    return made


def depth_value(text: str) -> int:
    """A number of levels."""
    if not text.isdecimal() or len(text) > 3 or int(text) > _MAX_DEPTH:
        raise argparse.ArgumentTypeError(f"{clean(text)!r} is not a number up to {_MAX_DEPTH}")
    return int(text)


def parse(line: str) -> argparse.Namespace:
    """Take apart what was typed: expressions need not look like a shell's words."""
    expressions, options = take_apart(line, _WITH_VALUE)
    arguments = parser().parse_line(options)
    arguments.expressions = expressions + arguments.expressions
    if arguments.by != ROOT and arguments.depth:
        raise ProblemError(f"--depth goes with rows by root, not by {arguments.by}")
    return arguments


class Answer:
    """A heap that was read; the rest is worked out when it is shown."""

    def __init__(self, graph: HeapGraph, asked: Sequence[Asked], arguments: argparse.Namespace) -> None:
        self._graph, self._asked, self.arguments = graph, asked, arguments

    @cached_property
    def found(self) -> Retained:
        """Everything, with as many rows below each as are shown. ProblemError."""
        graph, limit = self._graph, self.arguments.limit
        if self.arguments.by != ROOT:
            return self._of_groups()
        rows = [self._of(one) for one in self._asked] or root_rows(graph.owners, graph.kept, graph.first)
        shown = rows[: _ROWS if limit is None and self.arguments.format != "json" else limit]
        most = _CHILDREN if limit is None else ALL if limit == ALL else max(1, limit // 4)
        info, totals = graph.reading.info, graph.totals
        found = Retained(info, totals, rows, bool(self._asked), graph.notes, graph.problems)

        def deeper(some: Sequence[Row], depth: int) -> List[Row]:
            return deepened(some, depth, graph.owners, graph.first, self._children(most), self._objects)

        if self._opens_shared:
            opened = [row.kind == SHARED and found.is_much(row) for row in shown]
            deep = [deeper([row], 1)[0] if one else row for one, row in zip(opened, shown)]
        else:
            deep = deeper(shown, self._depth)
        return found._replace(rows=with_types([*deep, *rows[len(shown) :]], graph.root_type))

    @property
    def _opens_shared(self) -> bool:
        """Whether objects are shown only of what no single root holds: its own row says nothing of it."""
        return not self._depth and self._graph.typed

    def _of_groups(self) -> Retained:
        graph, by = self._graph, self.arguments.by
        assert isinstance(graph, TypedGraph)
        nodes = [self._of(one).node for one in self._asked]
        totals = graph.totals
        groups, rows = group_of(graph.shapes_told, by)
        said = graph.grouped(groups, len(rows), nodes)
        counted = counted_rows(rows, said.column("bytes"), said.column("objects"))
        return Retained(graph.reading.info, totals, counted, bool(nodes), graph.notes, graph.problems, by)

    @property
    def _depth(self) -> int:
        return self.arguments.depth or (1 if self._asked else 0)

    def _of(self, asked: Asked) -> Row:
        """What the object at an address keeps, or the variable there. ProblemError."""
        graph = self._graph
        owners = graph.owners
        begins = graph.pointed_by(asked.address) or asked.address
        for number, owner in enumerate(owners):
            if owner.kind == "global" and owner.address == begins:
                return Row("global", owner.name, graph.kept(number), graph.first + number, owner.address)
        node = graph.find([asked.address])[0]
        if node < 0:
            raise no_object(asked)
        (place,), (size,) = self._objects([node]), [one.size for one in self._children(1)([node], ())]
        made = Row(OBJECT, asked.text, size, node, place.address, place.type, place.size)
        return made._replace(package=place.package)

    def _children(self, most: int) -> Any:
        def ask(nodes: Sequence[int], shared: Sequence[int]) -> List[Found]:
            asked = {"nodes": list(nodes), "shared": list(shared), "most": min(most, 1 << 20)}
            rows = self._graph.ask("children", **asked).header["rows"]
            return [Found(Size(*row["kept"]), row["children"], row["count"]) for row in rows]

        return ask

    def _objects(self, nodes: Sequence[int]) -> List[Node]:
        rows = self._graph.ask("objects", objects=list(nodes)).header["rows"]
        return [Node(address, size, *self._graph.type_of(*type_)) for address, size, *type_ in rows]


def ask(session: Session, arguments: argparse.Namespace) -> Answer:
    """Read the heap of the selected inferior, and what the expressions come to."""
    asked = asked_of(session, arguments.expressions)
    made = typed_graph_of if _names_objects(arguments) else graph_of
    return Answer(made(session, Use(arguments.memory, want="retained")), asked, arguments)


def _names_objects(arguments: argparse.Namespace) -> bool:
    """Whether types of objects are shown: not in JSON of roots alone, which takes less memory."""
    plain = arguments.by == ROOT and not arguments.depth and not arguments.expressions
    return not plain or arguments.format != "json"


def rows_by_root(graph: HeapGraph) -> Retained:
    """What the report shows without options. ProblemError."""
    return Answer(graph, [], parser().parse_line("")).found


def as_json(answer: Answer) -> Dict[str, Any]:
    """retained/1."""
    found = answer.found
    limit = answer.arguments.limit
    return retained_json(found if limit is None else found._replace(rows=found.rows[:limit]))


def verdict(answer: Answer) -> Optional[str]:
    """What is damaged."""
    return first_of(answer.found.problems)


def draw(answer: Answer, look: Look) -> Iterator[Pair]:
    """The verdict, the rows, and the whole."""
    found = with_paths(answer.found)
    width = look.width or 1 << 16
    yield from wrapped(HEADING, verdict_line(found), width, look.unicode, VERDICT_LINES)
    yield NEWLINE
    limit = rows_shown(answer.arguments.limit, look.file, _ROWS)
    shown = found.rows[:limit]
    yield from retained_table(found, shown, look.width, look.unicode)
    rest = len(found.rows) - len(shown)
    if rest:
        text = f"{plural(rest, 'smaller one')}: --limit all shows every one"
        yield from Line(look.screen, look.unicode).put(QUIET, text)
    yield NEWLINE
    yield from wrapped(TEXT, whole_line(found), width, look.unicode)
    yield from said_lines(found.problems, found.notes, width, look.unicode)


COMMAND = Command(
    "addrspace retained",
    parser,
    ask,
    {"text": drawn(draw), "json": document(as_json)},
    verdict,
    parse=parse,
    joined=line_of,
    expressions=True,
    graph=lambda arguments: TYPED_GRAPH if _names_objects(arguments) else PLAIN_GRAPH,
)
