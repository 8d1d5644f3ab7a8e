"""On one core every answer is the same, whoever reads it: gdb, lldb, or no debugger.

Without ADDRSPACE_MATRIX=1 the newest Go, gdb and lldb; with it the oldest of each too, and stripped programs.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple

import pytest
from answers_side import Ended
from goroutine_frames import common, sections
from harness import full_matrix
from harness.build import Builder
from harness.command import cli
from harness.debuggers import Gdb, gdbs
from harness.gdbrun import Result, run_gdb
from harness.lldbs import Lldb, for_lldb, lldbs, run_lldb
from harness.processes import Processes
from harness.scenes import attach, gcore, kernel_core, open_core, start
from harness.toolchains import NEWEST, Toolchain, Unavailable, toolchain_or_skip
from test_direct import MOVES

from addrspace_gdb.commands import MODULES, PROFILES, commands, loaded
from addrspace_gdb.commands.command import run
from addrspace_gdb.commands.session import Settings
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.debugger.direct.core_file import CoreTarget
from addrspace_gdb.debugger.direct.session import DirectSession
from addrspace_gdb.goruntime.stripped.target import with_runtime
from addrspace_gdb.goruntime.versions import LATEST
from addrspace_gdb.shell.hints import SHELL

SIDE = Path(__file__).with_name("answers_side.py")
ALLGS = "*(void**)&runtime.allgs"
# What each command is asked, by its module; "" is the command alone. SELF is the core as the debugger numbers
# it, DUMP what was said of the process a moment later.
ASKED: Dict[str, Sequence[str]] = {
    **dict.fromkeys(("addrspace", "regions", "memstats", "gc", "heap", "arenas", "spans", "html"), ("",)),
    "types": ("",),
    "rss": ("", "--by-class", "--graph"),
    "retained": ("", "--by type", ALLGS),
    "holders": (ALLGS,),
    "whereis": (
        "goroutine:1 0xc000000000 $sp $pc *(void**)$sp@4 &runtime.allgs runtime.allm",
        f"--graph {ALLGS}",
    ),
    "fault": ("",),
    "goroutine_stacks": ("", "--frames --system --dead", "--leaked"),
    "profile": PROFILES,
    "snapshot": ("one",),
    "diff": ("DUMP now",),
    "compare": ("SELF DUMP", "SELF SELF $sp"),
}
# Of a program that did not die, and keeps no such profiles.
UNANSWERED = {"fault ", *(f"profile {kind}" for kind in ("heap", "allocs", "block", "mutex"))}
OF_SEVERAL = ("snapshot", "diff", "compare")  # which take a session, or a dump
NO_JSON = ("html", "profile")
# A snapshot knows when it was taken, and a debugger has numbers of its own for what it holds.
FRAMES = "goroutine-apply all bt" if full_matrix() else "goroutine-apply 1-30 200-210 bt"
OWN = re.compile(r'"(name|inferior|taken|seconds)": ("(\\.|[^"\\])*"|[\d.]+|null)')
TYPED = re.compile(r'"resident": (\d+|null), "type": ("(\\.|[^"\\])*"|null), "what"')  # of `whereis`
VERSIONS = (LATEST[0], next(one for one in LATEST if one.startswith("1.23.")), NEWEST)
PROGRAMS = [(version, variant) for version in VERSIONS for variant in ("plain", "stripped")]


def test_every_command_is_asked() -> None:
    assert sorted(ASKED) == sorted(MODULES)


class Subject(NamedTuple):
    """A core, the program that left it, and a dump of the process."""

    core: Path
    program: Path
    dump: Path
    stripped: bool = False


@pytest.fixture(params=PROGRAMS if full_matrix() else [(NEWEST, "plain")], ids="-".join)
def subject(
    request: pytest.FixtureRequest,
    build_program: Builder,
    processes: Processes,
    oracle_file: Path,
    tmp_path: Path,
) -> Subject:
    if not gdbs():
        pytest.skip("no gdb to make a core")
    version, variant = request.param
    binary = build_program("sample", toolchain_or_skip(version), variant)
    made = Subject(tmp_path / "core", binary.path, tmp_path / "dump.json", variant == "stripped")
    live = start(processes, binary, oracle_file)
    gcore(gdbs()[-1], attach(live, binary), made.core)
    for_lldb(made.core)
    assert cli("dump", live.pid, "--format", "json", "--output", made.dump).returncode == 0
    return made


def both_ends(found: Sequence[Any]) -> List[Any]:
    """The newest; in the matrix also the oldest."""
    ordered = sorted(found, key=lambda one: [int(part) for part in one.version.split(".")])
    return [*ordered[:1], *ordered[1:][-1:]] if full_matrix() else ordered[-1:]


Answers = Dict[str, Tuple[str, str]]  # by what was asked: what was written or printed, and what was wrong
Ask = Callable[[List[str], Path], List[Ended]]


def answers(ask: Ask, names: Sequence[str], number: int, subject: Subject, folder: Path) -> Answers:
    """What is asked of each of `names`; the core has that number."""
    folder.mkdir()
    lines: List[str] = []
    for name in names:
        form = "" if name in NO_JSON else "--format json "
        for more in ASKED[name]:
            words = more.replace("SELF", str(number)).replace("DUMP", str(subject.dump))
            words = numbers(words, subject) if subject.stripped else words
            lines.append(f"{loaded(name).name} {form}--output {folder / str(len(lines))} {words}".strip())
    ended = ask([*lines, FRAMES], folder)
    asked = [f"{name} {more}" for name in names for more in ASKED[name]]
    found = {one: (written(folder / str(at)), ended[at][0]) for at, one in enumerate(asked)}
    return {**found, FRAMES: (ended[-1][1], ended[-1][0])}


def numbers(words: str, subject: Subject) -> str:
    """The same without names of variables: gdb knows none; without it they are found by the code."""
    target = with_runtime(CoreTarget(str(subject.core), str(subject.program), "", None, SHELL))
    symbol = target.symbol("runtime.allgs")
    assert symbol is not None
    first = int.from_bytes(target.read(symbol.address, 8), "little")
    words = words.replace(ALLGS, hex(first)).replace("&runtime.allgs", hex(symbol.address))
    return words.replace("runtime.allm", "")


def written(file: Path) -> str:
    text = file.read_bytes().decode("latin-1") if file.exists() else ""
    return OWN.sub("", MOVES.sub("", text))


def typed_in(session: Callable[[List[str]], Result], script: str) -> Ask:
    """`script` is a debugger's command that runs the side's `answers` with two files."""

    def ask(lines: List[str], folder: Path) -> List[Ended]:
        given, out = folder / "lines", folder / "ended"
        given.write_text(json.dumps(lines))
        done = session([script.format(repr(str(given)), repr(str(out)))])
        assert out.exists(), done.stdout[-2000:] + done.stderr[-2000:]
        return [(wrong.removeprefix("addrspace: "), text) for wrong, text in json.loads(out.read_text())]

    return ask


def in_gdb(gdb: Gdb, subject: Subject) -> Ask:
    scene = open_core(subject.core, subject.program)
    source = f"source {SIDE}"
    return typed_in(lambda lines: run_gdb(gdb, [source, *lines], scene, load=True), "python answers({}, {})")


def in_lldb(lldb: Lldb, subject: Subject) -> Ask:
    enter = [f"target create --core {subject.core} {subject.program}", f"command script import {SIDE}"]
    return typed_in(lambda lines: run_lldb(lldb, [*enter, *lines]), f"script {SIDE.stem}.answers({{}}, {{}})")


def in_neither(subject: Subject) -> Ask:
    def ask(lines: List[str], folder: Path) -> List[Ended]:
        target = CoreTarget(str(subject.core), str(subject.program), "", None, SHELL)
        session = DirectSession(target, Settings(80, True, False, ""), str(folder / "unused"))
        return [(directly(session, line), "") for line in lines if line != FRAMES] + [("", "")]

    return ask


def directly(session: DirectSession, line: str) -> str:
    """What is wrong with an answer, "" for nothing."""
    known = {command.name: command.module for command in commands()}
    name = max((one for one in known if line.startswith(f"{one} ")), key=len)
    try:
        return run(loaded(known[name]), session, line[len(name) :]) or ""
    except ProblemError as problem:
        return str(problem)


def unlike(found: Answers, expected: Answers, typed: bool = True) -> List[str]:
    """What is asked in both, and is answered otherwise. Not `typed`: of the two only gdb knows what type an
    expression of Go has, which is null for the other."""
    both = [question for question in expected if question in found and question != FRAMES]
    forget = str if typed else lambda one: TYPED.sub("", str(one))
    return [question for question in both if forget(found[question]) != forget(expected[question])]


class Both(NamedTuple):
    """What a gdb answers, and each lldb."""

    gdb: Answers
    lldbs: List[Answers]


def compared(subject: Subject, names: Sequence[str], folder: Path) -> Both:
    """Each lldb answers what is answered in gdb, and without a debugger."""
    if not lldbs():
        pytest.skip("no lldb")
    alone = [name for name in names if name not in OF_SEVERAL]
    expected = answers(in_neither(subject), alone, 0, subject, folder / "neither")
    in_gdbs: List[Answers] = []
    for gdb in both_ends(gdbs()):
        in_gdbs.append(answers(in_gdb(gdb, subject), names, 1, subject, folder / str(gdb)))
        assert unlike(in_gdbs[-1], expected, typed=False) == [], gdb
    in_lldbs: List[Answers] = []
    for lldb in both_ends(lldbs()):
        in_lldbs.append(answers(in_lldb(lldb, subject), names, 0, subject, folder / str(lldb)))
        assert unlike(in_lldbs[-1], expected) == [], lldb
        assert unlike(in_lldbs[-1], in_gdbs[-1], typed=False) == [], lldb
    return Both(in_gdbs[-1], in_lldbs)


def test_all_of_a_core(subject: Subject, tmp_path: Path) -> None:
    """In a session, as it is typed there."""
    by_gdb, by_lldb = compared(subject, list(ASKED), tmp_path)
    for found in by_lldb:
        assert {question for question, (text, _) in found.items() if not text} <= UNANSWERED
        assert_frames(found[FRAMES], by_gdb[FRAMES])


@pytest.mark.parametrize("how", ["segv", pytest.param("panic", marks=pytest.mark.matrix)])
def test_why_it_died(
    how: str, newest_go: Toolchain, build_program: Builder, oracle_file: Path, tmp_path: Path
) -> None:
    try:
        made = kernel_core(build_program("crash", newest_go), tmp_path, oracle_file, how)
    except Unavailable as problem:
        pytest.skip(str(problem))
    if not gdbs():
        pytest.skip("no gdb")
    subject = Subject(for_lldb(made.path), made.scene.program or tmp_path, tmp_path)
    for found in compared(subject, ["fault"], tmp_path).lldbs:
        assert '"schema": "fault/1"' in found["fault "][0]


def assert_frames(found: Tuple[str, str], expected: Tuple[str, str]) -> None:
    """Those of every goroutine are gdb's, and below them what gdb hides behind `main.main`."""
    by_gdb, by_lldb = sections(expected[0]), frames_of(found[0])
    assert sorted(by_gdb) == sorted(by_lldb) != [], (expected[1], found[1])
    for goid, section in by_gdb.items():
        shown = [one for one in section.frames if one.function != "??"]
        ours = by_lldb[goid]
        hidden = [frame.function for frame in ours[len(shown) :]]
        assert hidden in ([], ["runtime.main", "runtime.goexit"]), (goid, hidden)
        for theirs, frame in zip(shown, ours):
            assert common(theirs.function) == common(frame.function), (goid, shown, ours)
            assert f"{theirs.file}:{theirs.line}".endswith(frame.place), (goid, shown, ours)


class Framed(NamedTuple):
    """A frame as it is printed in lldb."""

    function: str
    place: str  # its file, without most of the folders, and the line


def frames_of(text: str) -> Dict[int, List[Framed]]:
    """What `FRAMES` prints in lldb, by goid."""
    found: Dict[int, List[Framed]] = {}
    for line in text.splitlines():
        header = re.fullmatch(r"Goroutine (\d+) \[.*", line)
        frame = re.fullmatch(r"  frame #\d+: 0x[0-9a-f]+ (.+?)(?: \[inlined\])?(?: at (\S+))?", line)
        if header is not None:
            frames = found.setdefault(int(header.group(1)), [])
        elif frame is not None:
            frames.append(Framed(frame.group(1), frame.group(2) or ""))
    return found
