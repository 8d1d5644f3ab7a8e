"""Answers a request without a debugger: open, hold, ask, let go, draw."""

from __future__ import annotations

import time
from functools import partial
from typing import Callable, List

from addrspace_gdb.commands.once import Visit, answer, settings_of, write_problems
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError, cut_short, problem_of
from addrspace_gdb.common.request import Request
from addrspace_gdb.debugger.direct.base import DirectTarget
from addrspace_gdb.debugger.direct.core_file import CoreTarget
from addrspace_gdb.debugger.direct.live import LiveTarget
from addrspace_gdb.debugger.direct.session import DirectSession
from addrspace_gdb.goruntime.buildinfo import version_of
from addrspace_gdb.target.hints import Hints
from addrspace_gdb.target.protocol import Target

Hold = Callable[[LiveTarget], None]
_NEEDED = ("runtime.g", "runtime.m", "runtime.p", "runtime.mspan", "runtime.mheap", "runtime.schedt")


class NoLayoutsError(ProblemError):
    """The program is a Go program whose symbols are there, of a release that no table is for: a debugger that
    reads its debug information can do it."""


def respond(asked: Request, sysroot: str, hints: Hints, hold: Hold) -> bool:
    """Write the answer to `asked` and the problems to its files; whether there are none.

    `hold` stops the process. NoLayoutsError before anything is stopped; KeyboardInterrupt and what else ends
    this process goes on, after the process was let go.
    """
    started = time.monotonic()
    problems: List[str] = []
    try:
        base = _opened(asked, sysroot, hints)
        session = DirectSession(base, settings_of(asked), asked.result)
        check_layouts(session.target())
        problems += answer(asked, session, partial(_visit, session, base, hold, started))
    except NoLayoutsError:
        raise
    except Exception as error:  # noqa: BLE001  whatever it is, it is said in one line
        end = cut_short(error)
        if end is not None:
            raise end from None
        problems.append(problem_of(error))
    write_problems(asked, problems)
    return not problems


def _opened(asked: Request, sysroot: str, hints: Hints) -> DirectTarget:
    if asked.pid is not None:
        return LiveTarget(asked.pid, asked.exe, hints)
    return CoreTarget(asked.core or "", asked.exe, sysroot, asked.shown, hints)


def check_layouts(target: Target) -> None:
    """NoLayoutsError if only debug information could tell."""
    version = version_of(target) if target.symbol("runtime.mheap_") is not None else None
    if version is not None and not all(target.type(name) is not None for name in _NEEDED):
        raise NoLayoutsError(f"no layouts are known for {printable(version)}")


def _visit(
    session: DirectSession, base: DirectTarget, hold: Hold, started: float, ask: Callable[[], None]
) -> Visit:
    """Ask while the process stands still, or of the core."""
    if not isinstance(base, LiveTarget):
        ask()
        return Visit(time.monotonic() - started, None)
    session.prepare()
    stopped = time.monotonic()
    try:
        hold(base)
        ask()
    finally:
        base.release()
    now = time.monotonic()
    return Visit(now - started, now - stopped)
