"""Allocation sites of a heap profile that somebody has read already."""

from __future__ import annotations

from typing import Any, List

import pytest

from addrspace_gdb.commands import html
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.space.rss import sites
from addrspace_gdb.space.rss.sites import Sites


def test_a_profile_that_was_read_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime: Any = type("OfNoTarget", (), {"target": None, "problems": None})()
    memory: Any = object()
    seen: List[object] = []

    def read(_runtime: object, buckets: object, _unwinder: object) -> Sites:
        seen.append(buckets)
        return Sites([], 1)

    def read_buckets(_runtime: object) -> None:
        raise ProblemError("read again")

    monkeypatch.setattr(sites, "read_buckets", read_buckets)
    monkeypatch.setattr(sites, "read_sites", read)
    monkeypatch.setattr("addrspace_gdb.space.rss.sites.symtab.load", lambda *_: None)
    monkeypatch.setattr(sites, "Unwinder", lambda _tables: None)
    assert sites.sites_of(runtime, memory) == Sites([], 1) and seen == [memory]
    assert sites.sites_of(runtime) is None and seen == [memory]


class _Gathered:
    """What `rss` has read of a process: its sites, and no profile that may be read again."""

    def __init__(self, found: Sites) -> None:
        self.background = type("Background", (), {"sites": found})()


def test_the_page_takes_the_sites_that_the_tree_has(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Sites([], 7)
    reading: Any = type("Reading", (), {"other": None, "problems": None})()
    session: Any = type(
        "Session", (), {"target": lambda _self: None, "reading": lambda _self, **_asked: reading}
    )()
    monkeypatch.setattr(html, "expect_stacks", lambda _target: None)
    monkeypatch.setattr(html, "time_of", lambda _target: 0)
    monkeypatch.setattr(html, "Runtime", lambda *_: None)
    monkeypatch.setattr(html, "of_reading", lambda *_: None)
    monkeypatch.setattr(html, "gather_slots", lambda *_: None)
    monkeypatch.setattr("addrspace_gdb.commands.html.rss.gathered", lambda *_: _Gathered(found))
    assert html.Answer(session, False, False)._sites is found
