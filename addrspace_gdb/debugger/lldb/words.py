"""Texts of commands as lldb's user types them: what they are in gdb is said in gdb's way."""

from __future__ import annotations

import re
from typing import Callable, List, Match, Tuple, Union

_Made = Union[str, Callable[[Match[str]], str]]
_WORDS: List[Tuple[str, _Made]] = [
    (r"`help (addrspace [a-z]+)`", r"`\1 --help`"),
    (r"`(set|show) addrspace ?([^`]*)`", lambda found: f"`addrspace {' '.join(found.groups()).strip()}`"),
    (r"\ban inferior\b", "a target"),
    (r"\binferior(s?)\b", r"target\1"),
    (r"\bINFERIOR\b", "TARGET"),
]


def in_lldb(text: str) -> str:
    """The same text with what lldb calls otherwise."""
    for pattern, made in _WORDS:
        text = re.sub(pattern, made, text)
    return text
