"""The forms of `goroutine-stacks --leaked`."""

from __future__ import annotations

import argparse
from typing import Iterable, Iterator, Optional

from addrspace_gdb.commands.command import Look
from addrspace_gdb.commands.goroutine_forms import cards_drawn, groups_drawn, more_line
from addrspace_gdb.commands.leak_graph import LeakGraph
from addrspace_gdb.commands.values import rows_shown
from addrspace_gdb.space.goroutines.leaks import Kept, Leaks, grouped
from addrspace_gdb.space.goroutines.listing import Listing
from addrspace_gdb.space.goroutines.summary import matches
from addrspace_gdb.views.documents.goroutines import goroutines_json
from addrspace_gdb.views.goroutines import goroutine_table, heading
from addrspace_gdb.views.kit.said import said_lines
from addrspace_gdb.views.kit.tokens import NEWLINE, Pair
from addrspace_gdb.views.leaked import leaks_head

_ROWS = 25
_WHOLE = 1 << 16  # columns, where nothing is cut


def draw_leaks(
    graph: LeakGraph, listing: Listing, arguments: argparse.Namespace, look: Look
) -> Iterator[Pair]:
    """The verdict, the goroutines as a list, as groups or in full, and what is wrong."""
    by: Optional[str] = arguments.group
    width, listed = look.width or _WHOLE, bool(listing.positions)
    if by is not None and listed:
        groups, kept = grouped(listing, by, graph.keeps)
        yield from leaks_head(_leaks(graph, listing, kept), bool(graph.all_problems), width, look.unicode)
        yield from groups_drawn(groups, listing, arguments, look)
    else:
        kept = graph.keeps([listing.positions])
        yield from leaks_head(_leaks(graph, listing, kept), bool(graph.all_problems), width, look.unicode)
        if arguments.frames is not None or arguments.goids:
            yield from cards_drawn(listing, arguments, look)
        elif listed:
            yield from _list(graph, listing, kept, arguments, look)
    yield from said_lines(graph.all_problems, graph.all_notes, width, look.unicode)


def _leaks(graph: LeakGraph, listing: Listing, kept: Kept) -> Leaks:
    stacks = matches(graph.goroutines, listing.positions).allocated
    return Leaks(graph.blocked, len(graph.leaked), len(listing), kept.all, stacks)


def _list(
    graph: LeakGraph, listing: Listing, kept: Kept, arguments: argparse.Namespace, look: Look
) -> Iterator[Pair]:
    reading = graph.goroutines
    shown = listing.positions[: rows_shown(arguments.limit, look.file, _ROWS)]
    yield from heading(reading.info, len(reading.threads), look.screen, look.unicode)
    yield NEWLINE
    keeps = [kept.each[at].bytes for at in shown]
    yield from goroutine_table(listing, shown, reading.clock.exact, look.width, look.unicode, keeps)
    yield from more_line(len(listing) - len(shown), "goroutine", look)


def leaks_json(graph: LeakGraph, listing: Listing, arguments: argparse.Namespace) -> Iterable[str]:
    """goroutine-stacks/1 of them."""
    kept = graph.keeps([listing.positions])
    found = _leaks(graph, listing, kept)
    if arguments.limit is not None:
        del listing.positions[arguments.limit :]
    return goroutines_json(listing, arguments.frames, graph.all_notes, found, kept.each, graph.all_problems)
