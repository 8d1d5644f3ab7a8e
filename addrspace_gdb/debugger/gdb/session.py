"""gdb's side of a command: parameters, the cache of readings, output, errors."""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, List, Optional

import gdb

from addrspace_gdb.commands.options import HelpRequested
from addrspace_gdb.commands.session import Settings
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.common.progress import Progress
from addrspace_gdb.debugger.gdb.each_stop import StopWatch
from addrspace_gdb.debugger.gdb.outlet import rows, to_a_person, uncut_lines
from addrspace_gdb.debugger.gdb.readonly import read_only
from addrspace_gdb.debugger.gdb.registers import REGISTERS
from addrspace_gdb.debugger.gdb.target import GdbTarget, Known, kept_selection
from addrspace_gdb.debugger.gdb.text import output_of
from addrspace_gdb.debugger.gdb.threads import selected_thread
from addrspace_gdb.debugger.shared.readings import Kept, Readings
from addrspace_gdb.debugger.shared.telling import DEFAULT_WIDTH, NARROWEST, WIDEST, is_internal, told
from addrspace_gdb.target.protocol import Target

if TYPE_CHECKING:
    from addrspace_gdb.debugger.gdb.go_unwinder import GoFrames
    from addrspace_gdb.space.moments.snapshot import Moments
    from addrspace_gdb.space.reading.whole import Reading


class GdbSession:
    """The selected inferior, what was read of it since it last moved, and gdb's settings."""

    def __init__(self, known: Optional[Known] = None, keep: bool = False) -> None:
        """`known`: what is known of the one target of the session without gdb. `keep`: what is read is kept,
        so that the process can be let go before all is worked out."""
        self._known, self._keep = known, keep
        self._kept: List[GdbTarget] = []
        self._readings = Readings()
        self._frames: Optional[GoFrames] = None
        self._stops = StopWatch()
        for event in ("stop", "cont", "exited", "new_objfile", "memory_changed", "register_changed"):
            getattr(gdb.events, event).connect(self.forget)
        for event in ("clear_objfiles", "inferior_deleted", "free_objfile"):
            if hasattr(gdb.events, event):
                getattr(gdb.events, event).connect(self.forget)

    def forget(self, event: object = None) -> None:
        """Drop what was read: the inferior moved, or its memory or symbols changed."""
        if isinstance(event, (gdb.NewObjFileEvent, gdb.ClearObjFilesEvent)):
            self._readings.unsettle()
        self._readings.forget()

    @property
    def snapshots(self) -> Moments:
        """Kept as long as gdb runs."""
        return self._readings.snapshots

    @property
    def moment(self) -> int:
        """Grows whenever an inferior moves, or its memory or symbols change."""
        return self._readings.moment

    @property
    def inferior(self) -> int:
        """gdb's number of the selected inferior."""
        return int(gdb.selected_inferior().num)

    @contextmanager
    def at_inferior(self, number: int) -> Iterator[None]:
        """Select inferior `number` for a block."""
        selected = gdb.selected_inferior()
        if number == selected.num:
            yield
            return
        found = next((one for one in gdb.inferiors() if one.num == number), None)
        if found is None:
            raise ProblemError(f"there is no inferior {number} (`info inferiors` lists them)")
        threads = sorted(found.threads(), key=lambda thread: thread.num)
        if not threads:
            raise ProblemError(f"inferior {number} has no process: run or attach, or load a core file there")
        with kept_selection():
            try:
                threads[0].switch()
                yield
            finally:
                if not selected.threads() and selected.is_valid():
                    output_of(f"inferior {selected.num:d}")

    def each_stop(self, run: Optional[Callable[[], None]]) -> bool:
        """Call `run` at each stop; None: no longer."""
        return self._stops.set(None if run is None else lambda: guarded(run))

    @property
    def settings(self) -> Settings:
        """Width, characters and colour as the parameters, gdb and the terminal say now."""
        style = gdb.parameter("addrspace style")
        return Settings(_width(), _unicode(), _color(), str(style or "quiet"), rows(), to_a_person())

    def target(self) -> Target:
        """The selected inferior."""
        number = int(gdb.selected_inferior().num)
        return (self._readings.of(number) or self._opened(number, self._base())).target

    def _opened(self, number: int, base: GdbTarget) -> Kept:
        return self._readings.keep(number, Kept(None, base, self._equipped(number, base)))

    def _base(self) -> GdbTarget:
        """ProblemError if there is no process, or if it runs."""
        made = GdbTarget(self._known, self._keep)
        if self._keep:
            self._kept.append(made)
        return made

    def let_go(self) -> None:
        """The processes that were read are about to run on."""
        for target in self._kept:
            target.let_go()

    def _equipped(self, number: int, base: GdbTarget) -> Target:
        from addrspace_gdb.goruntime.stripped.symbol_table import own_symbols

        target: Target = base
        base.variables = own_symbols(base)
        stripped = base.symbol("runtime.mheap_") is None or base.type("runtime.mspan") is None
        if stripped:
            target = self._readings.knowing(number, base)
        known = REGISTERS.get(target.arch)
        if self._frames is None and (stripped or (known is not None and known.link is not None)):
            from addrspace_gdb.debugger.gdb.go_unwinder import GoFrames

            self._frames = GoFrames()
        if self._frames is not None:
            self._frames.add(number, target)
        return target

    def reading(self, check: bool = False, other_too: bool = False) -> Reading:
        """What was read of it; read now unless it has not moved since. The selected thread may differ."""
        number = int(gdb.selected_inferior().num)
        base = self._base()
        kept = self._readings.of(number)
        if kept is None or not _same_thread(kept.target, selected_thread()):
            kept = self._opened(number, base)
        return kept.reading(check, other_too, self.progress)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """One line on standard error, if that and the output are a terminal."""
        progress = Progress(_show_progress if _on_terminal() else None)
        try:
            yield progress
        finally:
            progress.finish()

    def write(self, pieces: Iterable[str]) -> None:
        """Through gdb, so that its pager and `pipe` work."""
        text = "".join(pieces)
        with uncut_lines():
            gdb.write(text)


def _same_thread(target: Target, thread: Optional[gdb.InferiorThread]) -> bool:
    """Whether this is the thread that was selected when it was read."""
    return thread is not None and any(t.selected and t.number == thread.num for t in target.threads())


def _on_terminal() -> bool:
    return to_a_person() and os.isatty(2)


def _show_progress(text: str) -> None:
    gdb.write(f"\r\x1b[K{text}", gdb.STDERR)
    gdb.flush(gdb.STDERR)


def _width() -> int:
    wanted = int(gdb.parameter("addrspace width") or 0)
    width = wanted or int(gdb.parameter("width") or 0) or DEFAULT_WIDTH
    return max(NARROWEST, width if wanted else min(width, WIDEST))


def _unicode() -> bool:
    choice = gdb.parameter("addrspace unicode")
    if choice != "auto":
        return choice == "on"
    charset = str(gdb.parameter("host-charset") or "")
    if charset.startswith("auto"):
        charset = output_of("show host-charset")
    return "UTF-8" in charset.upper()


def _color() -> bool:
    if os.environ.get("NO_COLOR") or not sys.__stdout__ or not to_a_person():
        return False
    choice = gdb.parameter("addrspace color")
    return bool(gdb.parameter("style enabled")) if choice == "auto" else choice == "on"


def guarded(run: Any, *arguments: Any) -> Any:
    """Run a command, which can only read; whatever goes wrong becomes a one-line error of gdb. Help that is
    asked for is shown."""
    try:
        # Twice: an interrupt in the moment in which the inner one ends leaves it to the outer one.
        with read_only(), read_only():
            return run(*arguments)
    except HelpRequested as text:
        gdb.write(str(text))
        return None
    except (gdb.GdbError, KeyboardInterrupt):
        raise
    except gdb.error as error:  # its reader of symbols ends many a command, where those are damaged
        _traceback()
        raise gdb.GdbError(f"addrspace: gdb says: {printable(str(error).strip())}") from None
    except Exception as error:  # noqa: BLE001  whatever it is, it is said in one line
        line = told(error, "set addrspace debug on")
        if is_internal(error):
            _traceback()
        raise gdb.GdbError(line) from None


def _traceback() -> None:
    if gdb.parameter("addrspace debug"):
        traceback.print_exc()
