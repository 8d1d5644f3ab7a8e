"""What a TAB offers behind a command of ours, whatever the debugger."""

from __future__ import annotations

import glob
import os
import re
from typing import Callable, List, Sequence, Tuple

from addrspace_gdb.commands import goroutine_args
from addrspace_gdb.commands.command import Command
from addrspace_gdb.commands.session import Session
from addrspace_gdb.common.problems import ProblemError

_OPERATORS = re.compile(r"[&*(]*'?")
_SYMBOLS = 200  # names that are offered: as many as gdb shows (max-completions)


def offers(command: Command, session: Session, before: Sequence[str]) -> List[str]:
    """What the last of the words `before` may become: an option or its value, a sub-command, an area, what
    there is in this session, a file behind --output."""
    current = before[-1] if before else ""
    option = before[-2] if len(before) > 1 else ""
    if option in ("-o", "--output"):
        return _files(current)
    parser = command.parser()
    known = parser.values_of(option) or [*command.values.get(option, ())]
    if option in command.lists:
        known += command.lists[option](session)
    if not known and not parser.takes_value(option):
        known = [*parser.words(), *command.words]
        if command.names is not None and not current.startswith("-"):
            known += command.names(session)
    begins = (current, f'"{current}')  # what is in quotes gets them
    return [offer for offer in known if offer.startswith(begins)]


def may_be_symbol(command: Command, before: Sequence[str]) -> bool:
    """Whether the last of the words `before` may be an expression."""
    is_value = len(before) > 1 and command.parser().takes_value(before[-2])
    return command.expressions and not is_value and not (before and before[-1].startswith("-"))


def goroutine_offers(
    text: str, words: Sequence[str], debuggers: Callable[[str], List[str]]
) -> Tuple[List[str], str]:
    """What the last word of `text`, typed after `goroutine` or `goroutine-apply`, may become, and that word,
    or the whole command that it is in: one of `words`, and behind goroutines what `debuggers` says of a
    command of the debugger's own."""
    given, _flags, command = goroutine_args.split(text)
    current = command if command or text[-1:].isspace() or not given else given[-1]
    found = [offer for offer in words if offer.startswith(current)]
    if given and current is command and command:
        found += debuggers(command)
    return found, current


def symbols(session: Session, current: str) -> List[str]:
    """Names of the program that what was typed of an expression may become: gdb (12 to 18) does not find
    all variables of Go's, and shows them in the spelling of C++."""
    from addrspace_gdb.process.elfsymbols import symbol_tables

    operators = _OPERATORS.match(current)
    start = operators.end() if operators else 0
    try:
        program = session.target().executable
    except ProblemError:
        return []
    tables = symbol_tables(program) if program is not None and current[start:] else None
    if tables is None or tables.full is None:
        return []
    return [current[:start] + name for name in tables.full.beginning_with(current[start:], _SYMBOLS)]


def _files(start: str) -> List[str]:
    """File names that begin with `start`, folders with a slash."""
    names = glob.glob(glob.escape(os.path.expanduser(start)) + "*")
    return sorted(name + "/" if os.path.isdir(name) else name for name in names)
