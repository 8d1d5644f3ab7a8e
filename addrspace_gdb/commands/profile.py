"""`addrspace profile KIND`: what Go's own pprof would write, from outside, and what it cannot write."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Callable, Dict, Iterator, Optional, Sequence

from addrspace_gdb.commands import PROFILES
from addrspace_gdb.commands.command import TYPED_GRAPH, Command, Look, drawn, first_of
from addrspace_gdb.commands.options import Parser, add_look
from addrspace_gdb.commands.rss import gathered
from addrspace_gdb.commands.session import Session
from addrspace_gdb.commands.values import limit_value, rows_shown
from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.common.problems import ProblemError, Problems, UnreadableError
from addrspace_gdb.goruntime.versions import unreadable
from addrspace_gdb.space.profiles.contention import ContentionProfile, ThreadProfile
from addrspace_gdb.space.profiles.goroutines import GoroutineProfile
from addrspace_gdb.space.profiles.heap import HeapProfile
from addrspace_gdb.space.profiles.model import Profile
from addrspace_gdb.space.profiles.resident import RssProfile
from addrspace_gdb.space.profiles.retained import RetainedProfile
from addrspace_gdb.space.profiles.source import Source, time_of
from addrspace_gdb.space.profiles.stacks import StackProfile
from addrspace_gdb.space.reading.goroutines import of_reading
from addrspace_gdb.space.rss.build import rss_tree
from addrspace_gdb.space.rss.tree import Node
from addrspace_gdb.views import profiles as view
from addrspace_gdb.views.kit.said import said_lines
from addrspace_gdb.views.kit.tokens import Pair
from addrspace_gdb.views.pprof import as_text, profile_pieces

_EPILOG = """\
With --output the profile is written as `go tool pprof` reads it; without, the functions with most of it
are listed. `heap` is as of the last collection, as Go's own is; all numbers are scaled as pprof's are.
Go has no `stacks` (bytes of stack, used, resident, and goroutines, by frames; all of it is StackInuse),
no `rss` (the tree of `addrspace rss` as a stack of names; all of it is the resident set) and no `retained`
(what is reachable, by what alone keeps it alive: roots, then types; cum is what a frame keeps).
  addrspace profile heap -o heap.pb.gz   then: go tool pprof -http=: heap.pb.gz
  addrspace profile allocs --limit 10    the functions that allocated most"""


def _heap(kind: str, source: Source) -> Profile:
    return HeapProfile(source, kind)


def _contention(kind: str, source: Source) -> Profile:
    return ContentionProfile(source, kind)


_OF_GO: Dict[str, Callable[[Source], Profile]] = {
    "heap": partial(_heap, "heap"),
    "allocs": partial(_heap, "allocs"),
    "goroutine": GoroutineProfile,
    "threadcreate": ThreadProfile,
    "block": partial(_contention, "block"),
    "mutex": partial(_contention, "mutex"),
}


def parser() -> Parser:
    """The command's arguments."""
    made = Parser(
        prog="addrspace profile",
        description="Write a profile as Go's own pprof would, or list the top functions.",
        epilog=_EPILOG,
    )
    add = made.add_argument
    add("kind", choices=PROFILES, metavar="KIND", help=", ".join(PROFILES))
    add("--format", choices=["pprof", "folded", "text"], help="pprof: a file for `go tool pprof` (default"
        " with --output); folded: one line per stack, for flame graphs; text: a list (default)")  # fmt: skip
    add("--value", metavar="TYPE", default="", help="which number is listed or folded, such as alloc_space;"
        " default: what pprof shows first")  # fmt: skip
    add("--limit", type=limit_value, metavar="N", help="at most N functions, or `all`")
    add("-o", "--output", metavar="FILE", help="write to FILE (atomically)")
    add_look(made)
    return made


def parse(line: str) -> argparse.Namespace:
    """The arguments, with the form that goes with them."""
    arguments = parser().parse_line(line)
    if arguments.format is None:
        arguments.format = "text" if arguments.output is None else "pprof"
    return arguments


class Answer:
    """A profile that was read; its samples are worked out when it is written."""

    def __init__(
        self, profile: Profile, arguments: argparse.Namespace, problems: Problems, notes: Sequence[str]
    ) -> None:
        self.profile, self.arguments, self.problems, self.notes = profile, arguments, problems, notes

    @property
    def value(self) -> int:
        """Which value is listed. ProblemError if there is no such one."""
        wanted, names = self.arguments.value, [type_.type for type_ in self.profile.types]
        if wanted and wanted not in names:
            raise ProblemError(f"--value: {self.profile.kind} has {', '.join(names)}")
        return view.shown_value(self.profile, wanted)


def ask(session: Session, arguments: argparse.Namespace) -> Answer:
    """Read the selected inferior."""
    if arguments.kind == "rss":
        return _resident(session, arguments)
    if arguments.kind == "retained":
        return _retained(session, arguments)
    with session.progress() as progress, no_cycle_collection():
        source = Source(session.target(), progress)
        try:
            profile = (
                _stacks(session, source) if arguments.kind == "stacks" else _OF_GO[arguments.kind](source)
            )
        except (UnreadableError, KeyError) as error:
            raise unreadable(error) from None
    return Answer(profile, arguments, source.problems, source.notes)


def _stacks(session: Session, source: Source) -> Profile:
    return StackProfile(source, of_reading(source.target, session.reading()))


def _resident(session: Session, arguments: argparse.Namespace) -> Answer:
    """The tree of `addrspace rss`, which is worked out later."""
    target = session.target()
    read = gathered(target, session.reading(check=True, other_too=True))
    reading = read.reading

    def tree() -> Node:
        return rss_tree(read.target, reading, read.owners, read.c_heap, False).root

    return Answer(RssProfile(tree, time_of(target)), arguments, reading.problems, reading.notes)


def _retained(session: Session, arguments: argparse.Namespace) -> Answer:
    """The dominator tree, which is worked out later."""
    from addrspace_gdb.commands.heap_graph import typed_graph_of
    from addrspace_gdb.commands.retained_profile import kept_rows

    graph = typed_graph_of(session)
    profile = RetainedProfile(partial(kept_rows, graph), time_of(session.target()))
    return Answer(profile, arguments, graph.reading.problems, graph.notes)


def verdict(answer: Answer) -> Optional[str]:
    """What is damaged."""
    return first_of(answer.problems)


def draw(answer: Answer, look: Look) -> Iterator[Pair]:
    """The functions with most."""
    width, value = look.width or 1 << 16, answer.value
    found = view.top(answer.profile, value)
    limit = rows_shown(answer.arguments.limit, look.file, 20)
    yield from view.top_lines(answer.profile, found, value, limit, width, look.unicode)
    notes = [*answer.profile.notes, *answer.notes]
    yield from said_lines(list(answer.problems), notes, width, look.unicode, indent=2)


def as_folded(answer: Answer, _look: Look) -> Iterator[str]:
    """A line a stack."""
    return view.folded(answer.profile, answer.value)


def as_pprof(answer: Answer, _look: Look) -> Iterator[str]:
    """The file for `go tool pprof`, its bytes as text that comes to the same bytes."""
    _ = answer.value  # all values are in the file, but one that is asked for must be among them
    with no_cycle_collection():
        yield from as_text(profile_pieces(answer.profile))


COMMAND = Command(
    "addrspace profile",
    parser,
    ask,
    {"text": drawn(draw), "folded": as_folded, "pprof": as_pprof},
    verdict,
    parse=parse,
    graph=lambda arguments: TYPED_GRAPH if arguments.kind == "retained" else None,
)
