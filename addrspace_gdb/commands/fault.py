"""`addrspace fault`: what the faulting address was, and why it faulted."""

from __future__ import annotations

import argparse
from typing import Any, Dict, Iterable, List, NamedTuple, Optional

from addrspace_gdb.commands.command import Command, Look, document, drawn, first_of
from addrspace_gdb.commands.options import Parser, add_output
from addrspace_gdb.commands.session import Session
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.space.regions.model import TargetInfo
from addrspace_gdb.space.where.fault import CrashReport, crash_report
from addrspace_gdb.space.where.locator import Locator
from addrspace_gdb.views.documents.fault import fault_json
from addrspace_gdb.views.fault import fault_card
from addrspace_gdb.views.kit.tokens import Pair

_EPILOG = """\
It looks at the selected thread's signal, at threads that are in a signal handler, and at what the
runtime keeps: the signal behind a panic, the values of panics, and the text of a fatal error. A
core of a program that ran with GOTRACEBACK=crash has all of it. Frames of C stand above those of the
goroutine that called it, and are named where a file has names for them."""


def parser() -> Parser:
    """The command's arguments."""
    made = Parser(
        prog="addrspace fault",
        description="Say why the program crashed: the address, what is there, who touched it.",
        epilog=_EPILOG,
    )
    add_output(made, ["text", "json"])
    return made


class Answer(NamedTuple):
    """What went wrong, in which process."""

    info: TargetInfo
    report: CrashReport
    problems: List[str]


def ask(session: Session, _arguments: argparse.Namespace) -> Answer:
    """Look at the selected inferior. ProblemError if nothing went wrong at this stop."""
    reading = session.reading()
    locator = Locator(reading, session.target())
    found = crash_report(locator)
    if found is None:
        raise ProblemError("no fault, panic or fatal error is on record at this stop")
    return Answer(reading.info, found, list(dict.fromkeys([*reading.problems, *locator.problems])))


def draw(answer: Answer, look: Look) -> Iterable[Pair]:
    """The card."""
    return fault_card(answer.report, look.width, look.unicode, answer.info.pointer_size)


def as_json(answer: Answer) -> Dict[str, Any]:
    """fault/1."""
    return fault_json(answer.info, answer.report, answer.problems)


def verdict(answer: Answer) -> Optional[str]:
    """What is damaged."""
    return first_of(answer.problems)


COMMAND = Command("addrspace fault", parser, ask, {"text": drawn(draw), "json": document(as_json)}, verdict)
