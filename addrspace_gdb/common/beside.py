"""Work that waits for the system, done in a thread beside whoever needs it later."""

from __future__ import annotations

import signal
import threading
from typing import Callable, List, TypeVar

Made = TypeVar("Made")


def beside(call: Callable[[], Made]) -> Callable[[], Made]:
    """Begin `call` in a thread; returns what waits for its end, and gives what it returned or raises what it
    raised. Where there is to be no thread more it is called then."""
    made: List[Made] = []
    wrong: List[BaseException] = []

    def run() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are for those before us
        try:
            made.append(call())
        except BaseException as error:  # noqa: BLE001  it is for who waits
            wrong.append(error)

    thread = threading.Thread(target=run, daemon=True)
    try:
        thread.start()
    except RuntimeError:  # a limit of processes
        return call

    def wait() -> Made:
        thread.join()
        if wrong:
            raise wrong[0]
        return made[0]

    return wait
