"""What a command is given where there is no debugger: one target, read once."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Callable, ContextManager, Dict, Iterable, Iterator, Optional

from addrspace_gdb.commands.once import write_whole
from addrspace_gdb.commands.session import Settings
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.common.progress import Progress
from addrspace_gdb.debugger.direct.base import DirectTarget
from addrspace_gdb.goruntime.stripped.target import StrippedTarget, with_runtime
from addrspace_gdb.space.moments.snapshot import Moments
from addrspace_gdb.space.reading.whole import Reading, read, required
from addrspace_gdb.target.protocol import Target


class DirectSession:
    """A session for one command, which writes one answer to the file `result`."""

    moment = 0
    inferior = 1

    def __init__(self, base: DirectTarget, settings: Settings, result: str) -> None:
        self._base, self._target = base, with_runtime(base)
        base.known = self._target
        self._settings = settings
        self._readings: Dict[bool, Reading] = {}
        self._result = result

    @property
    def snapshots(self) -> Moments:
        """None are kept."""
        return Moments()

    @contextmanager
    def at_inferior(self, number: int) -> Iterator[None]:
        """There is but one."""
        if number != self.inferior:
            raise ProblemError(f"there is no inferior {number}")
        yield

    def each_stop(self, run: Optional[Callable[[], None]]) -> bool:
        """It stops once."""
        return False

    @property
    def settings(self) -> Settings:
        """As the shell said."""
        return self._settings

    def prepare(self) -> None:
        """Read what does not change, before anything stands still."""
        self._base.objects.load()
        if isinstance(self._target, StrippedTarget):
            self._target.prepare()

    def target(self) -> Target:
        """The target, with the runtime's layouts."""
        return self._target

    def reading(self, check: bool = False, other_too: bool = False) -> Reading:
        """A reading of it, made once."""
        check = check or True in self._readings
        if check not in self._readings:
            self._readings[check] = read(self._target, check, other_too=other_too)
        return required(self._readings[check], other_too)

    def progress(self) -> ContextManager[Progress]:
        """The shell tells how long it takes."""
        return _silent()

    def write(self, pieces: Iterable[str]) -> None:
        """Into the file."""
        write_whole(self._result, pieces)


@contextmanager
def _silent() -> Iterator[Progress]:
    yield Progress()
