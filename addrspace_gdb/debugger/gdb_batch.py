"""The inside of `addrspace-gdb dump`: attach or open a core, read, let go, then compose and write.

The request comes as JSON in the environment (no path is ever quoted into a gdb command). Symbols and
layouts are loaded before the process is stopped, and it runs on before anything is drawn.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, Generic, List, Optional, Tuple, TypeVar

import gdb

from addrspace_gdb.commands.addrspace import check_text, text, verdict
from addrspace_gdb.commands.options import HelpRequested
from addrspace_gdb.commands.session import Settings
from addrspace_gdb.debugger.gdb_attach import attach
from addrspace_gdb.debugger.gdb_readonly import read_only
from addrspace_gdb.debugger.gdb_report import Report
from addrspace_gdb.debugger.gdb_target import GdbTarget
from addrspace_gdb.goruntime.stripped import with_runtime
from addrspace_gdb.problems import ProblemError, UnreadableError
from addrspace_gdb.process.corefile import memory_of, read_core
from addrspace_gdb.process.escape import printable
from addrspace_gdb.space.build import build
from addrspace_gdb.space.builds import other_build
from addrspace_gdb.space.goroutine_reading import read_for_goroutines
from addrspace_gdb.space.reading import Reading, read
from addrspace_gdb.space.stackkeys import Group, groups_of

_PRELOADED = ("g", "m", "p", "mspan", "mheap", "heapArena", "mcache", "schedt", "moduledata")


def main() -> None:
    """Answer the request and leave gdb: status 0, or 1 when anything could not be done."""
    request = json.loads(os.environ["ADDRSPACE_GDB_REQUEST"])
    problems: List[str] = []
    try:
        with read_only():  # from before the attach on: gdb 13 cannot lock registers later
            problems += _answer(request)
    except ProblemError as error:
        problems.append(str(error))
    except HelpRequested as text:
        _write(request["result"], str(text))
    except UnreadableError as error:
        problems.append(f"{error}; the process may have exited, or the core may be truncated")
    except gdb.error as error:
        problems.append(printable(str(error).strip().replace("\n", " ")))
    except KeyboardInterrupt:
        problems.append("interrupted")
    except Exception as error:
        problems.append(f"internal error: {printable(f'{type(error).__name__}: {error}')}; please report it")
    with open(request["problems"], "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write("".join(f"{line}\n" for line in problems))
    gdb.execute(f"quit {1 if problems else 0}")


def _answer(request: Dict[str, Any]) -> List[str]:
    settings = Settings(
        request.get("width") or 100, not request.get("ascii"), bool(request.get("color")), "quiet"
    )
    if request.get("report"):
        report = Report(request["report"], request.get("format") or "text", settings)
        visit = _visit(request, report.run)
        _write(request["result"], report.text)
        if request.get("stats"):
            _stats(request["notes"], visit, 0.0)
        return [visit.answer] if visit.answer else []
    form, check = request.get("format") or "text", bool(request.get("check"))
    found = _visit(request, lambda: _read_target(request, check))
    reading, stacks = found.answer
    began = time.monotonic()
    if request.get("core"):
        reading.info = reading.info._replace(core_file=request.get("shown") or request["core"])
    space = build(reading, each_goroutine=form == "json", check=check)
    shown = check_text(space, settings) if check and form == "text" else text(space, form, settings, stacks)
    _write(request["result"], shown)
    if request.get("stats"):
        _stats(request["notes"], found, time.monotonic() - began)
    damaged = verdict(space)
    return [damaged] if damaged else []


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)


_T = TypeVar("_T")


@dataclass(frozen=True)
class _Visit(Generic[_T]):
    """What was answered, how many seconds it took, and how long the process was stopped (None: a core)."""

    answer: _T
    seconds: float
    stopped: Optional[float]


def _visit(request: Dict[str, Any], work: Callable[[], _T]) -> _Visit[_T]:
    """Do `work` while the process is attached to, or the core open."""
    started = time.monotonic()
    if request.get("sysroot"):
        gdb.execute(f"set sysroot {request['sysroot']}", to_string=True)
    if request.get("core"):
        _open_core(request)
        answer = work()
        return _Visit(answer, time.monotonic() - started, None)
    pid = int(request["pid"])
    gdb.execute(f"file {_quoted(request.get('exe') or f'/proc/{pid}/exe')}", to_string=True)
    for name in _PRELOADED:
        try:
            gdb.lookup_type(f"runtime.{name}").fields()
        except gdb.error:
            break
    attached = time.monotonic()
    attach(pid)
    try:
        answer = work()
    finally:
        gdb.execute("detach", to_string=True)
    now = time.monotonic()
    return _Visit(answer, now - started, now - attached)


def _read_target(request: Dict[str, Any], check: bool) -> Tuple[Reading, Optional[List[Group]]]:
    target = with_runtime(GdbTarget())
    reading = read(target, check)
    return reading, groups_of(read_for_goroutines(target)) if request.get("stacks") else None


def _open_core(request: Dict[str, Any]) -> None:
    """The program goes first: gdb reads from it what the core leaves out. Without it the core is alone."""
    path = request["core"]
    program = request.get("exe") or _recorded_program(path)
    if program is not None:
        gdb.execute(f"file {_quoted(program)}", to_string=True)
    try:
        gdb.execute(f"core-file {_quoted(path)}", to_string=True)
    except gdb.error:
        read_core(path)  # says more exactly what is wrong with the file
        raise


def _recorded_program(path: str) -> Optional[str]:
    """The program that the core names, if it is here and is still the one that made it."""
    core = read_core(path)
    if core.executable is None or not os.path.exists(core.executable):
        return None
    try:
        other = other_build(core.executable, core, memory_of(path))
    except ProblemError:
        return None
    return core.executable if other is None else None


def _quoted(path: str) -> str:
    """A path as gdb's `file` and `core-file` read it (gdb_buildargv: backslash escapes)."""
    return "".join("\\" + c if c in " \t\"'\\" else c for c in path)


def _stats(path: str, visit: _Visit[Any], composing: float) -> None:
    """One line for `--stats`."""
    stopped = visit.stopped
    parts = ["not stopped (a core)" if stopped is None else f"stopped for {stopped * 1000:.0f} ms"]
    parts.append(f"loaded and read in {visit.seconds * 1000:.0f} ms")
    if composing:
        parts.append(f"drawn in {composing * 1000:.0f} ms")
    _write(path, ", ".join(parts) + "\n")
