"""Work done in a thread beside."""

from __future__ import annotations

import threading

import pytest

from addrspace_gdb.common.beside import beside


def test_what_is_begun_is_waited_for() -> None:
    begun, go = threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        assert go.wait(30)
        return threading.current_thread().name

    wait = beside(work)
    assert begun.wait(30)
    go.set()
    assert wait() != threading.current_thread().name


def test_what_goes_wrong_is_told_to_who_waits() -> None:
    def work() -> None:
        raise OSError("gone")

    wait = beside(work)
    with pytest.raises(OSError, match="gone"):
        wait()


def test_without_threads_it_is_done_when_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert beside(lambda: 5)() == 5
