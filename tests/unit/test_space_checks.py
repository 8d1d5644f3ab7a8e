"""A counter of the runtime that differs is excused if there is a reason for it, and only then."""

from __future__ import annotations

from typing import Any, List, Tuple

import pytest

from addrspace_gdb.space.counters import checks
from addrspace_gdb.space.regions.model import Check

PAGES = "8.0 KiB of pages are allocated and in no span"
LOCK = "a thread was inside the page allocator"


@pytest.mark.parametrize(
    ("ours", "moved", "in_motion", "because"),
    [
        (16384, 0, [LOCK], ()),  # they agree
        (8192, 8192, [], (PAGES,)),
        (24576, -8192, [], (PAGES,)),
        (8192, 4096, [], ()),  # another amount says nothing
        (8192, 8192, [LOCK], (LOCK, PAGES)),
        (8192, 0, [LOCK], (LOCK,)),
        (16384 - (8 << 20), 8 << 20, [], ()),  # more than is ever moved at once
    ],
)
def test_a_difference_has_its_reasons(
    monkeypatch: pytest.MonkeyPatch, ours: int, moved: int, in_motion: List[str], because: Tuple[str, ...]
) -> None:
    go: Any = object()
    monkeypatch.setattr(checks, "unowned_bytes", lambda _go: moved)
    monkeypatch.setattr(checks, "unowned", lambda _go: PAGES if moved else None)
    found = checks._excused(Check("free pages", ours, 16384, "MemStats.HeapIdle"), go, in_motion)
    assert found.because == because
    assert found.ok is (True if ours == 16384 else None if because else False)
