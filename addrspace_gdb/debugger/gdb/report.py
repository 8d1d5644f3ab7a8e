"""A command's answer in batch mode: `addrspace-gdb dump --report`."""

from __future__ import annotations

from importlib import import_module
from typing import List, Optional

from addrspace_gdb.commands.session import Command, Settings
from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.debugger.gdb.session import GdbSession
from addrspace_gdb.debugger.gdb.target import Known


class _BatchSession(GdbSession):
    """A session whose output is kept."""

    def __init__(self, settings: Settings, known: Known) -> None:
        super().__init__(known)
        self._given = settings
        self.written: List[str] = []

    @property
    def settings(self) -> Settings:
        """As the shell said."""
        return self._given

    def write(self, text: str) -> None:
        """Keep it."""
        self.written.append(text)


class Report:
    """The command named first in `line`, with the options that follow. ProblemError if they are wrong, and
    HelpRequested if that is what they are for."""

    def __init__(self, line: str, form: str, settings: Settings, known: Known) -> None:
        name, _, rest = line.strip().partition(" ")
        options = rest if form == "text" else f"{rest} --format {form}"
        module = import_module(f"addrspace_gdb.commands.{name.replace('-', '_')}")
        if name != "whereis":  # whose expressions need not look like a shell's words
            module.parser().parse_line(options)
        self._command: Command = module.COMMAND
        self._line = options
        self._session = _BatchSession(settings, known)

    def run(self) -> Optional[str]:
        """Ask the selected inferior; what is damaged."""
        with no_cycle_collection():
            return self._command.run(self._session, self._line)

    @property
    def text(self) -> str:
        """What the command wrote."""
        return "".join(self._session.written)
