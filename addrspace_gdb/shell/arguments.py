"""Arguments that several commands of the shell have."""

from __future__ import annotations

import argparse

from addrspace_gdb.shell.stopping import PATIENCE

TARGET = "PID|CORE"
TARGET_HELP = (
    "a process, by its number, its name or the :PORT that it listens on (exactly one must match); or a core"
    " file"
)


def add_stats(parser: argparse.ArgumentParser) -> None:
    """What is told on standard error."""
    parser.add_argument("--stats", action="store_true", help="also say how long the process was stopped")


def add_check(parser: argparse.ArgumentParser) -> None:
    """Beside whatever is asked."""
    parser.add_argument(
        "--check", action="store_true", help="also check every sum against the kernel's and Go's own"
    )


def add_gdb(parser: argparse.ArgumentParser) -> None:
    """Who reads, and what besides the process or core."""
    add = parser.add_argument
    add("--exe", metavar="FILE", help="executable to use instead of the one recorded")
    add("--sysroot", metavar="DIR", help="root directory that holds the libraries the core was made with")
    add("--debugger", choices=("gdb", "lldb", "none"),
        help="who reads: gdb, lldb (19 and newer; $ADDRSPACE_LLDB, this environment's, or the one on PATH) or"
        " none; default: $ADDRSPACE_DEBUGGER, else none, except for what only debug information can tell",
    )  # fmt: skip
    add("--gdb", metavar="PATH", help="read through this gdb; plain --debugger gdb takes $ADDRSPACE_GDB, this"
        " environment's, or the one on PATH")  # fmt: skip
    add_wait(parser, "give up on a process that does not stop, or a gdb that hangs, after so long")


def add_wait(
    parser: argparse.ArgumentParser, what: str = "give up on a process that does not stop after so long"
) -> None:
    """How patient to be."""
    parser.add_argument("--wait", metavar="SECONDS", type=_seconds, default=PATIENCE,
        help=f"{what}; default: %(default)g")  # fmt: skip


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 86400.0:
        raise argparse.ArgumentTypeError("not a number of seconds from 0.1 to 86400")
    return seconds
