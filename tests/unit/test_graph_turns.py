"""Threads of the worker: what they share out, and what is worked out later."""

from __future__ import annotations

import threading

import pytest

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.worker.turns import Later, hands


def test_what_is_worked_out_later_is_there_when_it_is_wanted() -> None:
    go = threading.Event()

    def work() -> int:
        assert go.wait(30)
        return 7

    later = Later(work)
    go.set()
    assert later.found == 7 and later.found == 7


def test_what_goes_wrong_later_is_raised_where_it_is_wanted() -> None:
    def work() -> int:
        raise ProblemError("no")

    later = Later(work)
    later.end()
    for _ in range(2):
        with pytest.raises(ProblemError, match="^no$"):
            later.found  # noqa: B018


def test_there_is_a_thread_at_least() -> None:
    assert hands() >= 1
