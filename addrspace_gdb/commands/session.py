"""What a command is given: the target, the settings, a place to write to. Knows no debugger."""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Callable,
    ContextManager,
    Iterable,
    NamedTuple,
    Optional,
    Protocol,
    Sequence,
    Union,
)

from addrspace_gdb.common.files import OutputFile
from addrspace_gdb.target.protocol import Target

if TYPE_CHECKING:
    from addrspace_gdb.space.moments.snapshot import Moments
    from addrspace_gdb.space.reading.whole import Reading


class Settings(NamedTuple):
    """How output looks: from `set addrspace ...`, the terminal and NO_COLOR."""

    width: int
    unicode: bool
    color: bool
    style: str


class Session(Protocol):
    """The debugger's side of a command."""

    @property
    def snapshots(self) -> Moments:
        """Kept as long as the debugger runs."""

    @property
    def moment(self) -> int:
        """A number that grows whenever an inferior moves, or its memory is changed."""

    @property
    def inferior(self) -> int:
        """The debugger's number of the selected inferior."""

    def at_inferior(self, number: int) -> ContextManager[None]:
        """Select another inferior for a block; the selection is put back. ProblemError if there is none."""

    def each_stop(self, run: Optional[Callable[[], None]]) -> bool:
        """Call `run` at each stop from now on instead of what was called before; None: nothing any more.
        Returns whether anything was called before."""

    @property
    def settings(self) -> Settings:
        """How output looks now."""

    def target(self) -> Target:
        """The selected inferior. ProblemError if there is none."""

    def reading(self, check: bool = False) -> Reading:
        """A reading of it, from the cache while the inferior has not moved."""

    def write(self, text: str) -> None:
        """Show text."""


class Command(NamedTuple):
    """A command: its name in the debugger, its help text, and what runs it with what was typed after it."""

    name: str
    help: str
    run: Callable[[Session, str], Optional[str]]  # returns a line that says what is damaged, None if nothing
    words: Callable[[], list[str]]  # what completion offers
    names: Optional[Callable[[Session], list[str]]] = None  # what it offers of this session


def first_of(wrong: Sequence[str]) -> Optional[str]:
    """What a command returns of everything that is wrong: one line, None if nothing is."""
    if len(wrong) < 2:
        return next(iter(wrong), None)
    return f"{wrong[0]} (and {len(wrong) - 1} more, see above)"


def deliver(session: Session, text: Union[str, Iterable[str]], output: Optional[str]) -> None:
    """Show `text`, or write it whole to the file `output` (`files.OutputFile`). ProblemError.

    Text in pieces is made while the file is written; what is shown is made first.
    """
    if output is None:
        session.write("".join(text))
        return
    pieces = (text,) if isinstance(text, str) else text
    OutputFile(output).write(piece.encode("utf-8", "surrogateescape") for piece in pieces)


def check_writable(output: Optional[str]) -> None:
    """Say that a file cannot be written before the work is done. ProblemError."""
    if output is not None:
        OutputFile(output)
