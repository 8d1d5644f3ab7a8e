"""lldb's side of a command: the selected target, the cache of readings, settings, output."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, List, Optional, Tuple

from addrspace_gdb.commands.session import Settings
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.common.progress import Progress
from addrspace_gdb.debugger.lldb.api import answer_of
from addrspace_gdb.debugger.lldb.each_stop import StopWatch
from addrspace_gdb.debugger.lldb.notices import Notices
from addrspace_gdb.debugger.lldb.parameters import Parameters
from addrspace_gdb.debugger.shared.readings import Kept, Readings
from addrspace_gdb.debugger.shared.telling import DEFAULT_WIDTH, NARROWEST, WIDEST
from addrspace_gdb.target.protocol import Target

if TYPE_CHECKING:
    from addrspace_gdb.debugger.lldb.target import Given
    from addrspace_gdb.space.moments.snapshot import Moments
    from addrspace_gdb.space.reading.whole import Reading

OURS = ("addrspace", "goroutine", "goroutine-stacks", "goroutine-apply")


class LldbSession:
    """One debugger of lldb's: its selected target, and what was read of it since it last moved."""

    def __init__(self, debugger: Any, given: Optional[Given] = None, keep: bool = False) -> None:
        """`given`: what is known of the one target of a batch. `keep`: what is read is kept, so that the
        process can be let go before all is worked out."""
        self.debugger, self._given, self._keep = debugger, given, keep
        self.parameters = Parameters()
        self._result: Any = None
        self._readings = Readings()
        self._history = 0  # commands that were typed when ours last ended
        self._stops, self._notices = StopWatch(), Notices()

    def use(self, debugger: Any, result: Any) -> None:
        """A command of ours begins, and answers into `result`."""
        self.debugger, self._result = debugger, result
        for line in self._notices.of(self.process):
            result.AppendWarning(line)
        if self._others_were_typed():
            self._readings.forget()

    def answer_to(self, stream: Any) -> None:
        """What is written from now on goes there: something runs at a stop."""
        self._result = stream

    def _others_were_typed(self) -> bool:
        """Whether a command that is not ours came since the last of ours: it may have written to memory, and
        lldb tells nobody."""
        typed = typed_commands(self.debugger)
        new, self._history = typed[self._history :], len(typed)
        return any((words[:1] or [""])[0] not in OURS for words in map(str.split, new))

    @property
    def process(self) -> Any:
        """The selected target's."""
        return self.debugger.GetSelectedTarget().GetProcess()

    @property
    def snapshots(self) -> Moments:
        """Kept as long as lldb runs."""
        return self._readings.snapshots

    @property
    def moment(self) -> int:
        """Grows whenever a target moves, or something else than our commands was typed."""
        self._current()
        return self._readings.moment

    @property
    def inferior(self) -> int:
        """The number of the selected target, as `target list` has it: from 0 on."""
        return int(self.debugger.GetIndexOfTarget(self.debugger.GetSelectedTarget()))

    @contextmanager
    def at_inferior(self, number: int) -> Iterator[None]:
        """Select target `number` for a block."""
        if not 0 <= number < self.debugger.GetNumTargets():
            raise ProblemError(f"there is no target {number} (`target list` lists them)")
        before = self.debugger.GetSelectedTarget()
        self.debugger.SetSelectedTarget(self.debugger.GetTargetAtIndex(number))
        try:
            yield
        finally:
            self.debugger.SetSelectedTarget(before)

    def each_stop(self, run: Optional[Callable[[], None]]) -> bool:
        """Call `run` at each stop of the selected target; None: no longer."""
        return self._stops.set(self, run)

    @property
    def settings(self) -> Settings:
        """Width, characters and colour as the parameters, lldb and the terminal say now."""
        chosen = self.parameters
        looked_at = os.isatty(1)
        return Settings(self._width(), self._unicode(), self._color(), chosen["style"], terminal=looked_at)

    def _width(self) -> int:
        wanted = int(self.parameters["width"])
        width = wanted or (int(self.debugger.GetTerminalWidth() or 0) if os.isatty(1) else 0) or DEFAULT_WIDTH
        return max(NARROWEST, width if wanted else min(width, WIDEST))

    def _unicode(self) -> bool:
        choice = self.parameters["unicode"]
        if choice != "auto":
            return choice == "on"
        words = (os.environ.get(name) for name in ("LC_ALL", "LC_CTYPE", "LANG"))
        locale = next(filter(None, words), "")
        return "UTF8" in locale.upper().replace("-", "")

    def _color(self) -> bool:
        if os.environ.get("NO_COLOR") or not os.isatty(1):
            return False
        choice = self.parameters["color"]
        return bool(self.debugger.GetUseColor()) if choice == "auto" else choice == "on"

    def base(self) -> Any:
        """The selected target, without the runtime's layouts. ProblemError."""
        return self._current().base

    def target(self) -> Target:
        """The selected target. ProblemError if there is none, or if it runs."""
        return self._current().target

    def _state(self) -> Tuple[object, ...]:
        """What tells moments of the selected target apart, but for what was written to memory."""
        process = self.process
        sb = self.debugger.GetSelectedTarget()
        modules = tuple(
            (module.GetUUIDString(), module.GetSymbolFileSpec().fullpath)
            for module in (sb.GetModuleAtIndex(at) for at in range(sb.GetNumModules()))
        )
        thread = process.GetSelectedThread().GetThreadID() if process.IsValid() else 0
        moved = (process.GetUniqueID(), process.GetStopID()) if process.IsValid() else (0, 0)
        return (*moved, int(process.GetState()), thread, modules)

    def _current(self) -> Kept:
        number, state = self.inferior, self._state()
        kept = self._readings.of(number)
        if kept is not None and kept.state == state:
            return kept
        if kept is not None:
            self._readings.moment += 1
        from addrspace_gdb.debugger.lldb.target import open_target

        base = open_target(self.process, self._given, self._keep)
        base.known = self._readings.knowing(number, base)
        return self._readings.keep(number, Kept(state, base, base.known))

    def reading(self, check: bool = False, other_too: bool = False) -> Reading:
        """What was read of it; read now unless it has not moved since."""
        return self._current().reading(check, other_too, self.progress)

    def let_go(self) -> None:
        """The process that was read is about to run on."""
        for kept in self._readings.all():
            if kept.base.kind == "live":
                kept.base.let_go()

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """One line on standard error, if that and the output are a terminal."""
        shown = _show_progress if os.isatty(1) and os.isatty(2) else None
        progress = Progress(shown)
        try:
            yield progress
        finally:
            progress.finish()

    def write(self, pieces: Iterable[str]) -> None:
        """Into the answer of the command, which lldb shows when the command is done."""
        put(self._result, "".join(pieces))


def put(result: Any, text: str) -> None:
    """Add text to what a command of lldb answers."""
    result.Print(text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))


def typed_commands(debugger: Any) -> List[str]:
    """The lines that were typed at lldb's prompt so far, those of its options too."""
    return [line.partition(": ")[2] for line in answer_of("session history", debugger).splitlines()]


def _show_progress(text: str) -> None:
    sys.stderr.write(f"\r\x1b[K{text}")
    sys.stderr.flush()
