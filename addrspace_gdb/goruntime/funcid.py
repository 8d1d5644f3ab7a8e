"""Special functions: the numbers the linker gives them, and how tracebacks print and hide names.

The numbers are internal/abi/symtab.go's FuncID, in alphabetical order but for the last; they shift when
a release adds one. The rules for names are those of src/runtime/traceback.go.
"""

from __future__ import annotations

from typing import Optional, Tuple

NORMAL, WRAPPER = "normal", "wrapper"

_GO_1_21 = [
    "normal",
    "abort",
    "asmcgocall",
    "asyncPreempt",
    "cgocallback",
    "debugCallV2",
    "gcBgMarkWorker",
    "goexit",
    "gogo",
    "gopanic",
    "handleAsyncEvent",
    "mcall",
    "morestack",
    "mstart",
    "panicwrap",
    "rt0_go",
    "runfinq",
    "runtime_main",
    "sigpanic",
    "systemstack",
    "systemstack_switch",
    "wrapper",
]
# Go 1.22 added corostart (coroutines of package iter).
_GO_1_22 = _GO_1_21[:5] + ["corostart"] + _GO_1_21[5:]
# Go 1.25 renamed runfinq, moved it behind runtime_main and added runCleanups.
_GO_1_25 = (
    _GO_1_22[: _GO_1_22.index("runfinq")] + ["runtime_main", "runFinalizers", "runCleanups"] + _GO_1_22[19:]
)

# src/runtime/mfinal.go: fingCreated is 1 << 0, fingRunningFinalizer 1 << 1 (Go 1.21 to 1.27).
FING_RUNNING = 2

_PANICS = frozenset(("gopanic", "sigpanic", "panicwrap"))
_INJECTED = frozenset(("sigpanic", "asyncPreempt", "debugCallV2"))


# They go to g0's stack for the vDSO, and come back. Before and after m.vdsoSP is set their frame is whole.
INTO_VDSO = ("runtime.nanotime1", "runtime.walltime", "runtime.walltime1", "time.now", "runtime.vgetrandom1")
# It goes from g0's stack to a goroutine's, or from there to where g.sched is, and never returns.
GOGO = ("gogo", "runtime.gogo")


def kinds(minor: Optional[int], largest: Optional[int] = None) -> Tuple[str, ...]:
    """FuncID number to name for Go 1.`minor`.

    Without a version, `largest` decides: the greatest number any function of the program has, which is
    the wrapper's (21 up to Go 1.21, 22 up to 1.24, 23 since). Without either, the newest table.
    """
    if minor is None and largest is not None:
        minor = {21: 21, 22: 22}.get(largest)
    if minor is not None and minor < 22:
        return tuple(_GO_1_21)
    if minor is not None and minor < 25:
        return tuple(_GO_1_22)
    return tuple(_GO_1_25)


def is_injected(kind: str) -> bool:
    """isInjectedCall: a call made on a function's behalf by a signal handler, so that the pc it returns to
    is an instruction that was interrupted, not one behind a call."""
    return kind in _INJECTED


def elides_wrapper(callee: str) -> bool:
    """elideWrapperCalling: a wrapper is hidden, unless what it called is a panic of its own."""
    return callee not in _PANICS


def printed_name(name: str, minor: Optional[int] = None) -> str:
    """funcNameForPrint: `main.Map[go.shape.int]` as `main.Map[...]`.

    Up to Go 1.26 everything between the first "[" and the last "]" goes. Since Go 1.27 a generic method
    of a generic type keeps what stands between its two brackets: `main.(*T[...]).Map[...]`.
    """
    first, last = name.find("["), name.rfind("]")
    if first < 0 or last <= first:
        return name
    inside = name[first + 1 : last]
    if "[" not in inside or (minor is not None and minor < 27):
        return f"{name[:first]}[...]{name[last + 1 :]}"
    gap = _gap(inside)
    if gap is None:
        return name
    middle = f"{inside[gap[0] : gap[1]]}[...]" if gap[1] else ""
    return f"{name[:first]}[...]{middle}{name[last + 1 :]}"


def _gap(inside: str) -> Optional[Tuple[int, int]]:
    """Where the text between two outermost bracket pairs starts and ends in `inside`, which begins within
    the first pair and ends within the last; (0, 0) if there is one pair only, None if it is malformed."""
    depth, right, left = 1, -1, -1
    for at, char in enumerate(inside):
        if char == "[":
            depth += 1
            if depth == 1:
                left = at
                break
        elif char == "]":
            depth -= 1
            if depth < 0:
                break
            if depth == 0:
                right = at
    if depth == 1 and right >= 0 and left > right:
        return right + 1, left
    return (0, 0) if depth == 1 and right < 0 and left < 0 else None


def is_exported_runtime(name: str, minor: Optional[int] = None) -> bool:
    """isExportedRuntime: `runtime.Gosched`, and since Go 1.23 also methods: `runtime.(*Func).Entry`."""
    if not name.startswith("runtime."):
        return False
    name = name[len("runtime.") :]
    if minor is not None and minor < 23:
        return "A" <= name[:1] <= "Z"
    receiver, _, function = name.rpartition(".")
    if len(receiver) >= 3 and receiver.startswith("(*") and receiver.endswith(")"):
        receiver = receiver[2:-1]
    return "A" <= function[:1] <= "Z" and (not receiver or "A" <= receiver[0] <= "Z")


def is_shown(name: str, kind: str, callee: str, first: bool, minor: Optional[int] = None) -> bool:
    """showfuncinfo: whether a traceback at the default level prints a frame of the function `name`.

    `callee` is the kind of the frame below it, `first` whether no frame has been printed yet.
    """
    if kind == WRAPPER and elides_wrapper(callee):
        return False
    if kind in ("runFinalizers", "runCleanups"):  # since Go 1.25, as a sign of what the goroutine does
        return True
    if name == "runtime.gopanic" and not first:
        return True
    return "." in name and (not name.startswith("runtime.") or is_exported_runtime(name, minor))


def is_system_goroutine(
    name: Optional[str], kind: str, running_finalizer: bool = False, running_cleanups: bool = False
) -> bool:
    """isSystemGoroutine: whether a goroutine that started in the function `name` is the runtime's own.

    `name` is None for a start pc in no Go function: not a system goroutine. The goroutine of finalizers
    and those of cleanups (Go 1.25 and later) are the user's while they call the user's code:
    `running_finalizer` is runtime.fingStatus & FING_RUNNING, `running_cleanups` is g.runningCleanups.
    """
    if name is None or kind in ("runtime_main", "corostart", "handleAsyncEvent"):
        return False
    if kind in ("runfinq", "runFinalizers"):
        return not running_finalizer
    if kind == "runCleanups":
        return not running_cleanups
    return name.startswith("runtime.")
