"""What the kernel says on the command line of whom it hands a core to (core(5), naming of core files)."""

from __future__ import annotations

import re
import signal
from typing import Dict, List, NamedTuple, Optional, Sequence

from addrspace_gdb.common.problems import ProblemError

_SPECIFIER = re.compile(r"%(.?)")


class Told(NamedTuple):
    """Of a process that is dying."""

    pid: int  # %P, as the initial namespace has it
    tid: Optional[int]  # %i, as its own has it
    signal: Optional[int]  # %s
    values: Dict[str, str]  # every specifier that was passed on, by its letter


def told(words: Sequence[str]) -> Told:
    """Of the words %P %i %s and then, for others, the letter and the value: u%u. ProblemError."""
    if not words:
        raise ProblemError("say which process: addrspace-gdb crash PID, with its core on standard input")
    numbers = [_number(word) for word in words[:3]]
    values = dict(zip("Pis", words))
    values.update((word[:1], word[1:]) for word in words[3:])
    pid = numbers[0]
    if pid is None or pid < 1:
        raise ProblemError("the process is not a number")
    more = [*numbers[1:], None, None]
    return Told(pid, more[0], more[1], values)


def _number(word: str) -> Optional[int]:
    return int(word) if word.isascii() and word.isdecimal() and len(word) < 20 else None


def specifiers(pattern: str) -> List[str]:
    """The letters of the specifiers in a core_pattern, each once."""
    return [letter for letter in dict.fromkeys(_SPECIFIER.findall(pattern)) if letter.isalpha()]


def expanded(pattern: str, values: Dict[str, str]) -> List[str]:
    """The command of a core_pattern with its specifiers' values, as the kernel has it: split first, %% is a
    percent sign, one that is not known is nothing (format_corename in fs/coredump.c)."""
    words = pattern.lstrip("|").split()
    return [_SPECIFIER.sub(lambda m: "%" if m[1] == "%" else values.get(m[1], ""), word) for word in words]


def signal_name(number: Optional[int]) -> str:
    """SIGSEGV; "signal 70" where it has no name, "an unknown signal" where there is no number."""
    if number is None:
        return "an unknown signal"
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
