"""What can go wrong, and how it is told.

Two forms: a `ProblemError` stops a command with one line; a `Problems` list collects what was found
damaged or unknown on the way, so that the rest is still shown and the exit status still says it.
"""

from __future__ import annotations

from collections import Counter
from typing import Callable, Dict, Iterable, Iterator, List, Optional, Union

from addrspace_gdb.common.escape import printable


class ProblemError(Exception):
    """Stops a command. The message is one line: what is wrong, then what to do about it."""


class GoneError(ProblemError):
    """There is no goroutine of that number, or no more."""


ABSENT = "needs the program's symbols, which it lacks"


# Why memory of a core file could not be read: it was left out when the core was written.
NOT_HELD = "not in the core"
# ... or its end is missing: most else that is wrong comes of that.
CUT = "the core is truncated"


def is_absent(reason: str) -> bool:
    """Whether something is not known only for want of symbols, or of a part of the core: no damage."""
    return reason.endswith((ABSENT, NOT_HELD))


def absences(reasons: Iterable[str]) -> Dict[str, int]:
    """The kinds of absence among `reasons` as the end of a sentence, and how many there are of each."""
    found = Counter(
        ABSENT if reason.endswith(ABSENT) else "is " + NOT_HELD for reason in filter(is_absent, reasons)
    )
    return dict(found)


SINCE = "is counted since Go 1."


def is_older(reason: str) -> bool:
    """Whether something is not known because this version of Go does not count it: nobody can know it."""
    return SINCE in reason


class UnreadableError(Exception):
    """Memory at `address` could not be read; costs that range and nothing else."""

    def __init__(self, address: int, size: int, why: str = "") -> None:
        super().__init__(f"cannot read {size} bytes at {address:#x}{': ' * bool(why)}{why}")
        self.address = address
        self.size = size
        self.why = why
        self.hint = "" if why else "; the core may be truncated"  # what may have come of it


class Problems:
    """A bounded, ordered list of one-line findings; repeats are counted, not repeated.

    Lines that say what was left out of a core (`NOT_HELD`) are kept apart, as `left_out`.
    """

    MAX_LINES = 20  # lines of each kind

    def __init__(self) -> None:
        self._lines: List[Union[str, Callable[[], Iterable[str]]]] = []
        self._waiting = 0  # of the lines
        self.left_out: List[str] = []
        self.dropped = 0

    def add(self, line: str) -> None:
        """Record `line` unless it is already there; past MAX_LINES only count it."""
        if line.endswith(NOT_HELD):
            if line not in self.left_out and len(self.left_out) < self.MAX_LINES:
                self.left_out.append(line)
            return
        if line in self._lines:
            return
        self._lines.append(line)
        self._cut()

    def later(self, find: Callable[[], Iterable[str]]) -> None:
        """Keep the place for lines that `find` works out when somebody reads the list: what is read while a
        process stands still is looked at once it runs again."""
        self._waiting += 1
        self._lines.append(find)

    def _cut(self) -> None:
        while len(self._lines) - self._waiting > self.MAX_LINES and isinstance(self._lines[-1], str):
            self._lines.pop()
            self.dropped += 1

    def _settled(self) -> List[str]:
        """All lines, with those that were waiting worked out."""
        at = 0
        while self._waiting:
            line = self._lines[at]
            if not isinstance(line, str):
                found = line()
                self._waiting -= 1
                self._lines[at : at + 1] = [one for one in dict.fromkeys(found) if one not in self._lines]
                self._cut()
            else:
                at += 1
        return [line for line in self._lines if isinstance(line, str)]

    def __iter__(self) -> Iterator[str]:
        yield from self._settled()
        if self.dropped:
            yield f"{self.dropped} more problems of this kind are not shown"

    def __len__(self) -> int:
        return len(self._settled()) + self.dropped

    def __bool__(self) -> bool:
        return bool(self._settled())


def cut_short(error: Optional[BaseException]) -> Optional[BaseException]:
    """What ended the program and became `error` on the way; None if it is an error of its own.

    Python 3.11 and older make a RuntimeError of whatever is raised while a class is made, of an interrupt
    in the middle of an import too (type_new_set_names in Objects/typeobject.c).
    """
    while error is not None:
        if not isinstance(error, Exception):
            return error
        error = error.__cause__
    return None


def problem_of(error: BaseException) -> str:
    """One line for whatever went wrong."""
    if isinstance(error, ProblemError):
        return str(error)
    if isinstance(error, UnreadableError):
        return f"{error}; the process may have exited, or the core may be truncated"
    if cut_short(error) is not None:
        return "interrupted"
    if isinstance(error, MemoryError):
        return "not enough memory"
    if isinstance(error, OSError):
        what = f"{printable(str(error.filename))}: " if error.filename else ""
        return f"cannot finish the answer: {what}{error.strerror or error}"
    return f"internal error: {printable(f'{type(error).__name__}: {error}')}; please report it"
