"""`goroutine-apply` in any debugger: who has a turn, what goes wrong in one, and what is told at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, List, Tuple, Type

from addrspace_gdb.commands.goroutine_args import Apply
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import GoneError, ProblemError

if TYPE_CHECKING:
    from addrspace_gdb.space.goroutines.census import Census, GoroutinePlace

_FEW = 5  # numbers that no goroutine has, told in an error


def apply_each(
    census: Census,
    wanted: Apply,
    one: Callable[[int], None],
    moves: Callable[[], int],
    write: Callable[[str], object],
    errors: Tuple[Type[Exception], ...] = (),
) -> None:
    """Call `one` for each goroutine that is wanted, in rising order. ProblemError, or one of the debugger's
    own `errors`, as the flags say; it ends when `moves` says that the process has moved."""
    found, gone = 0, []
    failures: Tuple[Type[Exception], ...] = (ProblemError, *errors)
    for goid in census.chosen(wanted.chosen):
        found += 1
        before = moves()
        try:
            one(goid)
        except GoneError as error:
            gone.append(str(error))
        except failures as error:
            _failed(error, wanted, write)
        if moves() != before:
            raise ProblemError("the command let the process move; the other goroutines are left out")
    if not found and not wanted.silent:
        raise ProblemError(f"no goroutine matches {printable(wanted.text)!r}")
    _tell_gone(gone, found, wanted, write)


def _failed(error: Exception, wanted: Apply, write: Callable[[str], object]) -> None:
    """As the flags say: go on without a word, go on, or end."""
    if wanted.go_on:
        ours = "addrspace: " if isinstance(error, ProblemError) else ""
        write(f"{ours}{str(error).strip()}\n")
    elif not wanted.silent:
        raise error


def _tell_gone(gone: List[str], asked_for: int, wanted: Apply, write: Callable[[str], object]) -> None:
    """Numbers that no goroutine has, or has any more, do not keep the others from their turn: they are told
    behind them, and it is an error if there are no others."""
    if wanted.silent:
        return
    if gone and len(gone) == asked_for and not wanted.go_on:
        raise ProblemError("; ".join(gone[:_FEW]))
    for line in gone:
        write(f"addrspace: {line}\n")


def header_of(place: GoroutinePlace, word: str = "") -> str:
    """As `thread apply` of gdb has it: an empty line, then who it is; `word` is before the thread's id."""
    on = f" (thread {place.thread.number}, {word}{place.thread.tid})" if place.thread else ""
    return f"\nG{place.label[1:]}{on}:\n"
