"""Something that is worked out in a thread, beside other work."""

from __future__ import annotations

import signal
import threading
from typing import Callable, Generic, List, Optional, TypeVar

Made = TypeVar("Made")


class Later(Generic[Made]):
    """What `work` returns, begun at once; when it is wanted where there is to be no thread more, or without
    `beside`."""

    def __init__(self, work: Callable[[], Made], beside: bool = True) -> None:
        self._work: Optional[Callable[[], Made]] = work  # None: it was done
        self._found: List[Made] = []
        self._error: Optional[BaseException] = None
        self._thread: Optional[threading.Thread] = None
        if beside:
            self._begin()

    def _begin(self) -> None:
        self._thread = threading.Thread(target=self._beside, daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # a limit of processes
            self._thread = None

    def _beside(self) -> None:
        leave_signals_alone()
        self._do()

    def _do(self) -> None:
        work, self._work = self._work, None
        if work is None:
            return
        try:
            self._found.append(work())
        except BaseException as error:  # noqa: BLE001  whatever it is, it is raised where it is wanted
            self._error = error

    def end(self) -> None:
        """Wait until it is done, or has failed. Ctrl-C, where it is done here, is raised at once."""
        if self._thread is not None:
            self._thread.join()
            return
        self._do()
        if self._error is not None and not isinstance(self._error, Exception):
            raise self._error

    @property
    def found(self) -> Made:
        """What came out, once it is done. What went wrong is raised."""
        self.end()
        if self._error is not None:
            raise self._error
        return self._found[0]


def leave_signals_alone() -> None:
    """In a thread of ours: they are for the threads that were here before."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
