"""`addrspace`: the diagram, the tutorial's picture, or the whole partition as JSON."""

from __future__ import annotations

import argparse
import time
from functools import cached_property
from typing import Any, Dict, Iterable, List, Optional

from addrspace_gdb.commands.command import Command, Look, document, drawn, first_of
from addrspace_gdb.commands.options import SVG, Parser, UsageError, add_output
from addrspace_gdb.commands.session import Session
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.space.diagram.rows import build
from addrspace_gdb.space.goroutines.stack_keys import KeyGroup, groups_of
from addrspace_gdb.space.reading.goroutines import of_reading
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.space.regions.model import AddressSpace
from addrspace_gdb.views.classic import classic
from addrspace_gdb.views.diagram import diagram
from addrspace_gdb.views.documents.form import addrspace_json
from addrspace_gdb.views.kit.tokens import Tokens
from addrspace_gdb.views.regions import checks_table

HTML = "html"


def parser() -> Parser:
    """The command's arguments."""
    made = Parser(
        prog="addrspace",
        description="Show where every byte of the Go process lives, in true address order.",
        epilog="Sub-commands: `help addrspace regions`. Parameters: `show addrspace`.",
    )
    made.add_argument("--classic", action="store_true", help="a simplified eight-row picture, for teaching")
    add_output(made, ["text", "classic", "json", HTML])
    made.add_argument(
        "--check", action="store_true", help="check every sum against the kernel's and the runtime's counters"
    )
    made.add_argument(
        "--stacks",
        action="store_true",
        help="with --format json: include goroutine stacks so that `addrspace diff` can group them",
    )
    return made


def parse(line: str) -> argparse.Namespace:
    """Take apart what was typed."""
    arguments = parser().parse_line(line)
    if arguments.classic and arguments.format not in ("text", "classic", SVG):
        raise UsageError(
            "addrspace", f"--classic is a picture: there is none with --format {arguments.format}"
        )
    if arguments.classic and arguments.format != SVG:
        arguments.format = "classic"
    return arguments


class Answer:
    """What was read; the address space is composed of it when it is first looked at."""

    def __init__(
        self,
        reading: Reading,
        each_goroutine: bool,
        check: bool,
        stacks: Optional[List[KeyGroup]] = None,
        classic: bool = False,
        taken: Optional[float] = None,
    ) -> None:
        self.check, self.stacks, self.classic, self.taken = check, stacks, classic, taken
        self._reading, self._each_goroutine = reading, each_goroutine

    @cached_property
    def space(self) -> AddressSpace:
        """The partition and its picture."""
        return build(self._reading, self._each_goroutine, self.check)


def ask(session: Session, arguments: argparse.Namespace) -> Any:
    """Read the selected inferior: an Answer, or with --format html what `addrspace html` reads."""
    if arguments.stacks and arguments.format != "json":
        raise ProblemError("addrspace: --stacks goes with --format json")
    if arguments.format == HTML:
        return html().ask(session, arguments)
    reading = session.reading(check=arguments.check, other_too=True)
    stacks = groups_of(of_reading(session.target(), reading)) if arguments.stacks else None
    taken = time.time() if arguments.stacks and session.target().kind != "core" else None
    return Answer(reading, arguments.format == "json", arguments.check, stacks, arguments.classic, taken)


def draw(answer: Answer, look: Look) -> Tokens:
    """The diagram, the table of checks, or as a picture also the tutorial's."""
    if answer.classic:
        return draw_classic(answer, look)
    if answer.check:
        return checks_table(answer.space.checks, look.width, look.unicode)
    return diagram(answer.space.picture, look.screen, look.unicode, look.height)


def draw_classic(answer: Answer, look: Look) -> Tokens:
    """The tutorial's picture."""
    return classic(answer.space.picture, answer.space.areas, look.screen, look.unicode)


def as_json(answer: Answer) -> Dict[str, Any]:
    """addrspace/1."""
    return addrspace_json(answer.space, answer.stacks, answer.taken)


def verdict(answer: Any) -> Optional[str]:
    """What a script must know: damage that was found, checks that failed. None if all is well."""
    return verdict_on(answer.space) if isinstance(answer, Answer) else html().verdict(answer)


def html() -> Command:
    """The command that makes the page: most that it takes is loaded only for it."""
    from addrspace_gdb.commands.html import COMMAND as PAGE

    return PAGE


def as_page(answer: Any, look: Look) -> Iterable[str]:
    """The page of `addrspace html`."""
    return html().forms[HTML](answer, look)


def verdict_on(space: AddressSpace) -> Optional[str]:
    """The same of an address space."""
    return first_of(_wrong(space))


def _wrong(space: AddressSpace) -> Iterable[str]:
    yield from space.picture.problems
    for c in space.checks:
        if c.ok is False:
            yield f"{c.name}: {c.ours:,} is not {c.source}'s {c.theirs:,}"


COMMAND = Command(
    "addrspace",
    parser,
    ask,
    {"text": drawn(draw), "classic": drawn(draw_classic), "json": document(as_json), HTML: as_page},
    verdict,
    parse=parse,
)
