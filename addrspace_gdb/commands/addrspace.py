"""`addrspace`: the diagram, the tutorial's picture, or the whole partition as JSON."""

from __future__ import annotations

from typing import List, Optional

from addrspace_gdb.commands.options import Parser, add_output
from addrspace_gdb.commands.session import Command, Session, Settings, check_writable, deliver, first_of
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.space.diagram.rows import build
from addrspace_gdb.space.goroutines.stack_keys import Group, groups_of
from addrspace_gdb.space.reading.goroutines import read_for_goroutines
from addrspace_gdb.space.regions.model import AddressSpace
from addrspace_gdb.views.classic import classic
from addrspace_gdb.views.diagram import diagram
from addrspace_gdb.views.documents.form import addrspace_json, dumps
from addrspace_gdb.views.kit.render import render
from addrspace_gdb.views.regions import checks_table

FORMS = ["text", "classic", "json"]

_WORDS = ("--classic", "--format", "--output", "--check", "--stacks") + (
    *("regions", "memstats", "gc"),
    *("snapshot", "diff", "compare"),
)


def parser() -> Parser:
    """The command's arguments."""
    made = Parser(
        prog="addrspace",
        description="Show where every byte of the Go process lives, in true address order.",
        epilog="Sub-commands: `help addrspace regions`. Parameters: `show addrspace`.",
    )
    made.add_argument("--classic", action="store_true", help="the tutorial's eight rows with live totals")
    add_output(made, FORMS)
    made.add_argument(
        "--check", action="store_true", help="check every sum against the kernel's and the runtime's counters"
    )
    made.add_argument(
        "--stacks",
        action="store_true",
        help="with --format json: also which goroutines share which stack, for `addrspace diff`",
    )
    return made


def run(session: Session, line: str) -> Optional[str]:
    """Draw the selected inferior. Returns a line that says what is damaged, if anything is."""
    arguments = parser().parse_line(line)
    check_writable(arguments.output)
    form = "classic" if arguments.classic else arguments.format
    if arguments.stacks and form != "json":
        raise ProblemError("addrspace: --stacks goes with --format json")
    reading = session.reading(check=arguments.check)
    stacks = groups_of(read_for_goroutines(session.target())) if arguments.stacks else None
    space = build(reading, each_goroutine=form == "json", check=arguments.check)
    settings = session.settings
    if arguments.output is not None:
        settings = settings._replace(color=False)
    if arguments.check and form == "text":
        deliver(session, check_text(space, settings), arguments.output)
    else:
        deliver(session, text(space, form, settings, stacks), arguments.output)
    return verdict(space)


def text(space: AddressSpace, form: str, settings: Settings, stacks: Optional[List[Group]] = None) -> str:
    """The address space in one of `FORMS`; `stacks` go into JSON only."""
    if form == "json":
        return dumps(addrspace_json(space, stacks))
    if form == "classic":
        tokens = classic(space.picture, space.areas, settings.width, settings.unicode)
    else:
        tokens = diagram(space.picture, settings.width, settings.unicode)
    return render(tokens, settings.color, settings.style)


def check_text(space: AddressSpace, settings: Settings) -> str:
    """The table of checks."""
    return render(checks_table(space.checks, settings.unicode), settings.color, settings.style)


def verdict(space: AddressSpace) -> Optional[str]:
    """What a script must know: damage that was found, checks that failed. None if all is well."""
    wrong: List[str] = list(space.picture.problems)
    wrong += [f"{c.name}: {c.ours:,} is not {c.source}'s {c.theirs:,}" for c in space.checks if c.ok is False]
    return first_of(wrong)


def words() -> List[str]:
    """What completion offers."""
    return list(_WORDS)


COMMAND = Command("addrspace", parser().help_text(), run, words)
