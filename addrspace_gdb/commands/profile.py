"""`addrspace profile KIND`: what Go's own pprof would write, from outside, and what it cannot write."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Callable, Dict, Iterator, List, Optional

from addrspace_gdb.commands import PROFILES
from addrspace_gdb.commands.command import Command, Look, drawn, first_of
from addrspace_gdb.commands.options import Parser
from addrspace_gdb.commands.session import Session
from addrspace_gdb.commands.values import limit_value, rows_shown
from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.versions import unreadable
from addrspace_gdb.space.profiles.contention import ContentionProfile, ThreadProfile
from addrspace_gdb.space.profiles.goroutines import GoroutineProfile
from addrspace_gdb.space.profiles.heap import HeapProfile
from addrspace_gdb.space.profiles.model import Profile
from addrspace_gdb.space.profiles.source import Source
from addrspace_gdb.views import profiles as view
from addrspace_gdb.views.kit.text import clean, wrap
from addrspace_gdb.views.kit.tokens import PROBLEM, QUIET, Pair
from addrspace_gdb.views.pprof import as_text, profile_pieces

_EPILOG = """\
With --output the profile is written as `go tool pprof` reads it; without, the functions with most of it
are listed. `heap` is as of the last collection, as Go's own is; all numbers are scaled as pprof's are.
  addrspace profile heap --output heap.pb.gz      then: go tool pprof -http=: heap.pb.gz
  addrspace profile allocs --limit 10             the functions that allocated most"""


def _heap(kind: str, source: Source) -> Profile:
    return HeapProfile(source, kind)


def _contention(kind: str, source: Source) -> Profile:
    return ContentionProfile(source, kind)


KINDS: Dict[str, Callable[[Source], Profile]] = {
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
        description="Write a profile as Go's own pprof would, or list the functions with most of it.",
        epilog=_EPILOG,
    )
    add = made.add_argument
    add("kind", choices=PROFILES, metavar="KIND", help=", ".join(PROFILES))
    add("--format", choices=["pprof", "folded", "text"], help="pprof: a file for `go tool pprof` (default"
        " with --output); folded: a line a stack, for flame graphs; text: a list (default)")  # fmt: skip
    add("--value", metavar="TYPE", default="", help="which number is listed or folded, such as alloc_space;"
        " default: what pprof shows first")  # fmt: skip
    add("--limit", type=limit_value, metavar="N", help="at most N functions; `all` for every one")
    add("-o", "--output", metavar="FILE", help="write to FILE instead of the terminal")
    return made


def parse(line: str) -> argparse.Namespace:
    """The arguments, with the form that goes with them."""
    arguments = parser().parse_line(line)
    if arguments.format is None:
        arguments.format = "text" if arguments.output is None else "pprof"
    return arguments


class Answer:
    """A profile that was read; its samples are worked out when it is written."""

    def __init__(self, source: Source, profile: Profile, arguments: argparse.Namespace) -> None:
        self.source, self.profile, self.arguments = source, profile, arguments

    @property
    def value(self) -> int:
        """Which value is listed."""
        return view.shown_value(self.profile, self.arguments.value)


def ask(session: Session, arguments: argparse.Namespace) -> Answer:
    """Read the selected inferior."""
    with session.progress() as progress, no_cycle_collection():
        source = Source(session.target(), progress)
        try:
            profile = KINDS[arguments.kind](source)
        except (UnreadableError, KeyError) as error:
            raise unreadable(error) from None
    names = [type_.type for type_ in profile.types]
    if arguments.value and arguments.value not in names:
        raise ProblemError(f"--value: {arguments.kind} has {', '.join(names)}")
    return Answer(source, profile, arguments)


def verdict(answer: Answer) -> Optional[str]:
    """What is damaged."""
    return first_of(answer.source.problems)


def draw(answer: Answer, look: Look) -> Iterator[Pair]:
    """The functions with most."""
    width, value = look.width or 1 << 16, answer.value
    found = view.top(answer.profile, value)
    limit = rows_shown(answer.arguments.limit, look.file, 20)
    yield from view.top_lines(answer.profile, found, value, limit, width, look.unicode)
    said = [(PROBLEM, f"problem: {text}") for text in answer.source.problems]
    said += [(QUIET, f"note: {text}") for text in [*answer.profile.notes, *answer.source.notes]]
    for token, text in said:
        for number, part in enumerate(wrap(clean(text, look.unicode), width - 2, 3, look.unicode)):
            yield token, f"{'  ' if number else ''}{part}\n"


def as_folded(answer: Answer, _look: Look) -> Iterator[str]:
    """A line a stack."""
    return view.folded(answer.profile, answer.value)


def as_pprof(answer: Answer, _look: Look) -> Iterator[str]:
    """The file for `go tool pprof`, its bytes as text that comes to the same bytes."""
    with no_cycle_collection():
        yield from as_text(profile_pieces(answer.profile))


def words() -> List[str]:
    """What completion offers."""
    return [*PROFILES, "--format", "--value", "--limit", "--output"]


COMMAND = Command(
    "addrspace profile",
    parser,
    ask,
    {"text": drawn(draw), "folded": as_folded, "pprof": as_pprof},
    verdict,
    words,
    parse=parse,
)
