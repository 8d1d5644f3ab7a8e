"""The inside of `addrspace-gdb dump --debugger lldb`: attach or open a core, read, let go, then write.

The request comes as JSON in the environment. lldb is told by its API what to open: no path is part of a
command.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from functools import partial
from typing import Any, Callable, List, NoReturn

import lldb

from addrspace_gdb.commands.once import Visit, answer
from addrspace_gdb.common import request
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError, UnreadableError, problem_of
from addrspace_gdb.common.request import Request
from addrspace_gdb.debugger.direct.of_process import ProcessTarget
from addrspace_gdb.debugger.direct.session import DirectSession
from addrspace_gdb.debugger.lldb.api import answer_of
from addrspace_gdb.debugger.lldb.session import LldbSession
from addrspace_gdb.debugger.lldb.target import Given
from addrspace_gdb.debugger.shared.batch import ToTheShell, hand_over, mark
from addrspace_gdb.shell import keeper
from addrspace_gdb.shell.hints import SHELL
from addrspace_gdb.shell.precheck import check_process


def main(debugger: Any) -> None:
    """Answer the request and leave lldb: status 0, or 1 when anything could not be done."""
    asked = Request.from_json(os.environ[request.VARIABLE])
    problems: List[str] = []
    signal.signal(signal.SIGTERM, _end)  # the process is let go first
    debugger.SetAsync(False)
    try:
        session = _Session(debugger, asked)
        problems += answer(asked, session, partial(_visit, asked, session))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  whatever it is, it is said in one line
        problems.append(problem_of(error))
    status = hand_over(asked, problems, sys.stderr.write)
    answer_of("quit 1" if status else "quit 0", debugger)


def _end(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


class _Session(ToTheShell, LldbSession):
    """A session whose output is the answer."""

    def __init__(self, debugger: Any, asked: Request) -> None:
        super().__init__(debugger, Given(asked.core, asked.shown, asked.exe, SHELL), keep=True)
        self._asked = asked


def _visit(asked: Request, session: _Session, ask: Callable[[], None]) -> Visit:
    """Ask while the process is attached to, or the core open."""
    started = time.monotonic()
    target = session.debugger.CreateTarget(asked.exe or "")
    session.debugger.SetSelectedTarget(target)
    if asked.pid is None:
        _open_core(target, asked.core or "")
        ask()
        return Visit(time.monotonic() - started, None)
    _prepare(asked.pid, session)
    attached = time.monotonic()
    process = _attach(target, asked.pid)
    try:
        ask()
        session.let_go()
    finally:
        process.Detach()
        mark(keeper.DETACHED)
    now = time.monotonic()
    return Visit(now - started, now - attached)


def _prepare(pid: int, session: _Session) -> None:
    """Read symbols and layouts while the process runs: they are kept for whoever reads these files again."""
    try:
        DirectSession(ProcessTarget(pid, None, SHELL), session.settings, "").prepare()
    except (ProblemError, UnreadableError):
        pass  # who attaches says what is wrong


def _attach(target: Any, pid: int) -> Any:
    """Attach; where that is refused, say who holds the process. ProblemError."""
    error = lldb.SBError()
    mark(keeper.ATTACHING)
    process = target.AttachToProcessWithID(lldb.SBListener(), pid, error)
    if not error.Success():
        mark(keeper.DETACHED)
        check_process(pid)
        raise ProblemError(f"lldb cannot attach to process {pid}: {printable(str(error))}")
    mark(keeper.ATTACHED)
    return process


def _open_core(target: Any, core: str) -> None:
    mark(keeper.OPENING)
    error = lldb.SBError()
    target.LoadCore(core, error)
    if not error.Success():
        raise ProblemError(f"lldb cannot open the core file: {printable(str(error))}")
    mark(keeper.OPENED)
