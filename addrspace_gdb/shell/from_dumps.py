"""``addrspace-gdb diff`` and ``compare``: two dumps, read here without gdb, shown as gdb's side does."""

from __future__ import annotations

import argparse
from typing import Any, Optional, Tuple

from addrspace_gdb.commands import compare, diff
from addrspace_gdb.commands.command import Command, Look
from addrspace_gdb.commands.values import limit_value
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.space.moments.compare import compare as compare_sides
from addrspace_gdb.space.moments.dump_file import read_dump
from addrspace_gdb.views.kit.render import DEFAULT_STYLE


def answer(options: argparse.Namespace, width: int, unicode: bool, color: bool) -> Tuple[str, Optional[str]]:
    """The text, and what is damaged in the dumps. ProblemError if a file is no dump."""
    command, found = _asked(options)
    look = Look(width, unicode, color, DEFAULT_STYLE, bool(options.output))
    return "".join(command.form(options.format)(found, look)), command.verdict(found)


def _asked(options: argparse.Namespace) -> Tuple[Command, Any]:
    """A command, and its answer."""
    if options.command == "compare":
        addresses = [compare.number(word) for word in options.addresses]
        left, right = (compare.dump_side(path) for path in options.dumps)
        return compare.COMMAND, compare_sides(left, right, addresses)
    limit: Optional[int] = None
    if options.limit is not None:
        try:
            limit = limit_value(options.limit)
        except argparse.ArgumentTypeError as error:
            raise ProblemError(f"--limit: {error}") from None
    before, after = (read_dump(path).snapshot for path in options.dumps)
    return diff.COMMAND, diff.Answer(before, after, limit)
