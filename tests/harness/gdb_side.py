"""Commands for the tests, sourced inside gdb: they read the program's own oracle through gdb's types.

oracle-memstats FILE [SYMBOL]   write the runtime.MemStats in main.Oracle as JSON
oracle-dump FILE                write the goroutine dump in kit.Dump
symbols-of FILE                 load the symbols of FILE, the same program before it was stripped
lend-symbols FULL BARE          so from now on, but for this project's commands: they see those of BARE
"""

from __future__ import annotations

import json
import re
from pathlib import Path
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


class SymbolsOf(gdb.Command):
    """symbols-of FILE: where a position-independent program was loaded, the auxiliary vector tells."""

    def __init__(self) -> None:
        super().__init__("symbols-of", gdb.COMMAND_DATA)

    def invoke(self, argument: str, from_tty: bool) -> None:
        path = argument.strip()
        word = 8 if Path(path).read_bytes()[4] == 2 else 4  # EI_CLASS
        entry = int.from_bytes(Path(path).read_bytes()[24 : 24 + word], "little")  # e_entry
        try:
            found = re.search(r"AT_ENTRY .*(0x[0-9a-f]+)", gdb.execute("info auxv", to_string=True))
        except gdb.error:
            found = None
        offset = int(found.group(1), 16) - entry if found else 0
        gdb.execute(f"symbol-file {f'-o {offset:#x} ' if offset else ''}{path}", to_string=True)


class LendSymbols(gdb.Command):
    """lend-symbols FULL BARE"""

    def __init__(self) -> None:
        super().__init__("lend-symbols", gdb.COMMAND_DATA)

    def invoke(self, argument: str, from_tty: bool) -> None:
        full, bare = argument.split()
        gdb.execute(f"symbols-of {full}")
        try:
            from addrspace_gdb.debugger.gdb import commands
        except ImportError:
            return  # none of ours is loaded
        ours = commands._GdbCommand.invoke

        def invoke(command: Any, argument: str, from_tty: bool) -> None:
            # A breakpoint on a function does not outlive the function's name.
            kept = [(b.location, b.temporary) for b in gdb.breakpoints() if b.location]
            gdb.execute("delete", to_string=True)
            gdb.execute(f"symbol-file {bare}", to_string=True)
            try:
                ours(command, argument, from_tty)
            finally:
                gdb.execute(f"symbols-of {full}")
                for location, temporary in kept:
                    gdb.Breakpoint(location, temporary=temporary)

        setattr(commands._GdbCommand, "invoke", invoke)  # noqa: B010
        gdb.set_convenience_variable("lent_symbols", 1)


OracleMemstats()
OracleDump()
SymbolsOf()
LendSymbols()
