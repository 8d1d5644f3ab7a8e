"""`addrspace-gdb watch` on programs that leak, one portion at a time, when the test asks them to."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

import jsonschema
import pytest
from harness import CHECKOUT
from harness.build import Binary, Builder
from harness.command import assert_refused, cli
from harness.held import stop
from harness.processes import INTERRUPTIBLE, Process, Processes
from harness.toolchains import Toolchain
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from addrspace_gdb.space.moments.sampled import PARTS
from addrspace_gdb.views.documents import schema as schemas

OFTEN = ("--every", "100ms", "--at-most", "100")
STEPS = 6


class Watch:
    """The command on a process, and the lines that it writes into a file."""

    def __init__(self, target: object, folder: Path, *options: str) -> None:
        self.file = folder / "watch.jsonl"
        self._told = folder / "told"
        command = [sys.executable, "-c", INTERRUPTIBLE, "watch", str(target), "-o", str(self.file), *options]
        with open(self._told, "wb") as told:
            self.popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONIOENCODING": "utf-8"},
            )

    def lines(self) -> List[Dict[str, Any]]:
        """What the file has, every line of it whole."""
        text = self.file.read_text() if self.file.exists() else ""
        assert text == "" or text.endswith("\n")
        return [json.loads(line) for line in text.splitlines()]

    def wait_for_samples(self, count: int) -> None:
        deadline = time.monotonic() + 180
        while len(self.lines()) < count:
            assert self.popen.poll() is None and time.monotonic() < deadline, self.told()
            time.sleep(0.02)

    def told(self) -> str:
        return self._told.read_text(encoding="utf-8")

    def end(self, number: Optional[int] = signal.SIGINT) -> Dict[str, Any]:
        """End it by a signal, or wait until it ends; its last line."""
        if number is not None:
            self.popen.send_signal(number)
        assert self.popen.wait(60) == 0, self.told()
        return self.lines()[-1]


@pytest.fixture
def program(newest_go: Toolchain, build_program: Builder) -> Binary:
    return build_program("leaks", newest_go, "cgo")


def started(processes: Processes, program: Binary, mode: str) -> Process:
    return processes.start([str(program.path), mode]).wait_ready()


def leak(process: Process, number: int) -> None:
    os.kill(process.pid, signal.SIGUSR1)
    process.wait_for(f"leaked {number}\n")


def watched(process: Process, folder: Path, *options: str, number: int = signal.SIGINT) -> Watch:
    """Watch a process that leaks a portion between any two samples, and end it."""
    watch = Watch(process.pid, folder, *OFTEN, *options)
    try:
        for step in range(1, STEPS + 1):
            watch.wait_for_samples(len(watch.lines()) + 1)
            leak(process, step)
        watch.wait_for_samples(len(watch.lines()) + 2)  # one may have begun before the last portion
        watch.end(number)
    finally:
        watch.popen.kill()
    return watch


LEAKS = {
    "goroutines": (
        "stacks",
        r"goroutines in main\.\(\*client\)\.watch \(chan receive\).*: .+ now, created by main\.subscribe",
    ),
    "heap": (
        "heap_in_use",
        r"heap objects.*, most of it objects of 1\.0 KiB.*: it survives the collector",
    ),
    "large": ("heap_in_use", r"heap objects.*, most of it large objects.*: it survives the collector"),
    "c": ("c_heap", r"C's heap.*: Go's profiles do not see it"),
    "mapped": ("mapped", r"memory that the program mapped itself \(mmap\)"),
}


@pytest.mark.parametrize("mode", LEAKS)
def test_the_verdict_names_what_leaks(
    mode: str, program: Binary, processes: Processes, tmp_path: Path
) -> None:
    process = started(processes, program, mode)
    number = signal.SIGTERM if mode == "heap" else signal.SIGINT
    watch = watched(process, tmp_path, "--width", "1000", number=number)
    lines, (cause, said) = watch.lines(), LEAKS[mode]
    verdict = lines[-1]["verdict"]
    assert (verdict["end"], verdict["course"], verdict["cause"]) == ("interrupted", "grows", cause), verdict
    assert re.match(rf"The growth, \d[\d.]* [KMG]iB a minute, is {said}", verdict["sentence"]), verdict
    assert verdict["sentence"] in watch.told()
    assert_sound(lines)
    assert lines[-1]["figures"]["rss"]["growth"] >= 0.8 * STEPS * (4 << 20)
    if mode == "goroutines":
        grown = lines[-1]["growing"]["goroutines"]
        assert (grown["growth"], grown["state"]) == (STEPS * 512, "chan receive")
        assert re.fullmatch(r"main\.\(\*client\)\.watch|main\.subscribe\.\w+", grown["start_function"])
    if mode == "heap":
        assert lines[-1]["growing"]["objects"]["size"] == 1024
        assert lines[-1]["growing"]["objects"]["growth"] == STEPS << 22
    assert process.running()


def assert_sound(lines: List[Dict[str, Any]]) -> None:
    """What must be true of any watch."""
    validator = jsonschema.Draft202012Validator(schemas.schema("watch/1"))
    first = lines[0]["figures"]
    for number, line in enumerate(lines, 1):
        validator.validate(line)
        figures = line["figures"]
        assert figures["rss"]["now"] == sum(figures[part]["now"] for part in PARTS)
        assert all(one["growth"] == one["now"] - first[name]["now"] for name, one in figures.items())
        last = number == len(lines)
        assert line["sample"] == (number - 1 if last and line["verdict"] else number)
        assert (line["verdict"] is not None) == last or lines[-1]["verdict"] is None
        assert line["problems"] == []


def test_a_steady_program_does_not_grow(program: Binary, processes: Processes, tmp_path: Path) -> None:
    watch = watched(started(processes, program, "nothing"), tmp_path)
    last = watch.lines()[-1]
    assert last["verdict"]["cause"] is None and last["verdict"]["sentence"].startswith(
        "No growth: RSS stayed "
    )
    assert "\nNo growth: RSS stayed " in watch.told()


def test_a_step_is_no_growth(program: Binary, processes: Processes, tmp_path: Path) -> None:
    watch = watched(started(processes, program, "once"), tmp_path, "--width", "1000")
    verdict = watch.lines()[-1]["verdict"]
    assert (verdict["course"], verdict["cause"]) == ("rose", None), watch.told()
    assert re.match(r"No growth that goes on: RSS rose (once, )?by 2\d\.\d MiB ", verdict["sentence"])
    assert " and has stood still since, between " in watch.told()


def test_its_figures_are_those_of_rss(program: Binary, processes: Processes, tmp_path: Path) -> None:
    process = stop(started(processes, program, "c"))
    watch = Watch(process.pid, tmp_path, *OFTEN, "--for", "200ms")
    lines = [watch.end(None), *watch.lines()]
    tree = json.loads(cli("rss", process.pid, "--format", "json").stdout)["tree"]
    named = {one["name"]: one for part in tree["children"] for one in part["children"]}
    names = {"stacks": "goroutine stacks", "runtime": "runtime", "program": "program", "c_heap": "C heap"}
    for line in lines:
        figures = {name: one["now"] for name, one in line["figures"].items()}
        assert figures["rss"] == tree["resident"]
        assert {name: figures[name] for name in names} == {n: named[t]["resident"] for n, t in names.items()}
        assert figures["heap_in_use"] + figures["heap_free"] == named["heap"]["resident"]
    assert lines[0]["verdict"]["end"] == "time" and process.state() == "T"
    os.kill(process.pid, signal.SIGCONT)


def test_a_process_that_ends(program: Binary, processes: Processes, tmp_path: Path) -> None:
    process = started(processes, program, "nothing")
    watch = Watch(process.pid, tmp_path, "--every", "1h", "--for", "2h")
    watch.wait_for_samples(1)
    process.kill()
    assert watch.end(None)["verdict"]["end"] == "exited"  # at once, and not after an hour
    assert "\nthe process has ended; 1 sample in 0s; " in watch.told()


def test_a_process_that_becomes_another_program(
    program: Binary, processes: Processes, tmp_path: Path
) -> None:
    process = started(processes, program, "nothing")
    watch = Watch(process.pid, tmp_path, *OFTEN)
    watch.wait_for_samples(2)
    os.kill(process.pid, signal.SIGUSR2)
    assert watch.end(None)["verdict"]["end"] == "replaced"
    assert process.running()


@pytest.mark.parametrize("after", [1, 3])
def test_a_watch_that_is_killed_leaves_whole_lines(
    after: int, program: Binary, processes: Processes, tmp_path: Path
) -> None:
    process = started(processes, program, "nothing")
    watch = Watch(process.pid, tmp_path, *OFTEN)
    watch.wait_for_samples(after)
    watch.popen.kill()
    watch.popen.wait(60)
    lines = watch.lines()
    assert len(lines) >= after
    assert_sound(lines)
    assert process.running()


def test_for_prometheus_by_its_name(program: Binary, processes: Processes, tmp_path: Path) -> None:
    named = tmp_path / f"watched{os.getpid()}"
    shutil.copy(program.path, named)
    process = processes.start([str(named), "goroutines"]).wait_ready()
    watch = Watch(named.name, tmp_path, *OFTEN, "--format", "openmetrics")
    deadline = time.monotonic() + 60
    samples = 0.0
    while samples < 3:
        assert watch.popen.poll() is None and time.monotonic() < deadline, watch.told()
        text = watch.file.read_text() if watch.file.exists() else "# EOF\n"
        families = {family.name: family for family in text_string_to_metric_families(text)}
        if "addrspace_watch_samples" in families:
            samples = families["addrspace_watch_samples"].samples[0].value
        time.sleep(0.02)
    made = families["addrspace_goroutines"].samples[0]
    assert made.labels == {"pid": str(process.pid), "program": named.name} and made.value >= 2
    watch.popen.send_signal(signal.SIGTERM)
    assert watch.popen.wait(60) == 0
    (up,) = text_string_to_metric_families(watch.file.read_text())
    assert (up.name, up.samples[0].value) == ("addrspace_watch_up", 0)
    assert "No growth" in watch.told() and sorted(tmp_path.iterdir()) == sorted(
        [named, watch.file, tmp_path / "told"]
    )


def test_two_dumps_say_how_fast(program: Binary, processes: Processes, tmp_path: Path) -> None:
    named, first = tmp_path / f"diffed{os.getpid()}", tmp_path / "first.json"
    shutil.copy(program.path, named)
    process = processes.start([str(named), "goroutines"]).wait_ready()
    assert cli("dump", process.pid, "--format", "json", "--stacks", "-o", first).returncode == 0
    leak(process, 1)
    done = cli("diff", first, named.name, "--width", "400", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r" apart$", done.stdout.splitlines()[0])
    assert " +512 (512 born, 0 gone)" in done.stdout
    assert re.search(r"\na minute: .* goroutines \+[\d,]+; growing fastest: goroutine-stacks: ", done.stdout)
    groups = done.stdout.partition("Goroutines by stack")[2].splitlines()
    assert "main.(*client).watch" in groups[2]
    document = json.loads(cli("diff", first, named.name, "--format", "json", cwd=tmp_path).stdout)
    assert 0 < document["seconds"] < 600


@pytest.mark.matrix
def test_many_goroutines_are_hardly_stopped(
    newest_go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path
) -> None:
    parked = build_program("parked", newest_go)
    process = processes.start([str(parked.path), *parked.arguments(tmp_path / "oracle", "100000")])
    process.wait_ready()
    watch = Watch(process.pid, tmp_path, "--every", "1s")
    peaks = []
    for count in (2, 4, 6, 8):  # the program lives two minutes
        watch.wait_for_samples(count)
        peaks.append(resident(watch.popen.pid))
    last = watch.end()
    assert last["figures"]["goroutines"]["now"] >= 100_000
    assert last["stopped"]["share"] <= 0.03 * 8 / 7 and max(peaks) < 200 << 20
    assert max(peaks[2:]) < 1.3 * max(peaks[:2])


def resident(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def test_what_cannot_be_watched_is_one_line(sleeper: Process, tmp_path: Path) -> None:
    assert_refused(cli("watch", sleeper.pid), r".*sleep is not a Go program: it has no runtime\.mheap_ .*")
    assert_refused(cli("watch", os.getpid()), rf"process {os.getpid()} .*|.*python.* is not a Go program.*")
    assert_refused(cli("watch", "no such"), "no process and no file is called no such")
    (tmp_path / "file").write_text("x")
    assert_refused(cli("watch", tmp_path / "file"), ".*file is not a process: give its number, .*")
    assert_refused(
        cli("watch", sleeper.pid, "--format", "openmetrics"), "--format openmetrics wants -o FILE.*"
    )
    assert_refused(cli("watch", sleeper.pid, "-o", tmp_path), "cannot write .*: it is a directory")
    assert (tmp_path / "file").read_text() == "x"
    assert cli("watch", sleeper.pid, "-o", tmp_path / "file").returncode == 1
    assert (tmp_path / "file").read_text() == "x"  # there was no sample
    assert sleeper.running()


def test_a_reader_that_goes_away_ends_it(program: Binary, processes: Processes) -> None:
    process = started(processes, program, "nothing")
    command = [sys.executable, "-m", "addrspace_gdb", "watch", str(process.pid), *OFTEN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=CHECKOUT) as watch:
        assert watch.stdout is not None
        assert b"leaks, pid " in watch.stdout.readline()
        watch.stdout.close()
        assert watch.wait(60) == 0
