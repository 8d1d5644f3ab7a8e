"""The first line of a report: one sentence with the number that matters, and what to look at next."""

from __future__ import annotations

from typing import Iterator, List, Optional, Tuple

from addrspace_gdb.common import sizes
from addrspace_gdb.space.counters.collector import GCState
from addrspace_gdb.space.goroutines.summary import Matches, StackSummary
from addrspace_gdb.space.heap import pages
from addrspace_gdb.space.heap.summary import Heap
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.said import wrapped

_UNLIMITED = 1 << 60  # bytes: a goal of so many is none
_MANY = 1000  # goroutines: fewer are not called many
_NEAR = (9, 10)  # of a memory limit


def verdict_lines(text: str, width: int, unicode: bool = True) -> Iterator[tokens.Pair]:
    """The sentence, wrapped, and an empty line."""
    yield from wrapped(tokens.HEADING, text, width, unicode)
    yield tokens.NEWLINE


def of_heap(heap: Heap) -> str:
    """What most of the heap's memory is, but for what was returned to the OS."""
    returned = heap.uses[pages.RETURNED]
    whole = heap.grown - returned
    amount, name, look = max(_of_heap(heap), key=lambda one: one[0])
    if whole <= 0 or amount <= 0:
        return "The heap is empty."
    of_what = "what Go keeps of the heap" if returned else "the heap"
    return f"{sizes.size(amount)} ({sizes.share(amount, whole)} of {of_what}) is {name}; {look}."


def _of_heap(heap: Heap) -> List[Tuple[int, str, str]]:
    """Each part: bytes, what it is, and where to read on."""
    slots, uses = heap.slots.bytes, heap.uses
    since = slots.since + slots.dead
    return [
        (slots.live, "objects that survived the last GC", "`addrspace retained` says what keeps them"),
        (since, "objects allocated since the last GC", "`addrspace gc` says when the next one comes"),
        (
            slots.free + slots.waste,
            "free slots between objects",
            "`addrspace heap --sizes` has them all",
        ),
        (uses[pages.STACKS], "goroutine stacks", "`goroutine-stacks --group stack` says whose"),
        (uses[pages.FREE], "free pages that Go keeps", "`addrspace gc` says what the scavenger returns"),
        (uses[pages.OTHER], "the collector's work buffers", "`addrspace gc` says what it does"),
    ]


def of_collector(state: GCState) -> str:
    """What the collector does, and what makes it do so."""
    return _pressed(state) or _waiting(state)


def _pressed(state: GCState) -> Optional[str]:
    """Why it cannot do as it would; None if nothing keeps it."""
    live = sizes.size(state.get("heap.live"))
    limit, counted = state.get("settings.memory_limit"), state.get("limited.bytes")
    if state.get("settings.enabled") is False:
        return "The collector is not enabled yet: the program is starting."
    if state.get("limited.cpu_limiter"):
        return f"The limiter of CPU time holds the collector back: {live} live; see `addrspace rss`."
    limited = state.get("settings.memory_limit_set") and limit is not None and counted is not None
    if limited and counted * _NEAR[1] >= limit * _NEAR[0]:
        share = f"{sizes.size(counted)}, {sizes.share(counted, limit)} of the memory limit"
        return f"{share}, count against it: GC runs more often to stay below; see `addrspace rss`."
    if state.get("settings.gogc_off") and not limited:
        return f"GOGC is off and there is no memory limit: {live} stay until runtime.GC is called."
    return None


def _waiting(state: GCState) -> str:
    live, marked = state.get("heap.live"), state.get("heap.marked")
    trigger = state.get("heap.trigger")
    starts = f"the next GC starts at {sizes.size(trigger)}" if (trigger or _UNLIMITED) < _UNLIMITED else ""
    if state.phase in ("mark", "mark termination"):
        return f"A GC cycle is running, with {sizes.size(live)} of heap live; `addrspace heap` has the heap."
    if state.get("cycles.completed") == 0:
        text = f"No GC has run yet: {sizes.size(live)} allocated"
    else:
        text = f"{sizes.size(marked)} survived the last GC"
        if live is not None and marked is not None and live >= marked:
            text += f", up to {sizes.size(live - marked)} allocated since"
    text += f"; {starts}" if starts else ""
    return f"{text}; `addrspace heap` says where the bytes are."


def of_goroutines(total: StackSummary) -> str:
    """How many, what their stacks take, and whether most do the same."""
    stacks = f"{sizes.size(total.allocated)} of stacks, {sizes.share(total.used, total.allocated)} used"
    text = f"{sizes.plural(total.total, 'goroutine')} with {stacks}"
    state, many = next(iter(total.by_state.items()), ("", 0))
    if total.total >= _MANY and 2 * many >= total.total:
        text += f", {sizes.share(many, total.total)} of them [{state}]"
    return f"{text}; `goroutine-stacks --group stack` folds those that are alike."


def of_matches(some: Matches, total: StackSummary) -> str:
    """How many of all goroutines are listed, and what their stacks take."""
    many = f"{sizes.count(some.many)} of {sizes.plural(total.total, 'goroutine')}"
    match = "matches" if some.many == 1 else "match"
    stacks = f"{sizes.size(some.allocated)} of {sizes.size(total.allocated)} of stacks"
    return f"{many} {match}, with {stacks}, {sizes.share(some.used, some.allocated)} used."
