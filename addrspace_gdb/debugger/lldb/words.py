"""Texts of commands as lldb's user types them: what they are in gdb is said in gdb's way. And lines of
lldb's that it has taken apart."""

from __future__ import annotations

import re
import shlex
from typing import Callable, List, Match, Sequence, Tuple, Union

from addrspace_gdb.commands.goroutine_args import PATTERNS

_Made = Union[str, Callable[[Match[str]], str]]
_WORDS: List[Tuple[str, _Made]] = [
    (r"`help (addrspace [a-z]+)`", r"`\1 --help`"),
    (r"`(set|show) addrspace ?([^`]*)`", lambda found: f"`addrspace {' '.join(found.groups()).strip()}`"),
    (r"\ban inferior\b", "a target"),
    (r"\binferior(s?)\b", r"target\1"),
    (r"\bINFERIOR\b", "TARGET"),
]
_TAKEN = re.compile(r"""[\s"'\\]+""")  # what lldb may take away where it takes a line apart


def in_lldb(text: str) -> str:
    """The same text with what lldb calls otherwise."""
    for pattern, made in _WORDS:
        text = re.sub(pattern, made, text)
    return text


def as_typed(words: Sequence[str], typed: Sequence[str]) -> str:
    """What followed a command's name when lldb took it apart into `words`, quotes and all: the last of the
    lines that were `typed`, if it is that one, else the words put together again."""
    last = typed[-1].split(None, 1)[1:] if typed else []
    if last and _TAKEN.sub("", last[0]) == _TAKEN.sub("", "".join(words)):
        return last[0]
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    """In quotes where that makes a difference; those of a pattern of ours stand behind its first part."""
    first = next((one for one in PATTERNS if word.startswith(one)), "")
    rest = word[len(first) :]
    return first + shlex.quote(rest) if first or not rest or _TAKEN.search(rest) else rest
