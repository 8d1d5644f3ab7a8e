"""Something to do at each stop of the inferior, until it is told not to."""

from __future__ import annotations

from typing import Callable, Optional

import gdb

from addrspace_gdb.common.escape import printable


class StopWatch:
    """One function that gdb's stop event calls. What goes wrong in it is one line, and the stop goes on."""

    def __init__(self) -> None:
        self._run: Optional[Callable[[], None]] = None

    def set(self, run: Optional[Callable[[], None]]) -> bool:
        """Call `run` from now on (None: nothing); whether something else was called before."""
        before = self._run
        if before is None and run is not None:
            gdb.events.stop.connect(self._stopped)
        elif before is not None and run is None:
            gdb.events.stop.disconnect(self._stopped)
        self._run = run
        return before is not None

    def _stopped(self, event: object) -> None:
        if self._run is None:
            return
        try:
            self._run()
        except gdb.GdbError as error:
            gdb.write(f"{error}\n", gdb.STDERR)
        except Exception as error:  # noqa: BLE001  whatever it is, it is said in one line
            gdb.write(f"addrspace: {printable(f'{type(error).__name__}: {error}')}\n", gdb.STDERR)
