"""The inside of `addrspace-gdb dump`: attach or open a core, read, let go, then compose and write.

The request comes as JSON in the environment; the working directory is a private folder, in which the core and
the sysroot have fixed names: no path is ever part of a command of gdb. Symbols and layouts are loaded before
the process is stopped, and it runs on before anything is drawn.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any, Callable, Generic, List, Optional, TypeVar

import gdb

from addrspace_gdb.commands.options import HelpRequested
from addrspace_gdb.commands.session import Settings
from addrspace_gdb.common import request
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.common.request import Request
from addrspace_gdb.debugger.gdb.attach import attach
from addrspace_gdb.debugger.gdb.readonly import read_only
from addrspace_gdb.debugger.gdb.report import Report
from addrspace_gdb.debugger.gdb.target import Known
from addrspace_gdb.debugger.gdb.text import output_of
from addrspace_gdb.process.corefile import read_core
from addrspace_gdb.shell import keeper
from addrspace_gdb.shell.precheck import check_process

_PRELOADED = ("g", "m", "p", "mspan", "mheap", "heapArena", "mcache", "schedt", "moduledata")


def main() -> None:
    """Answer the request and leave gdb: status 0, or 1 when anything could not be done."""
    asked = Request.from_json(os.environ[request.VARIABLE])
    problems: List[str] = []
    try:
        with read_only():  # from before the attach on: gdb 13 cannot lock registers later
            problems += _answer(asked)
    except ProblemError as error:
        problems.append(str(error))
    except HelpRequested as text:
        _write(asked.result, str(text))
    except UnreadableError as error:
        problems.append(f"{error}; the process may have exited, or the core may be truncated")
    except gdb.error as error:
        problems.append(printable(str(error).strip().replace("\n", " ")))
    except KeyboardInterrupt:
        problems.append("interrupted")
    except MemoryError:
        problems.append("not enough memory")
    except OSError as error:
        what = f"{printable(str(error.filename))}: " if error.filename else ""
        problems.append(f"cannot finish the answer: {what}{error.strerror or error}")
    except Exception as error:
        problems.append(f"internal error: {printable(f'{type(error).__name__}: {error}')}; please report it")
    try:
        _write(asked.problems, "".join(f"{line}\n" for line in problems))
    except OSError as error:  # the folder has no room: a line may still fit where gdb's own words go
        gdb.write(f"addrspace-gdb: {problems[0] if problems else error.strerror}\n", gdb.STDERR)
        problems.append("")
    gdb.execute("quit 1" if problems else "quit 0")


def _answer(asked: Request) -> List[str]:
    settings = Settings(asked.width, not asked.ascii, asked.color, "quiet")
    known = Known(asked.exe, asked.core, asked.shown)
    line = asked.report
    if line is None:
        line = "addrspace" + " --check" * asked.check + " --stacks" * asked.stacks
    report = Report(line, asked.format, settings, known)
    visit = _visit(asked, report.run)
    _write(asked.result, report.text)
    if asked.stats:
        _stats(asked.notes, visit, 0.0)
    return [visit.answer] if visit.answer else []


def _write(path: str, text: str) -> None:
    """A file that has its name only when all of it is there."""
    beside = path + ".part"
    try:
        with open(beside, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
    except OSError:
        os.unlink(beside)  # its room is needed to say so
        raise
    os.replace(beside, path)


_T = TypeVar("_T")


@dataclass(frozen=True)
class _Visit(Generic[_T]):
    """What was answered, how many seconds it took, and how long the process was stopped (None: a core)."""

    answer: _T
    seconds: float
    stopped: Optional[float]


def _visit(asked: Request, work: Callable[[], _T]) -> _Visit[_T]:
    """Do `work` while the process is attached to, or the core open."""
    started = time.monotonic()
    if asked.sysroot:
        output_of(f"set sysroot {request.SYSROOT}")
    if asked.exe is not None and not gdb.objfiles():
        raise ProblemError(f"gdb cannot read the program {printable(asked.exe)}")
    if asked.pid is None:
        _open_core(asked)
        answer = work()
        return _Visit(answer, time.monotonic() - started, None)
    if asked.exe is None:
        output_of(f"file /proc/{asked.pid:d}/exe")
    for name in _PRELOADED:
        try:
            gdb.lookup_type(f"runtime.{name}").fields()
        except gdb.error:
            break
    attached = time.monotonic()
    _attach(asked.pid)
    try:
        answer = work()
    finally:
        output_of("detach")
        _mark(keeper.DETACHED)
    now = time.monotonic()
    return _Visit(answer, now - started, now - attached)


def _attach(pid: int) -> None:
    """Attach; where that is refused, say who holds the process. ProblemError, gdb.error."""
    _mark(keeper.ATTACHING)
    try:
        attach(pid)
    except gdb.error:
        _mark(keeper.DETACHED)
        check_process(pid)
        raise
    _mark(keeper.ATTACHED)


def _mark(phase: bytes) -> None:
    """Tell the keeper how far we are."""
    try:
        os.write(int(os.environ[keeper.MARKS_VARIABLE]), phase)
    except (KeyError, ValueError, OSError):
        pass  # nobody keeps this gdb


def _open_core(asked: Request) -> None:
    """The program is there already: gdb reads from it what the core leaves out."""
    _mark(keeper.OPENING)
    try:
        output_of(f"core-file {request.CORE}")
    except gdb.error:
        read_core(asked.core or "")  # says more exactly what is wrong with the file
        raise
    _mark(keeper.OPENED)


def _stats(path: str, visit: _Visit[Any], composing: float) -> None:
    """One line for `--stats`."""
    stopped = visit.stopped
    parts = ["not stopped (a core)" if stopped is None else f"stopped for {stopped * 1000:.0f} ms"]
    parts.append(f"loaded and read in {visit.seconds * 1000:.0f} ms")
    if composing:
        parts.append(f"drawn in {composing * 1000:.0f} ms")
    _write(path, ", ".join(parts) + "\n")
