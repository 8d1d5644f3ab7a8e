"""What a TAB offers behind a command of ours, as gdb takes it."""

from __future__ import annotations

import re
from typing import List, Optional, Union

import gdb

from addrspace_gdb.commands.command import Command
from addrspace_gdb.debugger.gdb.readonly import read_only
from addrspace_gdb.debugger.gdb.session import GdbSession
from addrspace_gdb.debugger.shared.completing import may_be_symbol, offers, symbols

_WORD = re.compile(r'"[^"]*"?|\S+')


def complete(command: Command, session: GdbSession, text: str, word: Optional[str]) -> Union[List[str], int]:
    """Options and their values, sub-commands, areas, what there is in this session; file names after
    --output; symbols where an expression may stand."""
    before = _words(text)
    current = before[-1] if before else ""
    with read_only():
        found = offers(command, session, before)
        if not found and may_be_symbol(command, before):
            try:
                found = symbols(session, current)
            except gdb.error:
                pass
            if not found:
                return int(gdb.COMPLETE_SYMBOL)
    cut = len(current) - len(word or "")  # gdb 18 first asks without a word
    return [offer[cut:] for offer in found]


def _words(text: str) -> List[str]:
    """As they were typed. The last is empty behind a blank, and may begin with a quote that is open."""
    words = _WORD.findall(text)
    if text[-1:].isspace() and not (words and words[-1][0] == '"' and words[-1].count('"') == 1):
        words.append("")
    return words
