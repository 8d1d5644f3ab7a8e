"""An answer is drawn when the process has been let go; before only if what was read is more than is kept."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Iterable, Iterator, List, Optional

import pytest

from addrspace_gdb import commands
from addrspace_gdb.commands import once
from addrspace_gdb.commands.command import Command, Look
from addrspace_gdb.commands.options import Parser, add_output
from addrspace_gdb.commands.session import Settings
from addrspace_gdb.common.problems import cut_short, problem_of
from addrspace_gdb.common.request import Request
from addrspace_gdb.process.kept_memory import KeptMemory


class Target:
    """Keeps ten bytes."""

    kind = "live"

    def __init__(self) -> None:
        self.kept = KeptMemory(lambda address, size: bytes(size), most=10)


class Session:
    """Of a target; what is written goes where the request says."""

    settings = Settings(80, False, False, "")

    def __init__(self, said: List[str], result: Path) -> None:
        self.said, self.result, self._target = said, result, Target()

    def target(self) -> Target:
        return self._target

    def write(self, pieces: Iterable[str]) -> None:
        once.write_whole(str(self.result), pieces)
        self.said.append("written")


def command(said: List[str], size: int) -> Command:
    """One that reads so many bytes, and forms that tell when they are drawn."""

    def parser() -> Parser:
        made = Parser(prog="x")
        add_output(made, ["text", "json"])
        return made

    def ask(session: Any, arguments: argparse.Namespace) -> str:
        said.append("asked")
        session.target().kept.read(0, size)
        return "answer"

    def drawn(name: str) -> Callable[[str, Look], Iterator[str]]:
        def form(answer: str, look: Look) -> Iterator[str]:
            said.append(f"drawn as {name}")
            yield answer

        return form

    forms = {name: drawn(name) for name in ("text", "json")}
    return Command("x", parser, ask, forms, lambda answer: None)


def asked(folder: Path, form: str = "text", report: Optional[str] = "x") -> Request:
    names = (str(folder / name) for name in ("result", "problems", "notes"))
    return Request(
        1, None, None, None, False, form, report, False, False, True, True, 80, None, False, *names
    )


@pytest.mark.parametrize(
    ("size", "order"),
    [
        (10, ["stopped", "asked", "let go", "drawn as text", "written"]),
        (11, ["stopped", "asked", "drawn as text", "let go", "written"]),
    ],
)
def test_the_process_runs_before_anything_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, order: List[str]
) -> None:
    said: List[str] = []
    session = Session(said, tmp_path / "result")

    def visit(ask: Callable[[], None]) -> once.Visit:
        said.append("stopped")
        ask()
        session.target().kept.release()
        said.append("let go")
        return once.Visit(2.0, 1.0)

    monkeypatch.setattr(commands, "report", lambda name: command(said, size))
    assert once.answer(asked(tmp_path), session, visit) == []  # type: ignore[arg-type]
    assert said == order
    assert (tmp_path / "result").read_text() == "answer"
    assert (
        (tmp_path / "notes").read_text().startswith("stopped for 1000 ms, loaded and read in 2000 ms, drawn")
    )


@pytest.mark.parametrize(
    ("form", "report", "drawn"),
    [
        ("text", "x", "text"),
        ("json", "x", "json"),
        ("text", "x --format json", "json"),
        ("json", "x --format text", "json"),
    ],
)
def test_the_shells_form_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, report: str, drawn: str
) -> None:
    said: List[str] = []

    def visit(ask: Callable[[], None]) -> once.Visit:
        ask()
        return once.Visit(0.0, None)

    monkeypatch.setattr(commands, "report", lambda name: command(said, 1))
    session = Session(said, tmp_path / "result")
    assert once.answer(asked(tmp_path, form, report), session, visit) == []  # type: ignore[arg-type]
    assert said == ["asked", f"drawn as {drawn}", "written"]


def test_a_sum_that_is_wrong_is_told_beside_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: List[str] = []

    def visit(ask: Callable[[], None]) -> once.Visit:
        ask()
        said.append("let go")
        return once.Visit(0.0, None)

    def reading(**how: bool) -> str:
        said.append(f"read {sorted(how)}")
        return "reading"

    def built(read: str, each_goroutine: bool, check: bool) -> SimpleNamespace:
        assert (read, each_goroutine, check) == ("reading", False, True)
        said.append("summed")
        checks = [
            SimpleNamespace(name="heap", ours=1, theirs=2, source="MemStats", ok=ok) for ok in (True, False)
        ]
        return SimpleNamespace(checks=checks, picture=SimpleNamespace(problems=[]))

    session = Session(said, tmp_path / "result")
    monkeypatch.setattr(session, "reading", reading, raising=False)
    monkeypatch.setattr("addrspace_gdb.space.diagram.rows.build", built)
    monkeypatch.setattr(commands, "report", lambda name: command(said, 1))
    question = asked(tmp_path)._replace(check=True, stats=False)
    problems = once.answer(question, session, visit)  # type: ignore[arg-type]
    assert problems == ["heap: 1 is not MemStats's 2"]
    assert said == ["read ['check', 'other_too']", "asked", "let go", "drawn as text", "written", "summed"]
    assert (tmp_path / "notes").read_text().startswith("1 of 2 sums are as the kernel and Go have them")


def test_an_interrupt_while_a_class_is_made_is_one() -> None:
    class Interrupts:
        def __set_name__(self, owner: object, name: str) -> None:
            raise KeyboardInterrupt

    with pytest.raises((RuntimeError, KeyboardInterrupt)) as raised:  # by the version of Python
        type("Made", (), {"field": Interrupts()})
    assert isinstance(cut_short(raised.value), KeyboardInterrupt)
    assert problem_of(raised.value) == "interrupted"
    assert cut_short(RuntimeError("its own")) is None and cut_short(None) is None
