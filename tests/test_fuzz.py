"""Damaged cores, programs and dumps, to every command in every form; `scripts/fuzz` does thousands of these.

And that what judges them can say no: fake commands do what no command may.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from harness import CHECKOUT, full_matrix
from harness.debuggers import Gdb, gdbs
from harness.gdbrun import environment
from harness.toolchains import Unavailable

sys.path.insert(0, str(CHECKOUT / "scripts"))

import fuzzing.__main__ as fuzz
import fuzzing.cases as cases
import fuzzing.oracle as oracle
import fuzzing.running as running
from fuzzing.asked import Step
from fuzzing.damage import KINDS, Files
from fuzzing.jsondamage import mutate
from fuzzing.rewrite import copy
from fuzzing.running import Done, run
from fuzzing.subjects import World, world

SEED = 20260101
COUNT, EACH = 300 if full_matrix() else 150, 15


@pytest.fixture(scope="session")
def made() -> World:
    """The undamaged cores and programs."""
    if not gdbs():
        pytest.skip("no gdb")
    try:
        return world(gdbs()[0])
    except Unavailable as problem:
        pytest.skip(str(problem))


@pytest.mark.parametrize("first", range(0, COUNT, EACH))
def test_damage_of_every_kind_is_survived(made: World, first: int) -> None:
    bad = [one for one in fuzz.outcomes(made, SEED, list(range(first, first + EACH))) if one.failures]
    assert bad == []


def digests(folder: Path) -> Dict[str, str]:
    """The files of a case, by their contents."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.is_file()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_is_the_same_damage(made: World, tmp_path: Path, kind: str) -> None:
    """For three seeds: twice the same, and not what it was."""
    subject = made.subjects[0]
    for seed in range(3):
        results = []
        for turn in ("one", "two"):
            folder = tmp_path / f"{turn}{seed}"
            folder.mkdir()
            files = Files(folder, folder / "core", folder / "victim", made.others)
            copy(subject.core, files.core)
            copy(subject.program, files.program)
            before = digests(folder)
            said = KINDS[kind](random.Random(seed), files)
            results.append((said, digests(folder)))
            assert results[-1][1] != before, said
            shutil.rmtree(folder)
        assert results[0] == results[1]


def test_the_same_seed_is_the_same_damage_of_a_dump(made: World, tmp_path: Path) -> None:
    path = tmp_path / "dump.json"
    results = []
    for seed in (*range(8), *range(8)):
        shutil.copyfile(made.dumps[0], path)
        results.append((mutate(random.Random(seed), path), path.read_bytes()))
    assert results[:8] == results[8:]
    assert sum(data != made.dumps[0].read_bytes() for _, data in results[:8]) >= 7


def test_a_case_is_asked_the_same_again(made: World, tmp_path: Path) -> None:
    for case in (4, 19):  # a core, and a dump
        both = []
        for turn in ("one", "two"):
            (tmp_path / turn / str(case)).mkdir(parents=True)
            outcome = cases.carry_out(made, 3, case, tmp_path / turn / str(case))
            both.append((outcome.damage, outcome.asked, outcome.failures))
        assert both[0] == both[1]


def test_it_goes_on_where_it_stopped(made: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "state"
    monkeypatch.setattr(sys, "argv", ["fuzz", "--count", "2", "--only", "json", "--resume", str(state)])
    assert fuzz.main() == 0
    lines = state.read_text().splitlines()
    assert [json.loads(line)["case"] for line in lines[1:]] == [19, 39]
    state.write_text("\n".join([*lines[:2], lines[2][:40]]))  # killed while it wrote
    done: List[int] = []
    real = cases.carry_out

    def counted(*arguments: Any) -> Any:
        done.append(arguments[2])
        return real(*arguments)

    monkeypatch.setattr(fuzz, "carry_out", counted)
    assert fuzz.main() == 0
    assert done == [39]
    monkeypatch.setattr(sys, "argv", ["fuzz", "--seed", "2", "--count", "2", "--resume", str(state)])
    with pytest.raises(SystemExit, match="another seed"):
        fuzz.main()


def fake(folder: Path, body: str) -> Done:
    """A run of a command that does this, in Python."""
    return run([sys.executable, "-c", body], folder, folder, dict(os.environ))


TELL = "import sys, os, time\nprint('addrspace-gdb: damaged', file=sys.stderr)\n"


@pytest.mark.parametrize(
    ("body", "options", "expected"),
    [
        ("print('all is well')", (), None),
        (TELL + "sys.exit(1)", (), None),
        (TELL + "print('what could be read'); sys.exit(1)", (), None),
        ("print('{\"a\": 1}')", ("--format", "json"), None),
        ("raise KeyError(5)", (), "a traceback"),
        ("import sys; sys.exit('addrspace-gdb: internal error: KeyError: 5')", (), "a traceback"),
        (TELL + "sys.exit(3)", (), "exit status 3"),
        (TELL + "os.abort()", (), "exit status -6"),
        (TELL, (), "status 0, and a problem"),
        ("pass", (), "status 0, and no answer"),
        ("raise SystemExit(1)", (), "no word of why"),
        (TELL + "print('more', file=sys.stderr); sys.exit(1)", (), "a line that is no problem's"),
        (TELL * 2 + "sys.exit(1)", (), "2 lines on stderr"),
        ("print('{\"a\": NaN')", ("--format", "json"), "no JSON"),
        ('print(\'{"a": "\\\\udcff"}\')', ("--format", "json"), "no JSON"),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\xfe\\n')", (), "not clean text"),
        ("print('\\x1b[2J')", (), "not clean text"),
        ("print('a' * (5 << 20))", (), "a flood"),
    ],
)
def test_what_no_command_may_do_is_a_failure(
    tmp_path: Path, body: str, options: List[str], expected: Any
) -> None:
    found = oracle.shell_failures(fake(tmp_path, body), options)
    assert (found == []) if expected is None else any(expected in one for one in found), found


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("import time; time.sleep(600)", "asleep"),
        ("while True: pass", "of the processor"),
        ("import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])", "processor"),
    ],
)
def test_a_hang_is_ended_and_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, expected: str
) -> None:
    monkeypatch.setattr(running, "LONGEST", 1.0)
    done = fake(tmp_path, body)
    assert done.hung is not None and expected in done.hung
    assert "a hang" in oracle.shell_failures(done, ())[0]


def test_a_child_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "LONGEST", 1.0)
    body = "import subprocess; p = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
    fake(tmp_path, body + f"open({str(tmp_path / 'pid')!r}, 'w').write(str(p.pid)); p.wait()")
    status = Path("/proc") / (tmp_path / "pid").read_text() / "stat"
    assert not status.exists() or ") Z " in status.read_text()


def test_much_memory_is_a_failure(tmp_path: Path) -> None:
    done = fake(tmp_path, "data = bytearray(1200 << 20)\nfor at in range(0, len(data), 4096): data[at] = 1")
    assert any("MiB of memory" in one for one in oracle.shell_failures(done, ()))


LIES = """
class Lie(gdb.Command):
    def __init__(self): super().__init__("addrspace", gdb.COMMAND_DATA)
    def invoke(self, argument, tty):
        if argument == "raise": raise KeyError(5)
        if argument == "internal": raise gdb.GdbError("addrspace: internal error: KeyError: 5")
        if argument == "lines": raise gdb.GdbError("addrspace: one\\ntwo")
        if argument == "foreign": raise gdb.GdbError("no such thing")
        if argument == "escape": gdb.write("\\x1b[2J\\n")
        if argument == "print": gdb.write("Python Exception <class 'KeyError'>: 5\\n", gdb.STDERR)
        if argument == "json --format json": gdb.write("{\\n")
        if argument == "kill": import os; os.kill(os.getpid(), 9)
        if argument in ("well", "print"): gdb.write("all is well\\n")
        if argument == "damaged": raise gdb.GdbError("addrspace: damaged")
Lie()
"""


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("well", None),
        ("damaged", None),
        ("raise", "traceback|without our name"),
        ("internal", "internal error"),
        ("lines", "not one line"),
        ("foreign", "without our name"),
        ("escape", "no clean text"),
        ("nothing", "no clean text"),
        ("print", "traceback"),
        ("json --format json", "no JSON"),
        ("kill", "gdb ended in it, status -9"),
    ],
)
def test_what_no_command_may_do_inside_gdb_is_a_failure(tmp_path: Path, command: str, expected: Any) -> None:
    if not gdbs():
        pytest.skip("no gdb")
    lies, steps = tmp_path / "lies.py", [Step("show version", False), Step(f"addrspace {command}", True)]
    lies.write_text(LIES)
    (tmp_path / "steps").write_text(json.dumps([step.command for step in steps]))
    given = {"ADDRSPACE_FUZZ_STEPS": str(tmp_path / "steps"), "ADDRSPACE_FUZZ_RESULTS": str(tmp_path / "out")}
    words = [str(gdbs()[0].path), "-nx", "-q", "-batch", "-ex", f"source {lies}"]
    done = run([*words, "-ex", f"source {cases.INSIDE}"], tmp_path, tmp_path, environment(given))
    found = oracle.gdb_failures(done, steps, cases.read_records(tmp_path / "out"))
    if expected is None:
        assert found == []
    else:
        assert any(word in one for word in expected.split("|") for one in found), found


def test_the_launcher_shows_a_case(made: World) -> None:
    launcher: Callable[..., Any] = subprocess.run
    shown = launcher(
        [str(CHECKOUT / "scripts" / "fuzz"), "--case", "19"], stdout=subprocess.PIPE, text=True, timeout=300
    )
    assert shown.returncode == 0 and "--- case 19: " in shown.stdout
    folder = Path(shown.stdout.split("files: ")[1].split(" ")[0])
    assert (folder / "one.json").exists() and (folder / "command").read_text().strip()
    shutil.rmtree(folder)


def test_another_gdb_is_another_world(made: World) -> None:
    """What was made with one is not taken for what another makes."""
    from fuzzing.subjects import _digest

    programs = [subject.program for subject in made.subjects]
    assert _digest(programs, made.gdb) != _digest(programs, Gdb(made.gdb.path, "0.1"))


def test_what_gdb_does_by_itself_is_not_held_against_the_commands() -> None:
    """It hangs or dies in a command of its own: noted, and no failure. In one of ours it is one."""
    steps = [Step("core-file core", False), Step("addrspace", True)]
    hung, died = Done(-9, b"", b"", 40.0, 0, "asleep"), Done(-11, b"", b"", 1.0, 0, None)
    ended = {"number": 0, "outcome": "output", "text": "", "length": 0}
    for done in (hung, died):
        assert oracle.gdb_failures(done, steps, [{"begins": 0}]) == []
        assert len(oracle.gdb_failures(done, steps, [{"begins": 0}, ended, {"begins": 1}])) == 1
