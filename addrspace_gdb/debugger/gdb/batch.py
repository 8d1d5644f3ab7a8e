"""The inside of `addrspace-gdb dump`: attach or open a core, read, let go, then compose and write.

The request comes as JSON in the environment; the working directory is a private folder, in which the core and
the sysroot have fixed names: no path is ever part of a command of gdb. Symbols and layouts are loaded before
the process is stopped, and it runs on before anything is drawn.
"""

from __future__ import annotations

import os
import time
from functools import partial
from typing import Callable, List

import gdb

from addrspace_gdb.commands.once import Visit, answer
from addrspace_gdb.common import request
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError, problem_of
from addrspace_gdb.common.request import Request
from addrspace_gdb.debugger.gdb.attach import attach
from addrspace_gdb.debugger.gdb.readonly import read_only
from addrspace_gdb.debugger.gdb.session import GdbSession
from addrspace_gdb.debugger.gdb.target import Known
from addrspace_gdb.debugger.gdb.text import output_of
from addrspace_gdb.debugger.shared.batch import ToTheShell, hand_over, mark
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
            session = _Session(asked)
            problems += answer(asked, session, partial(_visit, asked, session))
    except gdb.error as error:
        problems.append(printable(str(error).strip().replace("\n", " ")))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  whatever it is, it is said in one line
        problems.append(problem_of(error))
    status = hand_over(asked, problems, lambda line: gdb.write(line, gdb.STDERR))
    gdb.execute("quit 1" if status else "quit 0")


class _Session(ToTheShell, GdbSession):
    """A session whose output is the answer."""

    def __init__(self, asked: Request) -> None:
        super().__init__(Known(asked.exe, asked.core, asked.shown), keep=True)
        self._asked = asked


def _visit(asked: Request, session: _Session, ask: Callable[[], None]) -> Visit:
    """Ask while the process is attached to, or the core open."""
    started = time.monotonic()
    if asked.sysroot:
        output_of(f"set sysroot {request.SYSROOT}")
    if asked.exe is not None and not gdb.objfiles():
        raise ProblemError(f"gdb cannot read the program {printable(asked.exe)}")
    if asked.pid is None:
        _open_core(asked)
        ask()
        return Visit(time.monotonic() - started, None)
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
        ask()
        session.let_go()
    finally:
        output_of("detach")
        mark(keeper.DETACHED)
    now = time.monotonic()
    return Visit(now - started, now - attached)


def _attach(pid: int) -> None:
    """Attach; where that is refused, say who holds the process. ProblemError, gdb.error."""
    mark(keeper.ATTACHING)
    try:
        attach(pid)
    except gdb.error:
        mark(keeper.DETACHED)
        check_process(pid)
        raise
    mark(keeper.ATTACHED)


def _open_core(asked: Request) -> None:
    """The program is there already: gdb reads from it what the core leaves out."""
    mark(keeper.OPENING)
    try:
        output_of(f"core-file {request.CORE}")
    except gdb.error:
        read_core(asked.core or "")  # says more exactly what is wrong with the file
        raise
    mark(keeper.OPENED)
