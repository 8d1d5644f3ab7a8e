"""``addrspace-gdb watch``: its arguments."""

from __future__ import annotations

import argparse
import os
from typing import Any

from addrspace_gdb.commands.options import add_look
from addrspace_gdb.commands.values import duration_value
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.files import OutputFile
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.process.elf import elf_type
from addrspace_gdb.shell.arguments import add_wait
from addrspace_gdb.shell.processes import is_pid, number_of, resolved

_EVERY, _PERCENT = "10s", "3"
_SHORTEST, _LONGEST = 10**8, 366 * 86400 * 10**9  # nanoseconds
_DESCRIPTION = """\
Watch a process over time: one line per sample, with resident memory by what it
is used for, and at the end, or after Ctrl-C, a verdict: what grows, and how
fast. Each sample stops the process only as long as `addrspace-gdb dump` does;
symbols are looked up once."""

_EPILOG = """\
RSS is the sum of heap in use, goroutine stacks, C's heap, free heap, Go's
runtime, libraries and files, and what has no column; `survived` is the part of
the heap that survived the last GC. Growth is since the first sample; `a
minute` is the slope of the line that fits all samples best.
  addrspace-gdb watch 4242 --for 10m            ten minutes, then the verdict
  addrspace-gdb watch api -o api.jsonl          and a line of JSON per sample
  addrspace-gdb watch :8080 --format openmetrics -o /var/lib/metrics/api.prom
                                                for node_exporter's textfiles"""


def add_watch(commands: Any) -> None:
    """The sub-command."""
    made = commands.add_parser(
        "watch",
        help="watch a process over time: what grows, and how fast",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.set_defaults(run=run)
    add = made.add_argument
    add("target", metavar="PID", help="a process: its number, its name, or :PORT that it listens on")
    add("--every", metavar="TIME", type=_time, default=_EVERY, help="time between samples: 500ms, 10s, 1m30s"
        " (default: %(default)s)")  # fmt: skip
    add("--for", metavar="TIME", type=_time, dest="until", help="how long to watch (default: until it ends)")
    add("--at-most", metavar="PERCENT", type=_percent, default=_PERCENT, help="stop it for at most this share"
        " of the time: samples are further apart if one takes long (default: %(default)s)")  # fmt: skip
    add("--format", choices=("text", "json", "openmetrics"), default="text", help="json: a line of JSON per"
        " sample, and one for the verdict; openmetrics: FILE has the last sample (default: %(default)s)",
    )  # fmt: skip
    add("-o", "--output", metavar="FILE", help="write a line of JSON per sample to FILE, and text to the"
        " terminal; with --format openmetrics each sample replaces FILE")  # fmt: skip
    add("--exe", metavar="FILE", help="executable to use instead of the one that runs")
    add_wait(made)
    add_look(made)


def _time(text: str) -> float:
    """Seconds."""
    amount = duration_value(text)
    if not _SHORTEST <= amount <= _LONGEST:
        raise argparse.ArgumentTypeError(f"{printable(text)!r} is not between 100ms and a year")
    return amount / 10**9


def _percent(text: str) -> float:
    """A share."""
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = 0.0
    if not 0.01 <= number <= 100.0:
        raise argparse.ArgumentTypeError(f"{printable(text)!r} is not a percentage from 0.01 to 100")
    return number / 100


def run(options: argparse.Namespace) -> int:
    """Carry out ``watch``; returns 0 or 1. ProblemError."""
    if options.format == "openmetrics" and not options.output:
        raise ProblemError("--format openmetrics wants -o FILE, which each sample replaces")
    target = resolved(options.target)
    if not is_pid(target):
        raise ProblemError(f"{printable(target)} is not a process: give its number, its name or :PORT")
    if options.exe and elf_type(options.exe) is None:
        raise ProblemError(f"{printable(options.exe)} is not an ELF executable")
    output = OutputFile(options.output) if options.output else None
    # These load most of the package.
    from addrspace_gdb.shell.watch_answers import WatchAnswers
    from addrspace_gdb.shell.watching import Wanted, watch

    exe = os.path.abspath(options.exe) if options.exe else None
    wanted = Wanted(number_of(target), exe, options.every, options.until, options.at_most, options.wait)
    return watch(wanted, WatchAnswers(options, output))
