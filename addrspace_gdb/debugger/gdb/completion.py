"""What a TAB offers behind a command of ours."""

from __future__ import annotations

import glob
import os
import re
from typing import List, Optional, Union

import gdb

from addrspace_gdb.commands.command import Command
from addrspace_gdb.commands.options import LOOK
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.debugger.gdb.readonly import read_only
from addrspace_gdb.debugger.gdb.session import GdbSession

_WORD = re.compile(r'"[^"]*"?|\S+')
_OPERATORS = re.compile(r"[&*(]*'?")
_SYMBOLS = 200  # names that are offered: as many as gdb shows (max-completions)


def complete(command: Command, session: GdbSession, text: str, word: Optional[str]) -> Union[List[str], int]:
    """Options and their values, sub-commands, areas, what there is in this session; file names after
    --output; symbols where an expression may stand."""
    before = _words(text)
    current = before[-1] if before else ""
    offers = _offers(command, session, before, current)
    is_value = len(before) > 1 and command.parser().takes_value(before[-2])
    if not offers and command.expressions and not is_value and not current.startswith("-"):
        offers = _symbols(session, current)
        if not offers:
            return int(gdb.COMPLETE_SYMBOL)
    cut = len(current) - len(word or "")  # gdb 18 first asks without a word
    return [offer[cut:] for offer in offers]


def _words(text: str) -> List[str]:
    """As they were typed. The last is empty behind a blank, and may begin with a quote that is open."""
    words = _WORD.findall(text)
    if text[-1:].isspace() and not (words and words[-1][0] == '"' and words[-1].count('"') == 1):
        words.append("")
    return words


def _offers(command: Command, session: GdbSession, before: List[str], current: str) -> List[str]:
    option = before[-2] if len(before) > 1 else ""
    if option in ("-o", "--output"):
        return _files(current)
    parser = command.parser()
    known = parser.values_of(option) or [*command.values.get(option, ())]
    if option in command.lists:
        with read_only():
            known += command.lists[option](session)
    if not known and not parser.takes_value(option):
        known = [*command.words(), *LOOK]
        if command.names is not None and not current.startswith("-"):
            with read_only():
                known += command.names(session)
    begins = (current, f'"{current}')  # what is in quotes gets them
    return [offer for offer in known if offer.startswith(begins)]


def _symbols(session: GdbSession, current: str) -> List[str]:
    """Names of the program that what was typed of an expression may become: gdb (12 to 18) does not find
    all variables of Go's, and shows them in the spelling of C++."""
    from addrspace_gdb.process.elfsymbols import symbol_tables

    operators = _OPERATORS.match(current)
    start = operators.end() if operators else 0
    try:
        with read_only():
            program = session.target().executable
    except (ProblemError, gdb.error):
        return []
    tables = symbol_tables(program) if program is not None and current[start:] else None
    if tables is None or tables.full is None:
        return []
    return [current[:start] + name for name in tables.full.beginning_with(current[start:], _SYMBOLS)]


def _files(start: str) -> List[str]:
    """File names that begin with `start`, folders with a slash."""
    names = glob.glob(glob.escape(os.path.expanduser(start)) + "*")
    return sorted(name + "/" if os.path.isdir(name) else name for name in names)
