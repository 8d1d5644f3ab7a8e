"""`addrspace diff`: what has changed between two moments, once or at each stop."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import cached_property
from typing import Any, Dict, List, Optional

from addrspace_gdb.commands.command import Command, Look, document, drawn, first_of, look_of
from addrspace_gdb.commands.moments import LAST, NOW, find, kept_names, last_stop, take_now
from addrspace_gdb.commands.options import Parser, add_output
from addrspace_gdb.commands.session import Session
from addrspace_gdb.commands.values import limit_value, rows_shown
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.space.moments.diff import Difference, difference
from addrspace_gdb.space.moments.snapshot import Snapshot
from addrspace_gdb.views.diff import diff_text
from addrspace_gdb.views.documents.diff import diff_json
from addrspace_gdb.views.kit.tokens import Tokens

USUAL = 20
_AT_STOPS = 8

_EPILOG = """\
A and B are snapshots (`addrspace snapshot NAME`), files that `addrspace-gdb dump --format json`
made (*.json), `now`, or `last`. B is `now` if it is not given, and A is `last`: the moment taken
at the last stop at which anything was taken, by `snapshot`, `diff` or `--every`. Nothing is read at
stops where nothing was asked for, so the first `addrspace diff` of a process takes the baseline
and the next one, at another stop, shows what has changed.
  addrspace diff                   since the last moment taken
  addrspace diff before            since the snapshot `before`
  addrspace diff before after      between two snapshots
  addrspace diff --every           at each stop from now on: what has changed since now
  addrspace diff before --every    the same, since the snapshot `before`
  addrspace diff last --every      at each stop: what has changed since the stop before
  addrspace diff --every off       stop doing so
Signs: + new or grown, - gone or shrunk, ~ became something else."""


def parser() -> Parser:
    """The command's arguments."""
    made = Parser(
        prog="addrspace diff",
        description="Show what has changed since a snapshot, or between two moments.",
        epilog=_EPILOG,
    )
    made.add_argument("moments", nargs="*", metavar="A [B]", help="the two moments (default: last now)")
    made.add_argument(
        "--every",
        nargs="?",
        const="on",
        metavar="off",
        help="show the difference at every stop; off: do so no longer",
    )
    made.add_argument(
        "--limit", type=limit_value, metavar="N", help=f"at most N rows per table, or `all` ({USUAL})"
    )
    add_output(made, ["text", "json"])
    return made


def parse(line: str) -> argparse.Namespace:
    """Take apart what was typed."""
    arguments = parser().parse_line(line)
    if arguments.every not in (None, "on", "off"):  # --every A
        arguments.moments.append(arguments.every)
    if len(arguments.moments) > 2:
        raise ProblemError("addrspace diff: give two moments at most (see `help addrspace diff`)")
    return arguments


class Answer:
    """Two moments, and how many rows of a table to show (None: as many as usual)."""

    def __init__(self, before: Snapshot, after: Snapshot, limit: Optional[int] = None) -> None:
        self.before, self.after, self.limit = before, after, limit

    @cached_property
    def difference(self) -> Difference:
        """What has changed between them."""
        return difference(self.before, self.after)


def ask(session: Session, arguments: argparse.Namespace) -> Optional[Answer]:
    """Take the moments that are asked for, or see to it that the difference is shown at each stop."""
    moments: List[str] = arguments.moments
    if arguments.every is not None:
        _every(session, arguments, moments)
        return None
    if moments:
        before = find(session, moments[0])
        return Answer(before, find(session, moments[1] if len(moments) > 1 else NOW), arguments.limit)
    last = last_stop(session)
    after = take_now(session)
    if last is None:
        _first(session, arguments)
        return None
    return Answer(replace(last, name=LAST), after, arguments.limit)


def _first(session: Session, arguments: argparse.Namespace) -> None:
    text = "no earlier snapshot"
    if arguments.format != "text" or arguments.output is not None:
        raise ProblemError(f"{text}: there is nothing yet to compare it with")
    first = "No earlier snapshot: this one is now the baseline."
    session.write([f"{first} `addrspace diff` at a later stop shows what changed.\n"])


def draw(answer: Answer, look: Look) -> Tokens:
    """Area by area, then what moved."""
    rows = rows_shown(answer.limit, look.file, USUAL)
    return diff_text(answer.difference, rows, look.width, look.unicode)


def as_json(answer: Answer) -> Dict[str, Any]:
    """diff/1."""
    return diff_json(answer.difference)


def verdict(answer: Answer) -> Optional[str]:
    """What a script must know: damage in either moment."""
    return first_of([*answer.before.problems, *answer.after.problems])


def _every(session: Session, arguments: argparse.Namespace, moments: List[str]) -> None:
    if arguments.every == "off":
        if moments:
            raise ProblemError("addrspace diff: --every off takes no moments")
        was_on = session.each_stop(None)
        session.write(["no difference is shown at stops any more\n" if was_on else "it was off already\n"])
        return
    if arguments.output is not None or arguments.format != "text":
        raise ProblemError("addrspace diff: --every shows text on the terminal; it goes with no other form")
    if len(moments) > 1:
        raise ProblemError("addrspace diff: --every compares with what is at each stop: give A alone")
    rows = _AT_STOPS if arguments.limit is None else arguments.limit
    rolling = moments == [LAST]
    baseline = find(session, moments[0]) if moments and not rolling else take_now(session, "baseline")
    session.each_stop(_Watch(session, None if rolling else baseline, rows))
    name = "the stop before" if rolling else baseline.name
    session.write([f"at each stop: what has changed since {name}; `addrspace diff --every off` ends it\n"])


class _Watch:
    """Shows the difference at a stop, from a baseline or (None) from the stop before."""

    def __init__(self, session: Session, baseline: Optional[Snapshot], rows: int) -> None:
        self._session, self._baseline, self._rows = session, baseline, rows

    def __call__(self) -> None:
        last = last_stop(self._session)
        now = take_now(self._session)
        before = self._baseline
        if before is None and last is not None:
            before = replace(last, name=LAST)
        if before is None:
            return
        look = look_of(self._session.settings, file=False)
        self._session.write(COMMAND.forms["text"](Answer(before, now, self._rows), look))


COMMAND = Command(
    "addrspace diff",
    parser,
    ask,
    {"text": drawn(draw), "json": document(as_json)},
    verdict,
    names=kept_names,
    words=(LAST, NOW),
    parse=parse,
)
