"""Names and lines against the program's own runtime.FuncForPC, and against `go tool addr2line` and `nm`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import pytest
from symtab_programs import CACHE, build, cases, running
from symtab_target import ProcessTarget

from addrspace_gdb.common.problems import Problems
from addrspace_gdb.goruntime import funcid
from addrspace_gdb.goruntime.symtab import Symtab, load, modules


class Process:
    """A stopped program and its symbol table as the code under test reads it."""

    def __init__(
        self, target: ProcessTarget, symtab: Symtab, pcs: List[Tuple[int, int, str, str, int]]
    ) -> None:
        self.target, self.symtab, self.pcs = target, symtab, pcs


@pytest.fixture(scope="module")
def binaries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("names")


@pytest.fixture(scope="module", params=cases())
def process(request: pytest.FixtureRequest, binaries: Path) -> Iterator[Process]:
    version, flavour = request.param
    with running(build("parked", version, flavour, binaries), binaries) as program:
        target = ProcessTarget(program.pid, program.executable)
        pcs = []
        for line in program.pcs.read_text().splitlines():
            pc, entry, name, file, number = line.split("\t")
            pcs.append((int(pc), int(entry), name, file, int(number)))
        yield Process(target, load(target, Problems()), pcs)
        target.close()


def test_innermost_names_and_lines_are_funcforpcs(process: Process) -> None:
    assert len(process.pcs) > 5000
    wrong = []
    # FuncForPC has no name for the function whose name is the first of the table, at offset 0.
    assert len({entry for _, entry, name, *_ in process.pcs if not name}) <= 1
    for pc, entry, name, file, line in process.pcs:
        func = process.symtab.find(pc)
        place = process.symtab.locations(pc)[0]
        found = (func.entry if func else None, name and place.name, place.file, place.line)
        if found != (entry, name, file, line):
            wrong.append((hex(pc), found, (entry, name, file, line)))
    assert wrong == []
    assert not list(process.symtab.problems)
    assert sum(process.symtab.locations(pc)[0].inlined for pc, *_ in process.pcs) >= (
        0 if "noopt" in str(process.target.executable) else 100
    )


def _tool(process: Process, tool: str, arguments: List[str], text: str = "") -> str:
    version = Path(str(process.target.executable)).name.split("-")[1]
    command = [str(CACHE / version / "go" / "bin" / "go"), "tool", tool, *arguments]
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    environment.pop("GOROOT", None)
    done = subprocess.run(command, input=text, env=environment, check=True, text=True, stdout=subprocess.PIPE)
    return done.stdout


def test_outermost_names_and_lines_are_addr2lines(process: Process) -> None:
    base = process.target.symbol("runtime.text")
    assert base
    bias = base.address - process.target.layouts.symbols["runtime.text"][0]
    sample = [pc for pc, *_ in process.pcs[::7]]
    asked = "".join(f"{pc - bias:#x}\n" for pc in sample)
    lines = _tool(process, "addr2line", [str(process.target.executable)], asked).splitlines()
    assert len(lines) == 2 * len(sample)
    for number, pc in enumerate(sample):
        name, place = lines[2 * number], lines[2 * number + 1]
        outer, inner = process.symtab.locations(pc)[-1], process.symtab.locations(pc)[0]
        # Where there is no line table, the tool reads whatever stands at the start of pctab.
        line = f"{inner.file}:{inner.line}" if inner.line else ""
        assert (outer.function, line) == (name, line and place)


def test_every_text_symbol_is_a_function_of_the_table(process: Process) -> None:
    """Each Go function nm lists has an entry of that name at that address."""
    symbols: Dict[int, str] = {}
    for line in _tool(process, "nm", [str(process.target.executable)]).splitlines():
        address, kind, name = line.strip().split(None, 2) if line.strip()[0].isalnum() else ("", "", "")
        if kind in ("T", "t") and name not in ("runtime.text", "runtime.etext"):
            symbols[int(address, 16)] = name
    base = process.target.symbol("runtime.text")
    assert base
    bias = base.address - process.target.layouts.symbols["runtime.text"][0]
    functions = {func.entry - bias: func.name for func in process.symtab.functions()}
    wrong = {
        name: functions.get(address)
        for address, name in symbols.items()
        if functions.get(address) not in (name, name[: -len(".abi0")])
    }
    # asm labels that the linker keeps local names for
    assert {name for name in wrong if name.startswith(("main.", "fmt.", "sync.", "runtime.g"))} == set()
    assert len(wrong) < len(symbols) // 100, wrong
    assert len(functions) > 1000


def test_module_bounds_are_the_symbols(process: Process) -> None:
    (module,) = modules(process.target, Problems())
    bounds = [side + name for name in ("text", "noptrdata", "data", "bss", "noptrbss") for side in ("", "e")]
    for name in [*bounds, "end", "types", "etypes"]:
        symbol = process.target.symbol(f"runtime.{name}")
        if symbol:  # a PIE's linker leaves a few out
            assert module[name] == symbol.address, name
    assert module.has_main and not module.bad
    assert module.gcdatamask and module.gcdatamask.length == (module["edata"] - module["data"]) // 8
    assert module.gcbssmask and module.gcbssmask.length == (module["ebss"] - module["bss"]) // 8
    newest = process.symtab.minor is not None and process.symtab.minor >= 27
    assert (module.get("itaboffset") is not None) == newest
    assert (module.slice("itablinks").length == 0) == newest


def test_special_functions_without_a_version(process: Process) -> None:
    """A program whose buildVersion is unreadable still tells its wrappers from its special functions."""
    blind = Symtab(process.target, modules(process.target, Problems()), Problems(), None)
    for func in process.symtab.functions():
        kind = process.symtab.kind(func.func_id)
        assert blind.kind(func.func_id) == kind
        if kind == "goexit":
            assert func.name.startswith("runtime.goexit")
        if kind == "runtime_main":
            assert func.name == "runtime.main"
    kinds = {process.symtab.kind(func.func_id) for func in process.symtab.functions()}
    assert {
        "goexit",
        "gopanic",
        "mcall",
        "morestack",
        "runtime_main",
        "sigpanic",
        "systemstack",
        "wrapper",
    } <= kinds


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("main.main", "main.main", "main.main"),
        ("main.Map[go.shape.int]", "main.Map[...]", "main.Map[...]"),
        ("main.(*L[go.shape.[]int]).Each.func1", "main.(*L[...]).Each.func1", "main.(*L[...]).Each.func1"),
        ("main.(*T[a]).M[b]", "main.(*T[...]", "main.(*T[...]).M[...]"),
        ("main.(*T[a[x]]).M[b].func2", "main.(*T[...].func2", "main.(*T[...]).M[...].func2"),
        ("main.odd]x[", "main.odd]x[", "main.odd]x["),
        ("main.odd[a]b]c[d]", "main.odd[...]", "main.odd[a]b]c[d]"),
        ("main.odd[[[a]", "main.odd[...]", "main.odd[[[a]"),
    ],
)
def test_printed_names(name: str, old: str, new: str) -> None:
    """By the rules of funcNamePiecesForPrint: three pieces up to Go 1.26, five since 1.27."""
    assert funcid.printed_name(name, 26) == old
    assert funcid.printed_name(name, 27) == new


def test_exported_runtime_names_changed_in_1_23() -> None:
    assert funcid.is_exported_runtime("runtime.Gosched", 21) and funcid.is_exported_runtime(
        "runtime.Gosched", 27
    )
    assert not funcid.is_exported_runtime("runtime.(*Func).Entry", 22)
    assert funcid.is_exported_runtime("runtime.(*Func).Entry", 23)
    assert not funcid.is_exported_runtime("runtime.(*mheap).Entry", 23)
    assert not funcid.is_exported_runtime("main.Gosched", 23)


def test_system_goroutines_by_what_they_run() -> None:
    system = funcid.is_system_goroutine
    assert system("runtime.bgsweep", "normal") and not system("main.main", "normal")
    assert not system("runtime.main", "runtime_main") and not system(None, "normal")
    for kind in ("runfinq", "runFinalizers"):
        assert system("runtime." + kind, kind) and not system("runtime." + kind, kind, running_finalizer=True)
    assert system("runtime.runCleanups", "runCleanups", running_finalizer=True)
    assert not system("runtime.runCleanups", "runCleanups", running_cleanups=True)
    assert not system("runtime.corostart", "corostart")
