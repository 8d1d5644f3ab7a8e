"""`addrspace gc`: what the collector is doing, when it runs next, and what it keeps."""

from __future__ import annotations

from typing import List, Optional

from addrspace_gdb.commands.options import Parser, add_output
from addrspace_gdb.commands.session import Command, Session, check_writable, deliver, first_of
from addrspace_gdb.common.problems import is_absent
from addrspace_gdb.space.counters.collector import GCState, read_gc
from addrspace_gdb.views.documents.form import dumps
from addrspace_gdb.views.documents.gc import gc_json
from addrspace_gdb.views.gc import gc_text
from addrspace_gdb.views.kit.render import render

_EPILOG = """\
Trigger and goal are computed as the runtime computes them (src/runtime/mgcpacer.go). What counts
toward the memory limit is everything the runtime has mapped and not returned to the OS."""


def parser() -> Parser:
    """The command's arguments."""
    made = Parser(
        prog="addrspace gc",
        description="Show the collector's phase, pacing, last cycle, sweeper, scavenger and limits.",
        epilog=_EPILOG,
    )
    add_output(made, ["text", "json"])
    return made


def run(session: Session, line: str) -> Optional[str]:
    """Show the collector of the selected inferior."""
    arguments = parser().parse_line(line)
    check_writable(arguments.output)
    state = read_gc(session.target())
    if arguments.format == "json":
        text = dumps(gc_json(state))
    else:
        settings = session.settings
        color = settings.color and arguments.output is None
        text = render(gc_text(state, settings.width, settings.unicode), color, settings.style)
    deliver(session, text, arguments.output)
    return verdict(state)


def verdict(state: GCState) -> Optional[str]:
    """What a script must know: what could not be read. None if all is well."""
    wrong = [line for line in state.problems if not is_absent(line)]
    wrong += [f"{name}: {reason}" for name, reason in state.unknown().items() if not is_absent(reason)]
    return first_of(wrong)


def words() -> List[str]:
    """What completion offers."""
    return ["--format", "--output"]


COMMAND = Command("addrspace gc", parser().help_text(), run, words)
