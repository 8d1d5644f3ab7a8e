"""Text from the target, made safe to show: paths, symbols and labels are whatever the process chose."""

from __future__ import annotations

from typing import Optional

# Bytes of one text of a target that are taken: what a path may have (PATH_MAX, include/uapi/linux/limits.h).
MAX_TEXT = 4096  # characters
_ESCAPED = "".join(map(chr, range(0xDC80, 0xDD00)))
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def unescaped(path: str) -> str:
    """A path out of /proc/PID/maps, where the kernel writes a newline as `\\012` and nothing else so
    (show_map_vma in fs/proc/task_mmu.c)."""
    return path.replace("\\012", "\n")


def decoded(raw: bytes, size: Optional[int] = None, most: int = MAX_TEXT) -> str:
    """The text of these bytes, which need not be UTF-8: `printable` shows others as what they are, `\\xff`.

    Of more than `most` bytes the rest is cut off and counted. `size`: how many there are, where `raw` is only
    their beginning.
    """
    whole = len(raw) if size is None else max(size, len(raw))
    if whole <= most and whole == len(raw):
        return raw.decode("utf-8", "surrogateescape")
    text = raw[:most].decode("utf-8", "surrogateescape")
    return f"{text.rstrip(_ESCAPED)}... ({whole:,} bytes)"  # a character may be cut in two


def shortened(text: str) -> str:
    """Text that somebody else decoded, cut as `decoded` does."""
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}... ({len(text):,} characters)"


def printable(text: str) -> str:
    """`text` with everything that is not printable written as an escape.

    Escaped are control characters (terminal escape codes), bidirectional overrides and other format
    characters, line separators, unassigned code points, and the surrogates by which `surrogateescape`
    stands for bytes that are not UTF-8 (shown as that byte, `\\xff`). Everything else is unchanged.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(char: str) -> str:
    code = ord(char)
    if char in _SHORT:
        return _SHORT[char]
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape: byte 0x80..0xff
        code -= 0xDC00
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
