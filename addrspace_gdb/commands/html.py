"""`addrspace html`: the whole process as one HTML file that can be mailed to others."""

from __future__ import annotations

import argparse
from functools import cached_property
from typing import Any, Callable, Dict, Iterator, List, Optional, TypeVar

from addrspace_gdb.commands import retained, rss, types
from addrspace_gdb.commands.command import PLAIN_GRAPH, TYPED_GRAPH, Command, Look, first_of
from addrspace_gdb.commands.heap_graph import TypedGraph, graph_of, typed_graph_of
from addrspace_gdb.commands.options import Parser, add_look
from addrspace_gdb.commands.session import Session
from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.slots import SlotReader
from addrspace_gdb.space.diagram.rows import build
from addrspace_gdb.space.goroutines.gather import begin_stacks, expect_stacks
from addrspace_gdb.space.graph.counted import name_of
from addrspace_gdb.space.heap.summary import gather_slots, heap_of
from addrspace_gdb.space.profiles.source import time_of
from addrspace_gdb.space.reading.goroutines import GoroutineReading, of_reading
from addrspace_gdb.space.rss.sites import Sites, sites_of
from addrspace_gdb.views.stackparts import program
from addrspace_gdb.views.web.moment import Moment, Parts, moment_of
from addrspace_gdb.views.web.page import page

_EPILOG = """\
The file opens in any modern browser, loads nothing, and can be mailed: the
address space as a ladder, the heap page by page, what is resident as a tree,
goroutines as a flame graph, and tables. Point at anything to read what
`addrspace whereis` says; search for an address, a goroutine (g17), a function
or a type.
  addrspace html --output space.html
  addrspace html --types --retained --output space.html"""


def parser() -> Parser:
    """The command's arguments."""
    made = Parser(
        prog="addrspace html",
        description="Write one HTML file that shows the process, opens anywhere, loads nothing.",
        epilog=_EPILOG,
    )
    add = made.add_argument
    add("--types", action="store_true", help="also what the heap's objects are, as `addrspace types` says")
    add("--retained", action="store_true", help="also who keeps what alive, as `addrspace retained` says")
    add("--format", choices=["html"], default="html", help="form of the output (there is one)")
    add("-o", "--output", metavar="FILE", help="write to FILE (atomically)")
    add_look(made)
    return made


Part = TypeVar("Part")
_DEEP = "--depth 5 --limit 100"  # of what `retained` says


class Answer:
    """What was read; the page is made when it is written."""

    def __init__(self, session: Session, types_too: bool, retained_too: bool) -> None:
        """Read everything that needs the process. ProblemError, UnreadableError."""
        self._target = session.target()
        room = expect_stacks(self._target)
        self._reading = session.reading(check=True, other_too=True)
        self._taken = time_of(self._target) / 1e9
        self._slots: Optional[SlotReader] = None
        self._goroutines: Optional[GoroutineReading] = None
        self._sites: Optional[Sites] = None
        end_stacks: Callable[[], object] = list
        if self._reading.other is None:
            self._goroutines = self._tried("goroutines", lambda: of_reading(self._target, self._reading))
            if self._goroutines is not None:
                end_stacks = begin_stacks(self._goroutines, room)
            self._slots = self._tried("heap", lambda: gather_slots(self._reading, self._target))
        self._read = rss.gathered(self._target, self._reading, self._goroutines)
        if self._reading.other is None:
            runtime = Runtime(self._target, self._reading.problems)
            self._sites = self._read.background.sites or self._tried(
                "allocation sites", lambda: sites_of(runtime, self._read.owners.memory)
            )
        end_stacks()
        self._types: Optional[types.Answer] = None
        self._graph: Optional[TypedGraph] = None
        self._retained: Optional[retained.Answer] = None
        if types_too:
            self._graph = typed_graph_of(session)
            self._types = types.Answer(self._graph, _as_json(types.COMMAND, ""))
        if retained_too:
            graph = typed_graph_of(session) if types_too else graph_of(session)
            self._retained = retained.Answer(graph, [], _as_json(retained.COMMAND, _DEEP))

    def _tried(self, what: str, read: Callable[[], Optional[Part]]) -> Optional[Part]:
        """What was read; None, and a problem is told, if it cannot be: the page has the rest."""
        try:
            return read()
        except (UnreadableError, KeyError, ProblemError) as error:
            self._reading.problems.add(f"{what}: {error}")
            return None

    @property
    def problems(self) -> List[str]:
        """What is damaged."""
        return list(self._reading.problems)

    @cached_property
    def moment(self) -> Moment:
        """All of it worked out."""
        with no_cycle_collection():
            reading = self._reading
            space = build(reading, each_goroutine=False, check=True)
            heap = heap_of(reading, self._target) if self._slots is not None else None
            told_rss = rss.as_json(rss.Answer(self._read, True, None))
            return moment_of(
                Parts(
                    space,
                    reading,
                    heap,
                    self._slots,
                    self._goroutines,
                    told_rss,
                    types.as_json(self._types) if self._types is not None else None,
                    retained.as_json(self._retained) if self._retained is not None else None,
                    self._told_sites(),
                    self._taken or None,
                    types_of_spans(self._graph) if self._graph is not None else None,
                )
            )

    def _told_sites(self) -> Optional[List[Dict[str, Any]]]:
        if self._sites is None:
            return None
        return [{**one.spot._asdict(), "bytes": one.size, "of": one.whole} for one in self._sites.top]

    @property
    def title(self) -> str:
        """The page's title."""
        info = self._reading.info
        return f"{program(info.executable)} · pid {info.pid or '?'} · addrspace-gdb"


def types_of_spans(graph: TypedGraph) -> Dict[int, Optional[str]]:
    """The type of most objects of each span, by where it starts; None where it is not known."""
    told = graph.ask("span_types")
    starts, shapes, known = told.column("starts"), told.column("shapes"), graph.shapes_told
    names = {one: name_of(known[one >> 1], bool(one & 1)) or None for one in set(shapes) if one >= 0}
    return {start: names[one] for start, one in zip(starts, shapes) if one >= 0}


def _as_json(command: Command, line: str) -> argparse.Namespace:
    """The arguments of another command, for its JSON."""
    return command.arguments(f"{line} --format json")


def ask(session: Session, arguments: argparse.Namespace) -> Answer:
    """Read the selected inferior."""
    try:
        return Answer(session, getattr(arguments, "types", False), getattr(arguments, "retained", False))
    except KeyError as error:
        raise ProblemError(f"the runtime's books cannot be read: {error}") from None


def as_html(answer: Answer, _look: Look) -> Iterator[str]:
    """The page."""
    return page([answer.moment], answer.title)


def verdict(answer: Answer) -> Optional[str]:
    """What is damaged."""
    return first_of(answer.problems)


def graph_wanted(arguments: argparse.Namespace) -> Optional[str]:
    """What `types` or `retained` take."""
    return TYPED_GRAPH if arguments.types else PLAIN_GRAPH if arguments.retained else None


COMMAND = Command("addrspace html", parser, ask, {"html": as_html}, verdict, graph=graph_wanted)
