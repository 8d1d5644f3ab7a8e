"""Commands in texts, as whoever reads them can type them: `addrspace rss` is a word of gdb's and lldb's, of
the shell it is `addrspace-gdb rss 4242`."""

from __future__ import annotations

import re
import shlex
from functools import partial
from typing import Callable, Match, Optional

from addrspace_gdb import commands

_COMMAND = re.compile(r"`(?:addrspace(?: ([a-z]+))?|(goroutine-stacks))((?: [^`]*)?)`")


def for_shell(target: str) -> Optional[Callable[[str], str]]:
    """What makes a text one for the shell, where `target` is the process or core; None if there is none."""
    return partial(_COMMAND.sub, partial(_typed, target)) if target else None


def _typed(target: str, found: Match[str]) -> str:
    word, rest = found[1] or found[2] or "addrspace", found[3]
    if word not in commands.REPORTS:
        return found[0]  # of debuggers alone
    if word == "addrspace":
        word = "dump"
    if word == "profile":
        kind, _, rest = rest.strip().partition(" ")
        word, rest = f"profile {kind}", f" {rest}" if rest else ""
    return f"`addrspace-gdb {word} {target}{quoted(rest)}`"


_WORD = re.compile(r'"[^"]*"|\S+')
_PLAIN = re.compile(r'"[^"]*"|[\w@%+=:,./-]+', re.ASCII)  # a shell hands it on as it stands, or is quoted


def quoted(words: str) -> str:
    """A debugger's words as a shell takes them: `$sp` is no variable there."""
    return _WORD.sub(lambda one: one[0] if _PLAIN.fullmatch(one[0]) else _in_quotes(one[0]), words)


def _in_quotes(word: str) -> str:
    """Double quotes where those do: names of Go stand in single ones."""
    return f'"{word}"' if "'" in word and not set(word) & set('$`"\\') else shlex.quote(word)
