"""Profiles as bytes: what is written by hand is read again by another reader, and the same each time."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, List, Sequence

import pytest
from harness.pprof_file import Sample as ReadSample
from harness.pprof_file import read_pprof

from addrspace_gdb.commands import PROFILES
from addrspace_gdb.commands.profile import _OF_GO
from addrspace_gdb.common.escape import printable
from addrspace_gdb.goruntime.sampling import Scale
from addrspace_gdb.space.profiles.locations import NamedPlaces
from addrspace_gdb.space.profiles.model import Label, Sample, ValueType
from addrspace_gdb.views.pprof import as_text, profile_pieces, varint
from addrspace_gdb.views.profiles import folded, shown_value, top, worded


class Made:
    """A profile of named frames."""

    kind, default, period, period_type, time = "made", "time", 5, ValueType("space", "bytes"), 1 << 60
    types: Sequence[ValueType] = (ValueType("time", "nanoseconds"), ValueType("space", "bytes"))

    def __init__(self, rows: Sequence[Sequence[object]]) -> None:
        self.made, self.notes, self._rows = NamedPlaces(), ["a note", "another"], rows

    def samples(self) -> Iterator[Sample]:
        for values, names, labels in self._rows:
            pieces = self.made.named(names)  # type: ignore[arg-type]
            yield Sample(tuple(values), pieces, tuple(labels))  # type: ignore[arg-type]


ROWS = [
    ((1, -2), ["leaf", "main"], []),
    ((1 << 62, 0), ["leaf;of", "\xe9\udcff\n", "main"], [Label("key", "text"), Label("bytes", number=4096)]),
    ((0, 0), [], []),
    ((3, 300), ["main"], [Label("key", "text")]),
]


def written(path: Path, rows: Sequence[Sequence[object]] = ROWS) -> bytes:
    text = "".join(as_text(profile_pieces(Made(rows))))
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path.read_bytes()


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "made"
    assert written(path) == written(path)
    found = read_pprof(path)
    assert found.types == [("time", "nanoseconds"), ("space", "bytes")] and found.default == "time"
    assert (found.period_type, found.period, found.time) == (("space", "bytes"), 5, 1 << 60)
    assert found.comments == ["a note", "another"]

    def names(sample: ReadSample) -> List[str]:
        return [line[0] for location in sample.stack for line in location[2]]

    assert [(sample.values, names(sample)) for sample in found.samples] == [
        (tuple(values), list(map(printable, stack))) for values, stack, _ in ROWS
    ]
    assert found.samples[1].labels == (("bytes", "", 4096), ("key", "text", 0))


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, "00"), (1, "01"), (127, "7f"), (128, "8001"), (300, "ac02"), (-1, "ff" * 9 + "01")]
    + [((1 << 64) - 1, "ff" * 9 + "01"), (1 << 63, "80" * 9 + "01")],
)
def test_numbers_in_base_128(number: int, expected: str) -> None:
    assert varint(number).hex() == expected


def test_a_line_a_stack() -> None:
    lines = list(folded(Made(ROWS), 0))
    last = f"main;\xe9\\xff\\n;leaf:of {1 << 62}\n"
    assert lines == ["main 3\n", "main;leaf 1\n", last]
    assert all("\n" not in line[:-1] for line in lines)


def test_a_function_that_is_on_a_stack_twice_counts_once() -> None:
    rows: List[Sequence[object]] = [((5, 50), ["f", "g", "f", "main"], []), ((7, 70), ["g", "main"], [])]
    made = Made(rows)
    found = top(made, shown_value(made, "space"))
    uses = {use.function: (use.flat, use.cumulative) for use in found.uses}
    assert uses == {"f": (50, 50), "g": (70, 120), "main": (0, 120)} and found.total == 120
    assert [use.function for use in found.uses] == ["g", "f", "main"]


def test_units() -> None:
    assert [worded("nanoseconds")(n) for n in (5, 1500, 2 * 10**9)] == ["5 ns", "1.50 \xb5s", "2.00 s"]
    assert worded("bytes")(2048) == "2.0 KiB" and worded("count")(1234567) == "1,234,567"


def test_every_kind_is_offered() -> None:
    assert set(PROFILES) == {*_OF_GO, "stacks", "rss", "retained"}


@pytest.mark.parametrize(
    ("rate", "count", "size", "expected"),
    [
        # What runtime/pprof writes of them.
        (524288, 1, 64, (8192, 524320)),
        (524288, 3, 3 * 524288, (4, 2488234)),
        (1, 3, 30, (3, 30)),
        (0, 3, 30, (3, 30)),
        (524288, 0, 0, (0, 0)),
        (524288, -1, -64, (-8192, -524320)),
    ],
)
def test_scaling(rate: int, count: int, size: int, expected: object) -> None:
    assert Scale(rate)(count, size) == expected
