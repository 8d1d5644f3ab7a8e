"""Under lldb the answers are those that are given without a debugger, in words that can be typed there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import pytest
from harness import CHECKOUT, full_matrix
from harness.build import Binary, Builder
from harness.command import assert_refused, cli
from harness.debuggers import gdbs
from harness.gdbrun import Result
from harness.held import state, stop
from harness.lldbs import LOADER, Lldb, for_lldb, oldest, run_lldb
from harness.processes import INTERRUPTIBLE, Process, Processes
from harness.scenes import attach, gcore, start
from harness.terminal import LldbTerminal
from harness.toolchains import Toolchain
from test_direct import MOVES

from addrspace_gdb.common.lldb_words import path_in_lldb
from addrspace_gdb.common.problems import ProblemError

FEW = (
    *("addrspace", "addrspace rss", "addrspace heap", "goroutine-stacks --frames"),
    "addrspace whereis goroutine:1 0xc000000000 $sp *(void**)$sp@4",
)
ALL = (
    *FEW,
    *("addrspace regions", "addrspace memstats", "addrspace gc", "addrspace arenas", "addrspace spans"),
    *("addrspace types", "addrspace retained --by type", "goroutine-stacks --system --dead"),
    *("goroutine-stacks --leaked", "addrspace rss --graph", "addrspace holders *(void**)&runtime.allgs"),
    "addrspace whereis --graph *(void**)&runtime.allgs",
)
REPORTS = ALL if full_matrix() else FEW
# What is no JSON, as files.
FILES = {
    "html": "addrspace html",
    "goroutine": "addrspace profile goroutine",
    "stacks": "addrspace profile stacks",
    "rss": "addrspace profile rss",
    "retained": "addrspace profile retained",
}


class Live(NamedTuple):
    """A program that has settled."""

    binary: Binary
    process: Process


@pytest.fixture(params=["plain", pytest.param("stripped", marks=pytest.mark.matrix)])
def live(
    request: pytest.FixtureRequest,
    newest_go: Toolchain,
    build_program: Builder,
    processes: Processes,
    oracle_file: Path,
) -> Live:
    binary = build_program("sample", newest_go, request.param)
    return Live(binary, start(processes, binary, oracle_file))


def on(lldb: Lldb, live: Live, *lines: str, env: Dict[str, str] = {}) -> Result:  # noqa: B006
    return run_lldb(lldb, [f"process attach --pid {live.process.pid}", *lines], env=env)


def answer_to(command: str, run: Result) -> str:
    """What was printed for a command, the last one of that text."""
    return run.stdout.rpartition(f"(lldb) {command}\n")[2].partition("\n(lldb) ")[0]


def compared(lldb: Lldb, enter: Sequence[str], target: object, folder: Path) -> None:
    """The documents of all reports by one lldb, and each as it is without."""
    files = {report: folder / f"{number}.json" for number, report in enumerate(REPORTS)}
    expected = {report: without(target, report) for report in files}
    lines = [f"{report} --format json --output {file}" for report, file in files.items()]
    run = run_lldb(lldb, [*enter, *lines])
    assert run.status == 0, run.stderr + run.stdout[-2000:]
    for report, file in files.items():
        assert MOVES.sub("", file.read_text()) == expected[report], report


def without(target: object, report: str) -> str:
    words = report.removeprefix("addrspace ")
    more = [] if words == "addrspace" else ["--report", words]
    done = cli("dump", str(target), *more, "--format", "json", "--debugger", "none")
    assert done.stdout, done.stderr
    return MOVES.sub("", done.stdout)


def test_a_core_is_what_is_said_without(live: Live, lldb_exe: Lldb, tmp_path: Path) -> None:
    if not gdbs():
        pytest.skip("no gdb to make a core")
    core = tmp_path / "core"
    gcore(gdbs()[0], attach(live.process, live.binary), core)
    for_lldb(core)
    compared(lldb_exe, [f"target create --core {core} {live.binary.path}"], core, tmp_path)


def test_the_oldest_lldb_says_the_same(live: Live, tmp_path: Path) -> None:
    """In short; the matrix has all."""
    lldb, out = oldest(), tmp_path / "gc.json"
    if lldb is None:
        pytest.skip("the oldest lldb is not in the cache")
    run = on(lldb, live, f"addrspace gc --format json --output {out}", "goroutine 1")
    assert run.status == 0, run.stderr
    assert json.loads(out.read_text())["schema"] == "gc/1" and goroutine_of(answer_to("goroutine 1", run))


def test_debians_lldb_14(live: Live, tmp_path: Path) -> None:
    """It says how it is made to find its own module, and answers then."""
    path = shutil.which("lldb-14")
    if path is None:
        pytest.skip("no lldb-14 on PATH")
    lldb, out = Lldb(Path(path), "14.0.6"), tmp_path / "gc.json"
    said = re.search(r"(?m)^addrspace-gdb: .* PYTHONPATH=(\S+)$", run_lldb(lldb, []).stderr)
    env = {"PYTHONPATH": said.group(1)} if said is not None else {}
    run = on(lldb, live, f"addrspace gc --format json --output {out}", "goroutine 1", env=env)
    assert run.status == 0, run.stderr
    assert json.loads(out.read_text())["schema"] == "gc/1" and goroutine_of(answer_to("goroutine 1", run))


@pytest.mark.matrix
@pytest.mark.parametrize("name", FILES)
def test_a_file_is_what_is_written_without(live: Live, lldb_exe: Lldb, name: str, tmp_path: Path) -> None:
    """And a difference of a core to itself is none."""
    core, by_lldb, without_one = tmp_path / "core", tmp_path / "lldb", tmp_path / "direct"
    gcore(gdbs()[0], attach(live.process, live.binary), core)
    for_lldb(core)
    word, *more = FILES[name].removeprefix("addrspace ").split()
    done = cli(word, *more, str(core), "--output", str(without_one), "--debugger", "none")
    lines = [f"target create --core {core} {live.binary.path}", f"{FILES[name]} --output {by_lldb}"]
    diff = f"addrspace diff one now --format json --output {tmp_path / 'diff'}"
    run = run_lldb(lldb_exe, [*lines, "addrspace snapshot one", diff])
    assert (done.returncode, run.status) == (0, 0), done.stderr + run.stderr
    assert by_lldb.read_bytes() == without_one.read_bytes()
    found = json.loads((tmp_path / "diff").read_text())
    assert (found["same_process"], found["total"]["size_change"]) == (True, 0)


def code_of(live: Live) -> bytes:
    """What is mapped executable of the program, as it is in memory."""
    for line in Path(f"/proc/{live.process.pid}/maps").read_text().splitlines():
        if line.split()[1] == "r-xp" and line.endswith(str(live.binary.path)):
            low, high = (int(text, 16) for text in line.split()[0].split("-"))
            with open(f"/proc/{live.process.pid}/mem", "rb") as memory:
                memory.seek(low)
                return memory.read(high - low)
    raise AssertionError("no code")


def test_a_process_is_what_is_said_without_and_stays_as_it_was(
    live: Live, lldb_exe: Lldb, tmp_path: Path
) -> None:
    code = code_of(live)
    assert on(lldb_exe, live).status == 0  # a page of the program is the process's own from then on
    assert code_of(live) == code
    stop(live.process)
    compared(lldb_exe, [f"process attach --pid {live.process.pid}"], live.process.pid, tmp_path)
    assert code_of(live) == code
    assert state(live.process.pid)[1] == "0"


def test_at_the_prompt(live: Live, lldb_exe: Lldb) -> None:
    """What is said once, in whose words, and that a command which fails does so in one line."""
    run = on(
        lldb_exe,
        live,
        "addrspace",
        "addrspace set unicode off",
        "addrspace show unicode",
        "addrspace --classic",
        "help addrspace",
        "addrspace regions --help",
        "goroutine-stacks --limit 1",
        "addrspace compare 0 0 $pc",
        "addrspace regions --no-such",
    )
    assert run.status == 1
    assert "2^64 ┌" in answer_to("addrspace", run)
    assert answer_to("addrspace show unicode", run) == "addrspace unicode: off"
    classic = answer_to("addrspace --classic", run)
    assert "Go Heap" in classic and "┌" not in classic
    assert "addrspace rss" in answer_to("help addrspace", run)
    assert "usage: addrspace regions" in answer_to("addrspace regions --help", run)
    assert "target 0" in answer_to("addrspace compare 0 0 $pc", run)
    said = run.stderr.splitlines()
    warnings = [line for line in said if line.startswith("warning: ") and "plugin" not in line]
    assert ["breakpoint" in warnings[0], "SIGURG" in warnings[1], len(warnings)] == [True, True, 2]
    assert said[-1].startswith("error: addrspace regions: ") or said[-1].startswith(
        "error: addrspace: regions"
    )
    assert said[-1].endswith("(see `addrspace regions --help`)")
    everything = run.stdout + run.stderr
    assert not re.search(
        r"\bgdb\b|inferior|Traceback|`help addrspace ", everything.replace("addrspace-gdb", "")
    )


def test_goroutines(live: Live, lldb_exe: Lldb, tmp_path: Path) -> None:
    """Their frames are those of the JSON, as text."""
    out = tmp_path / "stacks.json"
    many, few, other = "goroutine 1", "goroutine-apply 1 99999 bt 1", "goroutine-apply 1 -c register read rip"
    lines = [f"goroutine-stacks 1 --frames --format json --output {out}", "goroutine"]
    lines += ["addrspace set threads off", many]
    run = on(lldb_exe, live, *lines, "goroutine --off", few, other, "goroutine 99999")
    (frames,) = [one["frames"] for one in json.loads(out.read_text())["goroutines"]]
    assert "main.main" in [frame["function"] for frame in frames] and len(frames) > 2
    label, shown = goroutine_of(answer_to(many, run))
    expected = [
        f"  frame #{at}: {int(one['pc'], 16):#018x} {one['function']}" for at, one in enumerate(frames)
    ]
    assert [line.partition(" at ")[0] for line in shown] == expected
    ours = re.findall(
        r"(?m)^(?:G|  frame #|addrspace:).*", answer_to(few, run)
    )  # lldb's own come when they like
    assert ours == [
        f"{label.replace('g', 'G', 1)}:",
        shown[0],
        "addrspace: there is no goroutine 99999 (`goroutine-stacks` lists them)",
    ]
    assert "is parked: only `bt` can be run for it here" in answer_to(other, run)
    assert re.fullmatch(r"\[(Current|No) goroutine .*\]", answer_to("goroutine", run))
    assert run.stderr.endswith(
        "error: addrspace: there is no goroutine 99999 (`goroutine-stacks` lists them)\n"
    )


def goroutine_of(text: str) -> Tuple[str, List[str]]:
    """Its label and the lines of its frames. lldb may have told of all its threads before."""
    found = re.search(r"(?m)^(?:\[Switching to )?(goroutine 1 \[[^]]*\])\]?\n((?:  frame #.*\n?)+)", text)
    assert found is not None, text
    return found.group(1), found.group(2).splitlines()


def assert_selected(label: str, frames: List[Dict[str, Any]], run: Result) -> None:
    """lldb itself has the goroutine as its thread, with the functions that are not inlined."""
    assert f"name = '{label}'" in answer_to("thread info", run)
    functions = [frame["function"].split("(")[0] for frame in frames if frame["frame_size"]]
    backtrace = [line for line in answer_to("thread backtrace", run).splitlines() if "[synthetic]" in line]
    assert [name in line for name, line in zip(functions, backtrace)] == [True] * len(functions), backtrace
    parked = f"{os.path.basename(frames[0]['file'])}:{frames[0]['line']}"
    assert f" at {parked}" in backtrace[0]  # the call by which it parked, not what follows it
    assert re.search(r"(?m)^\* thread #1: tid", answer_to("thread list", run))


def test_a_plug_in_of_the_users_stays(live: Live, lldb_exe: Lldb, tmp_path: Path) -> None:
    """Then a parked goroutine is text."""
    theirs = tmp_path / "theirs.py"
    theirs.write_text("")
    name = "target.process.python-os-plugin-path"
    load = f"command script import {LOADER}"
    lines = [f"settings set {name} {theirs}", load, f"settings show {name}"]
    lines += [f"process attach --pid {live.process.pid}", "goroutine 1", "goroutine"]
    run = run_lldb(lldb_exe, lines, load=False)
    assert run.status == 0 and str(theirs) in answer_to(lines[2], run)
    assert answer_to("goroutine 1", run).startswith("goroutine 1 [")
    assert " thread " in answer_to("goroutine", run)


def refuse_text(lldb: Lldb) -> None:
    if lldb.major < 22:
        pytest.skip("this lldb has no frame providers")


def test_a_parked_goroutine_as_a_thread(live: Live, lldb_exe: Lldb, tmp_path: Path) -> None:
    refuse_text(lldb_exe)
    out, there = tmp_path / "stacks.json", tmp_path / "whereis.json"
    lines = [f"goroutine-stacks 1 --frames --format json --output {out}", "goroutine 1", "thread info"]
    lines += ["thread backtrace", "goroutine", "goroutine-apply 1 register read rip rsp"]
    lines += [f"addrspace whereis --format json --output {there} $pc $sp", "goroutine --off", "thread list"]
    run = on(lldb_exe, live, *lines, "detach")
    assert run.status == 0, run.stderr
    (frames,) = [one["frames"] for one in json.loads(out.read_text())["goroutines"]]
    label, _ = goroutine_of(answer_to("goroutine 1", run))
    assert_selected(label, frames, run)
    before, _, answered = answer_to("goroutine 1", run).partition("[Switching to")
    assert "stop reason" not in answered  # lldb has shown one of its threads before that, and no others
    assert before.count("stop reason") < len(os.listdir(f"/proc/{live.process.pid}/task")) - 1
    assert f"[Current {label}]" in answer_to("goroutine", run)
    registers = re.findall(r"r[is]p = 0x0*([0-9a-f]+)", answer_to(lines[5], run))
    expected = [frames[0]["pc"], frames[0]["sp"]]
    assert [f"0x{number}" for number in registers] == expected
    assert [one["address"] for one in json.loads(there.read_text())["places"]] == expected
    assert state(live.process.pid)[1] == "0" and live.process.running()


def test_frames_that_are_printed_have_lldbs_numbers_and_an_end(
    live: Live, lldb_exe: Lldb, tmp_path: Path
) -> None:
    refuse_text(lldb_exe)
    out = tmp_path / "stacks.json"
    assert on(lldb_exe, live, f"goroutine-stacks --frames --system --format json --output {out}").status == 0
    found = json.loads(out.read_text())["goroutines"]
    deep = next(one for one in found if len(one["frames"]) > 100)
    waits = [one for one in found if one["wait_reason"] in ("force gc (idle)", "GC sweep wait")]
    inlined = next(one for one in waits if sum(not frame["frame_size"] for frame in one["frames"]) == 1)
    lines = [f"goroutine {deep['goid']}", f"goroutine {inlined['goid']}", "thread backtrace"]
    run = on(lldb_exe, live, *lines)
    shown = answer_to(lines[0], run).splitlines()
    more = len(deep["frames"]) - 40
    assert shown[-1] == f"  ... {more:,} more frames: `goroutine-apply {deep['goid']} bt`"
    assert sum(line.startswith("  frame #") for line in shown) == 40
    last = answer_to(lines[1], run).splitlines()[-1].split()
    assert last[1] == f"#{len(inlined['frames']) - 2}:" and f"frame {last[1]}" in answer_to(lines[2], run)


def going_on(live: Live, rounds: int) -> List[str]:
    """Lines by which a process goes on after a parked goroutine was selected, until SIGINT, which waits for
    that, stops it. (By itself lldb loses one in a hundred stops where several threads run into a breakpoint.)
    """
    once = ["goroutine 1", f"platform shell kill -INT {live.process.pid}", "process continue", "thread list"]
    return ["process handle SIGURG --stop false --pass true --notify false", *once * rounds]


def test_a_goroutine_is_a_thread_until_the_process_moves(live: Live, lldb_exe: Lldb) -> None:
    refuse_text(lldb_exe)
    run = on(lldb_exe, live, *going_on(live, 3), "goroutine", "goroutine 1", "detach")
    assert run.status == 0, run.stderr
    listed = re.findall(r"(?m)^[* ] thread #\d+: tid.*", answer_to("thread list", run))
    assert "SIGINT" in "".join(listed) and "goroutine" not in "".join(listed)
    assert re.search(r"(?m)^\[(Current|No) goroutine .*thread \d+\]$", answer_to("goroutine", run))
    assert goroutine_of(answer_to("goroutine 1", run))
    assert state(live.process.pid)[1] == "0" and live.process.running()


@pytest.mark.matrix
@pytest.mark.parametrize("session", range(10))
def test_a_process_goes_on_after_goroutines_were_threads(live: Live, lldb_exe: Lldb, session: int) -> None:
    """By the hundred: a call of lldb's API in a frame provider hung one in eight."""
    refuse_text(lldb_exe)
    run = on(lldb_exe, live, *going_on(live, 10), "detach")
    assert run.status == 0 and run.stdout.count("stop reason = signal SIGINT") >= 10, run.stderr


NONSENSE: List[str] = [
    *("addrspace nothing", "addrspace set", "addrspace set color blue", "addrspace set style none-of-these"),
    *("addrspace show x", "addrspace whereis main.no", "addrspace whereis 'a", "addrspace compare 0 7"),
    *(
        "addrspace whereis f(1)",
        "goroutine x",
        "goroutine $x",
        "goroutine-apply",
        "goroutine all",
    ),
    *("goroutine-apply 3-1 bt", "goroutine-apply function:( bt", "goroutine-stacks --limit x"),
]


def test_what_is_wrong_is_one_line(live: Live, lldb_exe: Lldb, tmp_path: Path) -> None:
    """Each of them in one lldb, by a script that goes on."""
    script = tmp_path / "script.py"
    script.write_text(
        "import json, lldb\n"
        "def __lldb_init_module(debugger, _):\n"
        "    said = []\n"
        f"    for line in {NONSENSE!r}:\n"
        "        answer = lldb.SBCommandReturnObject()\n"
        "        debugger.GetCommandInterpreter().HandleCommand(line, answer)\n"
        "        said.append((answer.Succeeded(), answer.GetOutput(), answer.GetError()))\n"
        f"    open({str(tmp_path / 'said')!r}, 'w').write(json.dumps(said))\n"
    )
    on(lldb_exe, live, "addrspace show", f"command script import {script}")
    for line, (fine, output, error) in zip(NONSENSE, json.loads((tmp_path / "said").read_text())):
        assert (fine, output or "", error.count("\n")) == (False, "", 1), (line, output, error)
        assert error.startswith("error: addrspace: ") and "internal" not in error, (line, error)


# What is typed before TAB, and what is offered, or some of it.
TABS = {
    "addrspace re": ["regions", "retained"],
    "addrspace rss --d": ["--depth"],
    "addrspace rss --color ": ["auto", "on", "off"],
    "addrspace regions he": ["heap"],
    "addrspace set c": ["color"],
    "addrspace set color ": ["auto", "on", "off"],
    "addrspace show wi": ["width"],
    "addrspace whereis &main.comp": ["&main.compute"],
    "addrspace diff ea": ["early"],
    "addrspace nothing x": [],
    "addrspace gc --output /dev/nul": ["/dev/null"],
    "goroutine-stacks --group st": ["stack", "status"],
    "goroutine --o": ["--off"],
    "goroutine al": ["all"],
    "goroutine-apply wai": ["waiting"],
    "goroutine-apply waiting func": ["function:"],
    "goroutine-apply waiting -": ["-q", "-c", "-s"],
    "goroutine-apply 1 -q thread backtr": ["backtrace"],
    "goroutine 1 register re": ["read"],
}


def tabs_script(lines: List[str], said: Path) -> str:
    """A script that writes what is offered behind each line."""
    return (
        "import json, lldb\n"
        "def __lldb_init_module(debugger, _):\n"
        "    said = []\n"
        f"    for line in {lines!r}:\n"
        "        found = lldb.SBStringList()\n"
        "        debugger.GetCommandInterpreter().HandleCompletion(line, len(line), 0, -1, found)\n"
        "        said.append([found.GetStringAtIndex(at) for at in range(1, found.GetSize())])\n"
        f"    open({str(said)!r}, 'w').write(json.dumps(said))\n"
    )


def test_completion(live: Live, lldb_exe: Lldb, tmp_path: Path) -> None:
    """Of the words, options, values, parameters, symbols, files, and what there is in the session."""
    script = tmp_path / "script.py"
    script.write_text(tabs_script(list(TABS), tmp_path / "said"))
    run = on(lldb_exe, live, "addrspace snapshot early", f"command script import {script}")
    assert run.status == 0, run.stderr
    said = json.loads((tmp_path / "said").read_text())
    assert said == (list(TABS.values()) if lldb_exe.major >= 22 else [[] for _ in TABS])


def test_goroutines_are_completed(live: Live, lldb_exe: Lldb, tmp_path: Path) -> None:
    """Each by its number."""
    if lldb_exe.major < 22:
        pytest.skip("this lldb completes no commands of Python's")
    script, out = tmp_path / "script.py", tmp_path / "stacks.json"
    script.write_text(tabs_script(["goroutine ", "goroutine-apply ", "goroutine 1"], tmp_path / "said"))
    lines = [f"goroutine-stacks --system --format json --output {out}", f"command script import {script}"]
    assert on(lldb_exe, live, *lines).status == 0
    goids = {str(one["goid"]) for one in json.loads(out.read_text())["goroutines"]}
    first, second, third = map(set, json.loads((tmp_path / "said").read_text()))
    assert {"all", "--off", "1"} < first <= goids | {"all", "--off"} and {
        "all",
        "waiting",
        "-q",
        "1",
    } < second
    assert "1" in third and third == {goid for goid in goids if goid.startswith("1")}
    assert max(map(len, (first, second))) <= 200 < len(goids)  # no more than can be looked at


def test_a_command_for_goroutines_is_run_as_it_was_typed(live: Live, lldb_exe: Lldb, tmp_path: Path) -> None:
    """Where lldb takes the line apart, too."""
    refuse_text(lldb_exe)
    written = tmp_path / "written"
    pattern = """goroutine-apply function:"^main[.]main$" -q bt 1"""
    write = f"""goroutine-apply 1 -q script open("{written}", 'w').write('a  "b"')"""
    run = on(lldb_exe, live, write, "addrspace set threads off", pattern)
    assert (run.status, written.read_text()) == (0, 'a  "b"'), run.stderr
    assert "  frame #0" in answer_to(pattern, run)


def test_words_of_a_line_are_those_of_gdb(live: Live, lldb_exe: Lldb, tmp_path: Path) -> None:
    """Where lldb takes a line apart, and where it does not."""
    out = tmp_path / "whereis.json"
    line = f"addrspace whereis --output {out} --format json "
    line += '$sp + 8 "$sp + 8" *(void**)( $sp + 0 )@2 runtime.allgs'
    assert on(lldb_exe, live, line).status == 0
    places = json.loads(out.read_text())["places"]
    assert [one["expression"] for one in places] == [
        *("$sp + 8", "$sp + 8", "*(void**)( $sp + 0 )@2[0]", "*(void**)( $sp + 0 )@2[1]", "runtime.allgs")
    ]


def test_commands_of_the_readme_work_in_order(live: Live, lldb_exe: Lldb) -> None:
    commands = re.findall(
        r"^\(lldb\) (.*)$", (CHECKOUT / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(commands) > 5
    run = on(lldb_exe, live, *commands)
    assert run.status == 0, run.stderr
    silent = [command for command in commands if not answer_to(command, run).strip()]
    assert all(command.startswith("addrspace set ") for command in silent), silent


def refuse_old(lldb: Lldb) -> None:
    if lldb.major < 19:
        pytest.skip("the shell takes lldb 19 and newer")


def test_the_shell_asks_lldb(live: Live, lldb_exe: Lldb, tmp_path: Path) -> None:
    """What it says is what is said without, the code is as it was, and what stood still does so again."""
    refuse_old(lldb_exe)
    path = str(lldb_exe.path)
    code = code_of(live)
    done = cli("gc", str(live.process.pid), "--debugger", "lldb", ADDRSPACE_LLDB=path)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout
    stop(live.process)
    command = ["dump", str(live.process.pid), "--format", "json"]
    expected, found = (
        cli(*command, "--debugger", "none"),
        cli(*command, "--debugger", "lldb", ADDRSPACE_LLDB=path),
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert MOVES.sub("", found.stdout) == MOVES.sub("", expected.stdout)
    assert code_of(live) == code and state(live.process.pid) == ("T", "0")
    wrong = cli("whereis", str(live.process.pid), "f(1)", "--debugger", "lldb", ADDRSPACE_LLDB=path)
    assert_refused(wrong, "there is no symbol f")


ENDS = [(number, delay) for number in (SIGINT, SIGTERM, SIGKILL) for delay in (0.2, 0.5, 0.8, 1.1)]


@pytest.mark.matrix
@pytest.mark.parametrize(("number", "delay"), ENDS)
def test_an_end_at_any_moment_leaves_nothing(live: Live, lldb_exe: Lldb, number: int, delay: float) -> None:
    """Whoever asked is ended: lldb takes its breakpoint out, and the process goes on."""
    refuse_old(lldb_exe)
    code = code_of(live)
    command = [sys.executable, "-c", INTERRUPTIBLE, "gc", str(live.process.pid), "--debugger", "lldb"]
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT), "ADDRSPACE_LLDB": str(lldb_exe.path)}
    asked = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(delay)
    asked.send_signal(number)
    asked.wait(timeout=60)
    deadline = time.monotonic() + 90
    while state(live.process.pid)[1] != "0" or state(live.process.pid)[0] in "Tt" or code_of(live) != code:
        assert time.monotonic() < deadline, state(live.process.pid)
        time.sleep(0.05)


def test_the_shell_asks_lldb_of_a_core(live: Live, lldb_exe: Lldb, tmp_path: Path) -> None:
    refuse_old(lldb_exe)
    core = tmp_path / "a core's\n`name`"
    if not gdbs():
        pytest.skip("no gdb to make a core")
    gcore(gdbs()[0], attach(live.process, live.binary), tmp_path / "core")
    for_lldb(tmp_path / "core").rename(core)
    found = cli("gc", str(core), "--debugger", "lldb", ADDRSPACE_LLDB=str(lldb_exe.path))
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == cli("gc", str(core), "--debugger", "none").stdout


@pytest.mark.parametrize(
    ("says", "line"),
    [
        ("lldb version 14.0.6", "{} is lldb 14; 19 or newer is needed .*"),
        ("GNU gdb 13", "{} is what does not say that it is lldb; .*"),
    ],
)
def test_an_lldb_that_is_none_or_too_old(says: str, line: str, sleeper: Process, tmp_path: Path) -> None:
    lldb = tmp_path / "lldb"
    lldb.write_text(f"#!/bin/sh\necho '{says}'\n")
    lldb.chmod(0o755)
    done = cli("gc", str(sleeper.pid), "--debugger", "lldb", ADDRSPACE_LLDB=str(lldb))
    assert_refused(done, line.format(re.escape(str(lldb))))


def test_an_lldb_that_ends_itself_is_one_line(sleeper: Process, tmp_path: Path) -> None:
    """As lldb 23 does on some cores, with a trace of its own stack. It says what else can be done."""
    lldb = tmp_path / "lldb"
    said = "PLEASE submit a bug report\\nStack dump:\\n0.\\tProgram arguments: lldb\\n #0 0x10 (lldb+0x10)\\n"
    answers = "[ $1 = --version ] && echo 'lldb version 23.1.0' && exit"
    lldb.write_text(f"#!/bin/sh\n{answers}\nprintf '{said}' >&2\nkill -SEGV $$\n")
    lldb.chmod(0o755)
    done = cli("gc", str(sleeper.pid), "--debugger", "lldb", ADDRSPACE_LLDB=str(lldb))
    assert_refused(done, "lldb was ended by signal 11; --debugger none does without it")


# A Python that lacks an optional part, by which processes are held; of its own folder it has no debugger.
WITHOUT_CTYPES = """
import sys
sys.modules["ctypes"], sys.prefix = None, sys.argv.pop(1)
from addrspace_gdb.shell.cli import main
sys.exit(main())
"""


def where_there_is_only(lldb: Path, folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """What the command says where it needs a debugger, and `lldb` is all that there is on PATH."""
    (folder / "path").mkdir()
    (folder / "path" / "lldb").symlink_to(lldb)
    named = ("ADDRSPACE_GDB", "ADDRSPACE_LLDB", "ADDRSPACE_DEBUGGER")
    env = {name: value for name, value in os.environ.items() if name not in named}
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_CTYPES, str(folder), *map(str, words)],
        env={**env, "PYTHONPATH": str(CHECKOUT), "PATH": str(folder / "path")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_shell_takes_lldb_by_itself_where_there_is_no_gdb(
    live: Live, lldb_exe: Lldb, tmp_path: Path
) -> None:
    refuse_old(lldb_exe)
    stop(live.process)
    command = ("gc", live.process.pid, "--format", "json")
    done = where_there_is_only(lldb_exe.path, tmp_path, *command)
    assert (done.returncode, done.stderr) == (0, "this Python lacks ctypes: lldb was asked\n")
    # What is live moves: lldb lets a stopped process run for a moment when it leaves.
    told, wanted = (
        re.sub(r'"live": \d+', "", MOVES.sub("", text))
        for text in (done.stdout, cli(*command, "--debugger", "none").stdout)
    )
    assert told == wanted and '"schema": "gc/1"' in told


def test_the_shell_takes_no_lldb_that_is_too_old(sleeper: Process, tmp_path: Path) -> None:
    lldb = tmp_path / "lldb"
    lldb.write_text("#!/bin/sh\necho 'lldb version 14.0.6'\n")
    lldb.chmod(0o755)
    done = where_there_is_only(lldb, tmp_path, "gc", sleeper.pid)
    assert_refused(done, "this Python lacks ctypes; it takes gdb, or lldb 19 or newer")


def test_the_line_for_lldbinit(lldb_exe: Lldb, tmp_path: Path) -> None:
    assert cli("init", "--lldb").stdout == f"command script import {path_in_lldb(str(LOADER))}\n"
    folder = tmp_path / "a folder's \\ # $HOME"
    folder.mkdir()
    (folder / "loads_lldb.py").write_text("def __lldb_init_module(debugger, _):\n    print('here')\n")
    line = f"command script import {path_in_lldb(str(folder / 'loads_lldb.py'))}"
    assert run_lldb(lldb_exe, [line], load=False).stdout.endswith("\nhere\n")
    for name in ("a`b", "a\nb", "a'b\"c"):
        with pytest.raises(ProblemError):
            path_in_lldb(f"/tmp/{name}/load_lldb.py")


FOREVER = """
import sys
from addrspace_gdb.commands import gc

def forever(session, arguments):
    print("it has begun", flush=True)
    while True:
        pass

def __lldb_init_module(debugger, _):
    gc.COMMAND = gc.COMMAND._replace(ask=forever)
    print("it is there", flush=True)
"""


def test_ctrl_c_ends_a_command_and_nothing_else(live: Live, lldb_exe: Lldb, tmp_path: Path) -> None:
    (tmp_path / "forever.py").write_text(FOREVER)
    terminal = LldbTerminal(lldb_exe, live.process.pid)
    try:
        terminal.type("addrspace show width")
        terminal.until("addrspace width: 0")
        terminal.type(f"command script import {tmp_path / 'forever.py'}")
        terminal.until("it is there")
        terminal.type("addrspace gc")
        terminal.until("it has begun")
        terminal.interrupt()
        terminal.until("error: addrspace: interrupted")
        terminal.type("addrspace show color")
        terminal.until("addrspace color: auto")
        assert state(live.process.pid)[0] == "t"
    finally:
        terminal.close()
    assert state(live.process.pid)[1] == "0"


@pytest.mark.matrix
def test_a_process_that_lldb_server_holds(live: Live, lldb_exe: Lldb, tmp_path: Path) -> None:
    """One on this machine is read as any other, and goes on."""
    server = lldb_exe.path.with_name("lldb-server")
    if not server.exists():
        pytest.skip("no lldb-server beside this lldb")
    code, port, out = code_of(live), tmp_path / "port", tmp_path / "gc.json"
    command = [str(server), "gdbserver", "--attach", str(live.process.pid), "--named-pipe", str(port)]
    os.mkfifo(port)
    holder = subprocess.Popen([*command, "127.0.0.1:0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        number = int(port.read_bytes().rstrip(b"\0"))
        lines = [
            f"process connect connect://127.0.0.1:{number}",
            f"addrspace gc --format json --output {out}",
        ]
        run = run_lldb(lldb_exe, [*lines, "goroutine 1", "process detach"])
        assert run.status == 0, run.stderr
    finally:
        holder.kill()
        holder.wait()
    assert json.loads(out.read_text())["target"]["kind"] == "live"
    assert goroutine_of(answer_to("goroutine 1", run)) and code_of(live) == code
    assert state(live.process.pid)[1] == "0"


def test_without_a_process(lldb_exe: Lldb) -> None:
    run = run_lldb(lldb_exe, ["addrspace"])
    assert run.status == 1
    assert run.stderr.splitlines()[-1].startswith("error: addrspace: no process: `process launch`")
