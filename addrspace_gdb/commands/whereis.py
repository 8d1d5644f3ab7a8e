"""`addrspace whereis`: what is at an address."""

from __future__ import annotations

import argparse
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Sequence, Tuple

from addrspace_gdb.commands.command import TYPED_GRAPH, Command, Look, document, drawn, first_of
from addrspace_gdb.commands.options import Parser, add_output
from addrspace_gdb.commands.session import Session
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.space.regions.model import TargetInfo
from addrspace_gdb.space.where.answers import Where
from addrspace_gdb.space.where.locator import Locator, goroutine_values
from addrspace_gdb.target.protocol import Expressions, Target, Value
from addrspace_gdb.views.documents.whereis import whereis_json
from addrspace_gdb.views.kit.tokens import NEWLINE, Pair
from addrspace_gdb.views.whereis import where_card, where_table

if TYPE_CHECKING:
    from addrspace_gdb.commands.heap_graph import TypedGraph

_CARDS = 3  # so many addresses are shown in full, more as a table
_GOROUTINE = re.compile(r"goroutine:(\d+)")
_NUMBER = re.compile(r"0x[0-9a-fA-F]+|[1-9]\d*|0")  # the debugger would say the same, but slower
_OPTION = re.compile(r"\s(?=--[a-z]|-o\s)")
_GROUPING = re.compile(r"[\"'(\[{]")
WITH_VALUE = ("--format", "--output", "-o", "--width", "--color")  # options
_OPERATORS = re.compile(r"[-+*/%@&|^<>=!.,]+")

_EPILOG = """\
EXPR is anything that the debugger evaluates, in its current language or in C (in the shell, where none reads
unless --debugger says so, it has numbers, registers, symbols, goroutine:N, *, &, + and @N):
  0xc000012345, $sp, $rax, &'main.Table', p, *(void**)$rsp@16 (an array made with @: each element),
  or goroutine:GOID: its g, and where its stack pointer is.
A string, slice, interface or func value is what it points to; &x is the variable itself. Write
double quotes around an EXPR with blanks in it. One that would write memory or a register, call a function
of the program or run another program is refused; $x=EXPR sets a variable of the debugger's own.
  addrspace whereis $rax $rbx
  addrspace whereis --graph 0xc000012340   what this object is and what keeps it alive
  addrspace whereis --format json *(void**)$rsp@512"""


def parser() -> Parser:
    """The command's arguments."""
    made = Parser(
        prog="addrspace whereis",
        description="Say what is at an address: object, frame, variable, function, or why nothing.",
        epilog=_EPILOG,
    )
    made.add_argument(
        "expressions", nargs="*", default=[], metavar="EXPR", help="an address: what the debugger evaluates"
    )
    made.add_argument("--table", action="store_true", help="one row per address, even for a single one")
    made.add_argument(
        "--graph", action="store_true", help="the type of an object, and who holds it: reads the whole heap"
    )
    add_output(made, ["text", "json"])
    return made


def parse(line: str) -> argparse.Namespace:
    """Take apart what was typed: expressions need not look like a shell's words."""
    expressions, options = take_apart(line)
    arguments = parser().parse_line(options)
    arguments.expressions = expressions + arguments.expressions
    if not arguments.expressions:
        parser().error("missing address")
    return arguments


class Answer:
    """What is where, in which process. Who holds objects is worked out when it is shown."""

    def __init__(
        self,
        info: TargetInfo,
        places: List[Where],
        problems: List[str],
        table: bool,
        graph: Optional[TypedGraph] = None,
    ) -> None:
        self.info, self._places, self.problems, self.table = info, places, problems, table
        self._graph = graph

    @cached_property
    def places(self) -> List[Where]:
        """The places, with who holds objects where that was asked for. ProblemError."""
        if self._graph is None:
            return self._places
        from addrspace_gdb.commands.holding import with_holders

        return with_holders(self._graph, self._places)


def ask(session: Session, arguments: argparse.Namespace) -> Answer:
    """Look at the selected inferior."""
    reading, target = session.reading(), session.target()
    locator = Locator(reading, target)
    values: List[Value] = []
    for expression in arguments.expressions:
        values += evaluate(locator, target, expression)
    places = locator.locate(values)
    graph = _graph_of(session) if arguments.graph else None
    problems = [*reading.problems, *(p for p in locator.problems if p not in list(reading.problems))]
    return Answer(reading.info, places, problems, arguments.table or len(places) > _CARDS, graph)


def _graph_of(session: Session) -> TypedGraph:
    from addrspace_gdb.commands.heap_graph import typed_graph_of

    return typed_graph_of(session)


def as_json(answer: Answer) -> Dict[str, Any]:
    """whereis/1."""
    return whereis_json(answer.info, answer.places, answer.problems)


def verdict(answer: Answer) -> Optional[str]:
    """What is damaged."""
    return first_of(answer.problems)


def evaluate(locator: Locator, target: Target, expression: str) -> List[Value]:
    """The addresses of one EXPR. ProblemError if there are none."""
    match = _GOROUTINE.fullmatch(expression)
    if match:
        values = goroutine_values(locator, int(match.group(1)), expression)
        if not values:
            raise ProblemError(f"there is no goroutine {match.group(1)}")
        return values
    return addresses_of(target, expression)


def draw(answer: Answer, look: Look) -> Iterator[Pair]:
    """A card for each of a few addresses, a table of more."""
    size = answer.info.pointer_size
    if answer.table:
        yield from where_table(answer.places, look.width, look.unicode, size)
        return
    for number, where in enumerate(answer.places):
        if number:
            yield NEWLINE
        yield from where_card(where, look.width, look.unicode, size)


def addresses_of(target: Target, expression: str) -> List[Value]:
    """The addresses of an EXPR that names no goroutine. ProblemError if there are none."""
    if _GOROUTINE.fullmatch(expression):
        raise ProblemError(f"{expression} is no object; `whereis {expression}` has the addresses of its own")
    if _NUMBER.fullmatch(expression):
        return [Value(expression, int(expression, 0) & ((1 << (8 * target.pointer_size)) - 1))]
    if isinstance(target, Expressions):
        return target.values(expression)
    return [Value(expression, target.evaluate(expression))]


def take_apart(line: str, with_value: Tuple[str, ...] = WITH_VALUE) -> Tuple[List[str], str]:
    """The expressions of a line, and the options, which stand before or behind them.

    Blanks part expressions, but not inside brackets and quotes, nor around an operator that stands alone.
    """
    options: List[str] = []
    rest = line.strip()
    while rest.startswith(("--", "-o ")):
        words = rest.split(None, 2)
        takes = 2 if words[0] in with_value else 1
        options += words[:takes]
        rest = rest.split(None, takes)[takes] if len(words) > takes else ""
    behind = _OPTION.search(rest)
    if behind:
        options.append(rest[behind.end() :])
        rest = rest[: behind.start()]
    return _joined(_pieces(rest)), " ".join(options)


def line_of(words: Sequence[str]) -> str:
    """Words of a shell, each an expression or of an option, as `take_apart` takes them."""
    return " ".join(f'"{word}"' if " " in word and '"' not in word else word for word in words)


def _pieces(text: str) -> List[str]:
    if not _GROUPING.search(text):
        return text.split()
    pieces: List[str] = [""]
    depth, quote = 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character.isspace() and depth <= 0:
            pieces.append("")
            continue
        pieces[-1] += character
    return [_unquoted(piece) for piece in pieces if piece]


def _unquoted(piece: str) -> str:
    whole = len(piece) > 1 and piece[0] == piece[-1] == '"' and '"' not in piece[1:-1]
    return piece[1:-1] if whole else piece


def _joined(pieces: List[str]) -> List[str]:
    """`$rsp + 8` is one expression."""
    made: List[str] = []
    operator = False
    for piece in pieces:
        alone = bool(_OPERATORS.fullmatch(piece))
        if made and (operator or alone):
            made[-1] += f" {piece}"
        else:
            made.append(piece)
        operator = alone
    return made


COMMAND = Command(
    "addrspace whereis",
    parser,
    ask,
    {"text": drawn(draw), "json": document(as_json)},
    verdict,
    words=("goroutine:",),
    parse=parse,
    joined=line_of,
    expressions=True,
    graph=lambda arguments: TYPED_GRAPH if arguments.graph else None,
)
