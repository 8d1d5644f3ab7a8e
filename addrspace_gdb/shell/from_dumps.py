"""``addrspace-gdb diff`` and ``compare``: two dumps, read here, without gdb."""

from __future__ import annotations

import argparse
from typing import Optional, Tuple

from addrspace_gdb.commands.compare import compare_output, dump_side, number
from addrspace_gdb.commands.compare import verdict as compare_verdict
from addrspace_gdb.commands.diff import USUAL, diff_output, verdict
from addrspace_gdb.commands.session import Settings
from addrspace_gdb.commands.values import ALL, limit_value
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.space.moments.compare import compare
from addrspace_gdb.space.moments.diff import difference
from addrspace_gdb.space.moments.dump_file import read_dump
from addrspace_gdb.views.kit.render import DEFAULT_STYLE


def answer(options: argparse.Namespace, width: int, unicode: bool, color: bool) -> Tuple[str, Optional[str]]:
    """The text, and what is damaged in the dumps. ProblemError if a file is no dump."""
    settings = Settings(width, unicode, color, DEFAULT_STYLE)
    file = bool(options.output)
    if options.command == "compare":
        addresses = [number(word) for word in options.addresses]
        left, right = (dump_side(path) for path in options.dumps)
        one = compare(left, right, addresses)
        return compare_output(one, options.format, settings, file), compare_verdict(one)
    rows = ALL if file else USUAL
    if options.limit is not None:
        try:
            rows = limit_value(options.limit)
        except argparse.ArgumentTypeError as error:
            raise ProblemError(f"--limit: {error}") from None
    before, after = (read_dump(path).snapshot for path in options.dumps)
    diff = difference(before, after)
    return diff_output(diff, options.format, settings, file, rows), verdict(diff)
