"""Which slots of a span addresses are in."""

from __future__ import annotations

from typing import List

import pytest

from addrspace_gdb.goruntime.own_slots import slots_of

START, ELEMENT, SLOTS = 0xC000_0000_2000, 448, 18
FULL = [START + number * ELEMENT for number in range(SLOTS)]


@pytest.mark.parametrize(
    "addresses",
    [
        FULL,
        FULL[:-1],
        FULL[3:9],
        [FULL[0], *FULL[:-1]],  # as many as there are slots, but one twice
        [*FULL[:-1], FULL[-2] + 8],
        [address + 8 for address in FULL],
    ],
)
def test_slots_are_those_of_each_address(addresses: List[int]) -> None:
    expected = {(address - START) // ELEMENT for address in addresses}
    assert slots_of(addresses, START, ELEMENT, SLOTS) == sum(1 << number for number in expected)
