"""For the test that debuggers answer alike, inside gdb or lldb: runs commands, and keeps how each ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Optional, Tuple

Ended = Tuple[str, str]  # what went wrong, "" for nothing, and what was printed


def answers(given: str, out: str) -> None:
    """Run the lines of JSON in `given`; how each ended is written to `out`."""
    run = _in_gdb() or _in_lldb()
    Path(out).write_text(json.dumps([run(line) for line in json.loads(Path(given).read_text())]))


def _in_gdb() -> Optional[Callable[[str], Ended]]:
    try:
        import gdb
    except ImportError:
        return None

    def run(line: str) -> Ended:
        try:
            return "", str(gdb.execute(line, False, True))
        except gdb.error as error:
            return str(error), ""

    return run


def _in_lldb() -> Callable[[str], Ended]:
    import lldb

    debugger: Any = lldb.debugger

    def run(line: str) -> Ended:
        result = lldb.SBCommandReturnObject()
        debugger.GetCommandInterpreter().HandleCommand(line, result)
        return str(result.GetError() or "").removeprefix("error: ").strip(), str(result.GetOutput() or "")

    return run
