"""``addrspace-gdb html``: a process, a core, or dumps of several moments, as one HTML file."""

from __future__ import annotations

import argparse
import os
import shlex
from typing import TYPE_CHECKING, Any, List

from addrspace_gdb.commands.command import NO_FILE_FOR_A_PAGE
from addrspace_gdb.commands.spoken import for_shell
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.files import OutputFile
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.common.streams import stdout_is_terminal, tell
from addrspace_gdb.process.elf import elf_type
from addrspace_gdb.shell.answering import answered, put, question_of
from addrspace_gdb.shell.arguments import add_gdb, add_stats
from addrspace_gdb.shell.compressed import format_of

if TYPE_CHECKING:
    from addrspace_gdb.views.web.moment import Moment

_MOST = 500  # dumps in one file


def add_html(commands: Any) -> None:
    """The arguments."""
    made = commands.add_parser(
        "html",
        help="write one HTML file that shows a process, a core file, or several dumps over time",
        description="Write one HTML file that shows everything about a process or a core file: no network, no"
        " server, opens anywhere. Of two dumps (addrspace-gdb dump --format json --stacks) it shows the"
        " difference, of several, or of a file that `watch -o` wrote, a timeline.",
    )
    made.set_defaults(run=html, report=None, ascii=False, width=None, color="auto")
    add = made.add_argument
    add(
        "targets",
        nargs="+",
        metavar="PID|CORE|DUMP.json",
        help="one process or core file, or dumps in order, or files of `watch`",
    )
    add("-o", "--output", metavar="FILE", help="write to FILE (atomically)")
    add("--types", action="store_true", help="also what the heap's objects are, as `types` says")
    add("--retained", action="store_true", help="also who keeps what alive, as `retained` says")
    add_stats(made)
    add_gdb(made)


def html(options: argparse.Namespace) -> int:
    """Carry it out; returns 0 or 1."""
    if options.output is None and stdout_is_terminal():
        raise ProblemError(NO_FILE_FOR_A_PAGE)
    if all(map(_is_dump, options.targets)):
        return _of_dumps(options)
    if len(options.targets) > 1:
        raise ProblemError(
            "html: one process or core file, or dumps of several moments; a dump is made by"
            " `addrspace-gdb dump --format json --stacks`"
        )
    options.target = options.targets[0]
    words = ["html", *(["--types"] * options.types), *(["--retained"] * options.retained)]
    return answered(question_of(options)._replace(report=shlex.join(words)), options.output)


def _is_dump(name: str) -> bool:
    """Whether it is a file, and no core."""
    return os.path.isfile(name) and not format_of(name) and elf_type(name) is None


def _of_dumps(options: argparse.Namespace) -> int:
    from addrspace_gdb.views.web.page import page

    many = len(options.targets)
    if options.types or options.retained:
        raise ProblemError("html: a dump has neither types nor what keeps what alive")
    if many > _MOST:
        raise ProblemError(f"html: at most {_MOST} dumps go into one file")
    output = OutputFile(options.output, options.targets) if options.output else None
    damage: List[str] = []
    moments = [one for path in options.targets for one in _moments(path, max(2, _MOST // many), damage)]
    put((piece.encode("utf-8", "surrogateescape") for piece in page(moments, "addrspace-gdb")), output)
    for line in damage:
        tell(line)
    return 1 if damage else 0


def _moments(path: str, most: int, damage: List[str]) -> List[Moment]:
    """The moments in a file: of a dump one, of a watch at most so many, and what is damaged. ProblemError."""
    from addrspace_gdb.space.moments.dump_file import read_dump
    from addrspace_gdb.space.moments.watch_file import is_watch, read_watch
    from addrspace_gdb.views.kit.text import spoken
    from addrspace_gdb.views.web.moment import moment_of_dump
    from addrspace_gdb.views.web.watched import moment_of_sample

    if is_watch(path):
        seen = read_watch(path, most)
        problems = [problem for one in seen for problem in one.problems[:1]]
        made = list(map(moment_of_sample, seen))
    else:
        snapshot = read_dump(path).snapshot
        info = snapshot.target
        with spoken(for_shell(str(info.pid) if info.kind == "live" and info.pid else "CORE")):
            problems, made = snapshot.problems, [moment_of_dump(snapshot)]
    damage += [f"{printable(os.path.basename(path))}: {problem}" for problem in problems[:1]]
    return made
