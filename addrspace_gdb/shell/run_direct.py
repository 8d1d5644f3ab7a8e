"""Answers without a debugger, in this very process: when it ends, the kernel lets go what it traces."""

from __future__ import annotations

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.common.request import Request
from addrspace_gdb.debugger.direct.answering import Hold, NoLayoutsError, respond
from addrspace_gdb.debugger.direct.live import LiveTarget
from addrspace_gdb.debugger.direct.seize import Refused
from addrspace_gdb.shell.hints import SHELL
from addrspace_gdb.shell.keeper import Ending
from addrspace_gdb.shell.precheck import check_process
from addrspace_gdb.shell.run_gdb import AnswerFiles, Debugger, Progressing
from addrspace_gdb.shell.stopping import hindrance, not_stopped

__all__ = ["NoLayoutsError", "holding", "run_direct"]


def run_direct(debugger: Debugger, request: Request, sysroot: str, answer: AnswerFiles) -> None:
    """Answer `request` into the files of `answer`. NoLayoutsError if that takes a debugger."""
    what = f"process {request.pid}" if request.pid is not None else "the core file"
    with Progressing(f"reading {what}"):
        fine = respond(request, sysroot, SHELL, holding(debugger))
    answer.ending = Ending(0 if fine else 1, "")


def holding(debugger: Debugger) -> Hold:
    """What stops a process. ProblemError if that cannot be done."""

    def hold(target: LiveTarget) -> None:
        pid, name = target.pid, debugger.name
        try:
            target.hold(debugger.patience, lambda: not_stopped(pid, name, debugger.patience, hindrance(pid)))
        except Refused as refused:
            check_process(pid)  # which says why, if the reason is a common one
            reason = refused.error.strerror
            raise ProblemError(f"process {pid} ({name}) cannot be stopped: {reason}") from None

    return hold
