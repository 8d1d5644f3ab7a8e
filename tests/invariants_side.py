"""Commands for `invariants.py`, sourced inside gdb: what gdb's own types and the kernel say of this stop.

stop-smaps FILE   copy /proc/PID/smaps
stop-facts FILE   write goroutines, modules and threads as JSON
"""

from __future__ import annotations

import json
from typing import Any, Dict, List

import gdb

# Pairs of fields of runtime.moduledata that bound a section, and the area it belongs to.
_SECTIONS = {
    "code": [("text", "etext")],
    "globals": [("noptrdata", "enoptrdata"), ("data", "edata"), ("bss", "ebss"), ("noptrbss", "enoptrbss")],
}


def _number(value: gdb.Value) -> int:
    while value.type.strip_typedefs().code == gdb.TYPE_CODE_STRUCT:
        value = value["value"]
    return int(value)


def _function(pc: int) -> str:
    words = gdb.execute(f"info symbol {pc}", to_string=True).split()
    return words[0].replace("[", ".").rstrip("]")


def goroutines() -> List[List[Any]]:
    """[goid, stack.lo, stack.hi, status, start function] of everything in runtime.allgs."""
    found = []
    header = gdb.parse_and_eval("'runtime.allgs'")
    for index in range(int(header["len"])):
        g = header["array"][index].dereference()
        bounds = [int(g["stack"]["lo"]), int(g["stack"]["hi"])]
        found.append(
            [int(g["goid"]), *bounds, _number(g["atomicstatus"]) & 0xFFF, _function(int(g["startpc"]))]
        )
    return found


def modules() -> List[Dict[str, List[List[int]]]]:
    """Of each module the ranges of its code and of its globals."""
    found = []
    module = gdb.parse_and_eval("&'runtime.firstmoduledata'")
    while int(module):
        data = module.dereference()
        ranges = {
            area: [[int(data[low]), int(data[high])] for low, high in pairs]
            for area, pairs in _SECTIONS.items()
        }
        table = data["pclntable"]
        ranges["globals"].append([int(table["array"]), int(table["array"]) + int(table["len"])])
        ranges["globals"].append([int(data["types"]), int(data["etypes"])])
        found.append(ranges)
        module = data["next"]
    return found


def threads() -> List[List[int]]:
    """[thread id, pc, sp] of every thread."""
    found = []
    kept = gdb.selected_thread()
    for thread in gdb.selected_inferior().threads():
        thread.switch()
        frame = gdb.newest_frame()
        sp = int(frame.read_register("sp")) & (1 << 64) - 1
        found.append([thread.ptid[1] or thread.ptid[0], int(frame.pc()), sp])
    if kept is not None:
        kept.switch()
    return found


class StopFacts(gdb.Command):
    """stop-facts FILE: goroutines, modules and threads as JSON."""

    def __init__(self) -> None:
        super().__init__("stop-facts", gdb.COMMAND_DATA)

    def invoke(self, argument: str, from_tty: bool) -> None:
        facts = {"goroutines": goroutines(), "modules": modules(), "threads": threads()}
        with open(argument.strip(), "w", encoding="ascii") as out:
            json.dump(facts, out)


class StopSmaps(gdb.Command):
    """stop-smaps FILE: a copy of the kernel's smaps of the selected process."""

    def __init__(self) -> None:
        super().__init__("stop-smaps", gdb.COMMAND_DATA)

    def invoke(self, argument: str, from_tty: bool) -> None:
        pid = gdb.selected_inferior().pid
        with open(f"/proc/{pid}/smaps", "rb") as source, open(argument.strip(), "wb") as out:
            out.write(source.read())


StopFacts()
StopSmaps()
