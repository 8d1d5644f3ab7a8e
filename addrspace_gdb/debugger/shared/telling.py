"""What went wrong in a command, as one line at a debugger's prompt."""

from __future__ import annotations

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError, UnreadableError, cut_short

DEFAULT_WIDTH = 100  # columns where the debugger does not say
NARROWEST = 72
WIDEST = 140  # of a terminal, unless a width was asked for


def named(text: str) -> str:
    """An error that says whose it is, once."""
    return "addrspace: " + text.removeprefix("addrspace: ").removeprefix("addrspace ")


def told(error: Exception, show: str) -> str:
    """Whatever ended a command, as one line; `show` is what has the debugger show where an internal error is.

    KeyboardInterrupt if it was that in truth.
    """
    if isinstance(error, ProblemError):
        return named(str(error))
    if isinstance(error, UnreadableError):
        return f"addrspace: {error}; the process may have exited"
    if isinstance(error, MemoryError):
        return "addrspace: not enough memory for this process; try `--limit`"
    if cut_short(error) is not None:
        raise KeyboardInterrupt from None
    what = printable(f"{type(error).__name__}: {error}")
    return f"addrspace: internal error: {what} (`{show}` shows where; please report it)"


def is_internal(error: Exception) -> bool:
    """Whether an error is a mistake of ours, whose place is worth knowing."""
    return not isinstance(error, (ProblemError, UnreadableError, MemoryError))
