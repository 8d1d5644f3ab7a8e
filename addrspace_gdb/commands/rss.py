"""`addrspace rss`: what the resident bytes are spent on, as a tree, and how counters compare with it."""

from __future__ import annotations

import argparse
import os
from functools import cached_property
from typing import TYPE_CHECKING, Dict, Iterator, List, NamedTuple, Optional

from addrspace_gdb.commands.command import TYPED_GRAPH, Command, Look, document, drawn, first_of
from addrspace_gdb.commands.options import Parser, add_output
from addrspace_gdb.commands.session import Session
from addrspace_gdb.common import sizes
from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.common.problems import Problems
from addrspace_gdb.goruntime.mstats import returns_lazily
from addrspace_gdb.goruntime.persistent import PersistentOwners
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.space.counters.walks import unowned
from addrspace_gdb.space.reading.goroutines import GoroutineReading
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.space.rss.balances import HUGE, LAZY, LOCKED, Balance, Books, balances
from addrspace_gdb.space.rss.build import RssTree, gather_tree, rss_tree
from addrspace_gdb.space.rss.c_heap import CHeap, gather_c_heap, use_of
from addrspace_gdb.space.rss.circumstances import (
    Background,
    Keeper,
    busiest_of,
    circumstances,
    finalizer_bytes,
    gather_background,
    is_leak,
)
from addrspace_gdb.space.rss.findings import Facts, Finding, findings
from addrspace_gdb.target.protocol import Target
from addrspace_gdb.views import rss as view
from addrspace_gdb.views.documents.rss import rss_json
from addrspace_gdb.views.findings import sentence
from addrspace_gdb.views.kit.said import said_lines
from addrspace_gdb.views.kit.text import Line, wrap
from addrspace_gdb.views.kit.tokens import NEWLINE, TEXT, Pair
from addrspace_gdb.views.stackparts import program

if TYPE_CHECKING:
    from addrspace_gdb.commands.heap_graph import TypedGraph

_EPILOG = """\
Every node of the tree is the sum of its children, and the root is the sum of all mappings: resident
bytes are those of smaps, to the byte. Without --depth small and empty nodes are folded.
The first line says what stands out most. The last one says whether the counters of the kernel and of Go
agree with the tree; with --reconcile each counter is reconciled with the tree, and every difference is
named; what has no explanation is shown as not explained.
C's heap is split as glibc's malloc counts it: what a thread keeps for itself (tcache) is in use there.
A core does not say which pages were resident: the tree then shows what the process keeps, which is
its size without what is only reserved and what Go had returned to the OS."""


class Read(NamedTuple):
    """What was read of a process, and is not worked out yet."""

    target: Target
    reading: Reading
    owners: PersistentOwners
    c_heap: CHeap
    background: Background
    returns_lazily: bool


class Accounts(NamedTuple):
    """All there is to show."""

    reading: Reading
    tree: RssTree
    balances: List[Balance]
    findings: List[Finding]
    sentences: List[str]
    unsettled: List[str]


class Answer:
    """What was read, and how it is to be shown; the accounts are made once, when they are asked for."""

    def __init__(
        self,
        read: Read,
        by_class: bool,
        depth: Optional[int],
        reconcile: bool = False,
        graph: Optional[TypedGraph] = None,
    ) -> None:
        self.read, self.by_class, self.depth, self.reconcile = read, by_class, depth, reconcile
        self._graph = graph

    @cached_property
    def accounts(self) -> Accounts:
        """Worked out of what was read."""
        keeper = _keeper(self._graph) if self._graph is not None else None
        return accounts_of(self.read, self.by_class, keeper)


def parser() -> Parser:
    """The command's arguments."""
    made = Parser(
        prog="addrspace rss",
        description="Show what resident memory is spent on, as a tree that adds up to RSS.",
        epilog=_EPILOG,
    )
    made.add_argument("--depth", type=_depth, metavar="N", help="show every node down to depth N")
    made.add_argument(
        "--reconcile", action="store_true", help="show step by step how each counter adds up to the tree"
    )
    made.add_argument("--by-class", action="store_true", help="split the heap's objects by size class")
    made.add_argument(
        "--graph", action="store_true", help="say who keeps most of the heap alive: reads the whole heap"
    )
    add_output(made, ["text", "json"])
    return made


def _depth(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a depth such as 2")
    return int(text)


def ask(session: Session, arguments: argparse.Namespace) -> Answer:
    """Read the selected inferior."""
    read = gathered(session.target(), session.reading(check=True, other_too=True))
    graph = _graph_of(session) if arguments.graph else None
    return Answer(read, arguments.by_class, arguments.depth, arguments.reconcile, graph)


def _graph_of(session: Session) -> TypedGraph:
    from addrspace_gdb.commands.heap_graph import typed_graph_of

    return typed_graph_of(session)


def _keeper(graph: TypedGraph) -> Optional[Keeper]:
    """The root, or the object that only several hold, that keeps most alive by itself. ProblemError."""
    from addrspace_gdb.commands.retained import rows_by_root
    from addrspace_gdb.space.graph.kept import OBJECT, SHARED
    from addrspace_gdb.views.retained import name_of

    found = rows_by_root(graph)
    rows = [*found.suspects_shared, *(row for row in found.rows if row.kind != SHARED)]
    if not rows:
        return None
    most = max(rows, key=lambda row: row.size.bytes)
    name = name_of(most, graph.reading.info.pointer_size)
    if most.kind == OBJECT and most.type:
        name = most.type
    return Keeper(name, *most.size, most.address if most.kind == OBJECT else None)


def verdict(answer: Answer) -> Optional[str]:
    """What is damaged."""
    return first_of(answer.read.reading.problems)


def gathered(target: Target, reading: Reading, goroutines: Optional[GoroutineReading] = None) -> Read:
    """What takes the process, beside a reading made with `check`; `goroutines` of it if they are there."""
    with no_cycle_collection():
        owners = gather_tree(target, reading)
        background = gather_background(target, reading, owners.memory, goroutines)
        c_heap = gather_c_heap(target, reading)
        return Read(target, reading, owners, c_heap, background, returns_lazily(Runtime(target, Problems())))


def accounts_of(read: Read, by_class: bool = False, keeper: Optional[Keeper] = None) -> Accounts:
    """Every byte accounted for."""
    reading = read.reading
    with no_cycle_collection():
        tree = rss_tree(read.target, reading, read.owners, read.c_heap, by_class)
        books = balances(Books(tree.root, tree.regions, reading, os.cpu_count(), read.returns_lazily))
        busiest = busiest_of(read.background)
        waiting = finalizer_bytes(read.background, reading)
        kept = keeper.bytes if keeper is not None else None
        facts = Facts(tree.locked, is_leak(reading, busiest), waiting, read.background.group, kept)
        found = findings(tree.root, facts)
        steps = {step.name for one in books for step in one.steps}
        why = tuple(name for name in (LOCKED, HUGE, LAZY) if name in steps)
        about = circumstances(read.background, reading, found, tree, busiest, why)
        about = about._replace(c_heap=use_of(tree.root, read.c_heap, reading.allocator), keeper=keeper)
        middle: List[str] = []
        if any(one.unexplained for one in books):
            middle = [*reading.in_motion, *filter(None, [unowned(reading.go)])]
        return Accounts(reading, tree, books, found, [sentence(one, about) for one in found], middle)


def as_json(answer: Answer) -> Dict[str, object]:
    """rss/1."""
    made = answer.accounts
    reading, tree = made.reading, made.tree
    return rss_json(
        reading.info,
        tree.root,
        reading.kernel,
        made.balances,
        made.findings,
        made.sentences,
        [*tree.notes, *made.unsettled, *reading.notes],
        list(reading.problems),
    )


def draw(answer: Answer, look: Look) -> Iterator[Pair]:
    """What stands out, the tree, and how counters compare with it."""
    made, unicode = answer.accounts, look.unicode
    reading, tree = made.reading, made.tree
    width = look.width or 1 << 16
    if made.sentences:
        yield from view.sentence_lines(made.sentences, width, unicode)
        yield NEWLINE
    for line in _head(reading, tree, width, unicode):
        yield from line
    yield NEWLINE
    yield from view.tree_lines(tree.root, answer.depth, width, unicode)
    yield NEWLINE
    if made.balances:
        if answer.reconcile:
            yield from view.balance_lines(made.balances, made.unsettled, width, unicode)
        else:
            yield from view.balance_line(made.balances, width, unicode)
    notes = [*tree.notes, *reading.notes]
    yield from said_lines(list(reading.problems), notes, width, unicode, indent=2)


def _head(reading: Reading, tree: RssTree, width: int, unicode: bool) -> Iterator[Line]:
    info = reading.info
    what = {"live": "pid ", "core": "core of pid "}.get(info.kind, f"{info.kind} pid ")
    facts = [
        program(info.executable),
        f"{what}{info.pid or sizes.UNKNOWN}",
        info.go_version or "Go version ?",
        sizes.plural(len(reading.threads), "thread"),
        f"GC phase {reading.go.gc_phase or sizes.UNKNOWN}",
    ]
    yield view.title(facts, width, unicode)
    said = [view.kernel_text(reading.kernel)] if reading.kernel is not None else []
    if tree.root.resident is None:
        said.append(
            'A core does not record residency. "Kept" is memory that the process had not returned to the OS'
            " (without reservations, and files mapped for reading)."
        )
    for text in said:
        for part in wrap(text, width, 2, unicode):
            yield Line(width, unicode).put(TEXT, part)


COMMAND = Command(
    "addrspace rss",
    parser,
    ask,
    {"text": drawn(draw), "json": document(as_json)},
    verdict,
    graph=lambda arguments: TYPED_GRAPH if arguments.graph else None,
)
