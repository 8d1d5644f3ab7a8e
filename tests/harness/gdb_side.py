"""Commands for the tests, sourced inside gdb: they read the program's own oracle through gdb's types.

oracle-memstats FILE [SYMBOL]   write the runtime.MemStats in main.Oracle as JSON
oracle-dump FILE                write the goroutine dump in kit.Dump
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, Union

import gdb

Json = Union[int, str, Dict[str, Any], List[Any]]

# MemStats in runtime/mstats.go: these are rings of the last 256 pauses, and not memory.
_SKIPPED = ("PauseNs", "PauseEnd")


def _plain(value: gdb.Value) -> Json:
    kind = value.type.strip_typedefs()
    if kind.code == gdb.TYPE_CODE_STRUCT:
        return {str(f.name): _plain(value[f]) for f in kind.fields() if f.name not in _SKIPPED}
    if kind.code == gdb.TYPE_CODE_ARRAY:
        low, high = kind.range()
        return [_plain(value[i]) for i in range(low, high + 1)]
    if kind.code == gdb.TYPE_CODE_FLT:
        return str(float(value))
    return int(value)


class OracleMemstats(gdb.Command):
    """oracle-memstats FILE [SYMBOL]: the runtime.MemStats in SYMBOL, main.Oracle, as JSON."""

    def __init__(self) -> None:
        super().__init__("oracle-memstats", gdb.COMMAND_DATA)

    def invoke(self, argument: str, from_tty: bool) -> None:
        file, *symbol = argument.split()
        with open(file, "w", encoding="ascii") as out:
            json.dump(_plain(gdb.parse_and_eval(f"'{symbol[0] if symbol else 'main.Oracle'}'")), out)


class OracleDump(gdb.Command):
    """oracle-dump FILE: the goroutine dump that the program keeps in kit.Dump."""

    def __init__(self) -> None:
        super().__init__("oracle-dump", gdb.COMMAND_DATA)

    def invoke(self, argument: str, from_tty: bool) -> None:
        dump = gdb.parse_and_eval("&'addrspace.test/kit.Dump'")
        length = int(gdb.parse_and_eval("'addrspace.test/kit.DumpLength'"))
        with open(argument.strip(), "wb") as out:
            if length:
                out.write(gdb.selected_inferior().read_memory(int(dump), length).tobytes())


OracleMemstats()
OracleDump()
