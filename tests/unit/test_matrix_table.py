"""The table that `scripts/test --matrix` prints."""

from __future__ import annotations

from collections import Counter

import pytest
from matrix_table import Cell, cell_of, shown, table


@pytest.mark.parametrize(
    ("name", "build", "target"),
    [
        ("test_addrspace_partition test_areas[go1.21.13-shapes-plain]", "exe", "live"),
        ("test_addrspace_partition test_areas[stripped-go1.21.13-shapes-386]", "386, stripped", "live"),
        ("test_stripped test_roots[go1.27.3-cgo-cgo-strip]", "cgo, stripped", "live"),
        ("test_addrspace_modes test_mode[gdbserver-attach-go1.27.3]", "exe", "remote"),
        ("test_goroutine_stacks_dump test_a_core_says_the_same[gdb13.1-symbols-go1.27.3]", "exe", "core"),
        ("test_addrspace_partition test_areas[go1.27.3-cshared-c-shared]", "c-shared", "live"),
    ],
)
def test_what_a_test_is_about(name: str, build: str, target: str) -> None:
    assert cell_of("1.21.13", name) == Cell("1.21", build, target)


def test_rows_and_cells() -> None:
    counts = {
        Cell("1.9", "exe", "live"): Counter(passed=3),
        Cell("1.27", "exe", "live"): Counter(passed=2, failed=1),
        Cell("1.27", "exe, stripped", "live"): Counter(skipped=1),
        Cell("1.27", "pie", "core"): Counter(passed=12),
    }
    lines = [line.split() for line in table(counts)]
    assert lines == [
        ["live", "1.9", "1.27"],
        ["exe", "3", "1F"],
        ["exe,", "stripped", "-"],
        ["core", "1.9", "1.27"],
        ["pie", "12"],
    ]
    assert shown(None) == "" and all(len(line) < 100 for line in table(counts))
