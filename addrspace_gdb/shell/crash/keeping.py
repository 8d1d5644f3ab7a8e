"""Keeps a crash: the reports on a process that is dying, in a folder of its own."""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from typing import Callable, Iterable, List, Optional, Tuple

from addrspace_gdb import commands
from addrspace_gdb.commands.command import Command, Look
from addrspace_gdb.commands.session import Settings
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.common.problems import ProblemError, problem_of
from addrspace_gdb.debugger.direct.answering import check_layouts
from addrspace_gdb.debugger.direct.crashed import CrashedTarget
from addrspace_gdb.debugger.direct.session import DirectSession
from addrspace_gdb.goruntime.buildinfo import version_of
from addrspace_gdb.process.core_head import CoreHead
from addrspace_gdb.shell.crash import journal
from addrspace_gdb.shell.crash.about import about, command_of
from addrspace_gdb.shell.crash.aside import Aside, shared
from addrspace_gdb.shell.crash.folders import Crashes, CrashFolder, folder_name
from addrspace_gdb.shell.crash.limits import TimeUpError, unbind
from addrspace_gdb.shell.crash.place import META, place
from addrspace_gdb.shell.crash.told import Told, signal_name
from addrspace_gdb.space.reading.goroutines import GoroutineReading, of_reading
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.space.regions.region import MAPPED_AREAS
from addrspace_gdb.target.hints import Hints
from addrspace_gdb.views.documents.crash import About, Done, crash_json, thread_pieces, threads_json
from addrspace_gdb.views.documents.form import pieces

_HINTS = Hints("addrspace-gdb dump --exe", "addrspace-gdb dump --exe", "addrspace-gdb dump", "gdbserver")
_LOOK = Look(screen=100, file=True)
_SETTINGS = Settings(100, True, False, "quiet")
_MANY = 10_000  # goroutines
_BUT_STACKS = " ".join(area for area in MAPPED_AREAS if area != "goroutine-stacks")

Step = Callable[[], List[Tuple[str, Iterable[str]]]]
Steps = List[Tuple[str, Step]]


def keep(what: Told, head: CoreHead, options: argparse.Namespace, started: float) -> bool:
    """Write the folder of a crash; whether all that there is to be in it is. What fails is in the journal."""
    try:
        with no_cycle_collection():
            return _Keeping(what, head, options, started).run()
    except TimeUpError:
        journal.failed(f"process {what.pid} died and nothing of it was kept in {options.time:g} s")
    except Exception as error:  # noqa: BLE001  whatever it is, it is said in one line
        journal.failed(f"process {what.pid} died and is not kept: {problem_of(error)}")
    return False


class _Keeping:
    """One crash."""

    def __init__(self, what: Told, head: CoreHead, options: argparse.Namespace, started: float) -> None:
        self._what, self._head, self._options, self._started = what, head, options, started
        self._session: Optional[DirectSession] = None
        self._goroutines: Optional[GoroutineReading] = None
        self._done: List[Done] = []
        self._problems = list(head.problems)

    def run(self) -> bool:
        """Whether all of it could be done."""
        try:
            self._session = DirectSession(
                CrashedTarget(self._what.pid, self._head.notes, _HINTS), _SETTINGS, ""
            )
        except ProblemError as error:
            self._problems.append(str(error))
        if self._options.forward and self._session is not None and not self._is_go():
            return True  # that is not for us
        crashes = Crashes(place(self._options.folder), make=True)
        crashes.prune(self._options.keep)
        name = folder_name(command_of(self._what.pid), self._what.pid, time.time())
        with closing(CrashFolder(crashes, name, self._options.keep)) as folder:
            known = about(self._what, self._head, self._session)
            complete = self._fill(folder, known)
        crashes.prune(self._options.keep, folder.name)
        return complete

    def _is_go(self) -> bool:
        assert self._session is not None
        target = self._session.target()
        return (
            target.symbol("runtime.mheap_") is not None
            or target.facts.is_go
            or version_of(target) is not None
        )

    def _fill(self, folder: CrashFolder, known: About) -> bool:
        first, reports = self._steps(known)
        other: Optional[Aside] = None
        self._note(folder, known, False)
        try:
            self._do(folder, known, first)
            if reports:
                waiting = shared(reports)
                other = self._begin_aside(folder, waiting)
                self._do(folder, known, waiting)
                other.wait()
        except TimeUpError:
            self._problems.append(f"the time was up ({self._options.time:g} s)")
        unbind()  # what is left to do takes no time
        self._done += other.end() if other is not None else []
        done = {one.report for one in self._done if one.problem is None}
        missing = [name for name, _ in [*first, *reports] if name not in done]
        complete = not missing and self._session is not None
        self._note(folder, known, complete, missing)
        self._say(folder, known, missing)
        return complete

    def _do(self, folder: CrashFolder, known: About, steps: Iterable[Tuple[str, Step]]) -> None:
        for name, step in steps:
            self._done.append(self._take(folder, name, step))
            self._note(folder, known, False)

    def _begin_aside(self, folder: CrashFolder, steps: Iterable[Tuple[str, Step]]) -> Aside:
        """Have a child do some of them, with the reading that everybody shares."""
        try:
            self._reading()
        except Exception:  # noqa: BLE001  every report will say it
            pass
        folder.share()
        left = self._options.time - (time.monotonic() - self._started)
        return Aside(lambda: (self._take(folder, name, step) for name, step in steps), left)

    def _say(self, folder: CrashFolder, known: About, missing: List[str]) -> None:
        died = f"{known.command}[{self._what.pid}] died of {signal_name(known.signal_number)}: {folder.path}"
        if missing or self._problems:
            lacks = f" lacks {', '.join(missing)}" if missing else ""
            said = [one.problem for one in self._done if one.problem]
            why = "; ".join(dict.fromkeys([*self._problems, *said]))
            journal.failed(f"{died}{lacks}: {why}")
        else:
            journal.noted(died)

    def _steps(self, known: About) -> Tuple[Steps, Steps]:
        """What there is to be: at first, and then the reports, in the order in which they are begun."""
        first: Steps = [("threads", lambda: self._threads(known))]
        if self._session is None:
            return first, []
        first.append(("maps", self._maps))
        if not self._is_go():
            return first, []
        reports: Steps = [("fault", self._fault), ("rss", lambda: self._report("rss"))]
        reports += [("goroutine-stacks", self._folded), ("memstats", lambda: self._report("memstats"))]
        reports += [("regions", self._regions), ("goroutines", self._listed)]
        return first, reports

    def _take(self, folder: CrashFolder, name: str, step: Step) -> Done:
        """Do one of them; what stands in its way is noted, and the others are done."""
        began, files, size, problem = time.monotonic(), [], 0, None
        try:
            for file, text in step():
                size += folder.write(file, text)
                files.append(file)
        except Exception as error:  # noqa: BLE001  whatever it is, the others come
            problem = problem_of(error)
        return Done(name, files, size, time.monotonic() - began, problem)

    def _note(self, folder: CrashFolder, known: About, complete: bool, missing: Iterable[str] = ()) -> None:
        seconds = time.monotonic() - self._started
        document = crash_json(known, complete, seconds, self._done, list(missing), self._problems)
        folder.write(META, pieces(document), anyway=True)

    def _threads(self, known: About) -> List[Tuple[str, Iterable[str]]]:
        return [
            ("threads.txt", thread_pieces(known.threads)),
            ("threads.json", pieces(threads_json(known.threads))),
        ]

    def _maps(self) -> List[Tuple[str, Iterable[str]]]:
        with open(f"/proc/{self._what.pid}/maps", encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().split("\n")
        return [("maps.txt", (printable(line) + "\n" for line in lines if line))]

    def _reading(self) -> Reading:
        """The one that has all, which everybody else then gets."""
        assert self._session is not None
        check_layouts(self._session.target())
        return self._session.reading(check=True)

    def _regions(self) -> List[Tuple[str, Iterable[str]]]:
        """Of very many goroutines the stacks are in their list alone."""
        many = len(self._reading().go.goroutines) > _MANY
        return self._report("regions", _BUT_STACKS if many else "")

    def _report(self, name: str, line: str = "") -> List[Tuple[str, Iterable[str]]]:
        """A command as text and as JSON, of one reading."""
        assert self._session is not None
        self._reading()
        command = commands.report(name)
        answer = command.ask(self._session, command.arguments(line))
        return [(f"{name}.txt", self._text(command, answer)), (f"{name}.json", self._json(command, answer))]

    def _fault(self) -> List[Tuple[str, Iterable[str]]]:
        try:
            return self._report("fault")
        except ProblemError as error:  # somebody else's signal, most often
            return [("fault.txt", [f"{error}\n"])]

    def _text(self, command: Command, answer: object) -> Iterable[str]:
        return command.forms["text"](answer, _LOOK)

    def _json(self, command: Command, answer: object) -> Iterable[str]:
        return command.forms["json"](answer, _LOOK)

    def _of_goroutines(self, line: str) -> Tuple[Command, object]:
        from addrspace_gdb.commands.goroutine_stacks import COMMAND, Answer

        assert self._session is not None
        if self._goroutines is None:
            self._goroutines = of_reading(self._session.target(), self._reading())
        return COMMAND, Answer(self._goroutines, COMMAND.arguments(line))

    def _folded(self) -> List[Tuple[str, Iterable[str]]]:
        return [("goroutine-stacks.txt", self._text(*self._of_goroutines("--group stack")))]

    def _listed(self) -> List[Tuple[str, Iterable[str]]]:
        command, answer = self._of_goroutines("--format json")
        return [("goroutine-stacks.json", self._json(command, answer))]
