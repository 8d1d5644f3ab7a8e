"""Values that several commands take after an option: sizes, ranges of addresses, how many rows."""

from __future__ import annotations

import argparse
import re
import shlex
from typing import List, Optional, Sequence, Tuple

from addrspace_gdb.commands.options import SVG
from addrspace_gdb.common.escape import printable

ALL = 1 << 62  # rows: every one
_MAX_DIGITS = 18  # of a number of rows that is counted with; int() refuses those of thousands of digits

_UNITS = {"": 0, "B": 0, "K": 10, "KIB": 10, "M": 20, "MIB": 20, "G": 30, "GIB": 30}
_TIMES = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_TIME = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_OPTION = re.compile(r"(?:^|\s)\s*(?=--|-o\s)")
_SIZE = re.compile(r"(\d+)\s*([A-Za-z]*)")


def size_value(text: str) -> int:
    """Bytes: 8192, 8KiB, 1M."""
    match = _SIZE.fullmatch(text)
    if not match or match.group(2).upper() not in _UNITS:
        raise argparse.ArgumentTypeError(f"{printable(text)!r} is not a size such as 8192, 8KiB or 1MiB")
    return int(match.group(1)) << _UNITS[match.group(2).upper()]


def duration_value(text: str) -> int:
    """Nanoseconds of a duration as Go writes it."""
    parts = _TIME.findall(text)
    total = sum(float(number) * _TIMES[unit] for number, unit in parts)
    if not parts or "".join(number + unit for number, unit in parts) != text or total >= 1 << 63:
        raise argparse.ArgumentTypeError(f"{printable(text)!r} is not a duration such as 90s, 1m30s or 2h")
    return int(total)


def limit_value(text: str) -> int:
    """A number of rows, or `all`."""
    if text == "all":
        return ALL
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{printable(text)!r} is not a number from 0 up, nor `all`")
    digits = text.lstrip("0") or "0"
    return int(digits) if len(digits) <= _MAX_DIGITS else ALL


def range_value(text: str) -> List[str]:
    """The two expressions of LOW,HIGH; the debugger evaluates them."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 2 or not all(parts):
        raise argparse.ArgumentTypeError(f"{printable(text)!r} is not LOW,HIGH")
    return parts


def rows_shown(limit: Optional[int], to_file: bool, usual: int) -> int:
    """How many rows to show: what was asked for, else a screen, else, in a file, every one."""
    if limit is not None:
        return limit
    return ALL if to_file else usual


def to_file(arguments: argparse.Namespace) -> bool:
    """Whether the answer goes to a file, which has every row; a picture has as many as a screen."""
    return arguments.output is not None and arguments.format != SVG


def split_expression(line: str) -> Tuple[str, str]:
    """An expression at the beginning of a line, with its quotes, and the options behind it."""
    option = _OPTION.search(line)
    at = option.end() if option else len(line)
    return line[:at].strip(), line[at:]


def expression_line(words: Sequence[str]) -> str:
    """Words of a shell as a line that `split_expression` takes apart."""
    first = next((at for at, word in enumerate(words) if word.startswith("-")), len(words))
    return " ".join([*words[:first], shlex.join(words[first:])]).strip()
