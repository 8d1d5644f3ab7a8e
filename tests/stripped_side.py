"""Commands for the tests of programs without symbols, sourced inside gdb.

compare-roots OUT   write [name, the symbol's address, the address found without symbols] as JSON
compare-layouts OUT write what differs between DWARF and the tables, as JSON
compare-own OUT     write what the program's own symbol table answers differently from gdb, as JSON
"""

from __future__ import annotations

import json
from typing import Any, Callable, List, Optional

import gdb

from addrspace_gdb.debugger.gdb.target import GdbTarget
from addrspace_gdb.goruntime.buildinfo import version_of
from addrspace_gdb.goruntime.layouts import layouts_of
from addrspace_gdb.goruntime.stripped.symbol_table import own_symbols
from addrspace_gdb.goruntime.stripped.target import Findings, StrippedTarget
from addrspace_gdb.goruntime.stripped.variables import FIELDS, PARTS, WHOLE
from addrspace_gdb.target.layout import Type

# Beside each other in the code: while they are empty nothing tells them apart, and nothing needs to.
_ALIKE = (
    "bbuckets",
    "xbuckets",
    "buckhash",
    "printBacklog",
    "printBacklogIndex",
    "extraMInUse",
    "extraMLength",
)


class _Command(gdb.Command):
    def __init__(self, name: str, run: Callable[[str], None]) -> None:
        super().__init__(name, gdb.COMMAND_DATA)
        self._run = run

    def invoke(self, argument: str, from_tty: bool) -> None:
        self._run(argument.strip())


def compare_roots(path: str) -> None:
    target = GdbTarget()
    stripped = StrippedTarget(target, False, Findings())
    rows: List[List[Any]] = []
    for name in (*WHOLE, *PARTS, *FIELDS):
        real, ours = target.symbol(f"runtime.{name}"), stripped.symbol(f"runtime.{name}")
        found = ours and ours.address
        if real and ours and name in _ALIKE and not any(target.read(real.address, real.size)):
            found = real.address if not any(target.read(ours.address, real.size)) else found
        rows.append([name, real and real.address, found])
    _write(path, rows)


def compare_layouts(path: str) -> None:
    target = GdbTarget()
    layouts = layouts_of(version_of(target) or "", target.arch)[0]
    assert layouts is not None
    found: List[str] = []
    compared = 0
    types, variables = layouts.names
    for name in types:
        real, ours = target.type(name), layouts.type(name)
        if real is not None and ours is not None and "{" not in name:
            compared += 1
            _compare(name, real, ours, found, set())
        elif real is not None and "{" not in name:
            found.append(f"{name} is not in the table")
    for name in variables:
        symbol, ours = target.symbol(name), layouts.variable(name)
        if symbol is not None and symbol.type is not None:
            compared += 1
            _compare(name, symbol.type, ours, found, set())
    _write(path, {"compared": compared, "differences": found})


def compare_own(path: str) -> None:
    target, layouts = GdbTarget(), None
    own = own_symbols(target)
    found: List[str] = []
    answered: List[str] = []
    if own is not None:
        layouts = layouts_of(version_of(target) or "", target.arch)[0]
        assert layouts is not None
        for name in layouts.names[1]:
            ours, real = own.symbol(name), target.symbol(name)
            if ours is None:
                continue
            answered.append(name)
            if real is None or (real.address, real.size) != (ours.address, ours.size):
                found.append(f"{name}: {real and real[:3]}, not {ours[:3]}")
            elif real.type is not None:
                _compare(name, real.type, ours.type, found, set())
    _write(path, {"answered": answered, "differences": found})


def _compare(where: str, real: Type, ours: Optional[Type], found: List[str], seen: Any) -> None:
    if ours is None:
        found.append(f"{where} is not in the table")
        return
    if (real.kind, real.size, real.count) != (ours.kind, ours.size, ours.count):
        found.append(
            f"{where}: {real.kind} {real.size} {real.count}, not {ours.kind} {ours.size} {ours.count}"
        )
        return
    if real.kind == "array" and real.element is not None:
        _compare(f"{where}[]", real.element, ours.element, found, seen)
    if real.kind == "struct" and real.name not in seen:
        seen.add(real.name)
        mine = {name: place[0] for name, place in ours.fields.items() if name != "_"}
        theirs = {name: place[0] for name, place in real.fields.items() if name != "_"}
        if list(mine.items()) != list(theirs.items()):
            found.append(f"{where}: {theirs}, not {mine}")
            return
        for name, (_, type_) in real.fields.items():
            if name != "_":
                _compare(f"{where}.{name}", type_, ours.fields[name][1], found, seen)


def _write(path: str, what: Any) -> None:
    with open(path, "w", encoding="ascii") as file:
        json.dump(what, file)


_Command("compare-roots", compare_roots)
_Command("compare-layouts", compare_layouts)
_Command("compare-own", compare_own)
