"""Stacks that are looked at together against each of them by itself."""

from __future__ import annotations

import random
from array import array
from typing import List, Tuple

import pytest

from addrspace_gdb.space.goroutines.alike import Alike, Path, SideBySide

_WIDTH = 12  # words of a stack


def _block(rng: random.Random, strays: int) -> Tuple[SideBySide, List[Tuple[int, int]]]:
    """Stacks of one path but for some, and the path."""
    path = [(2, 0x1000), (5, 0x2000), (11, 0x3000)]
    words = array("Q", (rng.getrandbits(64) for _ in range(_WIDTH * 50)))
    for row in range(50):
        for number, pc in path:
            words[row * _WIDTH + number] = pc
    for _ in range(strays):
        number, _ = rng.choice(path)
        words[rng.randrange(50) * _WIDTH + number] ^= 1
    positions = rng.sample(range(1000), 50)
    return SideBySide(Alike(7, 8 * _WIDTH, positions), positions, memoryview(words)), path


@pytest.mark.parametrize("strays", [0, 1, 30, 600])
@pytest.mark.parametrize("seed", range(4))
def test_rows_on_a_path(seed: int, strays: int) -> None:
    rng = random.Random(seed)
    block, path = _block(rng, strays)
    stacks = [block.stack(row) for row in range(50)]
    wanted = [row for row, stack in enumerate(stacks) if all(stack[n] == pc for n, pc in path)]
    assert list(block.on(path, range(50))) == wanted
    some = rng.sample(range(50), 20)
    assert list(block.on(path, some)) == [row for row in some if row in wanted]
    assert (len(wanted) == 50) == (strays == 0)


def test_a_path_without_return_addresses_is_everybodys() -> None:
    block, _ = _block(random.Random(1), 3)
    assert list(block.on([], range(50))) == list(range(50))


def test_a_path_is_followed_once_and_shared_by_all_that_are_on_it() -> None:
    """Also in the next block; a row that nobody may share is by itself."""
    block, path = _block(random.Random(2), 4)
    stacks = [block.stack(row) for row in range(50)]
    on = [row for row, stack in enumerate(stacks) if all(stack[n] == pc for n, pc in path)]
    assert 45 < len(on) < 50
    followed: List[int] = []

    def follow(row: int) -> Tuple[Path, int, bool]:
        followed.append(row)
        return (path, 7, True) if row in on else ([], 100 + row, False)

    tried: List[Tuple[Path, int]] = []
    for turn in range(2):
        numbers = {at: number for some, number in block.by_path(tried, follow) for at in some}
        assert numbers == {at: 7 if row in on else 100 + row for row, at in enumerate(block.positions)}
        assert tried == [(path, 7)]
        assert len(followed) == (turn + 1) * (50 - len(on)) + 1


def test_a_word_of_some_rows() -> None:
    block, _ = _block(random.Random(3), 0)
    for rows in (range(50), [3, 40], [7], []):
        assert list(block.column(5, rows)) == [block.stack(row)[5] for row in rows]
