"""Where a statistic comes from is said whole or not at all."""

from __future__ import annotations

from typing import List

import pytest

from addrspace_gdb.goruntime import mstats
from addrspace_gdb.space.counters.statistics import Statistic
from addrspace_gdb.views.memstats import statistics_table, tells_sources

SOURCE = "gcController.heapInUse and heapFree, less what the page caches of Ps hold"
ROWS = [
    Statistic(f"Heap{number}", mstats.BYTES, 1 << 20, SOURCE, 1 << 20, "spans", None) for number in range(20)
]


def text(rows: List[Statistic], width: int) -> str:
    return "".join(part for _, part in statistics_table(rows, width))


@pytest.mark.parametrize("width", [72, 80, 100, 110])
def test_of_many_it_is_left_out_where_it_does_not_fit(width: int) -> None:
    shown = text(ROWS, width)
    assert not tells_sources(ROWS, width) and "From" not in shown and "\u2026" not in shown
    assert len(shown.splitlines()) == 21


def test_where_it_fits_it_is_whole() -> None:
    assert tells_sources(ROWS, 160) and text(ROWS, 160).count(f"{SOURCE}; spans") == 20
    assert tells_sources(ROWS, None)


def test_of_few_it_takes_as_many_lines_as_it_needs() -> None:
    shown = text(ROWS[:2], 80)
    assert max(map(len, shown.splitlines())) <= 80 and "\u2026" not in shown
    assert " ".join(shown.split()).count("gcController.heapInUse") == 2 and shown.count("spans") == 2


def test_why_one_is_not_known_is_always_said() -> None:
    unknown = Statistic("HeapLost", mstats.BYTES, None, SOURCE, None, "", "the counter is damaged")
    assert "the counter is damaged" in text([*ROWS, unknown], 80)
