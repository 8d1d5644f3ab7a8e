"""`addrspace snapshot`: keep this moment under a name, list what is kept, forget it."""

from __future__ import annotations

import argparse
from typing import Any, Dict, List, NamedTuple, Optional

from addrspace_gdb.commands.command import Command, Look, document, drawn, first_of
from addrspace_gdb.commands.moments import check_name, kept_names, take_now
from addrspace_gdb.commands.options import Parser, add_output
from addrspace_gdb.commands.session import Session
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.common.sizes import plural
from addrspace_gdb.space.moments.snapshot import Snapshot
from addrspace_gdb.views.documents.snapshots import snapshots_json
from addrspace_gdb.views.kit.tokens import Tokens
from addrspace_gdb.views.snapshots import snapshots_table, taken_line

_EPILOG = """\
  addrspace snapshot               list the snapshots of this session
  addrspace snapshot before        keep this moment as `before`, in place of an older one
  addrspace snapshot --delete before   forget it; without a name, all of them
A snapshot is kept until the debugger ends, also when the process has ended. It has what every byte
is, how much of each region is resident, the spans by class, and each goroutine's stack: about 28
bytes a goroutine and 28 a region. `addrspace diff before` shows what has changed since."""


def parser() -> Parser:
    """The command's arguments."""
    made = Parser(
        prog="addrspace snapshot",
        description="Keep this moment of the process under a name for `addrspace diff`; list them.",
        epilog=_EPILOG,
    )
    made.add_argument("names", nargs="*", metavar="NAME", help="the name to keep it by (none: list)")
    made.add_argument("--delete", action="store_true", help="forget the snapshots NAME, or all")
    add_output(made, ["text", "json"])
    return made


class Answer(NamedTuple):
    """The snapshots to show: all that are kept, or the one just taken."""

    snapshots: List[Snapshot]
    taken: bool


def ask(session: Session, arguments: argparse.Namespace) -> Optional[Answer]:
    """Take a snapshot, or list or delete those that are kept."""
    if arguments.delete:
        _delete(session, arguments.names)
        return None
    if len(arguments.names) > 1:
        raise ProblemError("addrspace snapshot: give one name")
    if not arguments.names:
        return Answer(list(session.snapshots), False)
    name = arguments.names[0]
    check_name(name)
    made = take_now(session, name)
    session.snapshots.keep(made)
    return Answer([made], True)


def draw(answer: Answer, look: Look) -> Tokens:
    """The table, or a line about the one taken."""
    if answer.taken:
        return taken_line(answer.snapshots[0], look.screen, look.unicode)
    return snapshots_table(answer.snapshots, look.screen, look.unicode)


def as_json(answer: Answer) -> Dict[str, Any]:
    """snapshots/1."""
    return snapshots_json(answer.snapshots)


def verdict(answer: Answer) -> Optional[str]:
    """What is damaged in the one taken."""
    return first_of(answer.snapshots[0].problems if answer.taken else [])


def _delete(session: Session, names: List[str]) -> None:
    if not names:
        session.write([f"{plural(session.snapshots.clear(), 'snapshot')} deleted\n"])
        return
    missing = [name for name in names if session.snapshots.get(name) is None]
    if missing:
        raise ProblemError(f"no snapshot is called {printable(missing[0])!r}")
    for name in names:
        session.snapshots.delete(name)


COMMAND = Command(
    "addrspace snapshot",
    parser,
    ask,
    {"text": drawn(draw), "json": document(as_json)},
    verdict,
    kept_names,
)
