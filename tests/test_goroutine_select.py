"""`goroutine`: the selected goroutine's frames and values, how long it stays selected, and bad input."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from goroutine_frames import between, find, look, marked, sections, stopped
from harness import LOADER
from harness.build import Binary, Builder
from harness.debuggers import Gdb
from harness.gdbrun import Result, Scene, run_gdb
from harness.scenes import launch_to_breakpoint
from harness.toolchains import Toolchain

EACH_ONCE = True  # not every combination: tests/conftest.py


@pytest.fixture(scope="module")
def shapes(newest_go: Toolchain, build_program: Builder) -> Binary:
    return build_program("shapes", newest_go, "noopt")


def test_values_in_the_frames(gdb_exe: Gdb, go: Toolchain, build_program: Builder, tmp_path: Path) -> None:
    """Values that the program is known to have. (Go's compiler keeps the small arguments in registers.)"""
    run = look(
        gdb_exe,
        stopped(build_program("shapes", go, "noopt"), tmp_path),
        *find("main.arguments"),
        "goroutine $it",
        "frame function main.arguments",
        *marked(args="info args", g="p g", second="p g[1]"),
        "frame function runtime.chanrecv",
        *marked(channel="p c == 'main.forever'", blocking="p block", locals="info locals"),
        *marked(itself="p gp == $goroutine($it)"),
        *find("main.wide"),
        "goroutine $it",
        "frame function main.wide",
        *marked(wide="info locals", up="up", depth="p depth", down="down", innermost="p depth"),
    )
    out = run.stdout
    assert re.search(r"^g = \{6, 7, 8\}$", between(out, "args"), re.MULTILINE)
    assert "{6, 7, 8}" in between(out, "g")
    assert between(out, "second").endswith("= 7")
    assert re.search(r"= (true|1)$", between(out, "channel"))
    assert between(out, "blocking").endswith("= true")
    assert re.search(r"^mysg = 0x[0-9a-f]+$", between(out, "locals"), re.MULTILINE)
    assert re.search(r"= (true|1)$", between(out, "itself"))
    assert "frame = " in between(out, "wide")
    assert "main.wide" in between(out, "up")
    assert between(out, "depth").endswith("= 1")
    assert "main.wide" in between(out, "down")
    assert between(out, "innermost").endswith("= 0")


def test_info_frame_and_registers(gdb_exe: Gdb, shapes: Binary, tmp_path: Path) -> None:
    """pc, sp and bp are those in the g, the rest is not known, and none can be set."""
    run = look(
        gdb_exe,
        stopped(shapes, tmp_path),
        *find("main.wide"),
        *marked(g="p/x $goroutine($it).sched"),
        "goroutine $it",
        *marked(pc="p/x $pc", sp="p/x $sp", bp="p/x $rbp", ax="p $rax", frame="info frame"),
        "set var $rsp = 0",
    )
    saved = {
        name: int(value, 16) for name, value in re.findall(r"(\w+) = (0x[0-9a-f]+)", between(run.stdout, "g"))
    }
    for name in ("pc", "sp", "bp"):
        assert int(between(run.stdout, name).split("= ")[1], 16) == saved[name]
    assert "<not saved>" in between(run.stdout, "ax")
    assert f"rip = {saved['pc']:#x} in runtime.gopark" in between(run.stdout, "frame")
    assert re.search("modifiable|unmodifiable", run.stderr)


def test_goroutine_is_selected_until_the_thread_is(gdb_exe: Gdb, shapes: Binary, tmp_path: Path) -> None:
    run = look(
        gdb_exe,
        stopped(shapes, tmp_path),
        *marked(before="goroutine", first="p $current_goid()"),
        "goroutine $it",
        *marked(now="goroutine", goid="p $current_goid()", plain="thread", still="p $current_goid()"),
        *marked(threads="info threads", kept="bt 1", down="down", backtrace="bt 1"),
        "goroutine $it",
        *marked(every="thread apply all -q bt 1", after="frame"),
        'eval "thread %d", $_thread',
        *marked(back="bt 1", whose="p $current_goid()"),
        "goroutine $it",
        "thread 1",
        *marked(other="p $current_goid()", on_one="bt 1"),
        "goroutine $it",
        "goroutine --off",
        *marked(off="frame"),
    )
    out = run.stdout
    assert re.search(r"\[Current goroutine 1 \[running\] on thread \d+\]", between(out, "before"))
    assert between(out, "first").endswith("= 1")
    assert re.search(r"\[Switching to goroutine \d+ \[.+\]\]\n#1 ", out)
    assert re.search(r"\[Current goroutine \d+ \[.+\]\]", between(out, "now"))
    goid = between(out, "goid").split("= ")[1]
    assert between(out, "still").endswith(f"= {goid}")
    assert "runtime.gopark" not in between(out, "threads")
    assert between(out, "kept").startswith("#1 ")
    assert "runtime.gopark" in between(out, "kept")
    assert re.search(r"goroutine \d+ \[.+\] begins at frame 1", between(out, "down"))
    assert between(out, "backtrace").startswith(f"#0  <goroutine {goid} [")
    assert between(out, "every").count(f"#0  <goroutine {goid} [") == 1
    assert "#1 " in between(out, "after")
    assert "main.breakpoint" in between(out, "back")
    assert between(out, "whose").endswith("= 1")
    assert between(out, "on_one").startswith("#0 ")
    assert "main.breakpoint" not in between(out, "other")
    assert "#0 " in between(out, "off")


@pytest.mark.parametrize("resume", ["next", "stepi", "tbreak addrspace.test/kit.Ready\ncontinue"])
def test_resuming_returns_to_normal(gdb_exe: Gdb, shapes: Binary, tmp_path: Path, resume: str) -> None:
    # Go moves goroutines between threads: left to itself it could reach the breakpoint once more.
    still = ["delete", f"set scheduler-locking {'off' if 'continue' in resume else 'on'}"]
    run = look(
        gdb_exe,
        stopped(shapes, tmp_path),
        "goroutine $it",
        *still,
        *resume.split("\n"),
        *marked(bt="bt", frame="info frame", goid="p $current_goid()", show="goroutine"),
    )
    assert between(run.stdout, "bt").startswith("#0 ")
    assert "main.main" in between(run.stdout, "bt")
    assert "runtime.gopark" not in between(run.stdout, "bt")
    assert "Stack level 0" in between(run.stdout, "frame")
    assert between(run.stdout, "goid") == "$1 = 1"
    assert "[Current goroutine 1 [running] on thread" in between(run.stdout, "show")


def test_a_thread_on_its_g0_stack_shows_what_the_goroutine_saved(
    gdb_exe: Gdb, shapes: Binary, tmp_path: Path
) -> None:
    scene = launch_to_breakpoint(shapes, tmp_path / "oracle", "quiet")
    enter = [line.replace("main.breakpoint", "main.main") for line in scene.enter]
    run = look(
        gdb_exe,
        scene._replace(enter=[*enter, "delete", "break runtime.newproc1", "continue"]),
        *marked(thread="bt 3", before="goroutine", apply="goroutine-apply 1 bt"),
    )
    assert "runtime.newproc1" in between(run.stdout, "thread")
    functions = [f.function for f in sections(between(run.stdout, "apply"))[1].frames]
    assert functions[0] == "runtime.systemstack_switch"
    assert "runtime.newproc" in functions
    assert functions[-1] == "main.main"
    assert "runtime.newproc1" not in functions


def test_a_goroutine_interrupted_by_a_signal(
    gdb_exe: Gdb, go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    """Its thread is on the signal stack, and its frames are behind the handler's."""
    scene = launch_to_breakpoint(build_program("shapes", go), tmp_path / "oracle")
    run = look(
        gdb_exe,
        scene,
        "delete",
        "handle SIGURG nostop noprint pass",
        "break runtime.doSigPreempt",
        "continue",
        *marked(here="p $current_goid()", bt="goroutine-apply $current_goid() bt"),
        *marked(found="goroutine-apply all function:main.spin -q p $current_goid()"),
    )
    goid = int(between(run.stdout, "here").split("= ")[1])
    (section,) = sections(between(run.stdout, "bt")).values()
    names = [frame.function for frame in section.frames]
    assert section.state == "running"
    assert "runtime.sigtramp" in "".join(names)
    spinning = [int(number) for number in re.findall(r"= (\d+)", between(run.stdout, "found"))]
    assert ("main.spin" in names) == (goid in spinning)
    assert len(spinning) == 3


def test_from_a_thread_that_stands_in_main(gdb_exe: Gdb, shapes: Binary, tmp_path: Path) -> None:
    """gdb looks for no caller of main; the setting for that is as it was afterwards."""
    scene = launch_to_breakpoint(shapes, tmp_path / "oracle", "quiet")
    enter = [line.replace("main.breakpoint", "main.main") for line in scene.enter]
    run = look(
        gdb_exe,
        scene._replace(enter=enter),
        *find("runtime.forcegchelper"),
        "goroutine $it",
        *marked(bt="bt"),
        "goroutine --off",
        *marked(off="show backtrace past-main", thread="bt"),
        "goroutine $it",
        "next",
        *marked(moved="show backtrace past-main"),
    )
    assert between(run.stdout, "bt").startswith("#1 ")
    assert "runtime.goexit" in between(run.stdout, "bt")
    assert "is off" in between(run.stdout, "off")
    assert between(run.stdout, "thread").count("#") == 1
    assert "is off" in between(run.stdout, "moved")


def runtime_gdb(go: Toolchain) -> Path:
    return go.goroot / "src" / "runtime" / "runtime-gdb.py"


def in_order(gdb: Gdb, scene: Scene, script: Path, *commands: str) -> Result:
    """Run with a script loaded first, then this project, and the process started after both."""
    lines = [f"source {script}", f"source {LOADER}", *scene.enter, *commands, *scene.leave]
    run = run_gdb(gdb, lines, Scene("live", scene.program, []))
    assert "Traceback" not in run.stdout + run.stderr
    return run


def test_after_gos_own_script(gdb_exe: Gdb, go: Toolchain, build_program: Builder, tmp_path: Path) -> None:
    run = in_order(
        gdb_exe,
        stopped(build_program("shapes", go), tmp_path),
        runtime_gdb(go),
        "info goroutines",
        *marked(
            one="goroutine $it bt 1", every="goroutine all p $current_goid()", len="p $len('main.Files')"
        ),
        "goroutine $it",
    )
    assert run.stderr.count("`goroutine` of Go's runtime-gdb.py is replaced") == 1
    assert re.search(r"^[* ] 1 (running|syscall) +\S+", run.stdout, re.MULTILINE)
    assert re.search(r"^#1 .*runtime\.gopark", between(run.stdout, "one"))
    assert re.search(r"Goroutine (\d+) .*:\n\$\d+ = \1\n", between(run.stdout, "every"))
    assert between(run.stdout, "len").endswith("= 3")
    assert re.search(r"\[Switching to goroutine \d+ \[", run.stdout)


def test_before_gos_own_script(gdb_exe: Gdb, go: Toolchain, build_program: Builder, tmp_path: Path) -> None:
    """Loaded second, theirs is the command until the next stop; then ours is, and says so."""
    run = look(
        gdb_exe,
        stopped(build_program("shapes", go), tmp_path),
        f"source {runtime_gdb(go)}",
        "info goroutines",
        "next",
        "goroutine $it",
        *marked(bt="bt 1", apply="goroutine-apply $it -q bt 1"),
    )
    assert run.stderr.count("is replaced") == 1
    assert re.search(r"\[Switching to goroutine \d+ \[", run.stdout)
    assert between(run.stdout, "bt") == between(run.stdout, "apply")
    assert re.search(r"^[* ] 1 (running|syscall) +\S+", run.stdout, re.MULTILINE)


def test_another_command_of_the_name_stays(gdb_exe: Gdb, shapes: Binary, tmp_path: Path) -> None:
    script = tmp_path / "own.gdb"
    script.write_text("define goroutine\necho mine\\n\nend\n")
    scene = stopped(shapes, tmp_path)
    run = in_order(gdb_exe, scene, script, "goroutine $it", "goroutine-apply $it -q bt 1")
    assert "mine" in run.stdout
    assert "stays so" in run.stderr
    assert re.search(r"^#1 .*runtime\.gopark", run.stdout, re.MULTILINE)


def test_a_goroutine_that_has_not_run(
    gdb_exe: Gdb, go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    """It is being put on a run queue by `go spin()`: its saved pc is the function's first instruction."""
    scene = launch_to_breakpoint(build_program("shapes", go, "noopt"), tmp_path / "oracle")
    enter = [line.replace("break main.breakpoint", "tbreak main.startSpinners") for line in scene.enter]
    new = (
        "python gdb.Breakpoint('runtime.runqput').condition = "
        "'gp.startpc == %d' % gdb.lookup_global_symbol('main.spin').value().address"
    )
    run = look(
        gdb_exe,
        scene._replace(enter=enter),
        new,
        "continue",
        "set $it = gp.goid",
        *marked(bt="goroutine-apply $it bt"),
        "goroutine $it",
        *marked(frame="frame", itself="p $current_goid() == $it"),
    )
    (section,) = sections(between(run.stdout, "bt")).values()
    assert section.state == "runnable"
    assert [frame.function for frame in section.frames] == ["main.spin", "runtime.goexit"]
    assert between(run.stdout, "frame").startswith("#1 ")
    assert "goroutines.go" in between(run.stdout, "frame")
    assert re.search(r"= (true|1)$", between(run.stdout, "itself"))


BAD = {
    "goroutine 99999": "there is no goroutine 99999",
    "goroutine x": "'x' is not a goroutine's number",
    "goroutine-apply 99999 bt": "there is no goroutine 99999",
    "goroutine-apply": "expected goroutines first",
    "goroutine-apply all": "missing command",
    "goroutine-apply function:nothing_is_called_this bt": "no goroutine matches",
    "goroutine-apply function:( bt": "function:(",
    "p $goroutine(99999)": "there is no goroutine 99999",
    "p $goroutine()": "give the number of a goroutine",
}


def test_bad_input_is_one_line(gdb_exe: Gdb, shapes: Binary, tmp_path: Path) -> None:
    run = look(gdb_exe, stopped(shapes, tmp_path), *BAD, *marked(frame="frame"))
    said = [line for line in run.stderr.splitlines() if line.startswith("addrspace: ")]
    assert len(said) == len(BAD), run.stderr
    for line, expected in zip(said, BAD.values()):
        assert expected in line
    assert "main.breakpoint" in between(run.stdout, "frame")


def test_a_dead_goroutine_and_a_damaged_one(gdb_exe: Gdb, shapes: Binary, tmp_path: Path) -> None:
    """The test itself damages a g; nothing of this project writes."""
    dead = (
        "python p = gdb.parse_and_eval(\"'runtime.allgs'\"); gdb.set_convenience_variable('dead', "
        "max(int(p['array'][i]['goid']) for i in range(int(p['len'])) "
        "if int(p['array'][i]['atomicstatus']['value']) == 6))"
    )
    run = look(
        gdb_exe,
        stopped(shapes, tmp_path),
        dead,
        "goroutine $dead",
        *marked(before="frame"),
        "set var $goroutine($it).sched.sp = 16",
        "goroutine $it",
        "goroutine-apply $it bt",
        *marked(rest="goroutine-apply all -c -q p 4"),
    )
    assert re.search(r"addrspace: goroutine \d+ is dead", run.stderr)
    assert run.stderr.count("its saved stack pointer 0x10 is outside its stack 0x") == 2
    assert "main.breakpoint" in between(run.stdout, "before")
    rest = between(run.stdout, "rest")
    assert rest.count("its saved stack pointer 0x10") == 1
    assert rest.count("= 4") >= 5


def test_no_process_and_what_is_not_go(
    gdb_exe: Gdb, build_program: Builder, newest_go: Toolchain, tmp_path: Path
) -> None:
    none = look(
        gdb_exe, Scene("none", None, []), "goroutine 1", "goroutine-apply all bt", "p $current_goid()"
    )
    assert none.stderr.count("addrspace: no process") == 2
    assert "= void" in none.stdout
    c = launch_to_breakpoint(build_program("c_only"), tmp_path / "oracle")
    foreign = look(gdb_exe, c, "goroutine 1", "goroutine-apply all bt", "p $current_goid()")
    assert foreign.stderr.count("addrspace: no debug information for runtime.g") == 2
    assert "= void" in foreign.stdout
    stripped = build_program("shapes", newest_go, "stripped")
    scene = launch_to_breakpoint(stripped, tmp_path / "oracle", "quiet")
    enter = [line for line in scene.enter if not line.startswith("break")]
    enter = [line.replace("run ", "starti ", 1) for line in enter]
    run = look(gdb_exe, scene._replace(enter=enter), "goroutine 1", "p $goroutine(1)")
    assert run.stderr.count("addrspace: there is no goroutine 1") == 2
