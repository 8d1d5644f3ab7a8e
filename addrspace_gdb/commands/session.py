"""What a command is given: the target, the settings, a place to write to. Knows no debugger."""

from __future__ import annotations

import os
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

from addrspace_gdb.debugger.target import Target
from addrspace_gdb.problems import ProblemError
from addrspace_gdb.process.escape import printable

if TYPE_CHECKING:
    from addrspace_gdb.space.reading import Reading
    from addrspace_gdb.space.snapshot import Moments


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
    """Show `text`, or write it whole to the file `output` (atomically: a cut session leaves no half).

    Text in pieces is made while the file is written; what is shown is made first.
    """
    if output is None:
        session.write("".join(text))
        return
    path = os.path.expanduser(output)
    pieces = (text,) if isinstance(text, str) else text
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write("".join(pieces))
            return
        _replace(path, pieces)
    except OSError as error:
        raise ProblemError(f"cannot write {printable(output)}: {error.strerror or error}") from None


def _replace(path: str, pieces: Iterable[str]) -> None:
    folder = os.path.dirname(path) or "."
    name = os.path.join(folder, f".addrspace-{os.getpid()}-{os.urandom(6).hex()}")
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb", buffering=1 << 18) as file:
            file.writelines(piece.encode("utf-8", "surrogateescape") for piece in pieces)
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def check_writable(output: Optional[str]) -> None:
    """Say that a file cannot be written before the work is done. ProblemError."""
    if output is None:
        return
    path = os.path.expanduser(output)
    folder = os.path.dirname(path) or "."
    if os.path.isdir(path):
        raise ProblemError(f"cannot write {printable(output)}: it is a directory")
    writable = os.access(path, os.W_OK) if os.path.exists(path) else os.access(folder, os.W_OK)
    if not writable:
        reason = "permission denied" if os.path.isdir(folder) else f"no directory {printable(folder)}"
        raise ProblemError(f"cannot write {printable(output)}: {reason}")
