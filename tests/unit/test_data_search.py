"""The search of data in a core without the program's code: what of it is looked through."""

from __future__ import annotations

import random

from addrspace_gdb.goruntime.stripped.data_search import written

_PAGE = 4096


def test_what_is_all_zero_is_left_out_but_for_a_page_on_either_side() -> None:
    data = bytearray(20 * _PAGE + 8)
    assert written(data) == [] == written(bytearray())
    data[6 * _PAGE - 1] = data[15 * _PAGE] = 1
    assert written(data) == [(4 * _PAGE, 7 * _PAGE), (14 * _PAGE, 17 * _PAGE)]
    data[-1] = 1
    assert written(data)[2:] == [(19 * _PAGE, len(data))]
    data[8 * _PAGE] = data[0] = 1
    assert written(data)[:2] == [(0, 2 * _PAGE), (4 * _PAGE, 10 * _PAGE)]


def test_every_byte_that_is_not_zero_is_looked_through_once() -> None:
    chance = random.Random(4)
    for pages in range(1, 12):
        data = bytearray(pages * _PAGE - chance.choice([0, 8, 4088]))
        for _ in range(3):
            data[chance.randrange(len(data))] = 1
        found = written(data)
        assert all(one[1] < other[0] for one, other in zip(found, found[1:]))
        assert sum(data[begin:end].count(1) for begin, end in found) == data.count(1)
