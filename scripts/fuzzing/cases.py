"""A case: what is damaged, and what is then asked of it, from a seed and a number alone."""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

from harness import CHECKOUT, LOADER
from harness.gdbrun import EARLY, SETTINGS, environment

from fuzzing import asked, jsondamage
from fuzzing.damage import KINDS, Files
from fuzzing.oracle import MEMORY, OF_MEMORY, gdb_failures, shell_failures, unfinished
from fuzzing.rewrite import copy
from fuzzing.running import Done, run
from fuzzing.subjects import World

JSON = "json"
ALL_KINDS = (*KINDS, JSON)
INSIDE = Path(__file__).with_name("inside.py")
MAX_PACKED = 1 << 27  # bytes of a core that is compressed: holes count, and gcore keeps reserved memory
_IN_SHELL = 0.4  # of the cases: the others are sessions inside gdb


class Outcome(NamedTuple):
    """What came of a case; one line of the state file."""

    case: int
    kind: str
    damage: str
    asked: str
    seconds: float
    peak: int
    failures: List[str]
    note: str = ""  # what is worth knowing and no failure

    def line(self) -> str:
        """As it stands in the state file."""
        return json.dumps(self._asdict()) + "\n"


def kind_of(case: int) -> str:
    """The kinds take turns."""
    return ALL_KINDS[case % len(ALL_KINDS)]


def carry_out(world: World, seed: int, case: int, folder: Path) -> Outcome:
    """Make the case's files in the empty `folder`, run what is asked, and judge it."""
    rng = random.Random(f"{seed} {case}")
    kind = kind_of(case)
    if kind == JSON:
        return _json_case(world, rng, case, folder)
    small = [one for one in world.subjects if one.core.stat().st_size < MAX_PACKED]
    if kind == "compressed" and not small:  # the kernel writes no cores here: all are gdb's
        kind = "words"
    subject = rng.choice(small if kind == "compressed" else world.subjects)
    files = Files(folder, folder / "core", folder / "victim", list(world.others))
    copy(subject.core, files.core)
    copy(subject.program, files.program)
    damage = f"{subject.name}: {KINDS[kind](rng, files)}"
    given = rng.random() < 0.6 or kind in (
        "sections",
        "another-build",
    )  # else the program is found, or is not
    ask = _in_shell if rng.random() < _IN_SHELL or kind == "compressed" else _in_gdb
    done, words, failures, note = ask(world, rng, files, given)
    if done.peak > MEMORY and " ".join(_WITHOUT) not in words:
        alone = _alone(world, files, given)
        if alone > MEMORY:  # it reads a whole segment where the vDSO should be, for one
            failures = [one for one in failures if not one.endswith(OF_MEMORY)]
            note = f"gdb without this project takes {alone >> 20} MiB"
    return Outcome(case, kind, damage, words, round(done.seconds, 3), done.peak, failures, note)


def _environment(folder: Path) -> Dict[str, str]:
    scratch = folder / "tmp"
    scratch.mkdir(exist_ok=True)
    # Without compiled kernels: nobody waits for them to be made anew in each folder.
    return environment({"TMPDIR": str(scratch), "HOME": str(folder), "ADDRSPACE_GRAPH_PLAIN": "1"})


def _command(*arguments: str) -> List[str]:
    return [sys.executable, "-m", "addrspace_gdb", *arguments]


def _said(command: List[str], folder: Path) -> str:
    """The command line, for whoever replays it."""
    text = " ".join(f"'{word}'" if " " in word else word for word in command)
    (folder / "command").write_text(text + "\n")
    return text.replace(str(folder), ".")


_WITHOUT = ["--debugger", "none"]


def _in_shell(
    world: World, rng: random.Random, files: Files, given: bool
) -> Tuple[Done, str, List[str], str]:
    options = asked.shell(rng)
    who = ["--gdb", str(world.gdb.path)] if rng.random() < 0.5 else _WITHOUT
    command = _command("dump", str(files.core), *who, *options)
    command += ["--exe", str(files.program)] if given else []
    done = run(command, files.folder, CHECKOUT, _environment(files.folder))
    left = os.listdir(files.folder / "tmp")
    failures = shell_failures(done, options) + ([f"left behind: {left[:3]}"] if left else [])
    note = done.stderr.decode("utf-8", "backslashreplace").split("\n", 1)[0][:300]
    return done, _said(command[3:], files.folder), failures, note


def _alone(world: World, files: Files, given: bool) -> int:
    """Bytes of memory that gdb itself takes to open the core."""
    command = [
        str(world.gdb.path),
        "-nx",
        "-q",
        "-batch",
        *(word for line in EARLY for word in ("-iex", line)),
    ]
    command += ["-ex", f"file {files.program}"] if given else []
    command += ["-ex", f"core-file {files.core}"]
    return run(command, files.folder, files.folder, _environment(files.folder)).peak


def _in_gdb(world: World, rng: random.Random, files: Files, given: bool) -> Tuple[Done, str, List[str], str]:
    steps = [asked.Step(f"file {files.program}", False)] if given else []
    steps += [asked.Step(f"core-file {files.core}", False), *asked.session(rng)]
    plan, results = files.folder / "steps.json", files.folder / "results"
    plan.write_text(json.dumps([step.command for step in steps]))
    command = [str(world.gdb.path), "-nx", "-q", "-batch"]
    command += [word for line in EARLY for word in ("-iex", line)]
    command += [word for line in SETTINGS for word in ("-ex", line)]
    command += ["-ex", f"source {LOADER}", "-ex", f"source {INSIDE}"]
    extra = {"ADDRSPACE_FUZZ_STEPS": str(plan), "ADDRSPACE_FUZZ_RESULTS": str(results)}
    done = run(command, files.folder, files.folder, {**_environment(files.folder), **extra})
    records = read_records(results)
    _said(command, files.folder)
    last = unfinished(records)
    note = f"gdb ended with {done.status} in its own {steps[last].command}" if last is not None else ""
    words = "; ".join(step.command.replace(str(files.folder), ".") for step in steps)
    return done, f"gdb: {words}", gdb_failures(done, steps, records), note


def read_records(path: Path) -> List[Dict[str, Any]]:
    """The whole lines of a session's results."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return [{"begins": 0}]
    return [json.loads(line) for line in lines[:-1]]


def _json_case(world: World, rng: random.Random, case: int, folder: Path) -> Outcome:
    chosen = rng.choice(world.dumps), rng.choice(world.dumps)
    paths = [folder / "one.json", folder / "two.json"]
    for source, path in zip(chosen, paths):
        shutil.copyfile(source, path)
    damage = jsondamage.mutate(rng, paths[0])
    if rng.random() < 0.2:
        damage += f"; and {jsondamage.mutate(rng, paths[1])}"
    arguments = jsondamage.commands(rng, [str(path) for path in paths])
    command = _command(*arguments)
    done = run(command, folder, CHECKOUT, _environment(folder))
    note = done.stderr.decode("utf-8", "backslashreplace").split("\n", 1)[0][:300]
    words = _said(command[3:], folder)
    return Outcome(
        case, JSON, damage, words, round(done.seconds, 3), done.peak, shell_failures(done, arguments), note
    )
