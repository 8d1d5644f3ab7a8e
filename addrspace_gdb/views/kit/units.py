"""Statistics in words: what a number of bytes, nanoseconds, per cent or a point in time amounts to."""

from __future__ import annotations

import time
from typing import Optional, Union

from addrspace_gdb.common import sizes
from addrspace_gdb.goruntime import mstats

_UNLIMITED = 1 << 60  # a goal beyond it is none: GOGC=off, or no memory limit


def about(unit: str, value: Optional[Union[int, float]]) -> str:
    """The number in units a person reads; empty where it says all there is to say by itself."""
    if value is None:
        return ""
    if unit == mstats.FRACTION:
        return percent(float(value))
    number = int(value)
    if unit in (mstats.BYTES, mstats.TOTAL_BYTES):
        return sizes.size(number)
    if unit == mstats.GOAL:
        return sizes.size(number) if number < _UNLIMITED else "none"
    if unit == mstats.NANOSECONDS:
        return pause(number)
    if unit == mstats.UNIX_TIME:
        return moment(number) if number else "never"
    if unit == mstats.PERCENT:
        return f"{number}%" if number < 1 << 31 else "off"
    return ""


def percent(fraction: float) -> str:
    """A fraction: "0.031%", "12.5%"; three digits that mean something below one per cent."""
    return f"{fraction * 100:.1f}%" if fraction >= 0.01 or fraction == 0 else f"{fraction * 100:.3f}%"


def pause(nanoseconds: int) -> str:
    """A short time: "850 ns", "92 µs" as "92 us" in ASCII too, "1.2 ms", "3.4 s"."""
    for limit, unit, divisor in ((10**3, "ns", 1), (10**6, "us", 10**3), (10**9, "ms", 10**6)):
        if nanoseconds < limit:
            value = nanoseconds / divisor
            return f"{value:.0f} {unit}" if divisor == 1 or value >= 100 else f"{value:.1f} {unit}"
    return f"{nanoseconds / 10**9:.1f} s"


def moment(unix_nanoseconds: int) -> str:
    """A point in time, in UTC: "2026-11-23 11:07:52Z"; "?" outside the years that a calendar has."""
    try:
        parts = time.gmtime(unix_nanoseconds // 10**9)
    except (OverflowError, ValueError, OSError):
        return sizes.UNKNOWN
    return time.strftime("%Y-%m-%d %H:%M:%SZ", parts)


def growth(n: Optional[int]) -> str:
    """How many bytes more or less: "+4.0 MiB", "-616 B"; empty for no change, "?" where it is not known."""
    if n is None:
        return sizes.UNKNOWN
    return "" if n == 0 else f"+{sizes.size(n)}" if n > 0 else sizes.size(n)


def more(n: Optional[int]) -> str:
    """How many more or fewer: "+7", "-1,204"; empty for no change, "?" where it is not known."""
    return sizes.UNKNOWN if n is None else f"{n:+,}" if n else ""
