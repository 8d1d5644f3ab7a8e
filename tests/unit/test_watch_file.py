"""What `watch -o` wrote is read back, and becomes moments of the page; what it did not write is one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.shell.cli import main
from addrspace_gdb.space.moments.sampled import COUNTS, FIGURES, PARTS, RSS
from addrspace_gdb.space.moments.watch_file import is_watch, read_watch
from addrspace_gdb.views.web.watched import moment_of_sample

TARGET = {"kind": "live", "pid": 7, "executable": "/srv/</script>", "arch": "amd64", "go_version": None}


def line(number: int, **more: Any) -> Dict[str, Any]:
    """A line of a sample; resident bytes are the number."""
    figures = {name: {"now": number if name in PARTS else number * len(PARTS)} for name in FIGURES}
    for name in COUNTS:
        figures[name] = {"now": 3}
    told = {"schema": "watch/1", "target": TARGET, "sample": number, "time": 1000 + number}
    return {**told, "figures": figures, "verdict": None, "problems": [], **more}


def written(folder: Path, lines: List[Dict[str, Any]]) -> str:
    """The file with those lines."""
    file = folder / "watch.jsonl"
    file.write_text("".join(f"{json.dumps(one)}\n" for one in lines))
    return str(file)


def test_samples_are_moments_and_the_last_has_the_verdict(tmp_path: Path) -> None:
    lines = [line(number) for number in range(1, 6)]
    path = written(tmp_path, [*lines, line(5, verdict={"sentence": "nothing grows"})])
    assert is_watch(path)
    seen = read_watch(path, 500)
    assert [(one.number, one.time, one.figures[RSS]) for one in seen] == [
        (number, 1000 + number, number * len(PARTS)) for number in range(1, 6)
    ]
    last = moment_of_sample(seen[-1]).document
    assert last["rss"]["findings"] == [{"sentence": "nothing grows"}]
    tree = last["rss"]["tree"]
    assert tree["resident"] == sum(one["resident"] for one in tree["children"])
    assert [one["resident"] for one in last["areas"]] == [5] * len(PARTS)
    assert last["goroutines"]["total"] == last["figures"]["goroutines"] == 3
    assert last["taken"] == "1970-01-01 00:16:45Z"


def test_of_very_many_some_are_taken_the_first_and_the_last_too(tmp_path: Path) -> None:
    path = written(tmp_path, [line(number) for number in range(1, 302)])
    assert [one.number for one in read_watch(path, 4)] == [1, 101, 201, 301]


def test_what_is_not_known_stays_unknown(tmp_path: Path) -> None:
    figures = {**line(1)["figures"], "stacks": None, "goroutines": None}
    (seen,) = read_watch(written(tmp_path, [line(1, figures=figures)]), 9)
    told = moment_of_sample(seen).document
    assert told["goroutines"] is None
    assert [one["resident"] for one in told["areas"] if one["part"] == "stacks"] == [None]


@pytest.mark.parametrize(
    "wrong",
    [
        {"schema": "watch/2"},
        {"target": {"kind": "live"}},
        {"target": 7},
        {"sample": "1"},
        {"time": None},
        {"time": 1 << 40},
        {"figures": []},
        {"figures": {"rss": {"now": -1}}},
        {"figures": {"rss": {"now": True}}},
        {"figures": {"rss": 5}},
    ],
)
def test_what_is_no_sample_is_one_line(tmp_path: Path, wrong: Dict[str, Any]) -> None:
    path = written(tmp_path, [line(1), line(2, **wrong)])
    with pytest.raises(ProblemError, match=r"line 2 is no sample \(watch/1\): ") as told:
        read_watch(path, 9)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("text", ['{"schema": "watch/1"}\n{', '{"schema": "watch/1"' + " " * (2 << 20)])
def test_garbage_is_one_line(tmp_path: Path, text: str, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "garbage.jsonl"
    file.write_text(text)
    assert main(["html", str(file), "-o", str(tmp_path / "x.html")]) == 1
    said = capfd.readouterr()
    assert said.out == "" and len(said.err.splitlines()) == 1
    assert not (tmp_path / "x.html").exists()
