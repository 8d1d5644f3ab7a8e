"""`addrspace memstats`: runtime.MemStats and runtime/metrics, rebuilt from memory."""

from __future__ import annotations

import argparse
from fnmatch import fnmatchcase
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set

from addrspace_gdb.commands.command import Command, Look, document, drawn, first_of
from addrspace_gdb.commands.options import Parser, add_output
from addrspace_gdb.commands.session import Session
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError, is_absent
from addrspace_gdb.goruntime.metrics import NAMES
from addrspace_gdb.goruntime.mstats import FIELDS
from addrspace_gdb.space.counters.statistics import Statistic, Statistics, read_statistics
from addrspace_gdb.views import memstats as view
from addrspace_gdb.views.documents.memstats import ARRAYS, BY_SIZE, PAUSE_END, PAUSE_NS, memstats_json
from addrspace_gdb.views.kit.said import wrapped
from addrspace_gdb.views.kit.tokens import NEWLINE, QUIET, Pair

WIDEST = 1 << 16

_EPILOG = """\
A FIELD is a name (HeapInuse, /memory/classes/heap/free:bytes), part of one, or a pattern with
* in it. BySize, PauseNs and PauseEnd are shown as text when they are named.
Counted is what the runtime's own counters say, as runtime.ReadMemStats and metrics.Read would
return it now; walked is the same figure added up over the runtime's structures. The two agree
unless the process was stopped mid-update, or something is damaged.
ReadMemStats counts the objects that Ps hold in their caches; metrics.Read does not."""


class Answer(NamedTuple):
    """The statistics, and what of them is asked for."""

    stats: Statistics
    memstats: List[Statistic]
    metrics: List[Statistic]
    arrays: Set[str]
    everything: bool


def parser() -> Parser:
    """The command's arguments."""
    made = Parser(
        prog="addrspace memstats",
        description="Show runtime.MemStats and what runtime/metrics has, rebuilt from memory.",
        epilog=_EPILOG,
    )
    made.add_argument("fields", nargs="*", default=[], metavar="FIELD", help="which of them (default: all)")
    add_output(made, ["text", "json"])
    return made


def ask(session: Session, arguments: argparse.Namespace) -> Answer:
    """Read the statistics of the selected inferior."""
    reading = session.reading()
    return choose(read_statistics(session.target(), reading), arguments.fields)


def choose(stats: Statistics, fields: Sequence[str]) -> Answer:
    """The rows that are asked for; all if none are named. ProblemError for a name that nothing has."""
    if not fields:
        return Answer(stats, stats.memstats, stats.metrics, set(ARRAYS), True)
    names = [row.name for row in [*stats.memstats, *stats.metrics]]
    wanted = {name for field in fields for name in _matching(field, [*names, *ARRAYS])}
    return Answer(
        stats,
        [row for row in stats.memstats if row.name in wanted],
        [row for row in stats.metrics if row.name in wanted],
        wanted & set(ARRAYS),
        False,
    )


def _matching(field: str, names: Sequence[str]) -> List[str]:
    asked = field.lower()
    exact = [name for name in names if name.lower() == asked]
    found = exact or [name for name in names if _fits(name.lower(), asked)]
    if not found:
        raise ProblemError(f"addrspace memstats: unknown field {printable(field)!r}")
    return found


def _fits(name: str, asked: str) -> bool:
    return fnmatchcase(name, asked) if "*" in asked else asked in name


def draw(chosen: Answer, look: Look) -> Iterator[Pair]:
    """The tables, and whether counters and walks agree."""
    stats, width, unicode = chosen.stats, look.width, look.unicode
    room = width or WIDEST
    yield from view.title(stats, room, unicode)
    for rows in (chosen.memstats, chosen.metrics):
        if rows:
            yield NEWLINE
            yield from view.statistics_table(rows, width, unicode)
    if not chosen.everything:
        yield from _arrays(stats, chosen.arrays)
    yield NEWLINE
    for line in view.agreement([*chosen.memstats, *chosen.metrics], stats, room, unicode):
        yield from line
    if chosen.everything:
        said = "BySize, PauseNs, PauseEnd: `addrspace memstats BySize` shows them"
        yield from wrapped(QUIET, said, width, unicode)
        if not view.tells_sources(chosen.memstats, width, unicode):
            said = "where each comes from: `addrspace memstats Heap`, or any other name, or --width 160"
            yield from wrapped(QUIET, said, width, unicode)


def _arrays(stats: Statistics, wanted: Set[str]) -> Iterator[Pair]:
    if BY_SIZE in wanted and stats.by_size is not None:
        yield NEWLINE
        yield from view.by_size_table(stats.by_size)
    if wanted & {PAUSE_NS, PAUSE_END} and stats.pauses is not None:
        yield NEWLINE
        yield from view.pauses_table(stats.pauses)


def as_json(chosen: Answer) -> Dict[str, Any]:
    """memstats/1."""
    return memstats_json(chosen.stats, chosen.memstats, chosen.metrics, chosen.arrays)


def verdict(chosen: Answer) -> Optional[str]:
    """What a script must know: damage, and walks that differ from counters. None if all is well."""
    stats = chosen.stats
    why = f" ({stats.unsettled[0]})" if stats.unsettled else ""
    wrong = [
        f"{row.name}: {row.walked:,} walked is not {row.counted:,} counted{why}" for row in stats.differing
    ]
    wrong += [
        f"{row.name}: {row.reason}"
        for row in [*stats.memstats, *stats.metrics]
        if row.reason is not None and not is_absent(row.reason)
    ]
    wrong += list(stats.problems)
    return first_of(wrong)


COMMAND = Command(
    "addrspace memstats",
    parser,
    ask,
    {"text": drawn(draw), "json": document(as_json)},
    verdict,
    words=(*(field.name for field in FIELDS), *ARRAYS, *NAMES),
)
