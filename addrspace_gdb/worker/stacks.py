"""Which of the words that were copied from stacks lead to the heap, and whose each is.

What is asked for is as space/goroutines/stack_columns.py and stack_roots.py tell it.
"""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Tuple

from addrspace_gdb.common.messages import Column, Message
from addrspace_gdb.worker.arrays import (
    Ints,
    cut,
    filled,
    inlined,
    joined,
    kernel,
    of_bytes,
    order_of,
    picked,
    widened,
    zeros,
)

GROUP, GOROUTINE, FUNCTION = range(3)  # kinds of owners, as space/graph/owners.py has them


class Stacks(NamedTuple):
    """What was copied. Rows are numbers of goroutines."""

    rows: Ints  # of the blocks, one behind the other
    words: Ints  # of each block a column of its rows behind the other
    block_shapes: Ints
    block_rows: Ints  # how many
    shape_widths: Ints  # words of a row
    shape_begin: Ints  # the slots of a shape that hold pointers in any case
    shape_end: Ints
    shape_first: Ints  # its objects: variables to which there may be pointers
    shape_last: Ints
    object_starts: Ints  # bytes from the stack pointer
    object_ends: Ints
    object_begin: Ints  # their slots
    object_end: Ints
    slot_columns: Ints
    slot_offsets: Ints  # bytes from the stack pointer
    slot_functions: Ints
    slot_places: Ints
    all_sp: Ints  # by goroutine
    all_lo: Ints
    all_hi: Ints


class Roots(NamedTuple):
    """Pointers into the heap; `rows` says whose they are."""

    rows: Ints
    values: Ints
    addresses: Ints
    functions: Ints
    places: Ints


_CODES = "iqqiI"


@kernel
def count_rows(rows: Ints, begin: Ints) -> None:
    """begin[n] becomes how many of the rows are below n; `begin` is one longer than the rows are many."""
    for k in range(len(rows)):
        begin[rows[k] + 1] += 1
    for n in range(len(begin) - 1):
        begin[n + 1] += begin[n]


@kernel
def object_with(offset: int, first: int, last: int, stacks: Stacks) -> int:
    """The last of the objects [first, last) that begins at or before an offset, if that is in it; else -1."""
    low = first
    while low < last:
        middle = (low + last) >> 1
        if stacks.object_starts[middle] <= offset:
            low = middle + 1
        else:
            last = middle
    if low == first or offset >= stacks.object_ends[low - 1]:
        return -1
    return low - 1


class Held(NamedTuple):
    """What records of goroutines hold: those of goroutine n from begin[n] on."""

    begin: Ints
    values: Ints


class Wanted(NamedTuple):
    """Values in [low, high); `none` is the function of what is in no frame."""

    low: int
    high: int
    none: int


class Room(NamedTuple):
    """For one goroutine: its pointers to its own stack; and by object who was the last to look at it."""

    inner: Ints
    seen: Ints


class Word(NamedTuple):
    """Where the words of one goroutine are: those of a shape, the first, and how far it is to the next."""

    shape: int
    first: int
    step: int


@inlined
def put_root(put: Roots, count: int, row: int, value: int, address: int, function: int, place: int) -> int:
    """One more, if there is room for any."""
    if len(put.rows) > 0:
        put.rows[count] = row
        put.values[count] = value
        put.addresses[count] = address
        put.functions[count] = function
        put.places[count] = place
    return count + 1


@kernel
def roots_of_one(
    stacks: Stacks, held: Held, wanted: Wanted, room: Room, put: Roots, count: int, row: int, word: Word
) -> int:
    """Add the roots of one goroutine to `count` others."""
    shape, base = word.shape, stacks.all_sp[row]
    bottom, top = stacks.all_lo[row], stacks.all_hi[row]
    slot, end = stacks.shape_begin[shape], stacks.shape_end[shape]
    record, pending = held.begin[row], 0
    # The slots of the frames; then what records hold; then the slots of each variable that anything leads to.
    while True:
        while slot < end or record < held.begin[row + 1]:
            address, function, place = 0, wanted.none, 0
            if slot < end:
                value = stacks.words[word.first + stacks.slot_columns[slot] * word.step]
                address = base + stacks.slot_offsets[slot]
                function, place = stacks.slot_functions[slot], stacks.slot_places[slot]
                slot += 1
            else:
                value = held.values[record]
                record += 1
            if bottom <= value < top:
                room.inner[pending] = value - base
                pending += 1
            elif wanted.low <= value < wanted.high:
                count = put_root(put, count, row, value, address, function, place)
        if pending == 0:
            return count
        pending -= 1
        offset = room.inner[pending]
        found = object_with(offset, stacks.shape_first[shape], stacks.shape_last[shape], stacks)
        if found >= 0 and room.seen[found] != row:
            room.seen[found] = row
            slot, end = stacks.object_begin[found], stacks.object_end[found]


@kernel
def find_roots(stacks: Stacks, held: Held, wanted: Wanted, room: Room, put: Roots) -> int:
    """How many roots there are; they are put where there is room for any."""
    count = word = place = 0
    for block in range(len(stacks.block_shapes)):
        shape, rows = stacks.block_shapes[block], stacks.block_rows[block]
        for k in range(rows):
            row = stacks.rows[place + k]
            count = roots_of_one(stacks, held, wanted, room, put, count, row, Word(shape, word + k, rows))
        place += rows
        word += rows * stacks.shape_widths[shape]
    return count


class Owners(NamedTuple):
    """Groups of goroutines, goroutines, and the functions of their frames, each behind what it is in."""

    parents: Ints
    kinds: Ints
    names: Ints
    goids: Ints


@kernel
def own(
    roots: Roots,
    started: Ints,
    goids: Ints,
    first: int,
    every: int,
    groups: Ints,
    of: Ints,
    owner: Ints,
    put: Owners,
) -> int:
    """Make the owners of roots, which ascend by row; how many those are. Their numbers are from `first` on,
    groups hang on `every`. owner[n] becomes that of root n, of[n] the one that goroutine n is.

    `groups`, by name, is to be -1 everywhere.
    """
    count = begin = 0
    last = -1
    for k in range(len(roots.rows)):
        row, name = roots.rows[k], roots.functions[k]
        if row != last:
            group = started[row]
            if groups[group] < 0:
                groups[group] = first + count
                put.parents[count], put.kinds[count], put.names[count] = every, GROUP, group
                count += 1
            of[row] = first + count
            put.parents[count], put.kinds[count], put.names[count] = groups[group], GOROUTINE, group
            put.goids[count] = goids[row]
            count += 1
            last, begin = row, count
        at = begin
        while at < count and put.names[at] != name:
            at += 1
        if at == count:
            put.parents[count], put.kinds[count], put.names[count] = of[row], FUNCTION, name
            count += 1
        owner[k] = first + at
    return count


def roots_of(said: Message) -> Tuple[Dict[str, Any], Dict[str, Column]]:
    """The answer: roots with their owners, owners, and by goroutine its owner (-1: it holds nothing)."""
    header = said.header
    apart = Roots(*(_numbers(said, f"apart_{name}") for name in Roots._fields))
    found = _looked_through(said)
    joint = Roots(*(joined(pair, code) for code, pair in zip(_CODES, zip(found, apart))))
    order = order_of(joint.rows)
    roots = Roots(*(picked(one, order) for one in joint))
    started, goids = _numbers(said, "all_started"), _numbers(said, "all_goid")
    many, groups = len(roots.rows), int(header["names"])
    owners = Owners(*(zeros(2 * many + groups, code) for code in "qBIq"))
    of, owner = filled(len(started), -1), zeros(many)
    first, every = int(header["first"]), int(header["every"])
    count = own(roots, started, goids, first, every, filled(groups, -1), of, owner, owners)
    made = [cut(one, int(count)) for one in owners]
    columns = dict(zip(Owners._fields, made))
    columns.update(values=roots.values, addresses=roots.addresses, places=roots.places, owners=owner, of=of)
    return {}, columns


def _looked_through(said: Message) -> Roots:
    """What leads to the heap of the words that were copied."""
    stacks = Stacks(*(_numbers(said, name) for name in Stacks._fields))
    rows, held = _numbers(said, "record_rows"), _numbers(said, "record_values")
    begin = zeros(len(stacks.all_sp) + 1)
    count_rows(rows, begin)
    inner = zeros(len(stacks.slot_columns) + len(held) + 1)
    wanted = Wanted(*(int(said.header[name]) for name in ("low", "high", "no_frame")))

    def find(most: int) -> Tuple[int, Roots]:
        put = Roots(*(zeros(most, code) for code in _CODES))
        room = Room(inner, filled(len(stacks.object_starts), -1))
        return int(find_roots(stacks, Held(begin, held), wanted, room, put)), put

    count, nothing = find(0)
    return find(count)[1] if count else nothing


def _numbers(said: Message, name: str) -> Ints:
    """A column of the message, as wide as kernels have it."""
    code, data = said.columns[name]
    return of_bytes(data, "q") if code in "qQ" else widened(of_bytes(data, code))
