"""A command's answer in batch mode: `addrspace-gdb dump --report`."""

from __future__ import annotations

from typing import Iterable, List, Optional

from addrspace_gdb import commands
from addrspace_gdb.commands.command import Task
from addrspace_gdb.commands.session import Settings
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

    def write(self, pieces: Iterable[str]) -> None:
        """Keep it."""
        self.written += pieces


class Report:
    """The command named first in `line`, with the options that follow. ProblemError if they are wrong, and
    HelpRequested if that is what they are for."""

    def __init__(self, line: str, form: str, settings: Settings, known: Known) -> None:
        name, _, rest = line.strip().partition(" ")
        command = commands.report(name)
        arguments = command.arguments(rest)
        if form != "text":
            arguments.format = form
        self._session = _BatchSession(settings, known)
        self._task = Task(command, self._session, arguments)

    def run(self) -> Optional[str]:
        """Ask the selected inferior; what is damaged."""
        with no_cycle_collection():
            self._task.ask()
            return self._task.show()

    @property
    def text(self) -> str:
        """What the command wrote."""
        return "".join(self._session.written)
