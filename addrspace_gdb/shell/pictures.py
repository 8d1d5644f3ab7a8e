"""``addrspace-gdb html``: a process, a core, or dumps of several moments, as one HTML file."""

from __future__ import annotations

import argparse
import os
import shlex
from typing import Any, List

from addrspace_gdb.common.files import OutputFile
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.common.streams import stdout_is_terminal, tell
from addrspace_gdb.process.elf import elf_type
from addrspace_gdb.shell.answering import answered, put, question_of
from addrspace_gdb.shell.arguments import add_gdb, add_stats
from addrspace_gdb.shell.compressed import format_of

_MOST = 500  # dumps in one file


def add_html(commands: Any) -> None:
    """The arguments."""
    made = commands.add_parser(
        "html",
        help="write one HTML file that shows a process, a core file, or several dumps over time",
        description="Write one HTML file that shows everything about a process or a core file: no network, no"
        " server, opens anywhere. Of two dumps (addrspace-gdb dump --format json --stacks) it shows the"
        " difference, of several a timeline.",
    )
    made.set_defaults(run=html, report=None, ascii=False, width=None, color="auto")
    add = made.add_argument
    add(
        "targets", nargs="+", metavar="PID|CORE|DUMP.json", help="one process or core file, or dumps in order"
    )
    add("-o", "--output", metavar="FILE", help="write to FILE (atomically)")
    add("--types", action="store_true", help="also what the heap's objects are, as `types` says")
    add("--retained", action="store_true", help="also who keeps what alive, as `retained` says")
    add_stats(made)
    add_gdb(made)


def html(options: argparse.Namespace) -> int:
    """Carry it out; returns 0 or 1."""
    if options.output is None and stdout_is_terminal():
        raise ProblemError("html: name a file for the page: --output FILE")
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
    from addrspace_gdb.space.moments.dump_file import read_dump
    from addrspace_gdb.views.web.moment import Moment, moment_of_dump
    from addrspace_gdb.views.web.page import page

    if options.types or options.retained:
        raise ProblemError("html: a dump has neither types nor what keeps what alive")
    if len(options.targets) > _MOST:
        raise ProblemError(f"html: at most {_MOST} dumps go into one file")
    output = OutputFile(options.output, options.targets) if options.output else None
    moments: List[Moment] = []
    damage: List[str] = []
    for path in options.targets:
        snapshot = read_dump(path).snapshot
        moments.append(moment_of_dump(snapshot))
        damage += [f"{snapshot.name}: {problem}" for problem in snapshot.problems[:1]]
    put((piece.encode("utf-8", "surrogateescape") for piece in page(moments, "addrspace-gdb")), output)
    for line in damage:
        tell(line)
    return 1 if damage else 0
