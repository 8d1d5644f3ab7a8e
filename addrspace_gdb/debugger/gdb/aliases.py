"""Other names for commands, which people bring along from elsewhere: they give way to whoever has them.

gdb cannot take a command away again. So they are made with the first object file, stop or prompt, when init
files have had their chance to say `set addrspace aliases off`; one that exists by then stays as it is, and
one that is defined later takes the place of ours.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import gdb

from addrspace_gdb.debugger.gdb.text import output_of

# The name, and the command that it means.
ALIASES = {
    "info goroutines": "goroutine-stacks",  # as in Go's runtime-gdb.py
    "goroutines": "goroutine-stacks",  # as in delve
    "vmmap": "addrspace regions",  # as in pwndbg, GEF and LLDB's users' scripts
}
_PARAMETER = "addrspace aliases"


def help_of(command: str) -> Optional[str]:
    """A command's help; None if there is no command of exactly that name."""
    try:
        if command not in output_of(f"complete {command}").splitlines():
            return None
        return output_of(f"help {command}")
    except gdb.error:
        return None


class Aliases:
    """Makes them when it is time."""

    def __init__(self, commands: Dict[str, gdb.Command]) -> None:
        """`commands`: those of ours by their names."""
        self._commands, self._made = commands, False
        self._kept: List[gdb.Command] = []
        for event in ("new_objfile", "before_prompt", "stop"):
            getattr(gdb.events, event).connect(self._make)

    def _make(self, event: object = None) -> None:
        if self._made or not gdb.parameter(_PARAMETER):
            return
        self._made = True
        for name, meant in ALIASES.items():
            if help_of(name) is None:
                self._kept.append(_Alias(name, meant, self._commands[meant]))


class _Alias(gdb.Command):
    """One of them."""

    def __init__(self, name: str, meant: str, command: gdb.Command) -> None:
        self.__doc__ = f"Another name of `{meant}` (`set addrspace aliases off`).\n{command.__doc__}"
        self._name = name
        self._command: Any = command
        super().__init__(name, gdb.COMMAND_STATUS)

    def invoke(self, argument: str, from_tty: bool) -> None:
        """What the command itself does."""
        if not gdb.parameter(_PARAMETER):
            raise gdb.GdbError(f"`{self._name}` is switched off (`set addrspace aliases on`)")
        self._command.invoke(argument, from_tty)

    def complete(self, text: str, word: Optional[str]) -> object:
        """As the command itself."""
        return self._command.complete(text, word)
