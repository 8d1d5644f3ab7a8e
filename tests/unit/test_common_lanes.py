"""Columns reckoned with as long integers, against loops over them."""

from __future__ import annotations

import random
from array import array
from typing import List

import pytest

from addrspace_gdb.common import lanes

MOST = (1 << 56) - 1


def some_column(seed: int, most: int = MOST) -> array[int]:
    """Numbers of every length, small and large ones side by side."""
    rng = random.Random(seed)
    return array("Q", (rng.randrange((most >> rng.randrange(56)) + 1) for _ in range(300)))


@pytest.mark.parametrize("seed", range(4))
def test_differences_are_those_of_each_pair(seed: int) -> None:
    lows, gaps = some_column(seed, MOST >> 1), some_column(seed + 100, MOST >> 1)
    highs = array("Q", map(sum, zip(lows, gaps)))
    assert lanes.total(lows, gaps) == highs
    assert lanes.differences(highs, lows) == gaps


@pytest.mark.parametrize("at", [0, 1, 150, 299])
@pytest.mark.parametrize("by", [1, 1 << 20, MOST])
def test_a_negative_difference_is_told(at: int, by: int) -> None:
    lows = array("Q", [MOST]) * 300
    highs = lows[:]
    highs[at] -= by
    assert lanes.differences(highs, lows) is None
    assert lanes.differences(lows, highs) is not None


@pytest.mark.parametrize(
    ("high", "low"), [(1 << 63, 0), (1 << 56, 0), (1 << 63, 1 << 63), (5, (1 << 64) - 1)]
)
@pytest.mark.parametrize("at", [0, 1, 2])
def test_numbers_with_no_room_above_them_are_told(high: int, low: int, at: int) -> None:
    highs, lows = array("Q", [9, 9, 9]), array("Q", [4, 4, 4])
    highs[at], lows[at] = high, low
    assert lanes.differences(highs, lows) is None


def test_what_is_unequal() -> None:
    some, others = array("Q", [0, 1, (1 << 64) - 1, 7, 0]), array("Q", [0, 2, 1, 7, 1 << 63])
    assert [bool(one) for one in lanes.unequal(some, others)] == [False, True, True, False, True]
    assert [bool(one) for one in lanes.changes(b"aabbbca")] == [False, True, False, False, True, True]


def test_powers_and_their_exponents() -> None:
    column = array("Q", [0, *(1 << bit for bit in range(64)), 0, 2048, 2048])
    codes = lanes.exponents(column)
    assert codes is not None and list(codes) == [0, *range(1, 65), 0, 12, 12]
    assert lanes.powers(codes) == column


@pytest.mark.parametrize("odd", [3, 0x8080, (1 << 63) + 1, 0x100000001])
def test_no_exponent_of_what_is_no_power(odd: int) -> None:
    assert lanes.exponents(array("Q", [2, odd, 0, 4])) is None


def test_tags_stand_in_the_lowest_byte() -> None:
    column = array("Q", [0x100, 0, 0xC000_0000_0000, 0xFFFF_FFFF_FFFF_FF00])
    found = lanes.tagged(column, b"\x01\x00\xff\x40")
    assert found is not None and list(found) == [0x101, 0, 0xC000_0000_00FF, 0xFFFF_FFFF_FFFF_FF40]
    assert lanes.untagged(found) == (column, b"\x01\x00\xff\x40")
    assert lanes.tagged(array("Q", [0x100, 0x101]), b"\0\0") is None


def test_nothing_at_all() -> None:
    none: List[int] = []
    empty = array("Q", none)
    assert lanes.differences(empty, empty) == empty == lanes.unequal(empty, empty) == lanes.powers(b"")
    assert lanes.exponents(empty) == b"" == lanes.changes(b"") == lanes.changes(b"a")
    assert lanes.tagged(empty, b"") == empty and lanes.untagged(empty) == (empty, b"")


def test_columns_of_smaller_numbers_are_widened() -> None:
    assert lanes.wide(array("I", [1, 2])) == array("Q", [1, 2])


def test_numbers_of_so_many_bytes() -> None:
    assert lanes.below(array("Q"), 1) and lanes.below(array("Q", [0, 255]), 1)
    assert not lanes.below(array("Q", [0, 256, 1]), 1) and lanes.below(array("Q", [0, 65535]), 2)
    for bits in range(64):
        assert lanes.below(array("Q", [1, 1 << bits, 2]), 3) == (bits < 24)
