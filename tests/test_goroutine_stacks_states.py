"""Goroutines in rarer states: in a bubble of testing/synctest, leaked, in morestack, ending, being made."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from goroutine_frames import between, marked
from harness.build import Builder
from harness.debuggers import Gdb
from harness.gdbrun import Scene, run_gdb
from harness.oracles import dump_command
from harness.scenes import launch_to_breakpoint
from harness.toolchains import Toolchain
from test_goroutine_stacks_dump import both, differences

EACH_ONCE = True  # not every combination: tests/conftest.py

# Writes what the program keeps of `pprof.Lookup("goroutine")` with debug=1.
SAVE_PROFILE = """
value = lambda name: int(gdb.parse_and_eval(name))
text = gdb.selected_inferior().read_memory(value("&'main.Profile'"), value("'main.ProfileLength'"))
open('FILE', 'wb').write(text)
"""


def look(gdb: Gdb, scene: Scene, *commands: str) -> str:
    """What gdb printed; no command may fail."""
    run = run_gdb(gdb, commands, scene, load=True)
    assert "Traceback" not in run.stdout + run.stderr, run.stdout[-2000:] + run.stderr[-2000:]
    assert "addrspace:" not in run.stderr and "Error" not in run.stderr, run.stderr[-2000:]
    return run.stdout


@pytest.fixture
def bubbles(go: Toolchain, build_program: Builder, tmp_path: Path) -> Scene:
    """The program `bubbles` at its breakpoint."""
    return launch_to_breakpoint(build_program("bubbles", go, "experiments"), tmp_path / "oracle")


def test_bubbles_leaks_and_the_profile_are_gos_own(
    gdb_exe: Gdb, go: Toolchain, bubbles: Scene, tmp_path: Path
) -> None:
    files = {name: tmp_path / name for name in ("dump", "profile", "ours", "cards", "stacks")}
    shown = look(
        gdb_exe,
        bubbles,
        dump_command(files["dump"]),
        f"python exec({SAVE_PROFILE.replace('FILE', str(files['profile']))!r})",
        f"goroutine-stacks --format json --frames --output {files['ours']}",
        f"goroutine-stacks --frames 1 --output {files['cards']}",
        f"goroutine-stacks --group stack --output {files['stacks']}",
        *marked(labels="goroutine-apply all p 0"),
    )
    text = {name: file.read_text() for name, file in files.items()}
    seen = both(text["dump"], files["ours"])
    assert set(seen.ours) == set(seen.dump) and differences(seen) == {}
    # To the letter, but for the time, which we give in smaller units.
    headers = dict(re.findall(r"^goroutine (\d+) \[(.*)\]:$", text["dump"], re.MULTILINE))
    cards = dict(re.findall(r"^goroutine (\d+) \[(.*)\]$", text["cards"], re.MULTILINE))
    assert {goid: re.sub(r", \d[\dmsµ.]*", "", state) for goid, state in cards.items()} == headers
    applied = dict(re.findall(r"^Goroutine (\d+) \[(.*?)\]", between(shown, "labels"), re.MULTILINE))
    for goid, header in headers.items():
        assert applied[goid] == header.partition(", ")[0]
    expect_bubbles(go, list(headers.values()), list(seen.ours.values()))
    assert Counter(stacks_of(text["stacks"])) == Counter(stacks_of_profile(text["profile"]))


def expect_bubbles(go: Toolchain, headers: List[str], ours: List[Dict[str, Any]]) -> None:
    """That the program had what is to be compared."""
    ids = {g["bubble"]["id"] for g in ours if g["bubble"]}
    durable = [header for header in headers if "(durable)" in header]
    assert len(ids) == (2 if go.release >= (1, 24) else 0)
    assert (
        bool(durable) == (go.release >= (1, 25)) == any(g["bubble"] and g["bubble"]["durable"] for g in ours)
    )
    leaked = [g for g in ours if g["status"] == "leaked"]
    assert bool(leaked) == (go.release >= (1, 26)) == any("(leaked)" in header for header in headers)


Stack = Tuple[int, Tuple[Tuple[str, str], ...]]  # how many goroutines; function and file:line of each frame


def trimmed(many: int, frames: List[Tuple[str, str]]) -> Stack:
    """As printStackRecord (src/runtime/pprof/pprof.go): without goexit and the innermost runtime's."""
    frames = [frame for frame in frames if frame[0] != "runtime.goexit"]
    own = [not re.match(r"runtime\.|internal/runtime/", name) for name, _ in frames]
    first = own.index(True)
    return many, tuple(frames[first:])


def stacks_of_profile(text: str) -> List[Stack]:
    """The profile's stacks, but the one of the goroutine that took it."""
    found = []
    for block in text.split("\n\n"):
        head = re.search(r"^(\d+) @ ", block, re.MULTILINE)
        frames = re.findall(r"^#\t0x[0-9a-f]+\t(\S.*?)\+0x[0-9a-f]+\t+(\S+)$", block, re.MULTILINE)
        if head and frames and frames[-1][0] != "runtime.main":
            short = [(name, "/".join(place.split("/")[-2:])) for name, place in frames]
            found.append(trimmed(int(head.group(1)), short))
    return found


def stacks_of(text: str) -> List[Stack]:
    """The same of `--group stack`."""
    found = []
    for block in text.split("\n\n"):
        head = re.match(r"(\d+) goroutines? ", block)
        assert head, block
        frames: List[Tuple[str, str]] = []
        for line in block.splitlines()[2:]:
            if line.startswith("  created by "):
                continue
            name, place, *rest = re.split(r"  +", line.strip())
            times = re.search(r"×(\d+)$", line)
            frames += [(name, place)] * (int(times.group(1)) if times else 1)
        if frames[-1][0] != "main.main":
            found.append(trimmed(int(head.group(1)), frames))
    return found


# Asks for the goroutine at each stop on its way through a growing stack, and puts it all into a file.
GROWING = """
import gdb, json
goid, seen = int(gdb.parse_and_eval('$current_goid()')), []
def take(where):
    gdb.execute(f'goroutine-stacks {goid} --format json --frames --output FILE', to_string=True)
    bt = gdb.execute(f'goroutine-apply {goid} -q bt -frame-arguments none', to_string=True)
    current = int(gdb.parse_and_eval('$current_goid()'))
    seen.append((where, current, bt, json.load(open('FILE'))['goroutines'][0]))
plain = None
gdb.execute('set scheduler-locking on')
for name in 'morestack', 'newstack', 'copystack', 'stackfree', 'gogo':
    where = f"*'runtime.{name}'" if name in ('morestack', 'gogo') else f'runtime.{name}'
    stop = gdb.Breakpoint(where)
    gdb.execute('continue', to_string=True)
    stop.delete()
    plain = plain or gdb.execute('bt -frame-arguments none', to_string=True)
    take(where)
    for _ in range(30 if 'morestack' in where else 0):
        gdb.execute('stepi', to_string=True)
        take(gdb.selected_frame().name())
gdb.execute(f'goroutine {goid}')
selected = gdb.execute('bt -frame-arguments none', to_string=True)
json.dump([goid, plain, selected, seen], open('FILE', 'w'))
"""


def users(backtrace: str) -> List[str]:
    """`main.grow .../main.go:61` of each frame of the program's own in what gdb printed."""
    found = re.findall(r"^#\d+ .*?(main\.[\w.]+) \(.*\) at (\S+)$", backtrace, re.MULTILINE)
    return [f"{name} {place}" for name, place in found]


def test_a_stack_that_grows(gdb_exe: Gdb, go: Toolchain, build_program: Builder, tmp_path: Path) -> None:
    """The thread goes from the goroutine's stack to g0 and back; gdb's frames before that are what it has."""
    out = tmp_path / "seen.json"
    scene = launch_to_breakpoint(build_program("bubbles", go, "experiments"), tmp_path / "oracle")
    code = GROWING.replace("FILE", str(out))
    look(gdb_exe, scene, "delete", "tbreak main.grow", "continue", f"python exec({code!r})")
    goid, plain, selected, seen = json.loads(out.read_text())
    expected = users(plain)
    assert expected[0].startswith("main.grow ") and expected[-1].startswith("main.main.func")
    stops = [where for where, *_ in seen]
    assert {"runtime.morestack", "runtime.newstack", "runtime.stackfree", "*'runtime.gogo'"} <= set(stops)
    statuses = set()
    for where, current, bt, ours in seen:
        statuses.add(ours["status"])
        own = [f for f in ours["frames"] if f["function"].startswith("main.")]
        assert [f"{f['function']} {f['file']}:{f['line']}" for f in own] == expected, (where, ours["frames"])
        assert users(bt) == expected, (where, bt)
        assert current == ours["goid"] == goid and ours["problem"] is None, where
        assert ours["frames"][-1]["function"] == "runtime.goexit"
        assert ours["stack"]["used"] is None or 0 < ours["stack"]["used"] <= ours["stack"]["size"]
    assert statuses == {"running", "copystack"}
    assert users(selected) == expected


# Follows a goroutine to its end; at each stop our list, gdb's commands, and what is said of its number.
ENDING = """
import gdb, json
goid, seen = int(gdb.parse_and_eval('$current_goid()')), []
def say(command):
    try:
        return gdb.execute(command, to_string=True)
    except gdb.error as error:
        return str(error)
gdb.execute('set scheduler-locking on')
for name in "*'runtime.goexit1'", 'runtime.goexit0', 'runtime.gfput':
    stop = gdb.Breakpoint(name)
    gdb.execute('continue', to_string=True)
    stop.delete()
    gdb.execute(f'goroutine-stacks --format json --frames --dead --output FILE', to_string=True)
    ours = [g for g in json.load(open('FILE'))['goroutines'] if g['goid'] == goid]
    commands = f'goroutine-stacks {goid}', f'goroutine-apply {goid} bt', f'goroutine {goid}'
    seen.append((ours, *map(say, commands)))
json.dump([goid, seen], open('FILE', 'w'))
"""


def test_a_goroutine_that_ends(gdb_exe: Gdb, bubbles: Scene, tmp_path: Path) -> None:
    out = tmp_path / "seen.json"
    code = ENDING.replace("FILE", str(out))
    look(gdb_exe, bubbles, "delete", "tbreak main.grow", "continue", f"python exec({code!r})")
    goid, seen = json.loads(out.read_text())
    for (ours,), card, bt, chosen in seen[:2]:
        assert ours["status"] == "running" and ours["problem"] is None and ours["thread"]
        names = [f["function"] for f in ours["frames"]]
        assert names[-2:] == ["runtime.goexit1", "runtime.goexit"]
        assert f"goroutine {goid} [running" in card and "runtime.goexit1" in bt and "Switching" in chosen
    (ours,), card, bt, chosen = seen[2]
    assert (ours["status"], ours["frames"], ours["problem"]) == ("dead", [], None)
    assert f"there is no goroutine {goid} any more: it is dead" in card
    assert bt.endswith(f"goroutine {goid} is dead: it has ended, and has no frames") and bt in chosen


# Looks at the list while the runtime adds goroutines to it.
GROWING_LIST = """
import gdb, json
seen = []
gdb.execute('set scheduler-locking on')
gdb.Breakpoint('runtime.allgadd')
for _ in range(14):
    gdb.execute('continue', to_string=True)
    for _ in range(20):
        if gdb.selected_frame().function() is None or 'all' not in gdb.selected_frame().name().lower():
            break
        gdb.execute('goroutine-stacks --format json --frames --system --dead --output FILE', to_string=True)
        document = json.load(open('FILE'))
        problems = document['problems'] + [g['problem'] for g in document['goroutines'] if g['problem']]
        length = int(gdb.parse_and_eval("'runtime.allgs'")['len'])
        published = int(gdb.parse_and_eval("'runtime.allglen'"))
        seen.append((length, published, len(document['goroutines']), problems))
        gdb.execute('next', to_string=True)
json.dump(seen, open('FILE', 'w'))
"""


def test_goroutines_that_are_being_added(gdb_exe: Gdb, bubbles: Scene, tmp_path: Path) -> None:
    """allgs grows and moves; what the runtime has published (allglen) is listed, no more and no less."""
    out = tmp_path / "seen.json"
    code = GROWING_LIST.replace("FILE", str(out))
    early = [line.replace("main.breakpoint", "main.main") for line in bubbles.enter]
    look(gdb_exe, bubbles._replace(enter=early), "delete", f"python exec({code!r})")
    seen = json.loads(out.read_text())
    assert all(listed == published and not problems for _, published, listed, problems in seen), seen
    assert any(length > published for length, published, _, _ in seen)
    assert len({published for _, published, _, _ in seen}) >= 5
