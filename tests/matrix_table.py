"""The table at the end of `scripts/test --matrix`: Go version x build x target, from the tests' own results.

What a test ran is read from its name and parameters. A cell is the number of tests that passed; `2F` says
that two failed, `-` that all were skipped, and nothing that there are none.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import pytest
from harness import full_matrix
from harness.toolchains import NEWEST

# In this order: the first pattern that is found says what it is.
_BUILDS = (
    ("386", r"\b386\b"),
    ("race", r"\brace\b"),
    ("asan", r"\basan\b"),
    ("msan", r"\bmsan\b"),
    ("not optimised", r"\bnoopt\b"),
    ("c-shared", r"\bc-?shared\b"),
    ("c-archive", r"\bc-archive\b"),
    ("plugin", r"\bplugin"),
    ("musl", r"\bmusl"),
    ("static", r"\bstatic"),
    ("external link", r"\b(external|lld|gold)\b"),
    ("pie", r"\bpie\b"),
    ("cgo", r"\bcgo\b"),
    (
        "experiments",
        r"\b(arenas|greentea|nogreenteagc|norandomized\w+|experiments|no\w+map|nospin\w+|nodwarf5)\b",
    ),
    ("exe", ""),
)
_STRIPPED = r"\bstrip|-s -w|\bbare\b|test_stripped"
_TARGETS = (("remote", r"remote|gdbserver|extended|server"), ("core", r"core|panic|abort|segv"), ("live", ""))

Key = Tuple[str, str, str]


class Cell(NamedTuple):
    """What one test was run on."""

    version: str
    build: str
    target: str


def cell_of(version: str, name: str) -> Cell:
    """The cell of a test by its name with its parameters."""
    words = name.replace("_", " ").replace("[", " [")
    build = next(kind for kind, pattern in _BUILDS if re.search(pattern, words))
    if re.search(_STRIPPED, name.replace("test_", "test_", 1)) or re.search(_STRIPPED, words):
        build += ", stripped"
    target = next(kind for kind, pattern in _TARGETS if re.search(pattern, words))
    return Cell(".".join(version.split(".")[:2]), build, target)


def mark(items: Sequence[pytest.Item]) -> None:
    """Note with each test the Go that it is about; the report of its result carries the note."""
    for item in items:
        params = getattr(getattr(item, "callspec", None), "params", {})
        version = params.get("go") or (NEWEST if "newest_go" in getattr(item, "fixturenames", ()) else None)
        if isinstance(version, str):
            name = f"{item.nodeid.split('/')[-1].partition('.py')[0]} {item.name}"
            item.user_properties.append(("cell", tuple(cell_of(version, name))))


class MatrixTable:
    """Counts the results and prints them."""

    def __init__(self) -> None:
        self.counts: Dict[Cell, Counter[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test counts once: by its call, or by what went wrong before or after."""
        cell: Optional[Any] = dict(report.user_properties).get("cell")
        if cell is not None and (report.when == "call" or report.outcome != "passed"):
            self.counts.setdefault(Cell(*cell), Counter())[report.outcome] += 1

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Only where all versions ran."""
        if full_matrix() and self.counts:
            terminalreporter.section("Go version x build x target")
            for line in table(self.counts):
                terminalreporter.write_line(line)


def table(counts: Dict[Cell, Counter[str]]) -> Iterator[str]:
    """One row for each build, one column for each version, one part for each target."""
    versions = sorted({cell.version for cell in counts}, key=lambda v: [int(part) for part in v.split(".")])
    order = [name for name, _ in _BUILDS]
    for target in reversed([name for name, _ in _TARGETS]):
        builds = sorted(
            {cell.build for cell in counts if cell.target == target},
            key=lambda build: (order.index(build.split(",")[0]) + 1) % len(order) * 2 + ("," in build),
        )
        if not builds:
            continue
        yield f"{target:25}" + "".join(f"{version:>7}" for version in versions)
        for build in builds:
            cells: List[str] = [shown(counts.get(Cell(version, build, target))) for version in versions]
            yield f"  {build:23}" + "".join(f"{text:>7}" for text in cells)


def shown(results: Optional[Counter[str]]) -> str:
    """The text of a cell."""
    if not results:
        return ""
    if results["failed"]:
        return f"{results['failed']}F"
    return str(results["passed"]) if results["passed"] else "-"
