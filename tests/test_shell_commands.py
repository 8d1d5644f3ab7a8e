"""A command of the debugger as a word of the shell answers as `dump --report` does, by gdb and without."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Iterator, List

import pytest
from harness.build import Builder
from harness.command import cli
from harness.debuggers import Gdb
from harness.held import stop
from harness.processes import Process, Processes
from harness.scenes import attach, gcore, start
from harness.toolchains import Toolchain

from addrspace_gdb.shell.words import WORDS

EACH_ONCE = True  # not every combination: tests/conftest.py
ASKED = {"whereis": ["goroutine:1", "$sp"], "holders": ["runtime.allgptr@1"]}


@pytest.fixture
def stopped(
    newest_go: Toolchain, build_program: Builder, processes: Processes, oracle_file: Path
) -> Iterator[Process]:
    """A Go program that was stopped by a signal, so that all look at the same."""
    live = stop(start(processes, build_program("sample", newest_go), oracle_file))
    yield live
    os.kill(live.pid, signal.SIGCONT)


def _by_word(word: str, target: object, *options: str) -> str:
    done = cli(word, "--format", "json", target, *ASKED.get(word, []), *options)
    if word != "fault":  # nothing has died here
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def test_every_word_answers(stopped: Process) -> None:
    for word in WORDS:
        text = _by_word(word, stopped.pid, "--debugger", "none")
        if word != "fault":
            assert json.loads(text)["schema"].endswith("/1"), word


@pytest.mark.parametrize("debugger", ["none", pytest.param("gdb", marks=pytest.mark.matrix)])
def test_what_is_advised_can_be_typed_in_the_shell(stopped: Process, gdb_exe: Gdb, debugger: str) -> None:
    """What a verdict says to look at next names this process."""
    who = ["--debugger", debugger, *(["--gdb", str(gdb_exe.path)] if debugger == "gdb" else [])]
    advised = []
    for word in ("rss", "heap", "goroutine-stacks"):
        text = " ".join(cli(word, stopped.pid, *who).stdout.split())
        assert not re.search(r"`(addrspace|goroutine-stacks)[ `]", text), text
        advised += re.findall(r"`addrspace-gdb ([^`]*)`", text)
    assert advised and all(f" {stopped.pid}" in line for line in advised), advised
    missing = cli("goroutine-stacks", stopped.pid, "999999", *who)
    assert missing.returncode == 1 and "`" not in missing.stderr.replace("`addrspace-gdb ", "")


def test_a_word_says_what_the_report_says(stopped: Process, gdb_exe: Gdb) -> None:
    for who in (["--debugger", "none"], ["--gdb", str(gdb_exe.path)]):
        for word in ("heap", "whereis"):
            report = " ".join([word, *ASKED.get(word, [])])
            dumped = cli("dump", stopped.pid, "--report", report, "--format", "json", *who)
            assert dumped.returncode == 0 and _by_word(word, stopped.pid, *who) == dumped.stdout


def test_of_a_core_into_a_file(stopped: Process, gdb_exe: Gdb, tmp_path: Path, build_program: Builder,
                               newest_go: Toolchain) -> None:  # fmt: skip
    core, place = tmp_path / "core", tmp_path / "answer"
    gcore(gdb_exe, attach(stopped, build_program("sample", newest_go)), core)
    done = cli("goroutine-stacks", core, "1", "-o", place, "--width", "60", "--color", "on", "--stats")
    assert (done.returncode, done.stdout) == (0, "") and done.stderr.startswith("not stopped (a core)")
    text = place.read_text(encoding="utf-8")
    assert "\x1b[" in text
    assert cli("goroutine-stacks", core, "1", "-o", core).returncode == 1  # it is not overwritten
    assert core.stat().st_size > 1 << 20


@pytest.mark.parametrize("options", [["--ascii"], []])
def test_how_it_looks_is_asked_for(stopped: Process, options: List[str]) -> None:
    done = cli("rss", stopped.pid, *options, PYTHONIOENCODING="utf-8")
    assert done.returncode == 0 and done.stdout.isascii() == bool(options)


def test_sums_are_checked_beside_any_answer(stopped: Process, gdb_exe: Gdb) -> None:
    for who in (["--debugger", "none"], ["--gdb", str(gdb_exe.path)]):
        plain, checked = (
            cli("memstats", stopped.pid, "HeapAlloc", *who, *more) for more in ([], ["--check"])
        )
        assert checked.returncode == 0 and checked.stdout == plain.stdout and not plain.stderr
        match = re.fullmatch(r"(\d+) of (\d+) sums are as the kernel and Go have them .*\n", checked.stderr)
        assert match is not None and 10 <= int(match[1]) >= int(match[2]) - 2  # some may be changing


def test_a_process_by_its_name(stopped: Process, tmp_path: Path) -> None:
    name = os.path.basename(os.readlink(f"/proc/{stopped.pid}/exe"))
    done = cli("arenas", name, cwd=tmp_path)
    if done.returncode:  # the tests beside this one run the same program
        assert f"processes are called {name}, give the number of one: " in done.stderr
    else:
        assert done.stdout == cli("arenas", stopped.pid).stdout
