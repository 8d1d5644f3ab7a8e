"""Goroutines that nothing can wake: the kernels by brute force, and the verdict."""

from __future__ import annotations

import os
import random
from array import array
from typing import List, Sequence, Set, Tuple

import pytest

os.environ.setdefault("ADDRSPACE_GRAPH_PLAIN", "1")  # before the kernels are made

from addrspace_gdb.space.goroutines.leaks import Leaks
from addrspace_gdb.space.graph.kept import Size
from addrspace_gdb.views.leaked import leaks_head, leaks_verdict
from addrspace_gdb.worker import leaking

Edges = List[Tuple[int, int]]


def graph_of(size: int, edges: Edges) -> Tuple[array[int], array[int]]:
    index, to = array("q", [0]), array("i")
    for node in range(size):
        to.extend(target for source, target in edges if source == node)
        index.append(len(to))
    return index, to


def by_force(edges: Edges, first: Sequence[int], waits: Edges) -> Set[int]:
    """What is reached, step by step until nothing more is; `waits` are (awaited, waiter)."""
    found, before = {*first, *(waiter for node, waiter in waits if node < 0)}, -1
    while len(found) != before:
        before = len(found)
        found.update(to for node, to in [*edges, *waits] if node in found)
    return found


@pytest.mark.parametrize("seed", range(60))
def test_who_can_be_woken_is_who_something_that_runs_leads_to(seed: int) -> None:
    dice = random.Random(seed)
    size = dice.randint(2, 40)

    def pairs(many: int, least: int = 0) -> Edges:
        return [(dice.randrange(least, size), dice.randrange(size)) for _ in range(many)]

    edges, waits = pairs(dice.randint(0, 2 * size)), sorted(pairs(dice.randint(0, size), -1))
    first = [dice.randrange(size) for _ in range(dice.randint(0, 3))]
    index, to = graph_of(size, edges)
    awaited, waiters = (array("q", column) for column in zip(*waits)) if waits else (array("q"), array("q"))
    noted, queue = array("B", bytes(size)), array("i", bytes(4 * size))
    count = leaking.note_awaited(awaited, waiters, noted, queue)
    count = leaking.put_first(array("q", first), noted, queue, count)
    many = leaking.wake(index, to, awaited, waiters, noted, queue, count)
    wanted = by_force(edges, first, waits)
    assert {node for node in range(size) if noted[node] & 1} == wanted
    assert set(queue[:many]) == wanted and many == len(wanted)


def test_what_a_sudog_points_to_is_hidden_and_nothing_else() -> None:
    index, to = graph_of(4, [(0, 1), (0, 2), (0, 1), (1, 2), (3, 1)])
    leaking.hide(array("q", [0, -1, 1, 2]), array("q", [1, 2, -1, 3]), index, to)
    assert to.tolist() == [0, 2, 0, 2, 1]


def leaks(blocked: int, leaked: int, listed: int) -> Leaks:
    return Leaks(blocked, leaked, listed, Size(3 << 20, 17), 8192)


def test_the_verdict_is_no_surer_than_what_was_read() -> None:
    found = Leaks(3, 2, 2, Size(16, 1), 4096)
    whole, damaged = ("".join(text for _, text in leaks_head(found, one, 100, True)) for one in (False, True))
    assert "Nothing that can run leads to what they wait for." in whole and "some may yet run" not in whole
    assert "some may yet run" in damaged and "Nothing that can run" not in damaged
    nothing = Leaks(3, 0, 0, Size(), 0)
    assert "may yet run" not in "".join(text for _, text in leaks_head(nothing, True, 100, True))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (leaks(0, 0, 0), "No goroutine waits for a channel, a lock or the like: none is leaked."),
        (
            leaks(1, 0, 0),
            "No goroutine is leaked: the one that waits for a channel, a lock or the like can be woken ",
        ),
        (leaks(1200, 0, 0), "No goroutine is leaked: each of the 1,200 that wait for a channel,"),
        (
            leaks(3, 1, 1),
            "1 goroutine can never run again; it keeps 3.0 MiB of the heap and 8.0 KiB of stacks.",
        ),
        (leaks(30, 20, 20), "20 goroutines can never run again; they keep 3.0 MiB of the heap"),
        (leaks(30, 20, 1), "1 of 20 goroutines can never run again; it keeps 3.0 MiB of the heap"),
    ],
)
def test_the_verdict_has_the_number_that_matters(found: Leaks, said: str) -> None:
    assert leaks_verdict(found).startswith(said)
