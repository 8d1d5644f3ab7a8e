"""Figures of one name have one value, whatever command is asked at the same stop."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, List, Tuple

import pytest
from harness.build import Builder
from harness.debuggers import Gdb
from harness.gdbrun import run_gdb
from harness.scenes import launch_to_breakpoint
from harness.toolchains import Toolchain

from addrspace_gdb.common.glossary import TERMS
from addrspace_gdb.common.sizes import size

EACH_ONCE = True  # not every combination: tests/conftest.py
Documents = Dict[str, Any]
ASKED = {
    "space": "addrspace",
    "heap": "addrspace heap",
    "arenas": "addrspace arenas",
    "spans": "addrspace spans",
    "rss": "addrspace rss",
    "gc": "addrspace gc",
    "memstats": "addrspace memstats",
    "goroutines": "goroutine-stacks --system",
}


@pytest.fixture(scope="module")
def said(
    gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, tmp_path_factory: pytest.TempPathFactory
) -> Tuple[Documents, Dict[str, str]]:
    """The JSON documents of one stop, and the texts."""
    folder = tmp_path_factory.mktemp("glossary")
    scene = launch_to_breakpoint(build_program("shapes", newest_go), folder / "oracle")
    lines = [f"{line} --format json -o {folder / name}.json" for name, line in ASKED.items()]
    lines += [f"{line} --width 140 -o {folder / name}.text" for name, line in ASKED.items()]
    run = run_gdb(gdb_exe, lines, scene, load=True)
    assert "addrspace:" not in run.stderr, run.stderr
    documents = {name: json.loads((folder / f"{name}.json").read_text()) for name in ASKED}
    return documents, {name: (folder / f"{name}.text").read_text() for name in ASKED}


def use(name: str) -> Callable[[Documents], int]:
    return lambda found: sum(one["size"] for one in found["heap"]["uses"] if one["use"] == name)


def arenas(name: str) -> Callable[[Documents], int]:
    return lambda found: sum(arena["uses"][name] for arena in found["arenas"]["arenas"])


def regions(*kinds: str) -> Callable[[Documents], int]:
    def total(found: Documents) -> int:
        rows = [r for r in found["space"]["regions"] if r["area"] in ("heap", "goroutine-stacks")]
        return sum(r["size"] for r in rows if r["kind"] in kinds or (not kinds and r["area"] != "heap"))

    return total


def node(*path: str) -> Callable[[Documents], int]:
    def found_at(found: Documents) -> int:
        place = found["rss"]["tree"]
        for name in path:
            place = next((child for child in place["children"] if child["name"] == name), None)
            if place is None:
                return 0
        return int(place["size"])

    return found_at


def go(name: str) -> Callable[[Documents], int]:
    return lambda found: int(found["memstats"]["memstats"][name]["value"])


HEAP = ("Go", "heap")
FIGURES: Dict[str, List[Callable[[Documents], int]]] = {
    "returned": [
        *(use("returned"), arenas("returned"), regions("returned pages"), go("HeapReleased")),
        *(node(*HEAP, "pages returned to the OS"), lambda found: int(found["gc"]["scavenger"]["returned"])),
    ],
    "reserved": [
        use("reserved"),
        arenas("reserved"),
        regions("reserved", "freed user arena"),
        node(*HEAP, "reserved, not yet used"),
    ],
    "free pages": [
        *(use("free"), arenas("free"), regions("free pages"), node(*HEAP, "free pages")),
        lambda found: int(found["gc"]["scavenger"]["free"]),
        lambda found: go("HeapIdle")(found) - go("HeapReleased")(found),
    ],
    "free slots": [
        lambda found: int(found["heap"]["bytes"]["free"]),
        node(*HEAP, "objects", "free slots in used spans"),
        lambda found: sum(one["bytes"]["free"] for one in found["heap"]["classes"]),
    ],
    "tail waste": [
        lambda found: int(found["heap"]["bytes"]["waste"]),
        node(*HEAP, "objects", "tail waste"),
    ],
    "stacks in use": [
        *(use("stacks"), arenas("stacks"), go("StackInuse"), regions()),
        node("Go", "goroutine stacks"),
    ],
    "resident": [
        lambda found: int(found["rss"]["tree"]["resident"]),
        lambda found: sum(region["resident"] for region in found["space"]["regions"]),
        lambda found: int(found["rss"]["kernel"]["VmRSS"]),
    ],
    "used": [
        lambda found: sum(one["stack"]["used"] or 0 for one in found["goroutines"]["goroutines"]),
        node("Go", "goroutine stacks", "used"),
    ],
}


@pytest.mark.parametrize("word", FIGURES)
def test_one_word_has_one_value(said: Tuple[Documents, Dict[str, str]], word: str) -> None:
    assert word in [term.word for term in TERMS]
    values = [figure(said[0]) for figure in FIGURES[word]]
    assert len(set(values)) == 1, values


def test_what_survived_and_what_came_since_is_what_is_allocated(
    said: Tuple[Documents, Dict[str, str]],
) -> None:
    found = said[0]
    parts = found["heap"]["bytes"]
    assert parts["live"] + parts["since"] + parts["dead"] == go("HeapAlloc")(found)
    marked = found["gc"]["heap"]["marked"]
    assert abs(marked - parts["live"]) <= marked // 100  # the collector's own count
    assert found["gc"]["heap"]["live"] - marked >= parts["since"] - marked // 100


def test_the_texts_say_the_same(said: Tuple[Documents, Dict[str, str]]) -> None:
    found, texts = said
    returned, free = size(use("returned")(found)), size(use("free")(found))
    for name in ("space", "heap", "rss", "gc"):
        assert returned in texts[name], name
        assert free in texts[name], name
