"""What is made ahead comes in order, once each, with its errors, and without threads too."""

from __future__ import annotations

import threading
from functools import partial
from typing import Callable, Iterator, List

import pytest

from addrspace_gdb.common.ahead import AHEAD, ahead


def test_results_come_in_order_and_one_is_made_ahead() -> None:
    made: List[int] = []

    def calls() -> Iterator[Callable[[], int]]:
        for number in range(100):
            yield partial(make, number)

    def make(number: int) -> int:
        made.append(number)
        assert threading.current_thread() is not threading.main_thread()
        return number * number

    seen = 0
    for number, square in enumerate(ahead(calls())):
        assert square == number * number
        assert len(made) <= number + 1 + AHEAD
        seen += 1
    assert seen == 100 and sorted(made) == list(range(100))


def test_what_goes_wrong_goes_wrong_where_it_is_used() -> None:
    def fails() -> int:
        raise OSError("gone")

    results = ahead([lambda: 1, fails, lambda: 3])
    assert next(results) == 1
    with pytest.raises(OSError, match="gone"):
        next(results)
    assert list(ahead([])) == []


def test_who_has_enough_may_stop() -> None:
    results = ahead(partial(int, number) for number in range(10))
    assert next(results) == 0
    before = threading.active_count()
    results.close()
    assert threading.active_count() < before


def test_without_threads_it_is_done_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    assert list(ahead(partial(int, number) for number in range(5))) == [0, 1, 2, 3, 4]
