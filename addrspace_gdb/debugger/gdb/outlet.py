"""Where a command's output goes: to a person at a terminal, to whom `pipe` sends it, or to a script.

No gdb (12 to 18) tells its Python, so what each of the ways leaves behind is looked at.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import Iterator, Optional, Set, Tuple

import gdb

_STANDARD = 2  # the highest of the three descriptors that everybody has


def _pipes() -> Iterator[Tuple[str, str]]:
    """Pipes that this process can only write to and hands on to what it starts, with their descriptors."""
    for name in os.listdir("/proc/self/fd"):
        try:
            place = os.readlink(f"/proc/self/fd/{name}")
            if int(name) <= _STANDARD or not place.startswith("pipe:"):
                continue
            with open(f"/proc/self/fdinfo/{name}", encoding="ascii") as file:
                flags = next(int(line.split()[1], 8) for line in file if line.startswith("flags:"))
        except (OSError, StopIteration, ValueError):
            continue
        if flags & os.O_ACCMODE == os.O_WRONLY and not flags & os.O_CLOEXEC:
            yield name, place


_inherited: Set[Tuple[str, str]] = set(_pipes())


def _piped() -> bool:
    """Whether gdb's `pipe` runs a program: popen(3) leaves such a pipe open, and nothing else does that gdb
    or Python has (theirs are closed on exec)."""
    return not _inherited.issuperset(_pipes())


def _scripted() -> bool:
    """Whether somebody's Python called gdb.execute, as with to_string."""
    frame = sys._getframe()  # noqa: SLF001
    while frame.f_back is not None:
        frame = frame.f_back
    return not str(frame.f_globals.get("__name__")).startswith(__name__.partition(".")[0])


def to_a_person() -> bool:
    """Whether what is written now stands on a terminal as it is."""
    return os.isatty(1) and not _scripted() and not _piped()


def rows() -> Optional[int]:
    """Lines that a person sees at once; None where nobody looks, or gdb was told not to count them."""
    height = gdb.parameter("height")
    return int(height) if height and to_a_person() else None


@contextmanager
def uncut_lines() -> Iterator[None]:
    """Lets gdb's pager count lines only: gdb 13 takes every byte of a character for a column and stops in
    the middle of a line. Lines are no longer than the terminal is wide, which we see to ourselves."""
    width = gdb.parameter("width")
    if not width or not os.isatty(1) or not gdb.parameter("pagination"):
        yield
        return
    gdb.execute("set width 0")  # not with to_string, which puts the width back
    try:
        yield
    finally:
        gdb.execute(f"set width {int(width):d}")
