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


def test_who_need_not_pass_a_gate_does_not_wait_at_it_but_lets_nobody_by() -> None:
    turns, passed = Turns(5, 1), []
    for job in (1, 2, 4):
        turns.skip(0, job)
    for job in (0, 3):
        with turns.at(0, job):
            passed.append(job)
    assert passed == [0, 3]
    behind, order = Turns(3, 1), []

    def work(job: int, turns: Turns) -> None:
        if job == 1:
            turns.skip(0, job)
            return
        with turns.at(0, job):
            time.sleep(0.1 if job == 0 else 0)
            order.append(job)

    behind.run([work, work, work])
    assert order == [0, 2]
