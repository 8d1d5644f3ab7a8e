"""Work done in a thread beside: begun at once, its errors where they are wanted, and without threads too."""

from __future__ import annotations

import threading
from typing import List

import pytest

from addrspace_gdb.common.later import Later
from addrspace_gdb.common.problems import ProblemError


def test_what_is_begun_is_waited_for() -> None:
    begun, go = threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        assert go.wait(30)
        return threading.current_thread().name

    later = Later(work)
    assert begun.wait(30)
    go.set()
    assert later.found != threading.current_thread().name


def test_what_goes_wrong_is_told_to_who_waits() -> None:
    def work() -> None:
        raise OSError("gone")

    later = Later(work)
    with pytest.raises(OSError, match="gone"):
        later.found  # noqa: B018


def test_without_threads_it_is_done_when_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert Later(lambda: 5).found == 5


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


def test_without_beside_it_is_done_when_it_is_wanted() -> None:
    done: List[int] = []
    later = Later(lambda: done.append(threading.get_ident()), beside=False)
    assert done == []
    later.end()
    assert later.found is None and done == [threading.get_ident()]


def test_ctrl_c_where_it_is_done_is_raised_there() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Later(interrupted, beside=False).end()
