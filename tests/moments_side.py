"""A command for test_stripped_moments.py, sourced inside gdb.

step-through OUT MOST FUNCTION...   go on to each function and through it, an instruction at a time, MOST of
                                    them at most; write {function: [instructions, {variable: places where
                                    it is not recognised}]} as JSON
"""

from __future__ import annotations

import json
from typing import Dict, Iterator, List, Tuple

import gdb

from addrspace_gdb.common.problems import Problems
from addrspace_gdb.debugger.gdb.target import GdbTarget
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.stripped.checks import Shapes
from addrspace_gdb.goruntime.stripped.target import Findings, StrippedTarget
from addrspace_gdb.goruntime.stripped.variables import FIELDS, PARTS, PREFIX, REFUTED, WHOLE

_FINDINGS = Findings()  # for all steps, so that the module data is looked for once


class _StepThrough(gdb.Command):
    def __init__(self) -> None:
        super().__init__("step-through", gdb.COMMAND_DATA)

    def invoke(self, argument: str, from_tty: bool) -> None:
        path, most, *functions = argument.split()
        # Other threads go on meanwhile: one of them may have the lock that this one needs.
        gdb.execute("set scheduler-locking off")
        found: Dict[str, Tuple[int, Dict[str, List[str]]]] = {}
        for function in functions:
            gdb.execute(f"tbreak '{function}'", to_string=True)
            gdb.execute("continue", to_string=True)
            steps, refuted = 0, {}  # type: int, Dict[str, List[str]]
            for place in _steps(int(most)):
                steps += 1
                for name in _refuted():
                    refuted.setdefault(name, []).append(place)
            found[function] = steps, refuted
        with open(path, "w", encoding="ascii") as file:
            json.dump(found, file)


def _steps(most: int) -> Iterator[str]:
    """Places in the function that was just entered, until it returns. Calls are one step."""
    stack = int(gdb.selected_frame().read_register("sp"))
    for _ in range(most):
        yield gdb.execute("info symbol $pc", to_string=True).partition(" in section")[0]
        gdb.execute("nexti", to_string=True)
        if int(gdb.selected_frame().read_register("sp")) > stack:
            return


def _refuted() -> List[str]:
    """Variables that do not count as what they are at this moment."""
    target = GdbTarget()
    stripped = StrippedTarget(target, False, _FINDINGS)
    assert stripped.type(PREFIX + "g") is not None and stripped.layouts is not None
    layouts = stripped.layouts
    real = {name: target.symbol(PREFIX + name) for name in (*WHOLE, *PARTS, *FIELDS)}
    places = {name: symbol.address for name, symbol in real.items() if symbol is not None}
    shapes = Shapes(Runtime(stripped, Problems()), places.get, lambda name: layouts.variable(PREFIX + name))
    known = [name for name in places if layouts.variable(PREFIX + name) is not None]
    return [name for name in known if shapes.verify(name, places[name]) == REFUTED]


_StepThrough()
