"""`addrspace arenas`: the heap's arenas, one a row."""

from __future__ import annotations

import argparse
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional

from addrspace_gdb.commands.command import Command, Look, document, drawn, first_of
from addrspace_gdb.commands.options import Parser, add_output
from addrspace_gdb.commands.session import Session
from addrspace_gdb.commands.values import ALL, limit_value, range_value, rows_shown, size_value
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.space.heap import pages
from addrspace_gdb.space.heap.pages import ArenaUse, arena_uses, page_runs
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.views.documents.heap import arenas_json
from addrspace_gdb.views.kit.said import wrapped
from addrspace_gdb.views.kit.tokens import HEADING, Pair
from addrspace_gdb.views.spans import arena_table, arenas_total

SORTS: Dict[str, Callable[[ArenaUse], int]] = {
    "address": lambda arena: arena.arena.start,
    "resident": lambda arena: -(arena.resident or 0),
    **{use: lambda arena, use=use: -arena.uses[use] for use in pages.USES},  # type: ignore[misc]
}

_EPILOG = """\
An arena is 64 MiB of address space (4 MiB on 32-bit machines) at a multiple of its size.
  addrspace arenas --sort free             where free pages are
  addrspace arenas --use stacks --min-size 1MiB"""


def parser() -> Parser:
    """The command's arguments."""
    made = Parser(
        prog="addrspace arenas",
        description="List the arenas of the Go heap: what the pages of each are used for.",
        epilog=_EPILOG,
    )
    add = made.add_argument
    add(
        "--use",
        choices=pages.USES,
        metavar="USE",
        help=f"only arenas with such pages: {', '.join(pages.USES)}",
    )
    add("--min-size", type=size_value, default=1, metavar="N", help="with --use: at least N bytes of it")
    add("--range", type=range_value, metavar="LOW,HIGH", help="arenas that overlap this range")
    add("--user", action="store_true", help="only those of user arenas (GOEXPERIMENT=arenas)")
    add(
        "--sort",
        choices=list(SORTS),
        default="address",
        metavar="KEY",
        help=f"order, largest first: {', '.join(SORTS)} (default: address)",
    )
    add("--limit", type=limit_value, metavar="N", help="at most N rows, or `all`")
    add_output(made, ["text", "json"])
    return made


class Answer(NamedTuple):
    """What was read, and which arenas are wanted: those that lie in part in [low, high)."""

    reading: Reading
    arguments: argparse.Namespace
    low: int
    high: int


def ask(session: Session, arguments: argparse.Namespace) -> Answer:
    """Read the selected inferior."""
    low, high = 0, 1 << 64
    if arguments.range is not None:
        low, high = (session.target().evaluate(text) for text in arguments.range)
        if high <= low:
            raise ProblemError(f"addrspace arenas: the range {low:#x},{high:#x} is inverted")
    return Answer(session.reading(), arguments, low, high)


def draw(answer: Answer, look: Look) -> Iterator[Pair]:
    """The table and its totals."""
    found = _chosen(answer)
    shown = found[: rows_shown(answer.arguments.limit, look.file, 25)]
    yield from arena_table(shown, look.width, look.unicode, answer.reading.info.pointer_size)
    yield from wrapped(HEADING, arenas_total(found, len(shown)), look.width, look.unicode)


def as_json(answer: Answer) -> Dict[str, Any]:
    """arenas/1."""
    shown = _chosen(answer)[: rows_shown(answer.arguments.limit, True, ALL)]
    return arenas_json(answer.reading.info, shown, list(answer.reading.problems))


def verdict(answer: Answer) -> Optional[str]:
    """What is damaged."""
    return first_of(answer.reading.problems)


def _chosen(answer: Answer) -> List[ArenaUse]:
    reading, arguments = answer.reading, answer.arguments
    everything = arena_uses(reading.go.arenas.arenas, page_runs(reading.go), reading.residency)
    found = [
        arena
        for arena in everything
        if answer.low < arena.arena.end
        and arena.arena.start < answer.high
        and (arena.arena.user or not arguments.user)
        and (arguments.use is None or arena.uses[arguments.use] >= max(1, arguments.min_size))
    ]
    if not found and everything:
        raise ProblemError("no arena matches")
    return sorted(found, key=SORTS[arguments.sort])


COMMAND = Command("addrspace arenas", parser, ask, {"text": drawn(draw), "json": document(as_json)}, verdict)
