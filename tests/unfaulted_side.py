"""A command for the tests of what becomes resident, sourced inside gdb.

unfaulted IN OUT   run each command of the JSON list IN; write what was said, whether it failed, and the smaps
                   of the process after it, as a JSON list; the first entry is that before any command
"""

from __future__ import annotations

import json

import gdb


def _smaps() -> str:
    with open(f"/proc/{gdb.selected_inferior().pid}/smaps") as file:
        return file.read()


class _Unfaulted(gdb.Command):
    def __init__(self) -> None:
        super().__init__("unfaulted", gdb.COMMAND_DATA)

    def invoke(self, argument: str, from_tty: bool) -> None:
        given, result = argument.split()
        found = [{"said": "", "smaps": _smaps(), "failed": False}]
        with open(given) as file:
            commands = json.load(file)
        for command in commands:
            try:
                said, failed = gdb.execute(command, to_string=True), False
            except gdb.error as error:
                said, failed = str(error), True
            found.append({"said": said, "smaps": _smaps(), "failed": failed})
        with open(result, "w") as file:
            json.dump(found, file)


_Unfaulted()
