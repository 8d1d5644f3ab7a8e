"""A command for the test of the contract of `Target`, sourced inside gdb.

target-contract FOLDER KNOWN OUT     what gdb's target breaks of the contract that is in FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import gdb


class TargetContract(gdb.Command):
    """target-contract FOLDER KNOWN OUT"""

    def __init__(self) -> None:
        super().__init__("target-contract", gdb.COMMAND_DATA)

    def invoke(self, argument: str, from_tty: bool) -> None:
        from addrspace_gdb.debugger.gdb.readonly import read_only
        from addrspace_gdb.debugger.gdb.target import GdbTarget

        folder, known, out = argument.split()
        sys.path.insert(0, folder)
        try:
            from contract import Known, broken
        finally:
            sys.path.remove(folder)
        with read_only():
            found = broken(GdbTarget(), Known(**json.loads(Path(known).read_text())))
        Path(out).write_text(json.dumps(found))


TargetContract()
