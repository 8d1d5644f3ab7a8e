"""What the shell's side asks of the debugger's side: one object, as JSON in an environment variable.

Files are never named in a command of the debugger. Its working directory is a private folder, and there they
have fixed names: `CORE` and `SYSROOT` are symbolic links; the program is an argument of its process.
"""

from __future__ import annotations

import json
from typing import NamedTuple, Optional

VARIABLE = "ADDRSPACE_GDB_REQUEST"
CORE, SYSROOT, LOADER = "core", "root", "load.py"  # links in the private folder
LLDB_LOADER = "load_lldb.py"


class Request(NamedTuple):
    """What is asked. Every field is always given."""

    pid: Optional[int]  # a process, or None
    core: Optional[str]  # path of the core file that is read, or None
    shown: Optional[str]  # how that file is called: a compressed core is read from another place
    exe: Optional[str]  # path of the program that gdb was started with, or None
    sysroot: bool  # whether there is a link to one
    format: str  # "text", "classic", "json", "svg" or "html"
    report: Optional[str]  # a command and its options, or None for the diagram
    check: bool
    stacks: bool
    stats: bool
    ascii: bool
    width: int  # columns
    height: Optional[int]  # lines of the terminal, or None where there is none
    color: bool
    result: str  # path of a file for the output (UTF-8), which gets this name when it is complete
    problems: str  # of one for problems, one a line
    notes: str  # of one for lines for stderr that are no problems
    typed: str = ""  # how a shell is told which process or core it is; "": no shell asks

    def to_json(self) -> str:
        """The object's text, in ASCII."""
        return json.dumps(self._asdict())

    @classmethod
    def from_json(cls, text: str) -> Request:
        """The request in `text`. TypeError if a field is missing or unknown."""
        return cls(**json.loads(text))
