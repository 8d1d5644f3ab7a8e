"""Why a signal ended the program that is no fault of an instruction: who sent it, who ran. Pure words."""

from __future__ import annotations

import re
from typing import List, Optional

from addrspace_gdb.space.goroutines.user_frame import user_spot
from addrspace_gdb.space.where.fault import CrashReport, Death
from addrspace_gdb.space.where.signalled import (
    NAMES,
    SIGABRT,
    SIGILL,
    SIGQUIT,
    SIGSYS,
    SIGTRAP,
    SIGXCPU,
    SIGXFSZ,
)

_KERNEL_CODE = 0x80
_OF_CGO = re.compile(r"^_cgoexp_|\b_Cfunc_")  # what cgo makes of a call
_LIMITS = {
    SIGXCPU: "the limit of CPU time is used up (RLIMIT_CPU)",
    SIGXFSZ: "a file would grow over the limit (RLIMIT_FSIZE)",
}
# What stands between a call of abort and the signal, in glibc, musl and libstdc++.
_ABORTING = (
    *("abort", "raise", "gsignal", "pthread_kill", "tgkill", "kill", "__pthread_kill_implementation"),
    *("__assert_fail", "__assert_fail_base", "__assert", "__libc_message", "malloc_printerr"),
    *("__fortify_fail", "__stack_chk_fail", "__chk_fail", "__pthread_kill_internal", "__libc_fatal"),
)
_TERMINATE = (
    "terminate",
    "__cxa_throw",
    "__cxa_rethrow",
    "__cxxabiv1",
    "_Unwind_RaiseException",
    "_Unwind_Resume",
)


def death_cause(report: CrashReport, death: Death) -> str:
    """One sentence."""
    if death.signal == SIGABRT and not _by_another(death):
        return _aborted(report, death)
    if death.signal == SIGTRAP and death.code > 0:
        if _runs(report) == "runtime.abort":
            return "the runtime gave up (runtime.abort): what it found left no way on" + _for(report)
        return f"a breakpoint instruction in {_runs(report) or 'code without a name'}{_for(report)}"
    name = NAMES.get(death.signal, f"signal {death.signal}")
    if death.signal in _LIMITS and death.code == _KERNEL_CODE:
        return f"{name}: {_LIMITS[death.signal]}{_ran(report)}"
    if death.signal == SIGSYS and death.code > 0:
        number = f" (number {death.call})" if death.call is not None else ""
        return f"{name}: a system call{number} that a seccomp filter refuses{_ran(report)}"
    if death.signal == SIGQUIT:
        return f"a dump was asked for: {name}, sent by {_sender(death)}{_ran(report)}"
    said = f"{name} was sent by {_sender(death)}"
    fault = death.signal in (7, 8, 11, SIGILL)
    return said + (": no instruction caused it" if fault else "") + _ran(report)


def _by_another(death: Death) -> bool:
    return death.code == _KERNEL_CODE or (death.sender is not None and not death.itself)


def _sender(death: Death) -> str:
    if death.code == _KERNEL_CODE:
        terminal = " (as it does for Ctrl-\\ at a terminal)" if death.signal == SIGQUIT else ""
        return f"the kernel{terminal}"
    if death.itself:
        return "the process itself"
    return f"process {death.sender}" if death.sender else "a process that it cannot see, or the kernel"


def _aborted(report: CrashReport, death: Death) -> str:
    functions = _functions(report)
    who = next((name for name in functions if not _is_aborting(name)), None)
    by = f" in {who}" if who else ""
    if any(word in name for name in functions for word in _TERMINATE):
        thrown = f" (thrown in {who})" if who else ""
        return f"C++ called std::terminate: an exception that nobody caught{thrown}{_for(report)}"
    if death.text:
        return f"C code aborted{by}: {death.text.rstrip('.')}{_for(report)}"
    if functions or report.in_c:
        return f"C code called abort{by}{_for(report)}"
    return f"SIGABRT was sent by the process itself{_ran(report)}"


def _is_aborting(name: str) -> bool:
    if name in ("C.abort", "C.raise"):
        return True
    return name.lstrip("_").split("@")[0] in [one.lstrip("_") for one in _ABORTING] or any(
        word in name for word in _TERMINATE
    )


def _functions(report: CrashReport) -> List[str]:
    """Of C, innermost first."""
    return [place.name for place in report.c_frames if place.name]


def _runs(report: CrashReport) -> Optional[str]:
    """The function that ran."""
    if report.code is not None and report.code.code is not None:
        return report.code.code.function
    return next(iter(_functions(report)), None)


def _for(report: CrashReport) -> str:
    """Whose it was."""
    if report.foreign:
        return ", on a thread that Go did not make"
    user = _user(report)
    return f"; called for goroutine {report.goid}{f' by {user}' if user else ''}" if report.goid else ""


def _ran(report: CrashReport) -> str:
    ran = _runs(report)
    if report.foreign:
        return f"; it came to a thread that Go did not make{f', in {ran}' if ran else ''}"
    if report.goid is None:
        return "; it came to a thread that ran no goroutine"
    user = _user(report) or ran
    if report.in_c:
        c_function = next((name for name in _functions(report) if not _is_aborting(name)), ran)
        return f"; goroutine {report.goid} ran C code ({c_function or '?'}), called by {user}"
    return f"; goroutine {report.goid} ran {user}" if user else f"; goroutine {report.goid} ran"


def _user(report: CrashReport) -> Optional[str]:
    """The innermost function of the goroutine that is not the runtime's."""
    frames = [frame for frame in report.frames if not _OF_CGO.search(frame.name or "")]
    return user_spot(frames).function
