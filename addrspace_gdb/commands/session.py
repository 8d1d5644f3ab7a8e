"""What a command is given: the target, the settings, a place to write to. Knows no debugger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, ContextManager, Iterable, NamedTuple, Optional, Protocol

from addrspace_gdb.common.progress import Progress
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
    height: Optional[int] = None  # lines of the terminal; None: it is none, or may scroll
    terminal: bool = False  # what is written stands on one, as it is


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

    def reading(self, check: bool = False, other_too: bool = False) -> Reading:
        """A reading of it, from the cache while the inferior has not moved; with `other_too` also of a Go
        program whose runtime is another one. Raises ProblemError."""

    def progress(self) -> ContextManager[Progress]:
        """For a long work: one line that says how far it is, on a terminal, gone after the block."""

    def write(self, pieces: Iterable[str]) -> None:
        """Show text, in pieces, all of it or nothing."""
