"""The inside of `addrspace-gdb dump`: attach or open a core, read, let go, then compose and write.

The request comes as JSON in the environment (no path is ever quoted into a gdb command). Symbols and
layouts are loaded before the process is stopped, and it runs on before anything is drawn.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import gdb

from addrspace_gdb.commands.addrspace import check_text, text, verdict
from addrspace_gdb.commands.session import Settings
from addrspace_gdb.debugger.gdb_target import GdbTarget
from addrspace_gdb.goruntime.stripped import with_runtime
from addrspace_gdb.problems import ProblemError
from addrspace_gdb.process.corefile import read_core
from addrspace_gdb.process.escape import printable
from addrspace_gdb.space.build import build
from addrspace_gdb.space.goroutine_reading import read_for_goroutines
from addrspace_gdb.space.reading import Reading, read
from addrspace_gdb.space.stackkeys import Group, groups_of

_PRELOADED = ("g", "m", "p", "mspan", "mheap", "heapArena", "mcache", "schedt", "moduledata")


def main() -> None:
    """Answer the request and leave gdb: status 0, or 1 when anything could not be done."""
    request = json.loads(os.environ["ADDRSPACE_GDB_REQUEST"])
    problems: List[str] = []
    try:
        problems += _answer(request)
    except ProblemError as error:
        problems.append(str(error))
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
    started = time.monotonic()
    form, check = request.get("format") or "text", bool(request.get("check"))
    found = _read(request, check)
    reading, stopped = found.reading, found.stopped
    read_at = time.monotonic()
    space = build(reading, each_goroutine=form == "json", check=check)
    settings = Settings(
        request.get("width") or 100, not request.get("ascii"), bool(request.get("color")), "quiet"
    )
    shown = (
        check_text(space, settings) if check and form == "text" else text(space, form, settings, found.stacks)
    )
    with open(request["result"], "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(shown)
    if request.get("stats"):
        _stats(request["notes"], stopped, read_at - started, time.monotonic() - read_at)
    damaged = verdict(space)
    return [damaged] if damaged else []


class _Found(NamedTuple):
    """What was read, and for how many seconds the process was stopped (None for a core)."""

    reading: Reading
    stacks: Optional[List[Group]]  # None: not asked for
    stopped: Optional[float]


def _read(request: Dict[str, Any], check: bool) -> _Found:
    if request.get("core"):
        gdb.execute(f"file {_quoted(request.get('exe') or _program_of(request['core']))}", to_string=True)
        _open_core(request["core"])
        return _Found(*_read_target(request, check), None)
    pid = int(request["pid"])
    gdb.execute(f"file {_quoted(request.get('exe') or f'/proc/{pid}/exe')}", to_string=True)
    for name in _PRELOADED:
        try:
            gdb.lookup_type(f"runtime.{name}").fields()
        except gdb.error:
            break
    attached = time.monotonic()
    gdb.execute(f"attach {pid}", to_string=True)
    try:
        return _Found(*_read_target(request, check), time.monotonic() - attached)
    finally:
        gdb.execute("detach", to_string=True)


def _read_target(request: Dict[str, Any], check: bool) -> Tuple[Reading, Optional[List[Group]]]:
    target = with_runtime(GdbTarget())
    reading = read(target, check)
    return reading, groups_of(read_for_goroutines(target)) if request.get("stacks") else None


def _open_core(path: str) -> None:
    try:
        gdb.execute(f"core-file {_quoted(path)}", to_string=True)
    except gdb.error:
        read_core(path)  # says more exactly what is wrong with the file
        raise


def _program_of(path: str) -> str:
    """The program that made the core, as the core records it. ProblemError if it is not here."""
    program = read_core(path).executable
    if program is None:
        raise ProblemError(f"{printable(path)} does not say which program made it: give it with --exe FILE")
    if not os.path.exists(program):
        raise ProblemError(f"the core's program {printable(program)} is not here: give it with --exe FILE")
    return program


def _quoted(path: str) -> str:
    """A path as gdb's `file` and `core-file` read it (gdb_buildargv: backslash escapes)."""
    return "".join("\\" + c if c in " \t\"'\\" else c for c in path)


def _stats(path: str, stopped: Optional[float], reading: float, composing: float) -> None:
    """One line for `--stats`."""
    parts = ["not stopped (a core)" if stopped is None else f"stopped for {stopped * 1000:.0f} ms"]
    parts += [f"loaded and read in {reading * 1000:.0f} ms", f"drawn in {composing * 1000:.0f} ms"]
    with open(path, "w", encoding="utf-8") as file:
        file.write(", ".join(parts) + "\n")
