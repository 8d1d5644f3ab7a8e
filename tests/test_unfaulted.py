"""No command makes anything resident: the kernel's smaps of every mapping before and after are the same."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Dict, Sequence, Set, Tuple

import pytest
from harness import CHECKOUT, full_matrix
from harness.command import cli
from harness.debuggers import Gdb
from harness.gdbrun import Scene, run_gdb
from harness.processes import Process, Processes
from harness.toolchains import Toolchain, go_environment

EACH_ONCE = True  # not every combination: tests/conftest.py

SIDE = Path(__file__).with_name("unfaulted_side.py")
Counts = Dict[str, Dict[str, int]]
PROGRAMS = ("plain", "stripped", "pie", "cgo", "large")
_MEGABYTES = 42  # of read-only data in the large program, beside its code

INTERACTIVE = (
    "addrspace",
    "addrspace --check",
    "addrspace --classic",
    "addrspace --format json",
    "addrspace regions --limit 9999",
    "addrspace heap",
    "addrspace arenas",
    "addrspace spans",
    "addrspace rss",
    "addrspace memstats",
    "addrspace gc",
    "addrspace whereis $sp $pc &main.Untouched",
    "addrspace whereis main.Untouched[30000]",
    "addrspace regions @main.Untouched[70000]",
    "addrspace spans main.Untouched[110000]",
    "addrspace fault",
    "addrspace snapshot one",
    "addrspace diff one",
    "addrspace types",
    "addrspace retained",
    "addrspace holders main.table",
    "addrspace profile goroutine",
    "addrspace profile retained --format folded",
    "addrspace html --types --retained --output /dev/null",
    "goroutine-stacks",
    "goroutine-stacks --group stack",
    "goroutine-stacks --frames --format json",
    "goroutine-stacks --leaked",
    "goroutine-apply function:main.* -q -s bt 3",
    "goroutine-apply all -q bt",
    "goroutine 1",
    "backtrace",
    "goroutine",
    "goroutine --off",
    "print $goregion($sp)",
    "print $goregion(&'main.Untouched', 1)",
    "print $goroutine(1)",
    "print $current_goid()",
)
SHELL: Sequence[Sequence[str]] = (
    [],
    ["--check"],
    ["--format", "json"],
    ["--report", "rss"],
    ["--report", "regions @main.Untouched[70000]"],
    ["--report", "heap"],
    ["--report", "memstats"],
    ["--report", "whereis $sp $pc main.Untouched[30000]"],
    ["--report", "goroutine-stacks --group stack"],
)
# Without a debugger: words before the process, and after it.
WORDS: Sequence[Tuple[Sequence[str], Sequence[str]]] = (
    (["dump"], ["--check"]),
    *(([report], []) for report in ("regions", "heap", "spans", "rss", "memstats", "gc", "types")),
    (["whereis"], ["$sp", "$pc"]),
    (["retained"], ["--depth", "3"]),
    (["holders"], ["main.table"]),
    *((["goroutine-stacks"], [option]) for option in ("--group=stack", "--leaked")),
    *((["profile", kind], ["--format", "folded"]) for kind in ("goroutine", "stacks", "rss", "retained")),
    (["html"], ["--types", "--retained", "-o", os.devnull]),
    (["watch"], ["--every", "200ms", "--for", "1s"]),
)


@pytest.fixture(scope="module")
def programs(newest_go: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Builds a program that sleeps, has little of itself in memory, and a variable that it never touched."""
    folder = tmp_path_factory.mktemp("programs")
    built: Dict[str, Path] = {}

    def build(kind: str) -> Path:
        if kind not in built:
            built[kind] = _build(newest_go, folder / kind, kind)
        return built[kind]

    return build


def _build(go: Toolchain, folder: Path, kind: str) -> Path:
    folder.mkdir()
    (folder / "go.mod").write_text("module unfaulted\n\ngo 1.21\n")
    chance = random.Random(5)
    numbers = ", ".join(str(chance.randrange(1, 1 << 60)) for _ in range(128 << 10))
    pointers = ", ".join(f"&Untouched[{n * 7}]" for n in range(16 << 10))  # which are roots
    (folder / "untouched.go").write_text(
        f"package main\n\nvar Untouched = [...]int{{{numbers}}}\n\nvar pointers = [...]*int{{{pointers}}}\n"
    )
    (folder / "main.go").write_text(_MAIN)
    if kind == "cgo":
        (folder / "native.go").write_text(_NATIVE)
    if kind == "large":
        (folder / "large.go").write_text(_large(chance))
        (folder / "table").write_bytes(chance.randbytes(_MEGABYTES << 20))
    flags = {"pie": ["-buildmode=pie"], "stripped": ["-ldflags=-s -w"], "large": ["-ldflags=-s -w"]}
    subprocess.run(
        [str(go.go), "build", *flags.get(kind, []), "-o", "program", "."],
        cwd=folder,
        env={**go_environment(), "CGO_ENABLED": "1" if kind == "cgo" else "0"},
        check=True,
        timeout=600,
    )
    return folder / "program"


_MAIN = """package main

import (
	"fmt"
	"os"
	"time"
)

type entry struct {
	next *entry
	text [100]byte
}

var table = map[string]*entry{}

func wait(c chan int) { <-c }

func main() {
	c := make(chan int)
	for i := 0; i < 50; i++ {
		go wait(c)
	}
	for i := 0; i < 2000; i++ {
		table[fmt.Sprint(i)] = &entry{}
	}
	if len(os.Args) > 9 {
		fmt.Println(Untouched[len(os.Args)], pointers[len(os.Args)])
	}
	time.Sleep(50 * time.Millisecond)
	fmt.Println("ready")
	time.Sleep(time.Hour)
}
"""
_NATIVE = """package main

// #include <stdlib.h>
import "C"

var block = C.malloc(5000)
"""


def _large(chance: random.Random) -> str:
    """Functions of which none is called, and a table of which nothing is read."""
    functions = [
        f"//go:noinline\nfunc f{n}(a, b int) int {{\n\tfor i := 0; i < b; i++ {{\n\t\ta ^= i*"
        f"{chance.randrange(1 << 30)} + a>>{n % 29}\n\t}}\n\treturn a + len(names[{n}])\n}}\n"
        for n in range(5000)
    ]
    names = ", ".join(f'"{chance.randbytes(20).hex()}"' for _ in functions)
    return (
        'package main\n\nimport (\n\t_ "embed"\n\t"os"\n)\n\n//go:embed table\nvar all string\n\n'
        f"var names = []string{{{names}}}\n\n"
        f"var functions = []func(int, int) int{{{', '.join(f'f{n}' for n in range(len(functions)))}}}\n\n"
        "func init() {\n\tif len(os.Args) > 9 {\n\t\tprintln(functions[len(all)%4000](1, 2))\n\t}\n}\n\n"
    ) + "\n".join(functions)


def started(processes: Processes, program: Path) -> Process:
    """The program, stopped: what it has in memory changes through nobody but who looks at it."""
    process = processes.start([str(program)]).wait_ready()
    time.sleep(0.2)  # what the runtime still does once it has nothing to do
    os.kill(process.pid, signal.SIGSTOP)
    while process.state() != "T":
        time.sleep(0.01)
    return process


def counts(smaps: str) -> Counts:
    """KiB of each mapping by what smaps calls them. Clean and dirty are not compared: the kernel writes files
    to disk when it likes. Nor are private and shared, which depend on other processes."""
    found: Counts = {}
    for line in smaps.splitlines():
        name, _, value = line.partition(":")
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            here = found.setdefault(line, {})
        elif name in ("Rss", "Anonymous", "Swap"):
            here[name] = int(value.split()[0])
    return found


def smaps(process: Process) -> Counts:
    return counts(Path(f"/proc/{process.pid}/smaps").read_text())


def changed(before: Counts, after: Counts) -> Dict[str, object]:
    return {
        line: (before.get(line), after.get(line))
        for line in {**before, **after}
        if before.get(line) != after.get(line)
    }


@pytest.mark.parametrize("kind", PROGRAMS)
def test_a_session(
    gdb_exe: Gdb, programs: Callable[[str], Path], processes: Processes, kind: str, tmp_path: Path
) -> None:
    """After each command nothing has changed since gdb's own attach, and all of them say the same total.

    The attach itself (gdb 13 and 18) puts a breakpoint into a dynamic linker, for as long as it lasts: one
    page of the linker's text is the process's own from then on. The shell's command keeps gdb from it.
    """
    process = started(processes, programs(kind))
    untouched = smaps(process)
    given, result = tmp_path / "given", tmp_path / "result"
    given.write_text(json.dumps(INTERACTIVE))
    scene = Scene("live", None, [f"attach {process.pid}"], ["detach"], process.pid)
    run = run_gdb(gdb_exe, [f"source {SIDE}", f"unfaulted {given} {result}"], scene, load=True)
    assert result.exists(), run.stdout + run.stderr
    first, *found = json.loads(result.read_text())
    attached = counts(first["smaps"])
    for command, after in zip(INTERACTIVE, found):
        assert changed(attached, counts(after["smaps"])) == {}, command
        unknown = re.search("Untouched|table", command) is not None and kind in ("stripped", "large")
        nothing = re.search(r"fault|spans \S", command) is not None  # no fault, and the number is in no span
        assert after["failed"] == (unknown or nothing), (command, after["said"])
    assert changed(attached, smaps(process)) == {}
    by_gdb = changed(untouched, attached)
    assert all("ld-linux" in line for line in by_gdb) and len(by_gdb) == (kind in ("pie", "cgo")), by_gdb
    assert len(totals([after["said"] for after in found])) == 1


def totals(texts: Sequence[str]) -> Set[str]:
    """The resident totals that commands say, in words and in numbers."""
    found: Set[str] = set()
    for text in texts:
        found |= set(re.findall(r"^virtual .* resident (\d+\.\d [KM]iB)", text, re.MULTILINE))
        found |= set(re.findall(r"^process .* (\d+\.\d [KM]iB) +100.0%", text, re.MULTILINE))
    return found


@pytest.mark.parametrize("kind", PROGRAMS)
def test_the_shells_command(
    gdb_exe: Gdb, programs: Callable[[str], Path], processes: Processes, kind: str
) -> None:
    """Nothing at all changes: the command attaches without a breakpoint in the dynamic linker."""
    process = started(processes, programs(kind))
    before, texts = smaps(process), []
    for more in SHELL:
        if "Untouched" in " ".join(more) and kind in ("stripped", "large"):
            more = [*more[:-1], "whereis $sp $pc"]
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "addrspace_gdb",
                "dump",
                str(process.pid),
                *more,
                "--gdb",
                str(gdb_exe.path),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=CHECKOUT,
            timeout=90,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), more
        assert changed(before, smaps(process)) == {}, more
        texts.append(done.stdout)
    assert len(totals(texts)) == 1
    assert process.state() == "T"


@pytest.mark.parametrize("kind", PROGRAMS if full_matrix() else ("large",))
def test_without_a_debugger(
    programs: Callable[[str], Path], processes: Processes, tmp_path: Path, kind: str
) -> None:
    process = started(processes, programs(kind))
    before, texts = smaps(process), []
    for words, options in WORDS:
        if words == ["holders"] and kind in ("stripped", "large"):
            continue  # there is no variable of that name
        done = cli(*words, process.pid, *options)
        assert (done.returncode, done.stderr) == (0, ""), (words, options)
        assert changed(before, smaps(process)) == {}, (words, options)
        texts.append(done.stdout)
    assert len(totals(texts)) == 1
    assert process.state() == "T"


def test_what_would_become_resident_else(
    gdb_exe: Gdb, programs: Callable[[str], Path], processes: Processes, tmp_path: Path
) -> None:
    """The oracle sees it: gdb's own reading of the same variable and of the program's text."""
    process = started(processes, programs("plain"))
    before = smaps(process)
    scene = Scene("live", None, [f"attach {process.pid}"], ["detach"], process.pid)
    run_gdb(gdb_exe, ["print 'main.Untouched'[30000]"], scene)
    assert len(changed(before, smaps(process))) == 1
