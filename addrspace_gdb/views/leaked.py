"""Goroutines that can never run again, as text: the verdict."""

from __future__ import annotations

from typing import Iterator

from addrspace_gdb.common import sizes
from addrspace_gdb.space.goroutines.leaks import Leaks
from addrspace_gdb.views.kit.said import wrapped
from addrspace_gdb.views.kit.tokens import HEADING, NEWLINE, PROBLEM, TEXT, Pair


def leaks_verdict(found: Leaks) -> str:
    """How many there are of those that are listed, and what these keep."""
    if not found.blocked:
        return "No goroutine waits for a channel, a lock or the like: none is leaked."
    if not found.leaked:
        return f"No goroutine is leaked: {_rest(found.blocked)}."
    text = f"{sizes.plural(found.leaked, 'goroutine')} can never run again"
    if found.listed < found.leaked:
        text = f"{sizes.count(found.listed)} of {text}"
    they = "it keeps" if found.listed == 1 else "they keep"
    return (
        f"{text}; {they} {sizes.size(found.kept.bytes)} of the heap and {sizes.size(found.stacks)} of stacks."
    )


def _rest(many: int) -> str:
    each = "the one that waits" if many == 1 else f"each of the {sizes.count(many)} that wait"
    return f"{each} for a channel, a lock or the like can be woken by what can run"


def leaks_head(found: Leaks, damaged: bool, width: int, unicode: bool) -> Iterator[Pair]:
    """The verdict, and what it stands on, if all that leads anywhere could be read."""
    texts = [(HEADING, leaks_verdict(found))]
    if found.leaked and damaged:
        texts.append((PROBLEM, "Not all that may lead to them could be read (see below): some may yet run."))
    elif found.leaked:
        they = "it waits" if found.leaked == 1 else "they wait"
        texts.append((TEXT, f"Nothing that can run leads to what {they} for."))
    for token, text in texts:
        yield from wrapped(token, text, width, unicode)
    if found.leaked:
        yield NEWLINE
