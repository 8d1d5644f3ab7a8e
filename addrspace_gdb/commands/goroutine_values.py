"""Values that `goroutine-stacks` takes: goroutines, patterns, labels."""

from __future__ import annotations

import argparse
import re
from typing import Pattern, Tuple

from addrspace_gdb.common.escape import printable


def goids_value(text: str) -> Tuple[int, int]:
    """A goroutine's number, or the first and the last of some."""
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{printable(text)!r} is not a goroutine's number")
    first, last = int(match.group(1)), int(match.group(2) or match.group(1))
    if last < first:
        raise argparse.ArgumentTypeError(f"the range {text} is inverted")
    return first, last


def pattern_value(text: str) -> Pattern[str]:
    """A regular expression."""
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(
            f"{printable(text)!r} is not a regular expression: {error}"
        ) from None


def label_value(text: str) -> Tuple[str, str]:
    """A label's key and its value."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{printable(text)!r} is not KEY=VALUE")
    return key, value
