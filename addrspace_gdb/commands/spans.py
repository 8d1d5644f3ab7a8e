"""`addrspace spans`: spans filtered and sorted, or one span with its slots."""

from __future__ import annotations

import argparse
from typing import Iterator, List, Optional

from addrspace_gdb.commands.options import Parser, add_output
from addrspace_gdb.commands.session import Command, Session, check_writable, deliver
from addrspace_gdb.commands.values import limit_value, range_value, rows_shown, size_value, split_expression
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.space.heap.spans import SORTS, STATES, Filter, SpanReader
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.views.documents.form import dumps
from addrspace_gdb.views.documents.spans import card_json, spans_json
from addrspace_gdb.views.kit.render import render
from addrspace_gdb.views.kit.tokens import HEADING, NEWLINE, Pair
from addrspace_gdb.views.spans import span_card, span_table, spans_total

_OPTIONS = ("--class", "--state", "--scan", "--noscan", "--min-size", "--range", "--sort", "--limit") + (
    "--format",
    "--output",
)

_EPILOG = """\
EXPR is anything that the debugger evaluates to an address: 0xc000010000, $sp, &main.table, p.
With it the span there is shown with its slots, and the slot that the address is in.
  addrspace spans --class 7 --sort free    spans of 80-byte objects, emptiest first
  addrspace spans --state large --sort size
  addrspace spans --state unswept          what the sweeper has before it
  addrspace spans --range $lo,$hi          spans between two addresses"""


def parser() -> Parser:
    """The command's arguments."""
    made = Parser(
        prog="addrspace spans",
        description="List the spans of the heap, or show one of them with its object slots.",
        epilog=_EPILOG,
    )
    add = made.add_argument
    add("expression", nargs="*", metavar="EXPR", help="an address: the span there, and its slots")
    add("--class", dest="size_class", type=_size_class, metavar="N", help="of this size class (0 or `large`)")
    add(
        "--state",
        action="append",
        choices=STATES,
        default=[],
        help="what they hold; several are alternatives",
    )
    add("--scan", dest="noscan", action="store_false", default=None, help="only objects with pointers")
    add("--noscan", dest="noscan", action="store_true", help="only objects without pointers")
    add("--min-size", type=size_value, default=0, metavar="N", help="spans of at least N: 64KiB, 1MiB")
    add("--range", type=range_value, metavar="LOW,HIGH", help="spans that lie in part between two addresses")
    add("--sort", choices=sorted(SORTS), default="address", help="order (default: address); largest first")
    add("--limit", type=limit_value, metavar="N", help="at most N rows; `all` for every one")
    add_output(made, ["text", "json"])
    return made


def _size_class(text: str) -> int:
    if text == "large":
        return 0
    if not text.isdecimal() or int(text) > 127:
        raise argparse.ArgumentTypeError(f"{printable(text)!r} is not a size class (0 to 127, or `large`)")
    return int(text)


def run(session: Session, line: str) -> Optional[str]:
    """Answer for the selected inferior. Returns a line that says what is damaged, if anything is."""
    expression, options = split_expression(line)
    arguments = parser().parse_line(options)
    expression = expression or " ".join(arguments.expression)
    check_writable(arguments.output)
    which = _filter(session, arguments)
    if expression and which != Filter():
        raise ProblemError("addrspace spans: EXPR shows one span; filters do not go with it")
    reading = session.reading()
    spans = SpanReader(reading, session.target())
    if expression:
        asked = session.target().evaluate(expression)
        _deliver_card(session, spans, reading, asked, arguments)
    else:
        _deliver_list(session, spans, reading, which, arguments)
    return next(iter(reading.problems), None)


def _filter(session: Session, arguments: argparse.Namespace) -> Filter:
    low, high = 0, 1 << 64
    if arguments.range is not None:
        low, high = (session.target().evaluate(text) for text in arguments.range)
        if high <= low:
            raise ProblemError(f"addrspace spans: the range {low:#x},{high:#x} is inverted")
    states = tuple(dict.fromkeys(arguments.state))
    return Filter(arguments.size_class, states, arguments.noscan, arguments.min_size, low, high)


def _deliver_card(
    session: Session, spans: SpanReader, reading: Reading, asked: int, arguments: argparse.Namespace
) -> None:
    card, settings = spans.card(asked), session.settings
    if arguments.format == "json":
        deliver(session, dumps(card_json(reading.info, card, list(reading.problems))), arguments.output)
        return
    pairs = span_card(card, settings.width, settings.unicode, reading.info.pointer_size)
    deliver(session, render(pairs, _color(session, arguments), settings.style), arguments.output)


def _deliver_list(
    session: Session, spans: SpanReader, reading: Reading, which: Filter, arguments: argparse.Namespace
) -> None:
    chosen, settings, file = (
        spans.choose(which, arguments.sort),
        session.settings,
        arguments.output is not None,
    )
    if not chosen.addresses and which != Filter():
        raise ProblemError("no span is like that")
    usual = 25 if arguments.format == "text" else 1 << 62
    addresses = chosen.addresses[: rows_shown(arguments.limit, file, usual)]
    shown = map(spans.span, addresses)
    if arguments.format == "json":
        deliver(session, spans_json(reading.info, shown, list(reading.problems)), arguments.output)
        return

    def pairs() -> Iterator[Pair]:
        width = None if file else settings.width
        yield from span_table(shown, width, settings.unicode, reading.info.pointer_size)
        yield HEADING, spans_total(chosen, len(addresses))
        yield NEWLINE

    deliver(session, render(pairs(), _color(session, arguments), settings.style), arguments.output)


def _color(session: Session, arguments: argparse.Namespace) -> bool:
    return session.settings.color and arguments.output is None


def words() -> List[str]:
    """What completion offers."""
    return [*_OPTIONS, *STATES]


COMMAND = Command("addrspace spans", parser().help_text(), run, words)
