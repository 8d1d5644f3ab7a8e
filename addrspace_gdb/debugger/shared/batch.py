"""What a debugger tells the keeper and the shell that run it in batch mode."""

from __future__ import annotations

import os
from typing import Callable, Iterable, List

from addrspace_gdb.commands.once import settings_of, write_problems, write_whole
from addrspace_gdb.commands.session import Settings
from addrspace_gdb.common.request import Request
from addrspace_gdb.shell import keeper


def mark(phase: bytes) -> None:
    """Tell the keeper how far we are (`shell.keeper`)."""
    try:
        os.write(int(os.environ[keeper.MARKS_VARIABLE]), phase)
    except (KeyError, ValueError, OSError):
        pass  # nobody keeps this debugger


def hand_over(asked: Request, problems: List[str], say: Callable[[str], object]) -> int:
    """Write the problems where the shell reads them; the exit status. Without room for them, `say` one."""
    try:
        write_problems(asked, problems)
    except OSError as error:  # the folder has no room: a line may still fit where the debugger's own words go
        say(f"addrspace-gdb: {problems[0] if problems else error.strerror}\n")
        return 1
    return 1 if problems else 0


class ToTheShell:
    """The part of a session that is about its output, which is the answer: a debugger's own comes second."""

    _asked: Request

    @property
    def settings(self) -> Settings:
        """As the shell said."""
        return settings_of(self._asked)

    def write(self, pieces: Iterable[str]) -> None:
        """Into the file that the shell waits for."""
        write_whole(self._asked.result, pieces)
