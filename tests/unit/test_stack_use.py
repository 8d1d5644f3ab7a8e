"""How much of their stacks goroutines use, in columns: dead ones and impossible ones among them."""

from __future__ import annotations

from array import array
from typing import Tuple

import pytest

from addrspace_gdb.goruntime.proc import DEAD, GSCAN, WAITING, Goroutines
from addrspace_gdb.goruntime.stack_use import StackUse, live_stacks, stack_use


def made(*rows: Tuple[int, int, int, int]) -> Goroutines:
    """Goroutines with (lo, hi, sp, status)."""
    found = Goroutines()
    for name, column in zip(("lo", "hi", "sp", "status"), zip(*rows)):
        found.columns[name] = array("Q", column)
    for name in ("address", "goid", "syscallsp"):
        found.columns[name] = array(
            "Q", [0x1000 * (at + 1) * (name != "syscallsp") for at in range(len(rows))]
        )
    return found


LIVE = (0x2000, 0x4000, 0x3800, WAITING)
OF_DEATH = (0x8000, 0x9000, 0x8800, DEAD)
SCANNED = (0x6000, 0x7000, 0x6F00, WAITING | GSCAN)
ELSEWHERE = (0xA000, 0xB000, 0x20, WAITING)
UPSIDE_DOWN = (0xD000, 0xC000, 0xC800, WAITING)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ((), StackUse(0, 0, 0, 0, 0)),
        ((LIVE,), StackUse(1, 0x2000, 0x800, 0, 0x2000)),
        ((OF_DEATH,), StackUse(0, 0, 0, 0, 0)),
        ((OF_DEATH, LIVE, SCANNED, OF_DEATH), StackUse(2, 0x3000, 0x900, 0, 0x2000)),
        ((LIVE, ELSEWHERE), StackUse(2, 0x3000, 0x800, 1, 0x2000)),
        ((ELSEWHERE, OF_DEATH, LIVE), StackUse(2, 0x3000, 0x800, 1, 0x2000)),
        ((UPSIDE_DOWN, LIVE, OF_DEATH), StackUse(2, 0x2000, 0x800, 1, 0x2000)),
        (((0x2000, 0x2001, 0x2001, WAITING), OF_DEATH), StackUse(1, 1, 0, 0, 1)),
    ],
)
def test_totals(rows: Tuple[Tuple[int, int, int, int], ...], expected: StackUse) -> None:
    goroutines = made(*rows) if rows else Goroutines()
    before = {name: bytes(column) for name, column in goroutines.columns.items()}
    assert stack_use(goroutines, {}) == expected
    assert {name: bytes(column) for name, column in goroutines.columns.items()} == before


def test_live_stacks_leave_the_dead_out_and_ascend() -> None:
    goroutines = made(SCANNED, OF_DEATH, LIVE)
    assert [list(column) for column in live_stacks(goroutines, {})] == [
        [0x2000, 0x6000],
        [0x4000, 0x7000],
        [0x3800, 0x6F00],
    ]


def test_the_thread_of_a_running_goroutine_says_where_it_is() -> None:
    goroutines = made((0x2000, 0x4000, 0, 2), LIVE)
    assert stack_use(goroutines, {0x1000: 0x3F00}).used == 0x100 + 0x800
