"""gdb's side of a command: parameters, the cache of readings, output, errors."""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple

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
from addrspace_gdb.debugger.shared.telling import DEFAULT_WIDTH, NARROWEST, WIDEST, is_internal, told
from addrspace_gdb.target.protocol import Target

if TYPE_CHECKING:
    from addrspace_gdb.debugger.gdb.go_unwinder import GoFrames
    from addrspace_gdb.goruntime.stripped.target import Findings
    from addrspace_gdb.space.moments.snapshot import Moments
    from addrspace_gdb.space.reading.whole import Reading


class GdbSession:
    """The selected inferior, what was read of it since it last moved, and gdb's settings."""

    def __init__(self, known: Optional[Known] = None, keep: bool = False) -> None:
        """`known`: what is known of the one target of the session without gdb. `keep`: what is read is kept,
        so that the process can be let go before all is worked out."""
        self._known, self._keep = known, keep
        self._kept: List[GdbTarget] = []
        self._targets: Dict[int, Target] = {}
        self._findings: Dict[int, Findings] = {}
        self._frames: Optional[GoFrames] = None
        self._readings: Dict[int, Tuple[bool, Reading]] = {}
        self._snapshots: Optional[Moments] = None
        self._moment = 0
        self._stops = StopWatch()
        for event in ("stop", "cont", "exited", "new_objfile", "memory_changed", "register_changed"):
            getattr(gdb.events, event).connect(self.forget)
        for event in ("clear_objfiles", "inferior_deleted", "free_objfile"):
            if hasattr(gdb.events, event):
                getattr(gdb.events, event).connect(self.forget)

    def forget(self, event: object = None) -> None:
        """Drop what was read: the inferior moved, or its memory or symbols changed."""
        if isinstance(event, (gdb.NewObjFileEvent, gdb.ClearObjFilesEvent)):
            for findings in self._findings.values():
                findings.unsettle()
        self._targets.clear()
        self._readings.clear()
        self._moment += 1

    @property
    def snapshots(self) -> Moments:
        """Kept as long as gdb runs."""
        from addrspace_gdb.space.moments.snapshot import Moments

        if self._snapshots is None:
            self._snapshots = Moments()
        return self._snapshots

    @property
    def moment(self) -> int:
        """Grows whenever an inferior moves, or its memory or symbols change."""
        return self._moment

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
        return Settings(_width(), _unicode(), _color(), str(style or "quiet"), rows())

    def target(self) -> Target:
        """The selected inferior."""
        number = gdb.selected_inferior().num
        if number not in self._targets:
            self._targets[number] = self._equipped(number, self._base())
        return self._targets[number]

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
            from addrspace_gdb.goruntime.stripped.target import Findings, with_runtime

            target = with_runtime(base, self._findings.setdefault(number, Findings()))
        known = REGISTERS.get(target.arch)
        if self._frames is None and (stripped or (known is not None and known.link is not None)):
            from addrspace_gdb.debugger.gdb.go_unwinder import GoFrames

            self._frames = GoFrames()
        if self._frames is not None:
            self._frames.add(number, target)
        return target

    def reading(self, check: bool = False, other_too: bool = False) -> Reading:
        """What was read of it; read now unless it has not moved since. The selected thread may differ."""
        from addrspace_gdb.space.reading.whole import read, required

        number = gdb.selected_inferior().num
        base = self._base()
        key = selected_thread()
        cached = self._readings.get(number)
        if cached is not None and (cached[0] or not check) and self._same_thread(number, key):
            return required(cached[1], other_too)
        target = self._targets[number] = self._equipped(number, base)
        with self.progress() as progress:
            self._readings[number] = (check, read(target, check, progress, other_too))
        return self._readings[number][1]

    def _same_thread(self, number: int, thread: Optional[gdb.InferiorThread]) -> bool:
        kept = self._targets.get(number)
        if kept is None or thread is None:
            return False
        return any(t.selected and t.number == thread.num for t in kept.threads())

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
