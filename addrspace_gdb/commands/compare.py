"""`addrspace compare`: two inferiors or dumps: the same addresses, and whether they are the same memory."""

from __future__ import annotations

import argparse
import os
from typing import List, Optional

from addrspace_gdb.commands.command import Command, Look, document, drawn, first_of
from addrspace_gdb.commands.moments import is_file
from addrspace_gdb.commands.options import Parser, add_output
from addrspace_gdb.commands.session import Session
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.process.pagemap import PageWords
from addrspace_gdb.space.diagram.rows import build
from addrspace_gdb.space.moments.compare import Comparison, compare
from addrspace_gdb.space.moments.dump_file import read_dump
from addrspace_gdb.space.moments.shared_pages import Side
from addrspace_gdb.space.moments.snapshot import Regions, Snapshot
from addrspace_gdb.views.compare import compare_text
from addrspace_gdb.views.documents.compare import compare_json
from addrspace_gdb.views.kit.tokens import Tokens

_EPILOG = """\
1 and 2 are inferiors, by the debugger's numbers for them, or files that `addrspace-gdb dump
--format json` made (*.json). An ADDRESS is a number or an expression, evaluated in the first.
  addrspace compare 1 2                    both diagrams, side by side
  addrspace compare 1 2 0xc000000000 $pc   what these addresses are in each, one per row
  addrspace compare a.json b.json
Whether both have the same page of memory there is told by the page frames in /proc/PID/pagemap,
which the kernel shows to root; without that, by file and offset. = is the same memory, ≠ is not."""


def parser() -> Parser:
    """The command's arguments."""
    made = Parser(
        prog="addrspace compare",
        description="Compare two processes: the same address, and what memory is behind it in each.",
        epilog=_EPILOG,
    )
    made.add_argument(
        "words", nargs="*", metavar="1 2 [ADDRESS]", help="two inferiors or dumps, and addresses"
    )
    add_output(made, ["text", "json"])
    return made


def parse(line: str) -> argparse.Namespace:
    """Take apart what was typed."""
    arguments = parser().parse_line(line)
    if len(arguments.words) < 2:
        raise ProblemError(
            "addrspace compare: give two inferiors or two dumps, as in `addrspace compare 1 2`"
        )
    for word in arguments.words[:2]:
        if not is_file(word) and not word.isdecimal():
            raise ProblemError(
                f"addrspace compare: {printable(word)!r} is neither an inferior's number nor *.json"
            )
    return arguments


def ask(session: Session, arguments: argparse.Namespace) -> Comparison:
    """Read both inferiors or dumps. Which pages they share is asked of the kernel for both together."""
    words: List[str] = arguments.words
    addresses = _addresses(session, words[0], words[2:])
    left, right = (_side(session, word, bool(addresses)) for word in words[:2])
    return compare(left, right, addresses)


def draw(one: Comparison, look: Look) -> Tokens:
    """Both diagrams, or the addresses, side by side."""
    return compare_text(one, look.width, look.unicode)


def verdict(one: Comparison) -> Optional[str]:
    """What a script must know: damage on either side."""
    return first_of([*one.left.snapshot.problems, *one.right.snapshot.problems])


def number(word: str) -> int:
    """An address that is a plain number. ProblemError if it is none."""
    try:
        value = int(word, 0)
    except ValueError:
        value = -1
    if not 0 <= value < 1 << 64:
        raise ProblemError(f"{printable(word)!r} is not an address")
    return value


def _addresses(session: Session, first: str, words: List[str]) -> List[int]:
    if is_file(first):
        return [number(word) for word in words]
    if not words:
        return []
    with session.at_inferior(int(first)):
        target = session.target()
        return [target.evaluate(word.removeprefix("@")) for word in words]


def _side(session: Session, word: str, each_goroutine: bool) -> Side:
    if is_file(word):
        return dump_side(os.path.expanduser(word))
    with session.at_inferior(int(word)):
        try:
            return _inferior(session, int(word), each_goroutine)
        except ProblemError as error:
            raise ProblemError(f"inferior {word}: {error}") from None


def dump_side(path: str) -> Side:
    """A dump as one side. ProblemError if it is not one."""
    dump = read_dump(path)
    return Side(dump.snapshot.name, dump.snapshot, dump.mappings)


def _inferior(session: Session, inferior: int, each_goroutine: bool) -> Side:
    reading = session.reading()
    space = build(reading, each_goroutine)
    name = f"{session.target().hints.inferior} {inferior}"
    snapshot = Snapshot(
        name,
        None,
        reading.info,
        inferior,
        Regions(space.regions),
        None,
        space.spans,
        reading.go.memstats,
        notes=list(reading.notes),
        problems=list(reading.problems),
    )
    proc = session.target().proc_files()
    if proc is None or not proc.local:
        return Side(name, snapshot, reading.mappings)
    resident = reading.residency.resident_runs if reading.residency.known else None
    return Side(name, snapshot, reading.mappings, PageWords(proc, reading.info.page_size), resident)


COMMAND = Command(
    "addrspace compare",
    parser,
    ask,
    {"text": drawn(draw), "json": document(compare_json)},
    verdict,
    parse=parse,
)
