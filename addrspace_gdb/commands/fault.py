"""`addrspace fault`: what the faulting address was, and why it faulted."""

from __future__ import annotations

from typing import List, Optional

from addrspace_gdb.commands.options import Parser, add_output
from addrspace_gdb.commands.session import Command, Session, check_writable, deliver
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.space.where.fault import report
from addrspace_gdb.space.where.locator import Locator
from addrspace_gdb.views.documents.fault import fault_json
from addrspace_gdb.views.documents.form import dumps
from addrspace_gdb.views.fault import fault_card
from addrspace_gdb.views.kit.render import render

_EPILOG = """\
It looks at the selected thread's signal, at threads that are in a signal handler, and at what the
runtime keeps: the signal behind a panic, the values of panics, and the text of a fatal error. A
core of a program that ran with GOTRACEBACK=crash has all of it."""


def parser() -> Parser:
    """The command's arguments."""
    made = Parser(
        prog="addrspace fault",
        description="Say why the program crashed: the address, what is there, who touched it and how.",
        epilog=_EPILOG,
    )
    add_output(made, ["text", "json"])
    return made


def run(session: Session, line: str) -> Optional[str]:
    """Answer for the selected inferior. ProblemError if nothing went wrong at this stop."""
    arguments = parser().parse_line(line)
    check_writable(arguments.output)
    reading = session.reading()
    locator = Locator(reading, session.target())
    found = report(locator)
    if found is None:
        raise ProblemError("no fault, panic or fatal error is on record at this stop")
    problems = list(dict.fromkeys([*reading.problems, *locator.problems]))
    if arguments.format == "json":
        deliver(session, dumps(fault_json(reading.info, found, problems)), arguments.output)
    else:
        settings, file = session.settings, arguments.output is not None
        width = None if file else settings.width
        pairs = fault_card(found, width, settings.unicode, reading.info.pointer_size)
        deliver(session, render(pairs, settings.color and not file, settings.style), arguments.output)
    return next(iter(problems), None)


def words() -> List[str]:
    """What completion offers."""
    return ["--format", "--output"]


COMMAND = Command("addrspace fault", parser().help_text(), run, words)
