"""Counting slots, folding pages and laying out the heap's tables: pure code, against brute force."""

from __future__ import annotations

import random
from array import array
from typing import List, Tuple

import pytest

from addrspace_gdb.commands.values import ALL, limit_value, range_value, size_value, split_expression
from addrspace_gdb.goruntime.mspan import IN_USE, PAGE
from addrspace_gdb.goruntime.slotcount import Large, Parts, in_range, sum_parts
from addrspace_gdb.goruntime.slots import Masks, SpanRow
from addrspace_gdb.process.page_runs import PageRuns
from addrspace_gdb.space.heap.page_map import MIXED, page_map
from addrspace_gdb.space.heap.pages import FREE, OBJECTS, RESERVED, RETURNED, STACKS, UseRun, free_runs
from addrspace_gdb.views.heap import free_table, large_table
from addrspace_gdb.views.heapmap import map_columns, page_map_lines
from addrspace_gdb.views.kit.render import render


def span(pages: int, slots: int, element: int) -> SpanRow:
    """A span of small objects."""
    return SpanRow(1 << 30, pages, 0, slots, 0, 0, 0, 0, 4, IN_USE, 0, element, 0)


def brute(row: SpanRow, masks: Masks, low: int, high: int) -> Parts:
    """Byte by byte."""
    counts = dict.fromkeys(Parts._fields, 0)
    for at in range(low, high):
        index = at // row.element
        names = [name for name, mask in zip(Masks._fields, masks) if mask >> index & 1]
        counts["waste" if index >= row.slots else names[0] if names else "free"] += 1
    return Parts(**counts)


@pytest.mark.parametrize("seed", range(20))
def test_parts_of_a_range_are_those_of_its_bytes(seed: int) -> None:
    rng = random.Random(seed)
    slots, element = rng.choice(((8, 1000), (1, 8192), (1024, 8), (99, 80), (3, 2688)))
    row = span(1, slots, element)
    taken = rng.getrandbits(slots)
    live = taken & rng.getrandbits(slots)
    masks = Masks(live, taken & ~live & rng.getrandbits(slots), 0)
    masks = masks._replace(dead=taken & ~(masks.live | masks.since))
    for _ in range(20):
        low, high = sorted((rng.randint(0, PAGE), rng.randint(0, PAGE)))
        assert in_range(row, masks, low, high) == brute(row, masks, low, high)
    assert in_range(row, None, 10, 20) == Parts(unknown=10)


def test_parts_add_up() -> None:
    one, two = Parts(1, 2, 3, 4, 5, 6), Parts(10, 20, 30, 40, 50, 60)
    assert sum_parts([one, two]) == Parts(11, 22, 33, 44, 55, 66) and sum_parts([]) == Parts()
    assert one.allocated == 6 and one.total == 21


@pytest.mark.parametrize("seed", range(30))
def test_settled_runs_answer_as_counting_does(seed: int) -> None:
    rng = random.Random(seed)
    runs = PageRuns()
    at = 0
    while at < 400:
        at += rng.randint(0, 9)
        runs.append(at, at + 1 + rng.randint(0, 20))
        at = runs.ends[-1]
    starts = sorted(rng.sample(range(0, 400, 40), 3))
    for start in starts:
        runs.override(start, start + 30, rng.choice((0, 30, 30, None, 7)))
    settled = runs.settled()
    assert isinstance(settled.starts, array)
    for _ in range(200):
        low, high = sorted((rng.randint(0, 430), rng.randint(0, 430)))
        pieces = settled.pieces(low, high)
        if pieces is not None:
            assert sum(end - start for start, end in pieces) == runs.count(low, high)
            low_at, high_at = settled.run_at(low)
            assert (low_at <= low < high_at) == (runs.count(low, low + 1) == 1) or low_at == high_at
        else:
            assert any(low < start + 30 and start < high for start in starts)


def test_free_runs_join_what_was_returned_and_what_was_not() -> None:
    kinds: List[Tuple[int, str]] = [
        (3, FREE),
        (1, RETURNED),
        (2, OBJECTS),
        (1, RETURNED),
        (1, STACKS),
        (8, FREE),
    ]
    runs, at = [], 1 << 30
    for pages, use in kinds:
        runs.append(UseRun(at, at + pages * PAGE, use))
        at = runs[-1].end
    found = free_runs(runs)
    assert (found.runs, found.size) == (3, 13 * PAGE)
    assert found.longest is not None and found.longest.size == 8 * PAGE
    assert [tuple(one) for one in found.by_length] == [
        (1, 1, PAGE, PAGE),
        (4, 1, 4 * PAGE, PAGE),
        (8, 1, 8 * PAGE, 0),
    ]
    text = render(free_table(found))
    assert "3 free runs, 104.0 KiB; longest 64.0 KiB at 0x000040010000" in text
    assert "no free pages" in render(free_table(free_runs([])))


@pytest.mark.parametrize("seed", range(12))
def test_any_heap_fits_its_rows(seed: int) -> None:
    rng = random.Random(seed)
    runs, at = [], rng.choice((0xC000000000, 0x3A9F68000000))
    for _ in range(rng.choice((1, 40, 3000))):
        size = PAGE * rng.randint(1, rng.choice((4, 5000)))
        runs.append(UseRun(at, at + size, rng.choice((OBJECTS, FREE, RETURNED, STACKS, RESERVED))))
        at += size + rng.choice((0, 0, 64 << 20))
    columns = map_columns(100, 8)
    made = page_map(runs, columns, 12)
    assert columns == 64 and len(made.rows) <= 12 and made.cell & (made.cell - 1) == 0
    for start, cells in made.rows:
        assert len(cells) == columns and start % (made.cell * columns) == 0 and any(cells)
    shown = {(row.start + i * made.cell): use for row in made.rows for i, use in enumerate(row.cells)}
    for run in runs:
        if run.use != RESERVED:
            assert shown[run.start // made.cell * made.cell] != ""
    for unicode in (True, False):
        lines = render(page_map_lines(made, 100, unicode)).split("\n")
        assert max(map(len, lines)) <= 100 and (unicode or "\n".join(lines).isascii())


def test_a_cell_of_a_page_shows_the_page() -> None:
    kinds = [OBJECTS, OBJECTS, FREE, RETURNED, STACKS, "other"]
    runs = [UseRun((64 + i) * PAGE, (65 + i) * PAGE, use) for i, use in enumerate(kinds)]
    made = page_map(runs, 64, 12)
    assert (made.cell, made.rows[0].start, made.rows[0].cells[:6]) == (PAGE, 64 * PAGE, kinds)
    lines = render(page_map_lines(made, 100)).splitlines()
    assert lines[0] == "Page map  a cell is a page; a row 512.0 KiB"
    assert lines[1] == "0x000000080000  ██░·s+"
    assert render(page_map_lines(made, 100, False)).splitlines()[1] == "0x000000080000  ##-.s+"
    folded = page_map([runs[0], UseRun(65 * PAGE, 66 * PAGE, FREE)], 1, 1)
    assert folded.rows[0].cells == [MIXED] and folded.cell == 2 * PAGE
    most = page_map([UseRun(64 * PAGE, 79 * PAGE, OBJECTS), UseRun(79 * PAGE, 80 * PAGE, FREE)], 1, 1)
    assert most.rows[0].cells == [OBJECTS]
    least = page_map([UseRun(64 * PAGE, 65 * PAGE, OBJECTS), UseRun(65 * PAGE, 68 * PAGE, FREE)], 1, 1)
    assert least.rows[0].cells == [FREE]


def test_large_objects_say_what_they_are() -> None:
    text = render(large_table([Large(0xC000100000, 1 << 20, 1000000, True, False, "dead")]))
    assert text.splitlines()[1].split("  ") == [
        "0x00c000100000",
        "976.6 KiB",
        "1.0 MiB",
        "noscan",
        "dead, not swept yet",
    ]


def test_types_of_large_objects_stand_where_they_are_known() -> None:
    objects = [Large(0xC000100000 + (at << 20), 1 << 20, 1 << 20, False, False, "live") for at in range(2)]
    lines = render(large_table(objects, 8, {0xC000200000: "main.Huge"}, 100)).splitlines()
    assert lines[0].endswith("Type") and lines[2].endswith("  main.Huge")
    assert "Type" not in render(large_table(objects, 8, {1: "main.Huge"}, 100))
    long = render(large_table(objects, 8, {0xC000200000: "main.Pair[" + "x" * 99 + "]"}, 80))
    assert all(len(line) <= 80 for line in long.splitlines())


def test_values_of_options() -> None:
    assert [size_value(text) for text in ("8192", "8KiB", "1M", "3B")] == [8192, 8192, 1 << 20, 3]
    assert limit_value("all") == ALL and limit_value("7") == 7 and limit_value("007") == 7
    assert limit_value("0") == 0 and limit_value("9" * 18) == 10**18 - 1
    assert limit_value("9" * 19) == limit_value("9" * 5000) == ALL
    assert range_value("$lo, 0x10") == ["$lo", "0x10"]
    assert split_expression(" 'main.List' + 8 --format json") == ("'main.List' + 8", "--format json")
    assert split_expression("--limit 3 p") == ("", "--limit 3 p")
    for wrong, value in ((size_value, "8 blocks"), (limit_value, "few"), (range_value, "1,2,3")):
        with pytest.raises(Exception, match="is not"):
            wrong(value)
