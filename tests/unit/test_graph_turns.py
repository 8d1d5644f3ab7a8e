"""How many threads the worker has, and that it does without."""

from __future__ import annotations

import threading
import time
from typing import List

import pytest

from addrspace_gdb.worker.turns import Turns, hands


def test_there_is_a_thread_at_least() -> None:
    assert hands() >= 1


def test_without_threads_every_job_is_done_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    passed: List[int] = []

    def work(job: int, turns: Turns) -> None:
        with turns.at(0, job):
            passed.append(job)

    Turns(9, 1).run([work, work, work])
    assert passed == [*range(9)]


def test_what_others_still_do_is_waited_for() -> None:
    taken, passed = threading.Event(), []

    def first(job: int, _turns: Turns) -> None:
        assert taken.wait(30)
        passed.append(job)

    def slow(job: int, _turns: Turns) -> None:
        taken.set()
        time.sleep(0.2)
        passed.append(job)

    Turns(2, 1).run([first, slow])
    assert sorted(passed) == [0, 1]
