"""`addrspace snapshot`: keep this moment under a name, list what is kept, forget it."""

from __future__ import annotations

from typing import List, Optional

from addrspace_gdb.commands.moments import check_name, kept_names, take_now
from addrspace_gdb.commands.options import Parser, add_output
from addrspace_gdb.commands.session import Command, Session, check_writable, deliver
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.common.sizes import plural
from addrspace_gdb.views.documents.form import dumps
from addrspace_gdb.views.documents.snapshots import snapshots_json
from addrspace_gdb.views.kit.render import render
from addrspace_gdb.views.snapshots import snapshots_table, taken_line

_EPILOG = """\
  addrspace snapshot               list the snapshots of this session
  addrspace snapshot before        keep this moment as `before`; an older one of that name goes
  addrspace snapshot --delete before   forget it; without a name, all of them
A snapshot is kept until the debugger ends, also when the process has ended. It has what every byte
is, how much of each region is resident, the spans by class, and each goroutine's stack: about 28
bytes a goroutine and 28 a region. `addrspace diff before` shows what has changed since."""


def parser() -> Parser:
    """The command's arguments."""
    made = Parser(
        prog="addrspace snapshot",
        description="Keep this moment of the process under a name, for `addrspace diff`; list what is kept.",
        epilog=_EPILOG,
    )
    made.add_argument("names", nargs="*", metavar="NAME", help="the name to keep it by (none: list)")
    made.add_argument("--delete", action="store_true", help="forget the snapshots NAME, or all")
    add_output(made, ["text", "json"])
    return made


def run(session: Session, line: str) -> Optional[str]:
    """Take, list or delete snapshots."""
    arguments = parser().parse_line(line)
    check_writable(arguments.output)
    if arguments.delete:
        _delete(session, arguments.names)
        return None
    if len(arguments.names) > 1:
        raise ProblemError("addrspace snapshot: give one name")
    settings = session.settings
    color = settings.color and arguments.output is None
    if not arguments.names:
        if arguments.format == "json":
            text = dumps(snapshots_json(list(session.snapshots)))
        else:
            tokens = snapshots_table(list(session.snapshots), settings.width, settings.unicode)
            text = render(tokens, color, settings.style)
        deliver(session, text, arguments.output)
        return None
    name = arguments.names[0]
    check_name(name)
    made = take_now(session, name)
    session.snapshots.keep(made)
    if arguments.format == "json":
        text = dumps(snapshots_json([made]))
    else:
        text = render(taken_line(made, settings.width, settings.unicode), color, settings.style)
    deliver(session, text, arguments.output)
    return made.problems[0] if made.problems else None


def _delete(session: Session, names: List[str]) -> None:
    if not names:
        session.write(f"{plural(session.snapshots.clear(), 'snapshot')} deleted\n")
        return
    missing = [name for name in names if session.snapshots.get(name) is None]
    if missing:
        raise ProblemError(f"no snapshot is called {printable(missing[0])!r}")
    for name in names:
        session.snapshots.delete(name)


def words() -> List[str]:
    """What completion offers."""
    return ["--delete", "--format", "--output"]


COMMAND = Command("addrspace snapshot", parser().help_text(), run, words, kept_names)
