"""`addrspace spans`: spans filtered and sorted, or one span with its slots."""

from __future__ import annotations

import argparse
from typing import Iterable, Iterator, List, NamedTuple, Optional, Union

from addrspace_gdb.commands.command import Command, Look, drawn, first_of
from addrspace_gdb.commands.options import Parser, add_output
from addrspace_gdb.commands.session import Session
from addrspace_gdb.commands.values import (
    ALL,
    expression_line,
    limit_value,
    range_value,
    rows_shown,
    size_value,
    split_expression,
    to_file,
)
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.space.heap.spans import SORTS, STATES, ChosenSpans, Span, SpanCard, SpanFilter, SpanReader
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.views.documents.form import pieces
from addrspace_gdb.views.documents.spans import card_json, spans_json
from addrspace_gdb.views.kit.said import wrapped
from addrspace_gdb.views.kit.tokens import HEADING, Pair
from addrspace_gdb.views.spans import span_card, span_table, spans_total

_EPILOG = """\
EXPR is anything that the debugger evaluates to an address: 0xc000010000, $sp, &main.table, p.
With it the span there is shown with its slots, and the slot that the address is in.
  addrspace spans --class 7 --sort free    spans of 80-byte objects, emptiest first
  addrspace spans --state large --sort size
  addrspace spans --state unswept          spans waiting to be swept
  addrspace spans --range $lo,$hi          spans between two addresses"""


def parser() -> Parser:
    """The command's arguments."""
    made = Parser(
        prog="addrspace spans",
        description="List the spans of the heap, or show one of them with its object slots.",
        epilog=_EPILOG,
    )
    add = made.add_argument
    add("expression", nargs="*", default=[], metavar="EXPR", help="an address: the span there, and its slots")
    add("--class", dest="size_class", type=_size_class, metavar="N", help="of this size class (0 or `large`)")
    add(
        "--state",
        action="append",
        choices=STATES,
        metavar="STATE",
        default=[],
        help=f"{', '.join(STATES)}; repeatable (any match)",
    )
    add("--scan", dest="noscan", action="store_false", default=None, help="only objects with pointers")
    add("--noscan", dest="noscan", action="store_true", help="only objects without pointers")
    add("--min-size", type=size_value, default=0, metavar="N", help="spans of at least N: 64KiB, 1MiB")
    add("--range", type=range_value, metavar="LOW,HIGH", help="spans that overlap this range")
    add("--sort", choices=sorted(SORTS), default="address", help="order (default: address); largest first")
    add("--limit", type=limit_value, metavar="N", help="at most N rows, or `all`")
    add_output(made, ["text", "json"])
    return made


def _size_class(text: str) -> int:
    if text == "large":
        return 0
    if not text.isdecimal() or int(text) > 127:
        raise argparse.ArgumentTypeError(f"{printable(text)!r} is not a size class (0 to 127, or `large`)")
    return int(text)


def parse(line: str) -> argparse.Namespace:
    """Take apart what was typed: EXPR is what stands before the options, as it is."""
    expression, options = split_expression(line)
    arguments = parser().parse_line(options)
    arguments.expression = expression or " ".join(arguments.expression)
    given = (arguments.size_class, arguments.noscan, arguments.range)
    if arguments.expression and (
        arguments.state or arguments.min_size or any(one is not None for one in given)
    ):
        raise ProblemError("addrspace spans: EXPR shows one span; filters do not go with it")
    return arguments


class OneSpan(NamedTuple):
    """The span at an address, with its slots."""

    reading: Reading
    card: SpanCard


class SomeSpans(NamedTuple):
    """The spans that are wanted."""

    reading: Reading
    chosen: ChosenSpans
    shown: List[Span]


Answer = Union[OneSpan, SomeSpans]


def ask(session: Session, arguments: argparse.Namespace) -> Answer:
    """Read the selected inferior."""
    which = _filter(session, arguments)
    reading = session.reading()
    spans = SpanReader(reading, session.target())
    if arguments.expression:
        return OneSpan(reading, spans.card(session.target().evaluate(arguments.expression)))
    chosen = spans.choose(which, arguments.sort)
    if not chosen.addresses and which != SpanFilter():
        raise ProblemError("no span matches")
    usual = ALL if arguments.format == "json" else 25
    addresses = chosen.addresses[: rows_shown(arguments.limit, to_file(arguments), usual)]
    return SomeSpans(reading, chosen, list(map(spans.span, addresses)))


def _filter(session: Session, arguments: argparse.Namespace) -> SpanFilter:
    low, high = 0, 1 << 64
    if arguments.range is not None:
        low, high = (session.target().evaluate(text) for text in arguments.range)
        if high <= low:
            raise ProblemError(f"addrspace spans: the range {low:#x},{high:#x} is inverted")
    states = tuple(dict.fromkeys(arguments.state))
    return SpanFilter(arguments.size_class, states, arguments.noscan, arguments.min_size, low, high)


def draw(answer: Answer, look: Look) -> Iterator[Pair]:
    """The card of one span, or the table of several and its totals."""
    size = answer.reading.info.pointer_size
    if isinstance(answer, OneSpan):
        yield from span_card(answer.card, look.screen, look.unicode, size)
        return
    yield from span_table(answer.shown, look.width, look.unicode, size)
    yield from wrapped(HEADING, spans_total(answer.chosen, len(answer.shown)), look.width, look.unicode)


def as_json(answer: Answer, _look: Look) -> Iterable[str]:
    """spans/1."""
    info, problems = answer.reading.info, list(answer.reading.problems)
    if isinstance(answer, OneSpan):
        return pieces(card_json(info, answer.card, problems))
    return [spans_json(info, answer.shown, problems)]


def verdict(answer: Answer) -> Optional[str]:
    """What is damaged."""
    return first_of(answer.reading.problems)


COMMAND = Command(
    "addrspace spans",
    parser,
    ask,
    {"text": drawn(draw), "json": as_json},
    verdict,
    parse=parse,
    joined=expression_line,
    expressions=True,
)
