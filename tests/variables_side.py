"""Sourced inside gdb: which variables the adapter finds in the frames at some instructions."""

from __future__ import annotations

import json
from pathlib import Path

import gdb

from addrspace_gdb.debugger.gdb.names import frame_variables


class VariablesAt(gdb.Command):
    """variables-at FILE ANSWERS: for each number of the JSON array in FILE."""

    def __init__(self) -> None:
        super().__init__("variables-at", gdb.COMMAND_DATA)

    def invoke(self, argument: str, _from_tty: bool) -> None:
        asked, answers = argument.split()
        found = [frame_variables(pc) for pc in json.loads(Path(asked).read_text())]
        Path(answers).write_text(json.dumps(found))


VariablesAt()
