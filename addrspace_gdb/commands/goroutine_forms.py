"""Goroutines as groups and in full: what `goroutine-stacks` draws, of all of them or of leaked ones."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING, Iterator, Sequence

from addrspace_gdb.commands.command import Look
from addrspace_gdb.commands.values import ALL, rows_shown
from addrspace_gdb.common.sizes import plural
from addrspace_gdb.space.goroutines.listing import Listing, details, frames_of
from addrspace_gdb.views.goroutines import card
from addrspace_gdb.views.kit.said import wrapped
from addrspace_gdb.views.kit.tokens import NEWLINE, QUIET, Pair

if TYPE_CHECKING:
    from addrspace_gdb.space.goroutines.groups import Group


def groups_drawn(
    groups: Sequence[Group], listing: Listing, arguments: argparse.Namespace, look: Look
) -> Iterator[Pair]:
    """The groups of a listing."""
    from addrspace_gdb.space.goroutines.groups import frames_of_group
    from addrspace_gdb.views.goroutine_groups import group_table, stack_groups

    if arguments.group == "stack":
        shown = groups[: rows_shown(arguments.limit, look.file, 5)]
        hidden = arguments.frames is not None
        limit = arguments.frames if hidden else ALL if look.file else 12
        frames = partial(frames_of_group, listing, hidden=hidden)
        yield from stack_groups(
            shown, frames, limit, len(listing), listing.reading.clock.exact, look.width, look.unicode
        )
        yield from more_line(len(groups) - len(shown), "distinct stack", look)
    else:
        shown = groups[: rows_shown(arguments.limit, look.file, 25)]
        yield from group_table(
            shown, arguments.group, len(listing), listing.reading.clock.exact, look.width, look.unicode
        )
        yield from more_line(len(groups) - len(shown), "group", look)


def cards_drawn(listing: Listing, arguments: argparse.Namespace, look: Look) -> Iterator[Pair]:
    """Each goroutine in full."""
    shown = listing.positions[: rows_shown(arguments.limit, look.file, 25)]
    for number, (at, row) in enumerate(zip(shown, details(listing, shown))):
        if number:
            yield NEWLINE
        frames = frames_of(listing.reading, at) if arguments.frames is not None else []
        limit = arguments.frames or 0
        yield from card(
            row,
            frames[:limit],
            max(0, len(frames) - limit),
            listing.reading.clock.exact,
            look.width,
            look.unicode,
        )
    yield from more_line(len(listing) - len(shown), "goroutine", look)


def more_line(count: int, what: str, look: Look) -> Iterator[Pair]:
    """How many are not shown, if any, and how to see them."""
    if count > 0:
        some = plural(count, f"more {what}")
        hint = "--limit all shows every one" + (
            ", --group stack folds equal ones" if what == "goroutine" else ""
        )
        yield from wrapped(QUIET, f"{some}: {hint}", look.screen, look.unicode)
