"""`goroutine-stacks`: every goroutine's stack: a summary, a list, groups, or bytes by function.

What only one of the forms needs is imported there: starting is a good part of the time that a list takes.
"""

from __future__ import annotations

import argparse
from functools import cached_property, partial
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    FrozenSet,
    Iterable,
    Iterator,
    List,
    Optional,
)

from addrspace_gdb.commands.command import PLAIN_GRAPH, Command, Look, drawn, first_of
from addrspace_gdb.commands.goroutine_args import STATUSES
from addrspace_gdb.commands.goroutine_forms import cards_drawn, groups_drawn, more_line
from addrspace_gdb.commands.goroutine_values import goids_value, label_value, pattern_value
from addrspace_gdb.commands.options import Parser, add_output
from addrspace_gdb.commands.session import Session
from addrspace_gdb.commands.values import (
    ALL,
    duration_value,
    limit_value,
    rows_shown,
    size_value,
    to_file,
)
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.common.sizes import plural
from addrspace_gdb.space.goroutines.chosen import Chosen
from addrspace_gdb.space.goroutines.gather import gather_every, gather_list, gather_rest, gather_stacks
from addrspace_gdb.space.goroutines.listing import Listing, choose, sort
from addrspace_gdb.space.goroutines.summary import matches, summarise
from addrspace_gdb.space.goroutines.user_frame import Users
from addrspace_gdb.space.reading.goroutines import GoroutineReading, read_for_goroutines
from addrspace_gdb.target.protocol import kept_of
from addrspace_gdb.views.goroutines import goroutine_table, summary
from addrspace_gdb.views.kit.said import wrapped
from addrspace_gdb.views.kit.tokens import NEWLINE, PROBLEM, QUIET, Pair

if TYPE_CHECKING:
    from addrspace_gdb.commands.leak_graph import LeakGraph
    from addrspace_gdb.space.goroutines.by_frame import ByFrame

SORTS = ("size", "used", "goid", "wait")
GROUPS = ("function", "stack", "created-by", "status")

_EPILOG = """\
The list shows the user's function: the first frame that is neither the runtime's nor one of
the standard library's ways to block (sync, time.Sleep, os, net, io, syscall, reflect, internal).
Leaked goroutines wait for a channel, a lock or the like that nothing able to run can reach any
more: Go's goroutineleak profile, for every release. What they keep is what would be freed without them.
How long a goroutine waits is known only once the collector has run while it waited.
A goroutine on a thread, even in a system call, is shown where the thread's
registers are; Go's own dump starts at the call of entersyscall, which is a frame or a line further out.
  goroutine-stacks 17 --frames             one goroutine, with its frames
  goroutine-stacks --group stack           the same stacks as one: a leak shows at the top
  goroutine-stacks --leaked --group stack  what can never run again, and what it keeps
  goroutine-stacks --status select --waiting-longer 2h
  goroutine-stacks --by-frame              which functions take the stack space"""


def parser() -> Parser:
    """The command's arguments."""
    made = Parser(
        prog="goroutine-stacks",
        description="Show every goroutine: its state, its stack, and the user's function it is in.",
        epilog=_EPILOG,
    )
    add = made.add_argument
    add(
        "goids",
        nargs="*",
        default=[],
        type=goids_value,
        metavar="GOID",
        help="which goroutines: numbers, FIRST-LAST",
    )
    add("--status", metavar="S", help='only this status or wait reason: running, "chan receive" ...')
    add("--function", type=pattern_value, metavar="REGEX", help="only with such a function on the stack")
    add("--without", type=pattern_value, metavar="REGEX", help="only with no such function on the stack")
    add(
        "--label",
        type=label_value,
        action="append",
        metavar="K=V",
        help="only with this pprof label; repeatable",
    )
    add(
        "--waiting-longer",
        type=duration_value,
        metavar="D",
        help="only those that wait longer: 90s, 1m30s, 2h",
    )
    add("--min-size", type=size_value, default=0, metavar="N", help="only stacks of at least N: 8KiB, 1MiB")
    add("--system", action="store_true", help="the runtime's own goroutines too")
    add("--dead", action="store_true", help="dead goroutines too, cached for reuse")
    add("--leaked", action="store_true", help="only those that can never run again, and what they keep")
    add("--sort", choices=SORTS, default="goid", help="order (default: goid); other orders: largest first")
    add("--limit", type=limit_value, metavar="N", help="at most N rows or groups, or `all`")
    add("--frames", nargs="?", type=limit_value, const=ALL, metavar="N", help="the (first N) frames of each")
    add(
        "--group",
        choices=GROUPS,
        metavar="BY",
        help=f"one row for all with the same: {', '.join(GROUPS)}",
    )
    add("--by-frame", action="store_true", help="stack bytes by function, adding up to StackInuse")
    add("--threads", action="store_true", help="the g0 and signal stacks of each M")
    add_output(made, ["text", "json"])
    return made


class Answer:
    """What was read, and what is shown of it that is no list of goroutines (`done`)."""

    def __init__(self, reading: GoroutineReading, arguments: argparse.Namespace, done: Any = None) -> None:
        self.reading, self.arguments, self.done = reading, arguments, done
        self.users: Optional[Users] = None  # the users' frames of all goroutines, if they were looked for
        self.graph: Optional[LeakGraph] = None  # where only leaked ones are wanted

    @cached_property
    def listing(self) -> Listing:
        """Which goroutines are wanted. ProblemError if none is like that."""
        among = frozenset(self.graph.leaked) if self.graph is not None else None
        found = _listing(self.reading, self.arguments, among)
        if self.users is not None:
            found.users = self.users
        return found


def ask(session: Session, arguments: argparse.Namespace) -> Answer:
    """Read the selected inferior."""
    _refuse(arguments)
    if arguments.leaked:
        return _ask_leaked(session, arguments)
    with session.progress() as progress:
        reading = read_for_goroutines(session.target(), progress)
        if arguments.threads:
            from addrspace_gdb.space.goroutines.thread_stacks import m_stacks

            return Answer(reading, arguments, m_stacks(reading))
        if arguments.by_frame:
            return Answer(reading, arguments, _by_frame(reading))
        answer = Answer(reading, arguments)
        if kept_of(reading.runtime.target) is None:
            len(answer.listing)  # if none is like that it is told now
        else:
            _gather(answer)
        return answer


def _ask_leaked(session: Session, arguments: argparse.Namespace) -> Answer:
    """Which are leaked is known only when the process goes on: all is read that may be shown of any."""
    from addrspace_gdb.commands.leak_graph import leak_graph_of

    graph = leak_graph_of(session)
    answer = Answer(graph.goroutines, arguments)
    answer.graph = graph
    if kept_of(session.target()) is not None:
        gather_stacks(answer.reading, range(len(answer.reading.goroutines)))
        gather_rest(answer.reading)
    return answer


def _by_frame(reading: GoroutineReading) -> Callable[[], ByFrame]:
    """Adds up the frames: at once, or later."""
    from addrspace_gdb.space.goroutines.by_frame import by_frame, guard_size, living

    if kept_of(reading.runtime.target) is not None:
        _ = reading.stacks  # which reads
        guard_size(reading)
        gather_stacks(reading, living(reading))
    return partial(by_frame, reading)


def _gather(answer: Answer) -> None:
    """Read all that is needed of the process: of all goroutines if of most, as choosing takes longer."""
    reading, arguments = answer.reading, answer.arguments
    with_frames = arguments.group == "stack" or arguments.frames is not None
    if arguments.group in ("created-by", "status"):
        gather_stacks(reading, ())
        return
    if _wants_all(arguments, len(reading.goroutines)):
        if with_frames:
            gather_stacks(reading, range(len(reading.goroutines)))
            if arguments.group != "stack":
                gather_rest(reading)
        else:
            answer.users = gather_every(reading)
        return
    listed = answer.listing.positions
    if arguments.group is None:
        usual = len(listed) if arguments.format == "json" else 25
        listed = listed[: rows_shown(arguments.limit, to_file(arguments), usual)]
    if with_frames:
        gather_stacks(reading, listed)
    if arguments.group != "stack":
        gather_list(answer.listing, listed)


def _wants_all(arguments: argparse.Namespace, count: int) -> bool:
    """Whether what is asked for is about all goroutines, or nearly all."""
    if arguments.goids or _filtered(arguments):
        return False
    if arguments.group is not None:
        return True
    if arguments.format == "json":
        return arguments.limit is None or arguments.limit >= count
    return rows_shown(arguments.limit, to_file(arguments), 25) >= count


def _filtered(arguments: argparse.Namespace) -> bool:
    """Whether only some of the goroutines are asked for, by what they are like."""
    patterns = (arguments.status, arguments.function, arguments.without, arguments.waiting_longer)
    return any(one is not None for one in patterns) or bool(arguments.label or arguments.min_size)


def _listing(
    reading: GoroutineReading, arguments: argparse.Namespace, among: Optional[FrozenSet[int]] = None
) -> Listing:
    which = Chosen(
        ranges=tuple(arguments.goids),
        state=arguments.status,
        functions=(arguments.function,) if arguments.function is not None else (),
        waiting_longer=arguments.waiting_longer,
        min_size=arguments.min_size,
        system=arguments.system,
        dead=arguments.dead,
        labels=tuple(arguments.label or ()),
        without=arguments.without,
        among=among,
    )
    listing = choose(reading, which)
    if among is not None and not listing.positions:
        if among:
            raise ProblemError(f"none of {plural(len(among), 'leaked goroutine')} matches")
        return listing
    if not listing.positions and which != Chosen(system=False):
        more = ""
        if listing.unknown_wait:
            more = f" ({listing.unknown_wait:,} more wait, but how long is not known: no collection since)"
        raise ProblemError("no goroutine matches" + more)
    if not listing.positions and (arguments.group is not None or arguments.frames is not None):
        raise ProblemError("there are no goroutines but the runtime's own, if any: --system shows those")
    sort(listing, arguments.sort)
    return listing


def draw(answer: Answer, look: Look) -> Iterator[Pair]:
    """The summary and the list, or what is asked for in its place."""
    arguments = answer.arguments
    if arguments.threads:
        from addrspace_gdb.views.goroutine_groups import thread_table

        yield from thread_table(answer.done, look.width, look.unicode)
    elif answer.graph is not None:
        from addrspace_gdb.commands.leaks import draw_leaks

        yield from draw_leaks(answer.graph, answer.listing, arguments, look)
    elif arguments.by_frame:
        from addrspace_gdb.views.goroutine_groups import by_frame_table

        limit = rows_shown(arguments.limit, look.file, 25)
        yield from by_frame_table(answer.done(), limit, look.width, look.unicode)
    else:
        yield from _text(answer, answer.listing, look)


def as_json(answer: Answer, _look: Look) -> Iterable[str]:
    """goroutine-stacks/1, bit by bit."""
    from addrspace_gdb.views.documents.goroutines import goroutines_json

    arguments, listing = answer.arguments, answer.listing
    if answer.graph is not None:
        from addrspace_gdb.commands.leaks import leaks_json

        return leaks_json(answer.graph, listing, arguments)
    if arguments.limit is not None:
        del listing.positions[arguments.limit :]
    return goroutines_json(listing, arguments.frames)


def verdict(answer: Answer) -> Optional[str]:
    """What is damaged."""
    return first_of(answer.reading.problems if answer.graph is None else answer.graph.all_problems)


def _refuse(arguments: argparse.Namespace) -> None:
    """Options that do not go together."""
    views = [
        name
        for name, given in (
            ("--threads", arguments.threads),
            ("--by-frame", arguments.by_frame),
            ("--group", arguments.group is not None),
        )
        if given
    ]
    if arguments.leaked and (arguments.threads or arguments.by_frame):
        raise ProblemError(f"goroutine-stacks: --leaked and {views[0]} exclude each other")
    if len(views) > 1:
        raise ProblemError(f"goroutine-stacks: {' and '.join(views)} exclude each other")
    if views and arguments.format == "json":
        raise ProblemError(
            f"goroutine-stacks: {views[0]} has no JSON form; the list has (--format json --frames)"
        )


def _text(answer: Answer, listing: Listing, look: Look) -> Iterator[Pair]:
    arguments = answer.arguments
    if arguments.group is not None:
        yield from _groups(answer, listing, look)
    elif arguments.frames is not None or arguments.goids:
        yield from cards_drawn(listing, arguments, look)
    else:
        yield from _list(listing, arguments, look)


def _groups(answer: Answer, listing: Listing, look: Look) -> Iterator[Pair]:
    from addrspace_gdb.space.goroutines.groups import group

    by = answer.arguments.group
    yield from groups_drawn(group(listing, by), listing, answer.arguments, look)


def _list(listing: Listing, arguments: argparse.Namespace, look: Look) -> Iterator[Pair]:
    reading = listing.reading
    shown = listing.positions[: rows_shown(arguments.limit, look.file, 25)]
    total = summarise(reading)
    some = matches(reading, listing.positions) if _filtered(arguments) else None
    yield from summary(reading.info, total, len(reading.threads), look.screen, look.unicode, some)
    yield NEWLINE
    yield from goroutine_table(listing, shown, listing.reading.clock.exact, look.width, look.unicode)
    yield from more_line(len(listing) - len(shown), "goroutine", look)
    said = [(PROBLEM, f"problem: {text}") for text in reading.problems]
    said += [(QUIET, f"note: {text}") for text in [*reading.notes, *reading.problems.left_out]]
    if listing.unknown_wait:
        many = f"{listing.unknown_wait:,} goroutines left out wait, but how long is not known"
        said.append((QUIET, f"note: {many}: no collection since they began to"))
    for token, text in said:
        yield from wrapped(token, text, look.width, look.unicode)


def goids(session: Session) -> List[str]:
    """The numbers of goroutines that there are, as completion offers them."""
    from addrspace_gdb.space.goroutines.census import Census

    try:
        return [str(goid) for goid in Census(session.target()).goids]
    except (ProblemError, UnreadableError):
        return []


def reasons(session: Session) -> List[str]:
    """What the runtime's goroutines can wait for, as it is typed: in quotes where there are blanks."""
    from addrspace_gdb.goruntime.waitreason import wait_reasons

    try:
        known = wait_reasons(session.target())
    except (ProblemError, UnreadableError):
        return []
    return [f'"{text}"' if " " in text else text for text in known if text]


COMMAND = Command(
    "goroutine-stacks",
    parser,
    ask,
    {"text": drawn(draw), "json": as_json},
    verdict,
    graph=lambda arguments: PLAIN_GRAPH if arguments.leaked else None,
    names=goids,
    values={"--status": STATUSES},
    lists={"--status": reasons},
)
