"""A command for the test of the contract of `Target`, imported by lldb.

target-contract FOLDER KNOWN OUT     what lldb's target breaks of the contract that is in FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def target_contract(debugger: Any, line: str, _result: Any, _dictionary: Any) -> None:
    """target-contract FOLDER KNOWN OUT"""
    from addrspace_gdb.debugger.lldb.target import open_target
    from addrspace_gdb.goruntime.stripped.target import with_runtime

    folder, known, out = line.split()
    sys.path.insert(0, folder)
    try:
        from contract import Known, broken
    finally:
        sys.path.remove(folder)
    wanted = Known(**json.loads(Path(known).read_text()))
    process = debugger.GetSelectedTarget().GetProcess()
    found = broken(open_target(process), wanted)
    found += broken(with_runtime(open_target(process)), wanted)
    Path(out).write_text(json.dumps(found))


def __lldb_init_module(debugger: Any, _dictionary: Any) -> None:
    debugger.HandleCommand(f"command script add -f {__name__}.target_contract target-contract")
