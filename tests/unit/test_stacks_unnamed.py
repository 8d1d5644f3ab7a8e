"""Stack memory cut without asking for the numbers of goroutines, against the same with them."""

from __future__ import annotations

import random
from array import array
from typing import List, Sequence, Tuple

import pytest

from addrspace_gdb.goruntime import mspan
from addrspace_gdb.goruntime.mspan import FIELDS, PAGE, Spans
from addrspace_gdb.goruntime.proc import DEAD, WAITING, Goroutines, M, Scheduler
from addrspace_gdb.goruntime.stack import Stacks, no_stacks
from addrspace_gdb.goruntime.stackpieces import SIGNAL_STACK
from addrspace_gdb.goruntime.stackpool import POOL_SPAN

Row = Tuple[int, int, int, int]  # lo, hi, status, goid
BASE = 0xC000_0000_0000
ELEMENTS = (2048, 4096, 8192, 16384, POOL_SPAN, 4 * POOL_SPAN)


def scene(rng: random.Random) -> Tuple[Spans, List[Row]]:
    """Spans of stacks, some side by side, most of them full; and the goroutines in them, in any order."""
    rows: List[Row] = [(0, 0, DEAD, 1), (0, 0, DEAD, 2)]
    spans: List[Tuple[int, int, int]] = []
    at = BASE
    for _ in range(80):
        element = rng.choice(ELEMENTS)
        size = max(element, POOL_SPAN)
        spans.append((at, size // PAGE, element))
        used = rng.choice((1.0, 1.0, 0.5))
        for start in range(at, at + size, element):
            if rng.random() < used:
                status = DEAD if rng.random() < 0.1 else WAITING
                rows.append((start, start + element, status, len(rows) + 1))
        at += size + rng.choice((0, 0, PAGE, 16 * PAGE))
    rng.shuffle(rows)
    return spans_of(spans), rows


def spans_of(stacks: Sequence[Tuple[int, int, int]]) -> Spans:
    """Manual spans by start, pages and bytes of a stack."""
    columns = {name: array("Q", bytes(8 * len(stacks))) for name in (*FIELDS, "address")}
    for name in ("state", "spanclass", "user"):
        columns[name] = array("B", bytes(len(stacks)))
    for at, (start, pages, element) in enumerate(stacks):
        columns["start"][at], columns["pages"][at], columns["element"][at] = start, pages, element
        columns["address"][at], columns["state"][at] = at + 1, mspan.MANUAL
    return Spans(columns, columns["address"])


def goroutines_of(rows: Sequence[Row]) -> Goroutines:
    found = Goroutines()
    for name, column in zip(("lo", "hi", "status", "goid"), zip(*rows)):
        found.columns[name] = array("Q", column)
    return found


def threads(rows: Sequence[Row]) -> Scheduler:
    """An M whose stacks are where one goroutine's would be, and outside."""
    lo, hi = rows[0][:2]
    stacks = ((lo, hi), (0x7000_0000, 0x7000_8000))
    return Scheduler([M(1, 3, 77, 0, 0, stacks[0], 0, 0, stacks[1], 0, ())], [])


def both(spans: Spans, rows: Sequence[Row], scheduler: Scheduler) -> Tuple[Stacks, Stacks]:
    """Twice the same: asked for numbers, and not."""
    named = no_stacks(spans, goroutines_of(rows), scheduler)
    assert len(named.pieces)
    return named, no_stacks(spans, goroutines_of(rows), scheduler)


def assert_alike(named: Stacks, unnamed: Stacks) -> None:
    pieces, outside = unnamed.unnamed
    assert named.unnamed == (named.pieces, named.outside)
    assert [piece[:3] for piece in pieces] == [piece[:3] for piece in named.pieces]
    assert [one[:3] for one in outside] == [one[:3] for one in named.outside]
    assert [one for one in outside if one.kind == SIGNAL_STACK] == [
        one for one in named.outside if one.kind == SIGNAL_STACK
    ]
    assert pieces.merged() == named.pieces.merged()


@pytest.mark.parametrize("seed", range(6))
def test_sound_stacks_need_no_numbers(seed: int) -> None:
    spans, rows = scene(random.Random(seed))
    of_thread = next(row for row in rows if row[0])
    rest = [row for row in rows if row is not of_thread]
    named, unnamed = both(spans, rest, threads([of_thread]))
    assert_alike(named, unnamed)
    assert "_cut" not in vars(unnamed)  # it was not worked out with them after all


def _longer(row: Row) -> Row:
    return (row[0], row[1] + 2048, *row[2:])


def _odd(row: Row) -> Row:
    return (row[0] + 8, row[1], *row[2:])


def _upside_down(row: Row) -> Row:
    return (row[1], row[0], *row[2:])


def _nowhere(row: Row) -> Row:
    return ((1 << 64) - 4096, (1 << 64) - 2048, *row[2:])


def _empty(row: Row) -> Row:
    return (row[0], row[0], *row[2:])


@pytest.mark.parametrize("damage", [_longer, _odd, _upside_down, _nowhere, _empty, tuple])
@pytest.mark.parametrize("seed", range(3))
def test_damaged_stacks_are_cut_as_ever(seed: int, damage: object) -> None:
    spans, rows = scene(random.Random(seed))
    assert callable(damage)
    broken = [damage(row) for row in rows[:3] if row[0]]
    named, unnamed = both(spans, [*rows[3:], *broken, *rows[1:2]], Scheduler([], []))
    assert_alike(named, unnamed)


def test_no_goroutine_at_all() -> None:
    named, unnamed = both(spans_of([(BASE, 4, 2048)]), [(0, 0, DEAD, 1)], Scheduler([], []))
    assert_alike(named, unnamed)
