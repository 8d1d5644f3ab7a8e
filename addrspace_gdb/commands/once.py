"""One command for the shell: asked of a process or a core, and drawn once that is let go.

Whoever can hold a process has it answered here, a debugger in batch mode or the shell's own side.
"""

from __future__ import annotations

import os
import time
from functools import cached_property, partial
from typing import TYPE_CHECKING, Callable, Iterable, List, NamedTuple, Optional, Sequence

from addrspace_gdb import commands
from addrspace_gdb.commands.command import TYPED_GRAPH, Task
from addrspace_gdb.commands.options import HelpRequested
from addrspace_gdb.commands.session import Session, Settings
from addrspace_gdb.commands.spoken import for_shell
from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.common.request import Request
from addrspace_gdb.target.protocol import kept_of
from addrspace_gdb.views.kit.text import spoken

if TYPE_CHECKING:
    from addrspace_gdb.space.reading.whole import Reading
    from addrspace_gdb.space.regions.model import AddressSpace


class Visit(NamedTuple):
    """How many seconds it took to open and ask, and how long the process was stopped (None: a core)."""

    seconds: float
    stopped: Optional[float]


# Opens what is asked about, does what it is given, and lets it go, also when that fails.
Visiting = Callable[[Callable[[], None]], Visit]


def settings_of(asked: Request) -> Settings:
    """How the answer is to look."""
    return Settings(asked.width, not asked.ascii, asked.color, "quiet", asked.height)


def answer(asked: Request, session: Session, visit: Visiting) -> List[str]:
    """Ask while the process is held and draw when it is let go; a line if something is damaged.

    Help that is asked for is an answer. Raises what `problem_of` words.
    """
    try:
        task = _task(asked, session)
    except HelpRequested as text:
        write_whole(asked.result, [str(text)])
        return []
    speak = for_shell(asked.typed)
    with no_cycle_collection(), spoken(speak):
        sums = _Sums(session) if asked.check and asked.report is not None else None
        visited = visit(partial(_ask, task, session, sums))
        began = time.monotonic()
        problems = [task.show(), sums.problem if sums is not None else None]
    notes = [sums.note] if sums is not None else []
    if asked.stats:
        notes.append(_stats(visited, time.monotonic() - began))
    if notes:
        write_whole(asked.notes, map(speak, notes) if speak is not None else notes)
    return [problem for problem in problems if problem]


class _Sums:
    """--check, beside another answer than the diagram."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._reading: Optional[Reading] = None

    def read(self) -> None:
        """What runs while the process stands still, and before others read less."""
        self._reading = self._session.reading(check=True, other_too=True)

    @cached_property
    def _space(self) -> AddressSpace:
        from addrspace_gdb.space.diagram.rows import build

        assert self._reading is not None
        return build(self._reading, each_goroutine=False, check=True)

    @property
    def problem(self) -> Optional[str]:
        """The first sum that is wrong."""
        from addrspace_gdb.commands.addrspace import verdict_on

        return verdict_on(self._space)

    @property
    def note(self) -> str:
        """How many there are, and how many hold."""
        checks = self._space.checks
        holding = f"{sum(one.ok is True for one in checks)} of {len(checks)} sums"
        return f"{holding} are as the kernel and Go have them (`addrspace --check` lists all)\n"


def _ask(task: Task, session: Session, sums: Optional[_Sums]) -> None:
    """What runs while the process stands still: the drawing too, where not all that was read can be kept."""
    if sums is not None:
        sums.read()
    task.ask()
    kept = kept_of(session.target())
    if kept is not None and not kept.whole:
        task.draw()


def _task(asked: Request, session: Session) -> Task:
    line = asked.report
    if line is None:
        line = "addrspace" + " --check" * asked.check + " --stacks" * asked.stacks
    name, _, options = line.strip().partition(" ")
    command = commands.report(name)
    arguments = command.arguments(options)
    if asked.format != "text":
        arguments.format = asked.format
    graph = command.graph(arguments) if command.graph is not None else None
    if graph is not None:
        from addrspace_gdb.commands.heap_graph import prepare

        prepare(asked.pid, asked.core, graph == TYPED_GRAPH, name)
    return Task(command, session, arguments)


def write_problems(asked: Request, problems: Sequence[str]) -> None:
    """Each in a line of its file. OSError."""
    speak = for_shell(asked.typed)
    lines = (line.removeprefix("addrspace ") for line in problems)  # a shell's command is called otherwise
    write_whole(asked.problems, (f"{speak(line) if speak is not None else line}\n" for line in lines))


def write_whole(path: str, pieces: Iterable[str]) -> None:
    """A file that has its name only when all of it is there. OSError."""
    beside = path + ".part"
    try:
        with open(beside, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.writelines(pieces)
    except BaseException:
        try:
            os.unlink(beside)  # its room may be needed to say so
        except OSError:
            pass
        raise
    os.replace(beside, path)


def _stats(visit: Visit, drawing: float) -> str:
    """The line for `--stats`."""
    stopped = visit.stopped
    parts = ["not stopped (a core)" if stopped is None else f"stopped for {stopped * 1000:.0f} ms"]
    parts.append(f"loaded and read in {visit.seconds * 1000:.0f} ms")
    parts.append(f"drawn in {drawing * 1000:.0f} ms")
    return ", ".join(parts) + "\n"
