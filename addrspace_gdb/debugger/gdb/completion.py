"""What a TAB offers behind a command of ours, as gdb takes it."""

from __future__ import annotations

from typing import List, Optional, Union

import gdb

from addrspace_gdb.commands.command import Command
from addrspace_gdb.debugger.gdb.readonly import read_only
from addrspace_gdb.debugger.gdb.session import GdbSession
from addrspace_gdb.debugger.shared.completing import offers, symbols


def complete(command: Command, session: GdbSession, text: str, word: Optional[str]) -> Union[List[str], int]:
    """Options and their values, sub-commands, areas, what there is in this session; file names after
    --output; symbols where an expression may stand."""
    before = text.split()
    if text[-1:].isspace():
        before.append("")
    current = before[-1] if before else ""
    with read_only():
        found = offers(command, session, before)
        if not found and command.expressions and not current.startswith("-"):
            try:
                found = symbols(session, current)
            except gdb.error:
                pass
            if not found:
                return int(gdb.COMPLETE_SYMBOL)
    cut = len(current) - len(word or "")  # gdb 18 first asks without a word
    return [offer[cut:] for offer in found]
