"""`goroutine-stacks` on real programs: what it counts, filters, groups and refuses."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Tuple

import jsonschema
import pytest
from harness.build import Builder
from harness.debuggers import Gdb
from harness.dumps import goroutine_dump_parse
from harness.gdbrun import Scene, run_gdb
from harness.oracles import dump_command, memstats_command, read_memstats
from harness.processes import Processes
from harness.scenes import attach, gcore, launch_to_breakpoint, start
from harness.toolchains import Toolchain

from addrspace_gdb.views.documents.schema import schema

EACH_ONCE = True  # not every combination: tests/conftest.py

COUNT = 800  # goroutines of the program `parked`


def ask(gdb: Gdb, scene: Scene, *commands: str) -> List[str]:
    """What each command prints, "" and its error in gdb's words if it fails."""
    marked = [line for one in commands for line in ("echo \\n=====\\n", one)]
    lines = [f"python exec({_runner(c)!r})" for c in marked]
    run = run_gdb(gdb, lines, scene, load=True)
    assert "Traceback" not in run.stdout + run.stderr, run.stderr[-3000:]
    answers = run.stdout.split("\n=====\n")[1:]
    assert len(answers) == len(commands), run.stdout[-3000:] + run.stderr[-3000:]
    return answers


def _runner(command: str) -> str:
    """Python that runs one command of gdb, prints its error, and goes on."""
    return (
        f"import gdb\ntry:\n gdb.execute({command!r})\nexcept gdb.error as e:\n gdb.write('ERROR ' + str(e))"
    )


@pytest.fixture
def parked(newest_go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path) -> Scene:
    """A process with COUNT goroutines at rest."""
    binary = build_program("parked", newest_go)
    return attach(start(processes, binary, tmp_path / "oracle", str(COUNT)), binary)


def rows(text: str) -> List[List[str]]:
    """Cells of the rows of a table whose first heading is Goid."""
    lines = text[text.index("Goid") :].splitlines()[1:]
    return [line.split() for line in lines if re.match(r" *\d+  ", line)]


@pytest.mark.parametrize(("program", "variant"), [("shapes", "plain"), ("cgo", "cgo"), ("parked", "plain")])
def test_frames_and_the_rest_are_stack_in_use(
    gdb_exe: Gdb, go: Toolchain, build_program: Builder, tmp_path: Path, program: str, variant: str
) -> None:
    more = [str(COUNT)] if program == "parked" else []
    scene = launch_to_breakpoint(build_program(program, go, variant), tmp_path / "oracle", *more)
    memory, out = tmp_path / "memory", tmp_path / "by-frame"
    ask(gdb_exe, scene, memstats_command(memory), f"goroutine-stacks --by-frame --output {out}")
    text = out.read_text()
    found = re.search(r"^([\d,]+) bytes in all, exactly MemStats.StackInuse$", text, re.MULTILINE)
    assert found and int(found.group(1).replace(",", "")) == read_memstats(memory)["StackInuse"]
    assert "(unused)" in text and "(guard)" in text and "(signal stack)" in text
    assert "(frames not unwound)" not in text and "runtime.gopark" in text


def test_by_frame_counts_a_recursive_function_once(gdb_exe: Gdb, parked: Scene) -> None:
    (text,) = ask(gdb_exe, parked, "goroutine-stacks --by-frame --limit 1")
    top = next(line for line in text.splitlines() if line.endswith("main.descend"))
    flat, cumulative, frames, goroutines = re.match(  # type: ignore[union-attr]
        r" *([\d.]+ \w+) +[\d.]+% +([\d.]+ \w+) +([\d,]+) +([\d,]+) ", top
    ).groups()
    depths = {0: 2, 1: 12, 2: 24, 3: 60}
    expected = 0
    for number in range(COUNT):
        expected += depths[number // 16 % 4 if number % 16 < 3 else number % 4] + 1
    assert int(frames.replace(",", "")) == expected and int(goroutines) == COUNT
    assert flat != cumulative


def test_json_is_what_its_schema_says(
    gdb_exe: Gdb, go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    scene = launch_to_breakpoint(build_program("shapes", go), tmp_path / "oracle")
    files = {
        flags: tmp_path / f"{number}.json"
        for number, flags in enumerate(("", "--frames 3", "--system --dead"))
    }
    ask(
        gdb_exe,
        scene,
        *(f"goroutine-stacks --format json {flags} --output {f}" for flags, f in files.items()),
        f"goroutine-stacks --dead --status dead --width 100 --output {tmp_path / 'dead'}",
        dump_command(tmp_path / "dump"),
    )
    documents: Dict[str, Any] = {flags: json.loads(file.read_text()) for flags, file in files.items()}
    for document in documents.values():
        jsonschema.validate(document, schema("goroutine-stacks/1"))
    plain, few, everything = (documents[flags]["goroutines"] for flags in files)
    assert [g["goid"] for g in plain] == [g["goid"] for g in few]
    assert not any("frames" in g for g in plain) and all(1 <= len(g["frames"]) <= 3 for g in few)
    assert {g["status"] for g in everything} > {g["status"] for g in plain}
    dead = [g for g in everything if g["status"] == "dead"]
    assert dead and all(g["pc"] is None and g["user_function"] is None for g in dead)
    rows = [line for line in (tmp_path / "dead").read_text().splitlines() if re.match(r" *\d+  dead\b", line)]
    assert len(rows) == len(dead) and not any("?" in row for row in rows)  # nothing of them is unknown
    for g in plain:
        stack = g["stack"]
        assert int(stack["hi"], 16) - int(stack["lo"], 16) == stack["size"]
        assert stack["used"] is None or 0 < stack["used"] <= stack["size"]
        assert 0 < stack["resident"] <= stack["size"]
        assert g["problem"] is None
    dump = goroutine_dump_parse((tmp_path / "dump").read_text())
    locked = {g["goid"]: g["locked_to"] for g in plain if g["locked_to"]}
    assert set(locked) == {g.goid for g in dump if g.locked} and all(to["thread"] for to in locked.values())
    assert [g["labels"] for g in plain if g["labels"]] == [{"id": "7", "kind": "labelled"}]
    waiting = [g for g in plain if g["wait_time"] is not None]
    assert {g["goid"] for g in waiting} <= {g.goid for g in dump if g.status not in ("running", "runnable")}
    assert len(waiting) > 40 and all(10**6 < g["wait_time"] < 600 * 10**9 for g in waiting)


def test_summary_and_list(gdb_exe: Gdb, parked: Scene, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    short, _ = ask(gdb_exe, parked, "goroutine-stacks", f"goroutine-stacks --output {whole}")
    assert max(map(len, short.splitlines())) <= 100
    assert "650 chan receive" in short and "50 sync.Mutex.Lock" in short
    assert len(rows(short)) == 25
    left = re.search(r"^(\d+) more goroutines: --limit all", short, re.MULTILINE)
    assert left and int(left.group(1)) == COUNT + 1 - 25
    assert len(rows(whole.read_text())) == COUNT + 1
    assert "main.receive" in short and "parked/main.go" in short
    exact = json.loads((tmp_path / "oracle").read_text())["memstats"]["StackInuse"]
    shown = re.search(r"Stacks in use +([\d.]+) (KiB|MiB)", short)
    assert shown
    unit = {"KiB": 1024, "MiB": 1 << 20}[shown.group(2)]
    assert abs(float(shown.group(1)) * unit - exact) <= 0.05 * unit


def test_filters(gdb_exe: Gdb, parked: Scene) -> None:
    answers = ask(
        gdb_exe,
        parked,
        'goroutine-stacks --status "chan receive" --limit all',
        "goroutine-stacks --status waiting --limit all",
        "goroutine-stacks --function main.(lock|choose) --limit all",
        "goroutine-stacks --min-size 4KiB --limit all",
        "goroutine-stacks --sort used --limit 40",
        "goroutine-stacks --system --limit all",
        "goroutine-stacks --waiting-longer 1h --limit all",
    )
    received, waiting, functions, large, used, system, longer = answers
    assert len(rows(received)) == COUNT * 13 // 16
    assert len(rows(waiting)) == COUNT + 1
    assert len(rows(functions)) == COUNT // 8
    assert 0 < len(rows(large)) < COUNT and " 2.0 KiB" not in "".join(large.split("Goid")[1])
    amounts = [
        float(re.findall(r"([\d.]+) (B|KiB)  [█░#.]", line)[0][0])
        for line in used.splitlines()
        if "KiB  █" in line
    ]
    assert amounts == sorted(amounts, reverse=True) and len(amounts) > 10
    assert "runtime.bgsweep" in system and len(rows(system)) > COUNT + 3
    assert longer.startswith("ERROR addrspace: no goroutine matches (")


def test_groups(gdb_exe: Gdb, go: Toolchain, build_program: Builder, tmp_path: Path) -> None:
    scene = launch_to_breakpoint(build_program("shapes", go), tmp_path / "oracle")
    dump = tmp_path / "dump"
    stacks, status, function, creators = ask(
        gdb_exe,
        scene,
        "goroutine-stacks --group stack --limit all",
        "goroutine-stacks --group status",
        "goroutine-stacks --group function",
        f"{dump_command(dump)}\ngoroutine-stacks --group created-by".split("\n")[1],
    )
    ask(gdb_exe, scene, dump_command(dump))
    theirs = goroutine_dump_parse(dump.read_text())
    counts = [int(n) for n in re.findall(r"^(\d+) goroutines? ", stacks, re.MULTILINE)]
    assert counts == sorted(counts, reverse=True) and sum(counts) == len(theirs)
    # Stacks that are equal to the line are equal for us too: three of startWaits, three inlined ones.
    equal = Counter(tuple((f.function, f.line) for f in g.frames) for g in theirs)
    assert counts[0] == 3 and max(equal.values()) >= 3
    expected = Counter(g.status for g in theirs)
    for state in ("chan receive", "select (no cases)", "sync.Mutex.Lock"):
        row = next(line for line in status.splitlines() if line.endswith(f"  {state}"))
        assert int(row.split()[0]) == expected[state]
    assert re.search(r"main\.block +shapes/goroutines\.go:\d+", function)
    assert re.search(r"main\.launch +shapes/goroutines\.go:\d+", creators)
    assert "\n  created by main.launch" in stacks


def test_one_goroutine_in_full(gdb_exe: Gdb, go: Toolchain, build_program: Builder, tmp_path: Path) -> None:
    scene = launch_to_breakpoint(build_program("shapes", go), tmp_path / "oracle")
    out = tmp_path / "out"
    ask(gdb_exe, scene, f"goroutine-stacks --frames --output {out}")
    text = out.read_text()
    assert re.search(r"^  labels +id=7, kind=labelled$", text, re.MULTILINE)
    assert re.search(r"main\.descend +shapes/goroutines\.go:\d+ +[\d.]+ KiB  ×1,000$", text, re.MULTILINE)
    assert re.search(r"^  created by +main\.launch in goroutine 1$", text, re.MULTILINE)
    assert re.search(r"^goroutine \d+ \[chan receive, .*locked to thread\]$", text, re.MULTILINE)
    assert re.search(r"^goroutine 1 \[running\]$", text, re.MULTILINE)


def test_labels_and_functions_that_are_not_there(
    gdb_exe: Gdb, go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    scene = launch_to_breakpoint(build_program("shapes", go), tmp_path / "oracle")
    commands = ("--label id=7", "--label id=7 --label kind=other", "--function main", "--without main")
    found = ask(gdb_exe, scene, *(f"goroutine-stacks {one} --limit all --system" for one in commands))
    rows = [re.findall(r"^ *(\d+)  \w", text, re.MULTILINE) for text in found]
    assert len(rows[0]) == 1 and rows[1] == [] and "no goroutine matches" in found[1]
    assert rows[2] and rows[3] and not set(rows[2]) & set(rows[3])


def test_threads(gdb_exe: Gdb, parked: Scene, tmp_path: Path) -> None:
    (text,) = ask(gdb_exe, parked, "goroutine-stacks --threads")
    found = re.findall(r"^ *m(\d+) +\d+ \((\d+)\) +(g0|signal) ", text, re.MULTILINE)
    kinds = Counter(kind for _, _, kind in found)
    assert kinds["g0"] == kinds["signal"] >= 3
    assert {int(tid) for _, tid, _ in found} == {parked.pid} | {int(t) for _, t, _ in found}
    assert "runtime.futex" in text and "32.0 KiB" in text


BAD: Tuple[Tuple[str, str], ...] = (
    ("99999999", "there is no goroutine 99999999"),
    ("17-5", "the range 17-5 is inverted"),
    ("main", "'main' is not a goroutine's number"),
    ("--status nonsense", 'no goroutine has the status or wait reason "nonsense"; there are'),
    ("--function nonsense", "no goroutine matches"),
    ("--function (", "is not a regular expression"),
    ("--waiting-longer 5", "'5' is not a duration such as 90s"),
    ("--waiting-longer 1m30", "'1m30' is not a duration"),
    ("--min-size 8Q", "'8Q' is not a size such as"),
    ("--limit -1", "expected one argument|is not a number"),
    ("--sort name", "invalid choice"),
    ("--group stack --by-frame", "exclude each other"),
    ("--threads --format json", "has no JSON form"),
    ("--output /nonexistent/x", "no directory"),
    ('--status "', "No closing quotation"),
)


def test_bad_input_is_one_line(gdb_exe: Gdb, parked: Scene) -> None:
    answers = ask(gdb_exe, parked, *(f"goroutine-stacks {arguments}" for arguments, _ in BAD))
    for answer, (arguments, expected) in zip(answers, BAD):
        assert answer.startswith("ERROR addrspace: "), (arguments, answer)
        assert len(answer.strip().splitlines()) == 1
        assert re.search(expected, answer) if "|" in expected else expected in answer, (arguments, answer)


def test_without_a_process(gdb_exe: Gdb) -> None:
    run = run_gdb(gdb_exe, ["goroutine-stacks"], load=True)
    assert run.status == 1 and "addrspace: no process" in run.stderr


def _poke(goid: int, field: str, value: int, size: int = 8) -> str:
    """A gdb command that writes a field of a g in a process that is killed after the test."""
    code = f"""
gs = gdb.parse_and_eval("'runtime.allgs'")
g = next(g for g in (gs['array'][i] for i in range(int(gs['len']))) if int(g['goid']) == {goid})
gdb.selected_inferior().write_memory(int(g{field}.address), ({value}).to_bytes({size}, 'little'))
"""
    return f"python exec({code!r})"


def test_damage_is_said_in_the_row(gdb_exe: Gdb, parked: Scene) -> None:
    (before,) = ask(gdb_exe, parked, 'goroutine-stacks --status "chan receive"')
    one, two, three, four = (int(row[0]) for row in rows(before)[:4])
    (*_, listed, odd, low, framed, groups, total, far) = ask(
        gdb_exe,
        parked,
        _poke(one, "['sched']['sp']", 1),
        _poke(two, "['stack']['lo']", 1 << 60),
        _poke(three, "['sched']['pc']", 0x1234),
        _poke(four, "['waitreason']", 255, 1),
        "goroutine-stacks --limit all",
        f"goroutine-stacks {one}",
        f"goroutine-stacks {two}",
        f"goroutine-stacks {one} {three} --frames",
        "goroutine-stacks --group stack --limit all",
        "goroutine-stacks --by-frame",
        "goroutine-stacks --format json --frames",
    )
    assert len(rows(listed)) == COUNT + 1
    assert "problem     sp 0x1 is outside its stack" in odd and "used        ? ??????" in odd
    assert "problem     bad stack bounds" in low
    assert "0x1234 is in no Go function" in framed and "sp 0x1 is outside" in framed
    assert "is in no Go function" in groups and "is outside its stack" in groups
    assert "(frames not unwound)" in total and "(sp not known)" in total and "exactly MemStats" in total
    document = json.loads(far[far.index("{") : far.rindex("}") + 1])
    assert "goroutine stacks: 1 of" in far[far.rindex("}") :]
    jsonschema.validate(document, schema("goroutine-stacks/1"))
    damaged = {g["goid"]: g for g in document["goroutines"]}
    assert damaged[four]["wait_reason"] == "unknown wait reason" and damaged[four]["problem"] is None
    assert damaged[one]["problem"] == "sp 0x1 is outside its stack"
    assert damaged[two]["problem"].startswith("bad stack bounds")
    assert damaged[three]["problem"] == "0x1234 is in no Go function"
    assert sum(g["problem"] is not None for g in document["goroutines"]) == 3


def test_a_core_has_no_resident_bytes_and_a_lower_bound_of_time(
    gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    binary = build_program("shapes", newest_go)
    core = gcore(gdb_exe, launch_to_breakpoint(binary, tmp_path / "oracle"), tmp_path / "core")
    (text,) = ask(gdb_exe, core, "goroutine-stacks")
    assert "? resident" in text and "note: " in text
    assert re.search(r"chan receive, ≥\d+ms", text)


def test_a_stack_that_cannot_be_read_and_a_thread_that_is_not_there(
    gdb_exe: Gdb, go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path
) -> None:
    binary = build_program("shapes", go)
    scene = attach(start(processes, binary, tmp_path / "oracle", "quiet"), binary)
    before = tmp_path / "before.json"
    ask(gdb_exe, scene, f"goroutine-stacks --format json --frames --output {before}")
    known = json.loads(before.read_text())["goroutines"]
    gone = next(g for g in known if g["labels"])["goid"]
    calling = next(g for g in known if g["status"] == "syscall")
    names = [f["function"] for f in calling["frames"]]
    (*_, card, row, taken, at_call, applied, document) = ask(
        gdb_exe,
        scene,
        _poke(gone, "['stack']['lo']", 0x10000),
        _poke(gone, "['stack']['hi']", 0x12000),
        _poke(gone, "['sched']['sp']", 0x11000),
        _poke(calling["goid"], "['m']['procid']", 4194305),
        f"goroutine-stacks {gone} --frames",
        'goroutine-stacks --status "chan receive" --limit all',
        f"goroutine-apply {gone} bt",
        f"goroutine-stacks {calling['goid']} --frames",
        f"goroutine-apply {calling['goid']} bt -frame-arguments none",
        "goroutine-stacks --format json --frames",
    )
    assert "problem     its stack cannot be read" in card
    assert re.search(rf"^ *{gone}  chan receive.* its stack cannot", row, re.MULTILINE)
    assert re.search("^#1 .*runtime.gopark", taken, re.MULTILINE)
    # It is shown as it entered the system call: what it has called since is not known.
    assert "thread      4194305, which is not among the threads" in at_call
    assert "problem" not in at_call and "main.rawRead" in at_call
    shown = re.findall(r"^    (\S+)  ", at_call, re.MULTILINE)
    assert shown == names[names.index(shown[0]) :]
    assert "main.rawRead" in applied and "(thread" not in applied
    after = {g["goid"]: g for g in json.loads(document[document.index("{") :])["goroutines"]}
    assert (after[gone]["problem"], after[gone]["frames"]) == ("its stack cannot be read", [])
    assert after[calling["goid"]]["thread"] == 4194305 and after[calling["goid"]]["problem"] is None


def test_a_goroutine_that_may_run_does_not_wait_any_more(gdb_exe: Gdb, parked: Scene) -> None:
    """Until it runs it keeps the time at which it began to wait; Go's dump leaves that out too."""
    (before,) = ask(gdb_exe, parked, 'goroutine-stacks --status "chan receive"')
    one, two = (int(row[0]) for row in rows(before)[:2])
    (*_, cards, longer, whole) = ask(
        gdb_exe,
        parked,
        _poke(one, "['waitsince']", 1),
        _poke(two, "['waitsince']", 1),
        _poke(two, "['atomicstatus']['value']", 1, 4),
        f"goroutine-stacks {one} {two}",
        "goroutine-stacks --waiting-longer 1s",
        "goroutine-stacks --limit all",
        # The process goes on: put it back.
        _poke(two, "['atomicstatus']['value']", 4, 4),
    )[:-1]
    assert re.search(rf"^goroutine {one} \[chan receive, .+\]$", cards, re.MULTILINE)
    assert re.search(rf"^goroutine {two} \[runnable\]$", cards, re.MULTILINE)
    assert [int(row[0]) for row in rows(longer)] == [one]
    assert re.search(rf"^ *{two}  runnable  ", whole, re.MULTILINE)


INTERRUPT = """
import os, signal, threading
threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    gdb.execute("goroutine-stacks --group stack --frames", to_string=True)
    gdb.write("not interrupted")
except KeyboardInterrupt:
    gdb.write("interrupted")
except gdb.error as error:
    gdb.write("interrupted" if str(error) == "Quit" else str(error))
"""


def test_an_interrupt_ends_it_and_leaves_gdb_usable(
    gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path
) -> None:
    binary = build_program("parked", newest_go)
    process = start(processes, binary, tmp_path / "oracle", "40000")
    scene = attach(process, binary)
    first, second = ask(gdb_exe, scene, f"python exec({INTERRUPT!r})", "goroutine-stacks --limit 3")
    assert first == "interrupted"
    assert len(rows(second)) == 3
    assert process.running()
