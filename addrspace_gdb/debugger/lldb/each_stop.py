"""Something to do at each stop of a target, until it is told not to: a stop hook of lldb's."""

from __future__ import annotations

from typing import Any, Callable, Optional

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.debugger.lldb.api import answer_of

_ADDED = "Stop hook #"
_running: Optional[Callable[[Any], None]] = None


class StopHook:
    """What lldb calls at a stop. What goes wrong in it is one line, and the stop goes on."""

    def __init__(self, target: Any, _extra: Any, _internal: Any) -> None:
        self._target = target

    def handle_stop(self, _context: Any, stream: Any) -> bool:
        """True: the stop goes on."""
        if _running is not None:
            try:
                _running(stream)
            except Exception as error:  # noqa: BLE001  whatever it is, it is said in one line
                stream.Print(f"addrspace: {printable(f'{error}')}\n")
        return True


class StopWatch:
    """One function that is called when the target that was selected then stops."""

    def __init__(self) -> None:
        self._hook: Optional[int] = None
        self._target: Any = None

    def set(self, session: Any, run: Optional[Callable[[], None]]) -> bool:
        """Call `run` from now on (None: nothing); whether something else was called before."""
        global _running  # noqa: PLW0603  lldb makes its own objects of the class
        was = self._hook is not None
        if run is None:
            _running = None
            self._remove(session.debugger)
            return was

        def at_stop(stream: Any) -> None:
            session.answer_to(stream)
            run()

        _running = at_stop
        if not was:
            self._add(session.debugger)
        return was

    def _add(self, debugger: Any) -> None:
        number = answer_of(f"target stop-hook add -P {_CLASS}", debugger).partition(_ADDED)[2].split()[:1]
        if not number or not number[0].isdecimal():
            raise ProblemError("lldb does not say what it calls at each stop")
        self._hook = int(number[0])

    def _remove(self, debugger: Any) -> None:
        if self._hook is not None:
            number, self._hook = self._hook, None
            answer_of(f"target stop-hook delete {number:d}", debugger)


_CLASS = f"{__name__}.{StopHook.__name__}"
