"""The first sentence of a report: the number that matters, and where to read on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Dict, Optional

import pytest
from pygments.token import Token

from addrspace_gdb.space.goroutines.summary import Matches, StackSummary
from addrspace_gdb.space.heap import pages
from addrspace_gdb.views import verdicts

MIB = 1 << 20


def heap(grown: int, uses: Optional[Dict[str, int]] = None, **slots: int) -> Any:
    """A heap of that many MiB, with what its slots and pages are used for."""
    parts = {name: slots.get(name, 0) * MIB for name in ("live", "since", "dead", "free", "waste")}
    kinds = (pages.OBJECTS, pages.STACKS, pages.OTHER, pages.FREE, pages.RETURNED)
    amounts = {use: (uses or {}).get(use, 0) * MIB for use in kinds}
    return SimpleNamespace(
        grown=grown * MIB, uses=amounts, slots=SimpleNamespace(bytes=SimpleNamespace(**parts))
    )


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            heap(100, live=60),
            "60.0 MiB (60.0% of the heap) is objects that survived the last GC;",
        ),
        (heap(100, since=30, dead=31, live=39), "61.0 MiB (61.0% of the heap) is objects allocated since"),
        (heap(100, free=50, waste=2), "52.0 MiB (52.0% of the heap) is free slots"),
        (
            heap(200, {pages.FREE: 70, pages.RETURNED: 100}, live=30),
            "70.0 MiB (70.0% of what Go keeps of the heap) is free",
        ),
        (
            heap(100, {pages.STACKS: 90}),
            "90.0 MiB (90.0% of the heap) is goroutine stacks;",
        ),
        (heap(0), "The heap is empty."),
        (heap(10, {pages.RETURNED: 10}), "The heap is empty."),
    ],
)
def test_what_most_of_the_heap_is(found: Any, said: str) -> None:
    assert verdicts.of_heap(found).startswith(said)


class State:
    """A collector, of which only these values are known."""

    def __init__(self, known: Dict[str, Any], phase: str = "off") -> None:
        self.phase, self._known = phase, known

    def get(self, name: str) -> Any:
        return self._known.get(name)


NORMAL = {"heap.live": 9 * MIB, "heap.marked": 4 * MIB, "heap.trigger": 10 * MIB, "cycles.completed": 3}
LIMIT = {"settings.memory_limit_set": True, "settings.memory_limit": 100 * MIB, "limited.bytes": 95 * MIB}
KEPT = "4.0 MiB survived the last GC, up to 5.0 MiB allocated since"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, f"{KEPT}; the next GC starts at 10.0 MiB; `addrspace heap`"),
        ({"cycles.completed": 0}, "No GC has run yet: 9.0 MiB allocated; the next GC starts"),
        ({"settings.gogc_off": True}, "GOGC is off and there is no memory limit: 9.0 MiB stay"),
        ({"settings.enabled": False}, "The collector is not enabled yet"),
        ({"limited.cpu_limiter": True}, "The limiter of CPU time holds the collector back"),
        (LIMIT, "95.0 MiB, 95.0% of the memory limit, count against it"),
        ({**LIMIT, "limited.bytes": MIB}, KEPT),
        ({"heap.trigger": 1 << 63}, f"{KEPT}; `addrspace heap`"),
    ],
)
def test_what_the_collector_does(more: Dict[str, Any], said: str) -> None:
    found: Any = State({**NORMAL, **more})
    assert verdicts.of_collector(found).startswith(said), verdicts.of_collector(found)


def test_a_collector_at_work_and_one_that_is_not_known() -> None:
    marking: Any = State(NORMAL, "mark")
    assert verdicts.of_collector(marking).startswith("A GC cycle is running, with 9.0 MiB of heap live")
    unknown: Any = State({})
    assert verdicts.of_collector(unknown).startswith("? survived the last GC; `addrspace heap`")


def total(many: int, **states: int) -> StackSummary:
    return StackSummary(many, 0, 0, states, None, many * 8192, many * 2048, 0, None, 0, None, None, None)


def test_how_many_goroutines_and_what_most_do() -> None:
    said = verdicts.of_goroutines(total(10_000, select=8_000, running=2_000))
    assert said.startswith("10,000 goroutines with 78.1 MiB of stacks, 25.0% used, 80.0% of them [select]; `")
    assert "[" not in verdicts.of_goroutines(total(8, select=8))
    assert "[" not in verdicts.of_goroutines(total(2_000, a=900, b=600, c=500))
    assert verdicts.of_goroutines(total(0)).startswith("0 goroutines with 0 B of stacks")


def test_what_matches_beside_all() -> None:
    said = verdicts.of_matches(Matches(20, 20 * 8192, 20 * 4096), total(2_000, a=900))
    assert said == "20 of 2,000 goroutines match, with 160.0 KiB of 15.6 MiB of stacks, 50.0% used."
    assert "1 of 2,000 goroutines matches" in verdicts.of_matches(Matches(1, 8192, 0), total(2_000))


def test_a_long_verdict_is_wrapped_and_an_empty_line_follows() -> None:
    pairs = list(verdicts.verdict_lines("word " * 30, 40))
    lines = "".join(text for _, text in pairs).split("\n")
    assert lines[-2:] == ["", ""] and 3 <= len(lines) - 2 <= 4 and max(map(len, lines)) <= 40
    assert all(token is not Token for token, _ in pairs)
