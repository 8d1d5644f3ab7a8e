"""``addrspace-gdb diff`` and ``compare``: two dumps, read here, without gdb."""

from __future__ import annotations

import argparse
from typing import Optional, Tuple

from .commands.compare import compare_output, dump_side, number
from .commands.compare import verdict as compare_verdict
from .commands.diff import USUAL, diff_output, verdict
from .commands.session import Settings
from .commands.values import ALL, limit_value
from .problems import ProblemError
from .space.compare import compare
from .space.diff import difference
from .space.dumpfile import read_dump
from .views.render import DEFAULT_STYLE


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
