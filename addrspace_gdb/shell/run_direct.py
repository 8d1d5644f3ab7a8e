"""Answers without a debugger, in this very process: when it ends, the kernel lets go what it traces."""

from __future__ import annotations

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.common.request import Request
from addrspace_gdb.debugger.direct.answering import NoLayoutsError, respond
from addrspace_gdb.debugger.direct.live import LiveTarget
from addrspace_gdb.debugger.direct.seize import Refused
from addrspace_gdb.shell.hints import SHELL
from addrspace_gdb.shell.keeper import Ending
from addrspace_gdb.shell.precheck import check_process
from addrspace_gdb.shell.run_gdb import AnswerFiles, Debugger, Progressing
from addrspace_gdb.shell.stopping import hindrance, not_stopped

__all__ = ["NoLayoutsError", "run_direct"]


def run_direct(debugger: Debugger, request: Request, sysroot: str, answer: AnswerFiles) -> None:
    """Answer `request` into the files of `answer`. NoLayoutsError if that takes a debugger."""
    pid = request.pid

    def late() -> str:
        return not_stopped(pid or 0, debugger.name, debugger.patience, hindrance(pid or 0))

    def hold(target: LiveTarget) -> None:
        try:
            target.hold(debugger.patience, late)
        except Refused as refused:
            check_process(pid or 0)  # which says why, if the reason is a common one
            reason = refused.error.strerror
            raise ProblemError(f"process {pid} ({debugger.name}) cannot be stopped: {reason}") from None

    what = f"process {pid}" if pid is not None else "the core file"
    with Progressing(f"reading {what}"):
        fine = respond(request, sysroot, SHELL, hold)
    answer.ending = Ending(0 if fine else 1, "")
