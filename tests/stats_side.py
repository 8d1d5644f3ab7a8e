"""Commands for the statistics tests, sourced inside gdb.

stats-phases FOLDER      run `gcstats` through all its phases; at each stop write what the program read and
                         what this project says into FOLDER
stats-each FILE COUNT SPOT...   stop COUNT times at the entry of each function SPOT and write what this
                                project says there
tell COMMAND                    run it; an error is printed and does not end the script
"""

from __future__ import annotations

import json
import shlex
from typing import Any, Dict, List

import gdb


def plain(value: gdb.Value) -> Any:
    """A value of the target as JSON has it; floats by their shortest text that is exact."""
    kind = value.type.strip_typedefs()
    if kind.code == gdb.TYPE_CODE_STRUCT:
        return {str(f.name): plain(value[f]) for f in kind.fields()}
    if kind.code == gdb.TYPE_CODE_ARRAY:
        low, high = kind.range()
        return [plain(value[i]) for i in range(low, high + 1)]
    if kind.code == gdb.TYPE_CODE_FLT:
        return repr(float(value))
    return int(value)


def samples() -> Dict[str, int]:
    """main.Samples, a []metrics.Sample whose values are all uint64."""
    header = gdb.parse_and_eval("'main.Samples'")
    return {
        _text(header["array"][i]["Name"]): int(header["array"][i]["Value"]["scalar"])
        for i in range(int(header["len"]))
    }


def _text(value: gdb.Value) -> str:
    length = int(value["len"])
    if not length:
        return ""
    return gdb.selected_inferior().read_memory(int(value["str"]), length).tobytes().decode()


def ask(command: str, path: str) -> Dict[str, Any]:
    """The JSON that a command of this project writes, and the error it ends with."""
    error = ""
    try:
        gdb.execute(f"{command} --format json --output {path}", to_string=True)
    except gdb.error as failed:
        error = str(failed)
    with open(path, encoding="ascii") as file:
        document: Dict[str, Any] = json.load(file)
    document["error"] = error
    return document


class Phases(gdb.Command):
    """stats-phases FOLDER"""

    def __init__(self) -> None:
        super().__init__("stats-phases", gdb.COMMAND_DATA)

    def invoke(self, argument: str, from_tty: bool) -> None:
        folder = argument.strip()
        stops: List[Dict[str, Any]] = []
        while gdb.selected_inferior().pid:
            phase = _text(gdb.parse_and_eval("'main.Phase'"))
            where = gdb.selected_frame().name()
            stop: Dict[str, Any] = {"phase": phase, "where": where}
            stop["oracle"] = (
                samples() if where == "main.metricsRead" else plain(gdb.parse_and_eval("'main.Oracle'"))
            )
            stop["memstats"] = ask("addrspace memstats", f"{folder}/asked")
            stop["gc"] = ask("addrspace gc", f"{folder}/asked")
            stops.append(stop)
            gdb.execute("continue", to_string=True)
        with open(f"{folder}/stops", "w", encoding="ascii") as out:
            json.dump(stops, out)


class Each(gdb.Command):
    """stats-each FILE COUNT SPOT..."""

    def __init__(self) -> None:
        super().__init__("stats-each", gdb.COMMAND_DATA)

    def invoke(self, argument: str, from_tty: bool) -> None:
        path, count, *spots = shlex.split(argument)
        stops: List[Dict[str, Any]] = []
        for spot in spots:
            gdb.execute("delete", to_string=True)
            if gdb.lookup_global_symbol(spot) is None:
                continue  # this version has no such function
            gdb.execute(f"break *'{spot}'", to_string=True)
            for _ in range(int(count)):
                gdb.execute("continue", to_string=True)
                rax = int(gdb.newest_frame().read_register("rax")) & ((1 << 64) - 1)
                asked = {name: ask(f"addrspace {name}", path) for name in ("memstats", "gc")}
                stops.append({"spot": spot, "rax": rax, **asked})
        with open(path, "w", encoding="ascii") as out:
            json.dump(stops, out)


class Tell(gdb.Command):
    """tell COMMAND: what it prints, and the error it ends with."""

    def __init__(self) -> None:
        super().__init__("tell", gdb.COMMAND_DATA)

    def invoke(self, argument: str, from_tty: bool) -> None:
        try:
            gdb.execute(argument)
        except gdb.error as error:
            gdb.write(f"ERROR {error}")


Phases()
Each()
Tell()
