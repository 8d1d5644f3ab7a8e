"""Text from the target, made safe to show: paths, symbols and labels are whatever the process chose."""

from __future__ import annotations

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


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
