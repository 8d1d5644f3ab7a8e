"""Commands for the tests of `addrspace rss`, sourced inside gdb.

rss-stop FILE [OPTION...]  write what the kernel says of the process here (before anything is read of it),
                           and what `addrspace rss` says, as one JSON object
rss-phases FILE            run `gcstats` through its phases; at each breakpoint the same with main.Oracle
"""

from __future__ import annotations

import json
import os
import shlex
from typing import Any, Dict, List

import gdb

_FILES = ("smaps", "status", "smaps_rollup")
_COUNTERS = ["Sys", "HeapSys", "HeapInuse", "HeapIdle", "HeapReleased", "StackInuse", "HeapAlloc"]


def kernel() -> Dict[str, str]:
    """The kernel's files of the selected inferior; empty for one that is no process of this machine."""
    pid = gdb.selected_inferior().pid
    found = {}
    for name in _FILES:
        try:
            with open(f"/proc/{pid}/{name}", encoding="ascii", errors="replace") as file:
                found[name] = file.read()
        except OSError:
            pass
    return found


def oracle() -> Dict[str, int]:
    """Fields of main.Oracle."""
    value = gdb.parse_and_eval("'main.Oracle'")
    return {name: int(value[name]) for name in _COUNTERS}


def stop(options: str = "") -> Dict[str, Any]:
    """One stop; `error` is what the command ends with, if anything is damaged."""
    path = f"/tmp/rss-{os.getpid()}"
    files, error = kernel(), ""
    try:
        gdb.execute(f"addrspace rss --format json --output {path} {options}", to_string=True)
    except gdb.error as failed:
        error = str(failed)
        if not os.path.exists(path):
            raise
    with open(path, encoding="ascii") as file:
        document = json.load(file)
    os.unlink(path)
    return {"kernel": files, "rss": document, "oracle": oracle(), "error": error}


class Stop(gdb.Command):
    """rss-stop FILE [OPTION...]"""

    def __init__(self) -> None:
        super().__init__("rss-stop", gdb.COMMAND_DATA)

    def invoke(self, argument: str, from_tty: bool) -> None:
        path, *options = shlex.split(argument)
        found = stop(" ".join(options))
        with open(path, "w", encoding="ascii") as out:
            json.dump(found, out)


class Phases(gdb.Command):
    """rss-phases FILE"""

    def __init__(self) -> None:
        super().__init__("rss-phases", gdb.COMMAND_DATA)

    def invoke(self, argument: str, from_tty: bool) -> None:
        stops: List[Dict[str, Any]] = []
        while gdb.selected_inferior().pid:
            if gdb.selected_frame().name() == "main.breakpoint":
                name = gdb.parse_and_eval("'main.Phase'")
                text = gdb.selected_inferior().read_memory(int(name["str"]), int(name["len"]))
                stops.append({"phase": text.tobytes().decode(), **stop()})
            gdb.execute("continue", to_string=True)
        with open(argument.strip(), "w", encoding="ascii") as out:
            json.dump(stops, out)


Stop()
Phases()
