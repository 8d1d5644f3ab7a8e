"""Tables of regions and checks: everything in them, aligned, the same laid out by tabulate and without it."""

from __future__ import annotations

import random
import re
from typing import List, Optional, Sequence, Tuple

import pytest

from addrspace_gdb.common.sizes import size
from addrspace_gdb.space.regions import region as areas
from addrspace_gdb.space.regions.model import Check
from addrspace_gdb.space.regions.region import Region
from addrspace_gdb.views.kit import table as table_module
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.render import render
from addrspace_gdb.views.kit.table import AlikeRows, Column, narrowed, table
from addrspace_gdb.views.kit.text import cells
from addrspace_gdb.views.regions import checks_table, regions_summary, regions_table


def regions(count: int, seed: int = 1, swapped: Optional[int] = 0) -> List[Region]:
    """Regions of every mapped area, with gaps."""
    rng = random.Random(seed)
    made = []
    at = 0x400000
    for i in range(count):
        area = rng.choice(areas.MAPPED_AREAS)
        end = at + 4096 * rng.randint(1, 5000)
        file = f"/usr/lib/x86_64-linux-gnu/a/long/way/down/lib{i}.so.6" if area == areas.SHARED_LIBS else None
        made.append(
            Region(
                at, end, area, "span" if i % 2 else "", f"thing {i}", "rw-p", (end - at) // 2, swapped, file
            )
        )
        at = end + 4096 * rng.randint(0, 3)
    return made


def test_every_region_is_a_row() -> None:
    shown = regions(200)
    lines = render(regions_table(shown)).split("\n")
    assert lines[0].split() == ["Range", "Size", "Resident", "Perm", "Area", "Kind", "Label"]
    for region, line in zip(shown, lines[1:]):
        start, end = line.split()[0].split("-")
        assert (int(start, 16), int(end, 16)) == (region.start, region.end)
        for part in (size(region.size), size(region.resident), region.permissions, region.area):
            assert f" {part} " in line
    total = sum(r.size for r in shown)
    assert lines[201] == f"200 regions, {size(total)}, {size(sum(r.resident or 0 for r in shown))} resident"
    assert max(map(len, lines)) <= 100


def test_paths_lose_their_beginning_only_to_fit() -> None:
    shown = regions(50)
    narrow, whole = render(regions_table(shown)), render(regions_table(shown, width=None))
    lib = next(r for r in shown if r.file)
    assert lib.file
    assert lib.file in whole
    assert lib.file not in narrow
    assert lib.file[-10:] in narrow
    assert "..." in render(regions_table(shown, unicode=False))
    assert render(regions_table(shown, unicode=False)).isascii()


@pytest.mark.parametrize("count", [0, 1, 7, 300])
def test_padding_lays_out_as_tabulate_does(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = regions(count, swapped=8192)
    by_tabulate = render(regions_table(shown, width=None))
    monkeypatch.setattr(table_module, "TABULATE_ROWS", -1)
    assert render(regions_table(shown, width=None)) == by_tabulate
    assert count == 0 or "Swapped" in by_tabulate


def test_ragged_tables_are_alike_too(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = [
        Column(c, side, tokens.TEXT) for c, side in (("a", "right"), ("long one", "left"), ("", "left"))
    ]
    rng = random.Random(3)
    words = ("", "1", "1e5", "-3.50", "0x10", "nan", "word", "two words", "inf", "1,000")
    rows: List[Tuple[str, ...]] = [tuple(rng.choice(words) for _ in columns) for _ in range(200)]
    one = render(table(columns, rows))
    monkeypatch.setattr(table_module, "TABULATE_ROWS", -1)
    assert render(table(columns, rows)) == one


def test_rows_that_are_alike_are_laid_out_as_others() -> None:
    columns = [
        Column(c, side, tokens.TEXT) for c, side in (("N", "right"), ("one", "left"), ("two", "right"))
    ]
    rests = {"a": ("x", "y"), "b": ("longer", ""), "c": ("", "z" * 9)}
    kinds = random.Random(5).choices("abc", k=300)
    numbers = [7 * number for number in range(300)]
    rows = [(str(number), *rests[kind]) for number, kind in zip(numbers, kinds)]
    assert render(table(columns, AlikeRows(numbers, kinds, rests))) == render(table(columns, rows))


def test_unknown_is_not_nothing() -> None:
    known, unknown = regions(2)
    unknown = unknown._replace(resident=None)
    gap = Region(unknown.end, unknown.end + 4096, areas.FREE, "gap", "", "", None, None, None)
    lines = render(regions_table([known, unknown, gap])).split("\n")
    assert "?" not in lines[1]
    assert " ? " in lines[2]
    assert "?" not in lines[3]
    assert lines[4].startswith("2 regions, ")
    assert lines[4].endswith(", ? resident; 1 not mapped")
    text = render(regions_summary([known, unknown, gap]))
    assert text.rstrip().split("\n")[-1].split()[-2:] == ["?", "?"]
    assert "free" not in text


def test_hostile_labels() -> None:
    evil = "\x1b[2J\r\n\u202e" + "長" * 100
    shown = [r._replace(label=evil, file=evil, kind=evil[:6]) for r in regions(5)]
    for unicode in (True, False):
        for text in (
            render(regions_table(shown, unicode=unicode)),
            render(regions_summary(shown, unicode=unicode)),
            render(checks_table([Check(evil, 1, 2, evil)], unicode=unicode)),
        ):
            assert all(line.isprintable() for line in text.split("\n"))
            assert unicode or text.isascii()
    lines = render(regions_table(shown)).split("\n")
    assert max(map(cells, lines)) <= 110
    assert len(lines) == 5 + 3


def test_many_regions_are_all_there() -> None:
    one = regions(500)
    shown: Sequence[Region] = [
        r._replace(start=r.start + (i << 40), end=r.end + (i << 40)) for i in range(120) for r in one
    ]
    text = render(regions_table(shown))
    assert text.count("\n") == len(shown) + 2
    assert text.rstrip().split("\n")[-1].startswith("60,000 regions, ")


def test_summary_adds_up() -> None:
    shown = regions(300)
    lines = render(regions_summary(shown)).rstrip().split("\n")
    counts = [int(line.split()[1].replace(",", "")) for line in lines[1:]]
    assert counts[-1] == 300 == sum(counts[:-1])
    assert len(lines) == 2 + len({(r.area, r.kind) for r in shown})
    order = [line.split()[0] for line in lines[1:-1]]
    assert order == sorted(order, key=areas.AREAS.index)
    heap = [r for r in shown if (r.area, r.kind) == (areas.HEAP, "span")]
    line = next(line for line in lines if line.startswith("heap ") and line.endswith("span"))
    assert size(sum(r.size for r in heap)) in line
    share = 100 * sum(r.size for r in heap) / sum(r.size for r in shown)
    assert abs(float(re.findall(r"([\d.]+)%", line)[0]) - share) <= 0.051


def test_checks_table() -> None:
    checks = [
        Check("heap in use", 4096, 4096, "runtime.MemStats"),
        Check("resident of [heap]", 8192, 4096, "smaps"),
        Check("released", None, 1, "runtime.MemStats"),
    ]
    pairs = list(checks_table(checks))
    lines = render(pairs).rstrip().split("\n")
    assert [line.split()[0] for line in lines[1:4]] == ["ok", "MISMATCH", "unknown"]
    assert lines[2].split() == ["MISMATCH", "8,192", "4,096", "smaps", "resident", "of", "[heap]"]
    assert lines[4] == "3 checks: 1 ok, 1 mismatched, 1 unknown"
    tokens_of = {text.strip(): token for token, text in pairs}
    assert tokens_of["MISMATCH"] is tokens.PROBLEM
    assert tokens_of["ok"] is tokens.GOOD


def test_a_check_that_the_runtime_was_changing_is_no_mismatch_and_says_why() -> None:
    reason = "8.0 KiB of pages are allocated and in no span: a span was being made, or the heap is damaged"
    check = Check("bytes of free pages", 8192, 16384, "MemStats.HeapIdle", (reason,))
    assert check.ok is None
    lines = render(list(checks_table([check, Check("released", 1, 1, "smaps")]))).rstrip().split("\n")
    assert lines[1].split()[0] == "changing"
    assert lines[3:] == [f"note: {reason}", "2 checks: 1 ok, 0 mismatched, 1 changing, 0 unknown"]


def test_columns_give_way_in_order_until_the_rest_fits() -> None:
    columns = [Column(name, "left", tokens.TEXT) for name in ("aaaa", "bb", "cc", "d")]
    rows = [("1234", "12", "12345", "1")]  # 18 columns with the gaps
    every = "aaaa bb cc d"
    for width, names in ((None, every), (18, every), (17, "aaaa bb d"), (10, "aaaa d"), (1, "aaaa d")):
        shown, left = narrowed(columns, rows, width, (2, 1))
        assert [column.heading for column in shown] == names.split(), width
        assert left == [tuple(dict(zip("abcd", rows[0]))[column.heading[0]] for column in shown)]
