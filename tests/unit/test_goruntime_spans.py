"""Spans as columns against each span by itself."""

from __future__ import annotations

import random
from array import array
from typing import Dict, List, Tuple

import pytest

from addrspace_gdb.goruntime.columns import Columns, chosen
from addrspace_gdb.goruntime.mspan import (
    FAULT_CLASS,
    FREED_ARENA,
    IN_USE,
    LARGE,
    MANUAL,
    MANUAL_RUN,
    PAGE,
    SMALL,
    USER_ARENA,
    Spans,
)

Row = Tuple[int, int, int, int, int, int, int]  # start, pages, allocated, spanclass, state, user, element
_CODES = {"start": "Q", "pages": "Q", "allocated": "H", "spanclass": "B", "state": "B", "user": "B"}


def _spans(rows: List[Row]) -> Spans:
    names = [*_CODES, "element"]
    columns: Columns = {name: array(_CODES.get(name, "Q"), part) for name, part in zip(names, zip(*rows))}
    columns["address"] = array("Q", range(160, 160 + 160 * len(rows), 160))
    columns["free_list"] = array("Q", bytes(8 * len(rows)))
    return Spans(columns, columns["address"])


def _kind(row: Row) -> int:
    _, _, _, class_, state, user, _ = row
    if state == MANUAL:
        return MANUAL_RUN
    if user:
        return FREED_ARENA if class_ == FAULT_CLASS else USER_ARENA
    return SMALL if class_ > 1 else LARGE


def _rows(rng: random.Random, apart: bool) -> List[Row]:
    made: List[Row] = []
    at = rng.randrange(1 << 20) * PAGE
    for _ in range(400):
        pages = rng.choice((1, 1, 1, 1, 2, 7, 9000))
        class_, user = rng.choice(((10, 0), (11, 0), (10, 0), (0, 0), (1, 0), (0, 1), (FAULT_CLASS, 1)))
        state = rng.choice((IN_USE, IN_USE, IN_USE, MANUAL))
        made.append((at, pages, rng.randrange(9), class_, state, user, 64 if class_ > 1 else 8192 * pages))
        at += (pages + rng.choice((0, 0, 0, 0, 1, 20000) if apart else (0, -1, 3))) * PAGE
    rng.shuffle(made)
    return made


def _owners(rows: List[Row]) -> Dict[int, int]:
    """Page to what holds it; of spans that overlap the first by address."""
    owners: Dict[int, int] = {}
    for row in sorted(rows, key=lambda row: (row[0], row[1], _kind(row))):
        for page in range(row[0] // PAGE, row[0] // PAGE + row[1]):
            owners.setdefault(page, _kind(row))
    return owners


@pytest.mark.parametrize("apart", [True, False], ids=["apart", "overlapping"])
@pytest.mark.parametrize("seed", range(6))
def test_runs_cover_what_the_spans_cover(seed: int, apart: bool) -> None:
    rows = _rows(random.Random(seed), apart)
    spans = _spans(rows)
    covered = {page: kind for start, end, kind in spans.runs for page in range(start // PAGE, end // PAGE)}
    assert covered == _owners(rows)
    assert sum(end - start for start, end, _ in spans.runs) == len(covered) * PAGE
    for (_, end, kind), (start, _, following) in zip(spans.runs, spans.runs[1:]):
        assert end < start or (end == start and (kind != following or not apart))
    assert (not spans.damage()) == apart


def test_spans_too_far_apart_for_maps() -> None:
    rows: List[Row] = [(at << 36, 1, 1, 10, IN_USE, 0, 64) for at in range(1, 20_000)]
    assert _spans(rows).runs == [(at << 36, (at << 36) + PAGE, SMALL) for at in range(1, 20_000)]


@pytest.mark.parametrize("seed", range(4))
def test_totals_are_those_of_each_span(seed: int) -> None:
    rows = _rows(random.Random(seed), apart=True)
    spans = _spans(rows)
    counted = [row for row in rows if _kind(row) in (SMALL, LARGE, USER_ARENA)]
    assert spans.in_use == len(counted) and spans.in_use_bytes == sum(row[1] for row in counted) * PAGE
    assert spans.objects == sum(row[2] for row in counted)
    assert spans.object_bytes == sum(row[2] * row[6] for row in counted)
    for class_, found in spans.classes.items():
        own = [row for row in counted if row[3] == class_]
        assert (found.spans, found.objects) == (len(own), sum(row[2] for row in own))
        assert found.noscan == bool(class_ & 1) and found.size == (64 if class_ > 1 else 0)
    assert sorted(spans.user_arenas) == sorted(row[0] for row in rows if row[5] and row[4] == IN_USE)
    assert [span.start for span in spans.manual] == sorted(row[0] for row in rows if row[4] == MANUAL)


def test_no_spans() -> None:
    spans = Spans({name: array("Q") for name in (*_CODES, "element", "free_list", "address")}, [])
    assert not spans.runs and not spans.manual and not spans.classes and not spans.damage()


@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.995, 1.0])
def test_rows_are_chosen_in_every_column(kept: float) -> None:
    rng = random.Random(3)
    columns: Columns = {code: array(code, (rng.randrange(100) for _ in range(5000))) for code in "BHIQq"}
    mask = bytes(rng.random() < kept for _ in range(5000))
    found = chosen(columns, mask)
    for code, column in columns.items():
        assert found[code].typecode == code
        assert found[code].tolist() == [n for n, keep in zip(column, mask) if keep]
