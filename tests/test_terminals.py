"""What a person has on the screen: a picture that fits it, rows that gdb's pager leaves whole, names that
are completed, and no escapes where nobody looks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Iterator

import pytest
from harness import LOADER
from harness.build import Builder
from harness.debuggers import Gdb
from harness.gdbrun import run_gdb
from harness.processes import Process, Processes
from harness.scenes import attach, start
from harness.terminal import Terminal
from harness.toolchains import Toolchain

EACH_ONCE = True  # not every combination: tests/conftest.py
QUIET = (
    "set confirm off",
    "set style enabled on",
    "set print thread-events off",
    "set print inferior-events off",
)
PAGER = "--Type <RET>"


@pytest.fixture
def running(processes: Processes, build_program: Builder, newest_go: Toolchain, oracle_file: Path) -> Process:
    return start(processes, build_program("shapes", newest_go), oracle_file, "quiet")


@pytest.fixture
def screen(
    gdb_exe: Gdb, running: Process, build_program: Builder, newest_go: Toolchain
) -> Iterator[Terminal]:
    """24 lines of 80 columns, with gdb's own settings: its pager and its colours are on."""
    binary = build_program("shapes", newest_go)
    terminal = Terminal(gdb_exe, binary.path, QUIET, (24, 80), "xterm-256color")
    try:
        terminal.ask(f"attach {running.pid}")
        yield terminal
    finally:
        terminal.close()


def test_the_picture_fits_and_is_not_cut(screen: Terminal) -> None:
    text = screen.ask("addrspace")
    assert screen.ask("addrspace -o /dev/null").strip() == "written to /dev/null"
    refused = screen.ask("addrspace html")
    assert "html: name a file for the page: --output FILE" in refused and "<html" not in refused
    assert screen.ask("pipe addrspace html | grep -c '<html'").strip() == "1"
    assert PAGER not in text and len(text.splitlines()) < 24
    assert "Go Heap" in text and "Goroutine Stacks" in text and "\x1b[" in screen.raw
    screen.type("addrspace regions")
    first = screen.until(PAGER)
    assert all("0x" in line or "Range" in line for line in first.splitlines()[1:]), first
    assert len(first.splitlines()) == 24  # the command itself, and one line less than the screen has
    screen.type("q")
    screen.until("Quit")
    screen.until("(gdb) ")
    assert "is 80" in screen.ask("show width")


def test_no_escapes_where_nobody_looks(screen: Terminal, tmp_path: Path) -> None:
    log = tmp_path / "log"
    for command in (
        f"pipe addrspace arenas | cat > {tmp_path}/piped",
        f"python open('{tmp_path}/string', 'w').write(gdb.execute('addrspace arenas', False, True))",
        f"set logging file {log}",
        "set logging enabled on",
        "addrspace arenas",
        "set logging enabled off",
    ):
        screen.ask(command)
    for name in ("piped", "string", "log"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert "Arena" in text and "\x1b" not in text, name
    screen.raw = ""
    assert "Arena" in screen.ask("addrspace arenas") and "\x1b[" in screen.raw
    lines = (tmp_path / "piped").read_text(encoding="utf-8").splitlines()
    screen.ask(f"pipe addrspace | cat > {tmp_path}/whole")
    assert "left out" not in (tmp_path / "whole").read_text(encoding="utf-8") and lines


def test_what_a_tab_offers(screen: Terminal) -> None:
    for line, offered in (
        ("goroutine ", "goroutine 1"),
        ("goroutine-stacks 1", "goroutine-stacks 1"),
        ("goroutine-apply 1", "goroutine-apply 1"),
        ("addrspace whereis main.brea", "addrspace whereis main.breakpoint"),
        ("addrspace whereis &main.Orac", "addrspace whereis &main.Oracle"),
        ("addrspace retained main.Orac", "addrspace retained main.Oracle"),
        ("set addrspace style solarized-l", "set addrspace style solarized-light"),
        ("vmmap hea", "vmmap heap"),
        ("info gorou", "info goroutines"),
        ("goroutine-stacks --status cha", 'goroutine-stacks --status "chan receive"'),
        ('goroutine-stacks --status "chan rec', 'goroutine-stacks --status "chan receive"'),
        ("goroutine-stacks --limit ", "goroutine-stacks --limit all"),
    ):
        assert offered in screen.ask(f"complete {line}").splitlines(), line
    for line in ("goroutine-stacks --min-size ", "goroutine-stacks --label ", "addrspace spans --class "):
        assert screen.ask(f"complete {line}") == "", line
    assert "Undefined item" in screen.ask("set addrspace style nosuch")


def test_who_created_a_goroutine_stands_in_a_wide_list(screen: Terminal) -> None:
    wide, narrow = (screen.ask(f"goroutine-stacks --limit 3 --width {width}") for width in (200, 80))
    assert "Created by" in wide and "Created by" not in narrow
    assert re.search(r"^ +1 .*:\d+ *$", wide, re.MULTILINE)  # the runtime made it


def test_other_names_and_how_to_be_rid_of_them(screen: Terminal) -> None:
    for name, means in (("info goroutines", "goroutine-stacks"), ("goroutines", "goroutine-stacks")):
        assert screen.ask(f"{name} 1") == screen.ask(f"{means} 1")
    assert screen.ask("vmmap $sp") == screen.ask("addrspace regions $sp")
    screen.ask("set addrspace aliases off")
    assert "switched off" in screen.ask("vmmap")
    screen.ask("define vmmap\necho theirs\\n\nend")
    assert screen.ask("vmmap").strip() == "theirs"


def test_hooks_say_whose_they_are(screen: Terminal) -> None:
    assert re.search(r"hookpost-frame -- Of addrspace-gdb: ", screen.ask("help user-defined"))
    screen.ask("goroutine 1")
    screen.type("define hookpost-frame")
    screen.until(">")
    screen.type("echo mine\\n")
    screen.until(">")
    screen.type("end")
    assert "`hookpost-frame` is yours" in screen.until("says where you are")


THEIRS = """
class Theirs(gdb.Command):
    def __init__(self, name):
        super().__init__(name, gdb.COMMAND_USER)

    def invoke(self, argument, from_tty):
        gdb.write("theirs\\n")

for name in ("vmmap", "goroutines", "info goroutines"):
    Theirs(name)
"""


@pytest.mark.parametrize("first", ["theirs", "ours"])
def test_whoever_has_a_name_keeps_it(
    gdb_exe: Gdb, running: Process, build_program: Builder, newest_go: Toolchain, tmp_path: Path, first: str
) -> None:
    """As pwndbg and GEF define them: loaded before us or after us, the names are theirs."""
    script = tmp_path / "theirs.py"
    script.write_text(f"import gdb\n{THEIRS}")
    sources = [f"source {script}", f"source {LOADER}"]
    lines = sources if first == "theirs" else sources[::-1]
    scene = attach(running, build_program("shapes", newest_go))
    names = ("vmmap", "goroutines", "info goroutines")
    run = run_gdb(gdb_exe, [*lines, *scene.enter, *names, "addrspace arenas", "detach"])
    assert run.stdout.count("theirs\n") == 3 and "Arena" in run.stdout, run.stderr


@pytest.mark.parametrize("first", ["theirs", "ours"])
def test_beside_gos_own_script(
    gdb_exe: Gdb, running: Process, build_program: Builder, newest_go: Toolchain, first: str
) -> None:
    """`info goroutines` stays as runtime-gdb.py has it, and `goroutine` is ours, in a batch run too."""
    theirs = newest_go.goroot / "src" / "runtime" / "runtime-gdb.py"
    sources = [f"source {theirs}", f"source {LOADER}"]
    lines = sources if first == "theirs" else sources[::-1]
    scene = attach(running, build_program("shapes", newest_go))
    commands = [*scene.enter, *lines, "info goroutines", "goroutine 1", "bt 1", "detach"]
    run = run_gdb(gdb_exe, commands, scene._replace(enter=(), leave=()))
    assert re.search(r"^[* ] 1 +\w+ ", run.stdout, re.MULTILINE), run.stdout
    assert "[Switching to goroutine 1 [" in run.stdout and run.stderr.count("is replaced") == 1
