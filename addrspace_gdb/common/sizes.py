"""Numbers as a person reads them: sizes, counts, addresses. None is always "?"."""

from __future__ import annotations

from typing import Optional

UNKNOWN = "?"
UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_COARSE = 1 << 40  # from here on whole units say enough


def size(n: Optional[int]) -> str:
    """Bytes in binary units, at most 10 characters: "616 B", "8.0 KiB", "314.2 MiB", "128 TiB"."""
    if n is None:
        return UNKNOWN
    if n < 0:
        return "-" + size(-n)
    if n < 1024:
        return f"{n} B"
    unit = 1024
    for name in UNITS[1:]:
        tenths = (n * 10 + unit // 2) // unit
        if tenths < 10240 or name == UNITS[-1]:
            break
        unit *= 1024
    if unit >= _COARSE and tenths >= 100:
        return f"{(n + unit // 2) // unit} {name}"
    return f"{tenths // 10}.{tenths % 10} {name}"


def count(n: Optional[int]) -> str:
    """A number with thousands separators: "1,234,567"."""
    return UNKNOWN if n is None else f"{n:,}"


def plural(n: Optional[int], one: str, more: str = "") -> str:
    """A count and its noun: "1 thread", "12 threads"; `more` where the plural is not one + "s"."""
    return f"{count(n)} {one if n == 1 else more or one + 's'}"


def share(part: Optional[int], whole: Optional[int]) -> str:
    """`part` of `whole` in per cent, one decimal; "?" if either is not known, "-" if there is no whole."""
    if part is None or whole is None:
        return UNKNOWN
    if whole == 0:
        return "-"
    tenths = (part * 2000 + whole) // (whole * 2)
    if tenths == 0 and part:
        return "<0.1%"
    return f"{tenths // 10}.{tenths % 10}%"


def address(n: int, pointer_size: int = 8) -> str:
    """An address, all of one width in the user half ("0x00c000000000"), 18 characters above 2^48.

    One past the last address is "2^64" (or "2^32"), which no pointer can hold.
    """
    if n == 1 << (8 * pointer_size):
        return f"2^{8 * pointer_size}"
    if pointer_size == 4:
        return f"0x{n:08x}"
    return f"0x{n:012x}" if n < 1 << 48 else f"0x{n:016x}"
