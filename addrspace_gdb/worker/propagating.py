"""Kernels that give objects their types: from those that have one, along the pointers that the type knows.

A type is a shape, by number (goruntime/typeshapes.py); 0 is none.
"""

from __future__ import annotations

from typing import NamedTuple

from addrspace_gdb.worker.arrays import Ints, inlined, kernel
from addrspace_gdb.worker.spans import span_of_number

# How a pointer leads to its target.
UNKNOWN, ONE, MANY, DYNAMIC, DIRECTORY, EITHER = range(6)
NOTHING, TINY, TEXT, FUNCTION = range(4)
# What is counted.
CONFLICTS, MISPLACED, AGAIN = range(3)
# Behind them the first 64 of both: shapes, of what is and of what is said; shapes, and words in them. Then,
# how many sites differ.
FIRST_PAIR, FIRST_PLACE, AT_SITES, COUNTED = 3, 3 + 2 * 64, 3 + 4 * 64, 4 + 4 * 64


class Shapes(NamedTuple):
    """By shape: bytes, words until the pointers repeat, bytes of the slot of a single one, whether an object
    may be larger, the shape it begins with, and where its pointers are in the columns by pointer."""

    sizes: Ints
    periods: Ints
    slots: Ints
    open: Ints
    firsts: Ints
    begin: Ints
    offsets: Ints  # words, ascending
    hows: Ints
    targets: Ints
    others: Ints


class Found(NamedTuple):
    """What is found out, by object; and a queue of those whose pointers are to be followed."""

    shapes: Ints  # of each object
    sure: Ints  # 1: what stands before the object says it, and nothing else can
    queue: Ints
    # COUNTED of them: types that differ, pointers where the type has none, whether the queue was too short,
    # examples, and sites that differ
    counts: Ints
    again: Ints  # 1: a pointer of the object says of another that has no type one that does not fit
    spans: Ints  # the span of every 64th object


class Memo(NamedTuple):
    """By pointer of a shape: which objects, those of a span, get which shape from one that leads to their
    beginning."""

    low: Ints
    high: Ints
    said: Ints


class Dynamic(NamedTuple):
    """What an interface leads to, by the tag of its type."""

    hows: Ints
    targets: Ints


@kernel
def begins_with(shape: int, inner: int, firsts: Ints) -> bool:
    """Whether values of a shape begin with one of another."""
    for _ in range(32):
        if shape == inner:
            return True
        shape = firsts[shape]
        if shape == 0:
            return False
    return False


@inlined
def suits(
    kind: int, slot: int, into: int, how: int, shape: int, size: int, pointers: bool, open_: int, loose: bool
) -> int:
    """Which shape an object in a slot of a span of that kind may have that a pointer leads to: the one that
    it says, of which the rest is, TINY, or NOTHING. `loose`: as large as it is at most."""
    room = slot
    if kind == 2:
        room -= 8
    found = shape
    if kind == 0 and pointers and open_ == 0:
        found = 0
    elif kind == 0 and room == 16 and size < 16:
        return 1
    elif kind != 0 and (shape == 2 or (not pointers and open_ == 0)):
        found = 0
    if size > room or (into != 0 and into != 65535 and (size == 0 or into % size != 0)):
        return 0
    if how != 2 and not loose:
        return 0
    return found


@inlined
def learn(number: int, said: int, begin: Ints, known: Ints, queue: Ints, counts: Ints, tail: int) -> int:
    """Give an object a shape; where the queue ends then."""
    known[number] = said
    if begin[said + 1] == begin[said]:
        return tail
    if tail == len(queue):
        counts[2] = 1
        return tail
    queue[tail] = number
    return tail + 1


@inlined
def give(
    number: int,
    span: int,
    into: int,
    how: int,
    shape: int,
    kinds: Ints,
    sizes: Ints,
    shape_sizes: Ints,
    begin: Ints,
    slots: Ints,
    open_: Ints,
    firsts: Ints,
    known_shapes: Ints,
    sure: Ints,
    queue: Ints,
    counts: Ints,
    loose: int,
    tail: int,
) -> int:
    """Note what a pointer says of an object, which is something and new; where the queue ends then, or -1: it
    says of one without a type what does not fit. (Arrays that stand in a tuple cost as much as all the rest
    each time that they are taken out of it.)"""
    known = known_shapes[number]
    size, pointers = shape_sizes[shape], begin[shape + 1] > begin[shape]
    fits = loose != 0 or (into == 0 and (open_[shape] != 0 or slots[shape] == sizes[span]))
    said = suits(kinds[span], sizes[span], into, how, shape, size, pointers, open_[shape], fits)
    if said == 0:
        return -1 if known == 0 else tail
    if said == known:
        return tail
    if known == 0 or known == 1 or (sure[number] == 0 and begins_with(said, known, firsts)):
        return learn(number, said, begin, known_shapes, queue, counts, tail)
    inside = shape_sizes[known] > 0 and (into == 65535 or into % shape_sizes[known] != 0)  # a part of it
    nested = begins_with(known, said, firsts) or begins_with(said, known, firsts)
    if said != 1 and not inside and not nested:
        if counts[0] < 64:
            counts[3 + 2 * counts[0]] = known
            counts[4 + 2 * counts[0]] = said
        counts[0] += 1
    return tail


@inlined
def pointer_at(shape: int, within: int, begin: Ints, offsets: Ints) -> int:
    """Which of a shape's pointers stands at a word of it; -1 if none does."""
    low, high = begin[shape], begin[shape + 1]
    end = high
    while low < high:
        middle = (low + high) >> 1
        if offsets[middle] < within:
            low = middle + 1
        else:
            high = middle
    if low < end and offsets[low] == within:
        return low  # type: ignore[no-any-return]
    return -1


@inlined
def count_place(shape: int, within: int, counts: Ints) -> None:
    """Count a pointer that stands where its object's type has none."""
    if counts[1] < 64:
        counts[131 + 2 * counts[1]] = shape
        counts[132 + 2 * counts[1]] = within
    counts[1] += 1


@kernel
def follow(  # noqa: C901  what its branches would return, as functions, costs twice the time of all the rest
    head: int,
    tail: int,
    to: Ints,
    index: Ints,
    packed: Ints,
    first: Ints,
    kinds: Ints,
    sizes: Ints,
    shapes: Shapes,
    dynamic: Dynamic,
    found: Found,
    memo: Memo,
    loose: int,
) -> int:
    """Follow the pointers of the objects in the queue, and of those that they give a type; where it ends."""
    queue, known, sure, counts = found.queue, found.shapes, found.sure, found.counts
    again, spans = found.again, found.spans
    begin, offsets, periods, hows, targets, others = (
        shapes.begin,
        shapes.offsets,
        shapes.periods,
        shapes.hows,
        shapes.targets,
        shapes.others,
    )
    shape_sizes, slots, open_, firsts = shapes.sizes, shapes.slots, shapes.open, shapes.firsts
    of_tags, led_to = dynamic.hows, dynamic.targets
    memo_low, memo_high, memo_said = memo.low, memo.high, memo.said
    while head < tail:
        number = queue[head]
        head += 1
        shape = known[number]
        period, likely, last = periods[shape], begin[shape], begin[shape + 1]
        for e in range(index[number], index[number + 1]):
            note = packed[e]
            within = note >> 32
            if within >= period and period > 0:
                within %= period
            p = likely
            if p >= last or offsets[p] != within:
                p = pointer_at(shape, within, begin, offsets)
            if p < 0:
                if open_[shape] == 0:  # others may have more than is known, as closures have
                    count_place(shape, within, counts)
                continue
            likely = p + 1
            how, target, usual = hows[p], targets[p], loose == 0
            if how == 3:
                how, target, usual = of_tags[note & 65535], led_to[note & 65535], False
            elif how == 4:
                how = 2
                if note & 65535 == 1:
                    how, target, usual = 1, others[p], False
            elif how == 5:
                how, usual = 1, False
                if slots[target] != sizes[span_of_number(to[e], first, spans)]:
                    target = others[p]
            other, into = to[e], (note >> 16) & 65535
            was = known[other]
            if how == 0 or target == 0 or was == target or (loose != 0 and was != 0):
                continue
            usual = usual and was == 0 and into == 0
            if usual and memo_low[p] <= other < memo_high[p]:
                tail = learn(other, memo_said[p], begin, known, queue, counts, tail)
                continue
            span = span_of_number(other, first, spans)
            got = give(
                other,
                span,
                into,
                how,
                target,
                kinds,
                sizes,
                shape_sizes,
                begin,
                slots,
                open_,
                firsts,
                known,
                sure,
                queue,
                counts,
                loose,
                tail,
            )
            if got < 0:
                again[number] = 1
                continue
            tail = got
            if usual:
                memo_low[p], memo_high[p], memo_said[p] = first[span], first[span + 1], known[other]
    return tail
