"""`goroutine-apply`: gdb's frames of every goroutine against the dump Go made of itself; flags, filters."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Callable, List

import pytest
from goroutine_frames import ALL, RUNNING, between, common, compare, look, marked, sections, stopped
from harness.build import Binary, Builder
from harness.debuggers import Gdb
from harness.dumps import Goroutine, goroutine_dump_parse
from harness.gdbrun import run_gdb
from harness.oracles import dump_command
from harness.processes import Processes
from harness.scenes import gdbserver_launch, kernel_core, launch_to_breakpoint, open_core, start
from harness.terminal import Terminal
from harness.toolchains import Toolchain, Unavailable

EACH_ONCE = True  # not every combination: tests/conftest.py


@pytest.mark.parametrize("variant", ["plain", "noopt"])
def test_live_and_gcore_frames_are_those_of_gos_own_dump(
    gdb_exe: Gdb, go: Toolchain, build_program: Builder, variant: str, tmp_path: Path
) -> None:
    binary = build_program("shapes", go, variant)
    scene = launch_to_breakpoint(binary, tmp_path / "oracle", "quiet")
    core = tmp_path / "core"
    commands = [dump_command(tmp_path / "dump"), ALL, f"generate-core-file {core}"]
    live = run_gdb(gdb_exe, commands, scene, load=True)
    dump = goroutine_dump_parse((tmp_path / "dump").read_text())
    assert compare(live.stdout, dump) > 500
    dead = run_gdb(gdb_exe, [ALL], open_core(core, binary.path), load=True)
    assert compare(dead.stdout, dump) > 500
    assert set(sections(live.stdout)) == set(sections(dead.stdout)) >= {g.goid for g in dump}
    assert "Traceback" not in live.stdout + live.stderr + dead.stdout + dead.stderr


@pytest.mark.parametrize("how", ["panic", "abort"])
def test_the_kernels_core(
    gdb_exe: Gdb, go: Toolchain, build_program: Builder, how: str, tmp_path: Path
) -> None:
    binary = build_program("crash", go)
    try:
        core = kernel_core(binary, tmp_path, tmp_path / "oracle", how)
    except Unavailable as problem:
        pytest.skip(str(problem))
    run = run_gdb(gdb_exe, [dump_command(tmp_path / "dump"), ALL], core.scene, load=True)
    dump = goroutine_dump_parse((tmp_path / "dump").read_text())
    assert compare(run.stdout, dump) > 100
    died = sections(run.stdout)[1].frames
    assert [f.function for f in died if f.function.startswith("main.")] == ["main.die", "main.main"], died
    assert "Traceback" not in run.stdout + run.stderr


@pytest.mark.parametrize("variant", ["386", "pie", "cgo"])
def test_other_builds(
    gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, variant: str, tmp_path: Path
) -> None:
    binary = build_program("shapes", newest_go, variant)
    scene = launch_to_breakpoint(binary, tmp_path / "oracle", "quiet")
    run = look(gdb_exe, scene, dump_command(tmp_path / "dump"), ALL)
    assert compare(run.stdout, goroutine_dump_parse((tmp_path / "dump").read_text())) > 500


def test_gdbserver(
    gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path
) -> None:
    binary = build_program("shapes", newest_go)
    try:
        scene = gdbserver_launch(gdb_exe, processes, binary, tmp_path / "oracle", "quiet")
    except Unavailable as problem:
        pytest.skip(str(problem))
    run = run_gdb(gdb_exe, [dump_command(tmp_path / "dump"), ALL], scene, load=True)
    assert compare(run.stdout, goroutine_dump_parse((tmp_path / "dump").read_text())) > 500


def test_goroutines_in_c_and_behind_callbacks(
    gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    binary = build_program("cgo", newest_go, "cgo")
    scene = launch_to_breakpoint(binary, tmp_path / "oracle")
    run = run_gdb(gdb_exe, [dump_command(tmp_path / "dump"), ALL], scene, load=True)
    dump = goroutine_dump_parse((tmp_path / "dump").read_text())
    found = sections(run.stdout)
    in_c = [g for g in dump if g.status == "syscall"]
    assert len(in_c) >= 2
    for goroutine in in_c:
        assert found[goroutine.goid].thread is not None
        innermost = next(f for f in goroutine.frames if not f.function.startswith("runtime."))
        assert innermost.function in [f.function for f in found[goroutine.goid].frames]


@pytest.fixture(scope="module")
def shapes(newest_go: Toolchain, build_program: Builder) -> Binary:
    return build_program("shapes", newest_go, "noopt")


def test_each_goroutine_has_its_own_values(gdb_exe: Gdb, shapes: Binary, tmp_path: Path) -> None:
    run = look(
        gdb_exe,
        stopped(shapes, tmp_path),
        "python import re",
        *marked(goids="goroutine-apply all function:^main.descend$ -q p $current_goid()"),
        *marked(frames="goroutine-apply all -s frame function main.descend"),
    )
    goids = re.findall(r"= (\d+)", between(run.stdout, "goids"))
    assert len(goids) == len(set(goids)) == 10  # startDepths: two of each depth
    frames = between(run.stdout, "frames")
    assert re.findall(r"Goroutine (\d+) \[chan receive\]:", frames) == goids
    assert frames.count("main.descend (depth=0") == 10


MEMORY = """python
import hashlib
def digest():
    inferior, sums = gdb.selected_inferior(), hashlib.sha256()
    for line in open(f"/proc/{inferior.pid}/maps"):
        span, perms = line.split()[:2]
        if perms.startswith("rw"):
            low, high = (int(end, 16) for end in span.split("-"))
            sums.update(inferior.read_memory(low, high - low))
    print("digest", sums.hexdigest())
end"""


def test_nothing_is_written_and_the_process_goes_on(gdb_exe: Gdb, shapes: Binary, tmp_path: Path) -> None:
    script = tmp_path / "digest.gdb"
    script.write_text(MEMORY + "\n")
    registers = "thread apply all -ascending info registers"
    run = look(
        gdb_exe,
        stopped(shapes, tmp_path),
        f"source {script}",
        *marked(before=registers, sum="python digest()"),
        ALL,
        "goroutine-apply all -q -s info locals",
        "goroutine $it",
        "up",
        "goroutine --off",
        *marked(after=registers, again="python digest()"),
        "delete",
        "continue",
        env={"ADDRSPACE_TEST_LIFETIME": "1"},
    )
    assert "rip" in between(run.stdout, "before")
    assert between(run.stdout, "before") == between(run.stdout, "after")
    assert between(run.stdout, "sum").startswith("digest ")
    assert between(run.stdout, "sum") == between(run.stdout, "again")
    assert "exited normally" in run.stdout


def test_flags(gdb_exe: Gdb, shapes: Binary, tmp_path: Path) -> None:
    run = look(
        gdb_exe,
        stopped(shapes, tmp_path),
        "goroutine $it",
        "up",
        *marked(
            header="goroutine-apply 1 $it p 5",
            quiet="goroutine-apply 1 $it -q p 5",
            passes="goroutine-apply 1 99999 $it p 6",
            goes_on="goroutine-apply 1 99999 $it -c p 7",
            silent="goroutine-apply 1 99999 $it -s p 8",
            nothing="goroutine-apply 1 $it -s set var $x = 1",
            error="goroutine-apply 1 $it -c p nosuch",
            once="goroutine-apply $it 1 $it 1-1 -q p 9",
            none="goroutine-apply 2000000-3000000 p 1",
            frame="frame",
        ),
    )
    out = run.stdout
    number = re.sub(r"\d+", "N", re.sub(r"(?<!1) \[.+\]:", " [X]:", between(out, "header")))
    assert number == "\nGoroutine N [running] (thread N, LWP N):\n$N = N\n\nGoroutine N [X]:\n$N = N"
    assert re.fullmatch(r"(\$\d+ = 5\n?){2}", between(out, "quiet"))
    passed = between(out, "passes")
    assert passed.count("= 6") == passed.count("Goroutine ") == 2
    assert passed.endswith("addrspace: there is no goroutine 99999 (`goroutine-stacks` lists them)")
    both = between(out, "goes_on")
    assert both.count("= 7") == 2
    assert "addrspace: there is no goroutine 99999" in both
    assert between(out, "silent").count("= 8") == 2
    assert "99999" not in between(out, "silent")
    assert between(out, "nothing").strip() == ""
    assert between(out, "error").count('No symbol "nosuch"') == 2
    assert between(out, "once").count("= 9") == 2
    assert "addrspace: no goroutine matches '2000000-3000000'" in run.stderr
    assert between(out, "frame").startswith("#2 ")


@pytest.mark.parametrize(
    "command",
    [
        "p nosuch",
        "python raise KeyboardInterrupt",
        "python raise ValueError",
        "goroutine 17",
        "thread 1",
        "goroutine --off",
    ],
)
def test_the_selection_is_put_back(gdb_exe: Gdb, shapes: Binary, tmp_path: Path, command: str) -> None:
    run = run_gdb(
        gdb_exe,
        [
            "goroutine $it",
            "frame 3",
            *marked(before="frame", it="p $current_goid()"),
            f"goroutine-apply all {command}",
            *marked(after="frame", goid="p $current_goid()"),
        ],
        stopped(shapes, tmp_path),
        load=True,
    )
    assert between(run.stdout, "before").startswith("#3 ")
    assert between(run.stdout, "before") == between(run.stdout, "after")
    assert between(run.stdout, "goid").split("= ")[1] == between(run.stdout, "it").split("= ")[1]


def test_a_command_that_resumes_ends_it(gdb_exe: Gdb, shapes: Binary, tmp_path: Path) -> None:
    run = look(gdb_exe, stopped(shapes, tmp_path), "goroutine-apply all next", *marked(bt="bt 1"))
    assert "addrspace: the command let the process move" in run.stderr
    assert "main.breakpoint" in between(run.stdout, "bt")
    assert run.stdout.count("Goroutine ") == 1


def test_filters(gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, tmp_path: Path) -> None:
    binary = build_program("shapes", newest_go)
    scene = launch_to_breakpoint(binary, tmp_path / "oracle", "quiet")
    run = look(
        gdb_exe,
        scene,
        dump_command(tmp_path / "dump"),
        *marked(
            wait="goroutine-apply waiting -q p $current_goid()",
            syscall="goroutine-apply syscall -q p $current_goid()",
            sleep="goroutine-apply reason:^sleep$ -q p $current_goid()",
            inlined="goroutine-apply function:^main.inlinedInner$ -q p $current_goid()",
            both="goroutine-apply waiting reason:select function:main.selectTwo -q p $current_goid()",
        ),
    )
    dump = goroutine_dump_parse((tmp_path / "dump").read_text())

    dumped = {g.goid for g in dump}

    def expected(keep: Callable[[Goroutine], bool]) -> List[int]:
        return sorted(g.goid for g in dump if keep(g))

    def shown(mark: str) -> List[int]:
        goids = [int(goid) for goid in re.findall(r"= (\d+)", between(run.stdout, mark))]
        return [goid for goid in goids if goid in dumped]  # the dump leaves the runtime's own out

    def has(function: str) -> Callable[[Goroutine], bool]:
        return lambda g: any(f.function == function for f in g.frames)

    waiting = expected(lambda g: g.status not in RUNNING)
    assert shown("wait") == waiting != []
    assert shown("syscall") == expected(lambda g: g.status == "syscall")
    assert shown("sleep") == expected(lambda g: g.status == "sleep") != []
    assert shown("inlined") == expected(has("main.inlinedInner")) != []
    assert shown("both") == expected(lambda g: g.status == "select" and has("main.selectTwo")(g)) != []


def test_running_and_runnable_goroutines(
    gdb_exe: Gdb, go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    """Three goroutines spin on two Ps: one at least does not run, and perhaps never has."""
    binary = build_program("shapes", go)
    run = look(
        gdb_exe,
        launch_to_breakpoint(binary, tmp_path / "oracle"),
        "goroutine-apply all function:main.spin bt",
    )
    found = sections(run.stdout)
    assert len(found) == 3
    for section in found.values():
        assert section.state in ("running", "runnable", "preempted")
        assert (section.thread is not None) == (section.state == "running")
        names = [common(f.function) for f in section.frames]
        # gdb looks for the caller of asyncPreempt one byte too low, which is before an endless loop's start.
        assert "main.spin" in names or "runtime.asyncPreempt" in names
        assert all(f.file.endswith("goroutines.go") for f in section.frames if f.function == "main.spin")


def test_ctrl_c_ends_it_and_gdb_is_as_before(
    gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path
) -> None:
    """On a terminal, at 20,000 goroutines. What an interrupt meets depends on the moment: there are some."""
    binary = build_program("parked", newest_go)
    process = start(processes, binary, tmp_path / "oracle", "20000")
    terminal = Terminal(gdb_exe, binary.path)
    try:
        terminal.ask(f"attach {process.pid}")
        before = terminal.ask("bt 2"), terminal.ask("goroutine")
        moments = {"all bt": "Goroutine 7", "all -s bt 1": "Goroutine 70", "all -c -q frame": "#1"}
        for arguments, until in moments.items():
            terminal.type(f"goroutine-apply {arguments}")
            terminal.until(until)
            terminal.interrupt()
            said = terminal.until("Quit")
            assert "Traceback" not in said and "rror" not in said
            assert said.count("Goroutine ") < 5000, "it went on"
            assert terminal.until("(gdb) ") == "\n"
            after = terminal.ask("bt 2"), terminal.ask("goroutine")
            assert after == before
        terminal.type("goroutine-stacks --group stack --frames")
        terminal.until("--frames\n")
        terminal.interrupt()
        terminal.until("Quit")
        terminal.until("(gdb) ")
        assert "goroutines: --limit all shows every one" in terminal.ask("goroutine-stacks --limit 3")
    finally:
        terminal.close()
    assert process.running()
