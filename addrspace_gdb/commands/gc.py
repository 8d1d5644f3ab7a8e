"""`addrspace gc`: what the collector is doing, when it runs next, and what it keeps."""

from __future__ import annotations

import argparse
from typing import Dict, NamedTuple, Optional

from addrspace_gdb.commands.command import Command, Look, document, drawn, first_of
from addrspace_gdb.commands.options import Parser, add_output
from addrspace_gdb.commands.session import Session
from addrspace_gdb.common.problems import is_absent
from addrspace_gdb.space.counters.collector import GCState, read_gc
from addrspace_gdb.space.goroutines.queued import Queued, read_queued
from addrspace_gdb.views.documents.gc import gc_json
from addrspace_gdb.views.gc import gc_text
from addrspace_gdb.views.kit.tokens import Tokens

_EPILOG = """\
Trigger and goal are computed as the runtime computes them (src/runtime/mgcpacer.go). What counts
toward the memory limit is everything the runtime has mapped and not returned to the OS."""


class Answer(NamedTuple):
    """The collector, and what waits behind it."""

    state: GCState
    queued: Queued


def parser() -> Parser:
    """The command's arguments."""
    made = Parser(
        prog="addrspace gc",
        description="Show what the collector does: phase, pacing, limits, and finalizers that wait.",
        epilog=_EPILOG,
    )
    add_output(made, ["text", "json"])
    return made


def ask(session: Session, _arguments: argparse.Namespace) -> Answer:
    """Read the collector of the selected inferior."""
    target = session.target()
    return Answer(read_gc(target), read_queued(target))


def draw(answer: Answer, look: Look) -> Tokens:
    """Section by section."""
    return gc_text(answer.state, answer.queued, look.screen, look.unicode)


def as_json(answer: Answer) -> Dict[str, object]:
    """gc/1."""
    return gc_json(answer.state, answer.queued)


def verdict(answer: Answer) -> Optional[str]:
    """What a script must know: what could not be read. None if all is well."""
    state = answer.state
    wrong = [line for line in [*state.problems, *answer.queued.problems] if not is_absent(line)]
    wrong += [f"{name}: {reason}" for name, reason in state.unknown().items() if not is_absent(reason)]
    return first_of(wrong)


COMMAND = Command("addrspace gc", parser, ask, {"text": drawn(draw), "json": document(as_json)}, verdict)
