"""Go programs with another runtime, or with one in disguise: the true reason, and what can be shown."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import List, Sequence

import invariants
import pytest
from elftools.elf.elffile import ELFFile
from harness.build import Binary, Builder
from harness.command import cli
from harness.debuggers import Gdb
from harness.processes import Process, Processes
from harness.scenes import attach, gcore, start
from harness.smaps import Smap, smaps
from harness.toolchains import Toolchain

EACH_ONCE = True  # not every combination: tests/conftest.py

SOURCE = """package main

import "time"

func serve(ch chan int) { <-ch }

func main() {
	for i := 0; i < 5; i++ {
		go serve(make(chan int))
	}
	println("ready")
	time.Sleep(time.Hour)
}
"""
# A C program with a function that only TinyGo's runtime has.
OF_TINYGO = """#include <stdio.h>
#include <unistd.h>
void tinygo_startTask(void) {}
int main(void) { puts("ready"); fflush(stdout); sleep(1000); tinygo_startTask(); return 0; }
"""
MAGIC = 0xFFFFFF91
SHOWN = "of it only mappings and resident bytes can be shown, by addrspace, regions and rss"


def disguise(plain: Path, made: Path) -> None:
    """What garble does: another magic in the function table, and in the code that checks it; no names."""
    content = bytearray(plain.read_bytes())
    with plain.open("rb") as file:
        image = ELFFile(file)
        table, text = image.get_section_by_name(".gopclntab"), image.get_section_by_name(".text")
        (check,) = image.get_section_by_name(".symtab").get_symbol_by_name("runtime.moduledataverify1")
    content[table["sh_offset"]] = MAGIC & 0xFF
    begin = check["st_value"] - text["sh_addr"] + text["sh_offset"]
    code = bytes(content[begin : begin + check["st_size"]])
    # cmpl $-15 with a register or what it points to: opcode 83 /7 with a byte
    (found,) = re.finditer(rb"\x83[\x38-\x3f\xf8-\xff]\xf1", code)
    content[begin + found.end() - 1] = MAGIC & 0xFF
    made.write_bytes(content)
    made.chmod(0o755)
    subprocess.run(["strip", str(made)], check=True)


@pytest.fixture
def disguised(newest_go: Toolchain, build_program: Builder, tmp_path: Path) -> Binary:
    """A program that garble might have made."""
    if os.uname().machine != "x86_64" or not shutil.which("strip"):
        pytest.skip("the code that is changed is amd64's, and strip takes the names")
    binary = build_program("sample", newest_go)
    made = tmp_path / "disguised"
    disguise(binary.path, made)
    return binary._replace(path=made)


@pytest.fixture(params=["gccgo", "static gccgo", "TinyGo"])
def foreign(request: pytest.FixtureRequest, tmp_path: Path, processes: Processes) -> Process:
    """A program with a runtime of its own, running."""
    program = tmp_path / "hello"
    if request.param == "TinyGo":
        source = tmp_path / "hello.c"
        source.write_text(OF_TINYGO)
        command = [shutil.which("cc") or pytest.skip("no C compiler"), "-o", str(program), str(source)]
    else:
        gccgo = next(filter(None, map(shutil.which, ("gccgo", "gccgo-12", "gccgo-13", "gccgo-14"))), None)
        source = tmp_path / "hello.go"
        source.write_text(SOURCE)
        command = [gccgo or pytest.skip("no gccgo on PATH"), "-o", str(program), str(source)]
        command += ["-static-libgo"] if "static" in request.param else []
    subprocess.run(command, check=True)
    stream = "stdout" if request.param == "TinyGo" else "stderr"
    live = processes.start([str(program)])
    live.wait_for("ready", stream)
    return live


def ways(gdb: Gdb) -> List[List[str]]:
    return [["--debugger", "none"], ["--gdb", str(gdb.path)]]


def settled(pid: int) -> List[Smap]:
    """What is mapped once the program touches nothing more: it is stopped, and stays so."""
    os.kill(pid, signal.SIGSTOP)
    before: List[Smap] = []
    while before != (before := smaps(pid)):
        time.sleep(0.1)
    return before


def assert_shown(target: object, reason: str, options: List[str], mapped: Sequence[Smap] = ()) -> None:
    """The kernel's share of the answer is whole, and says why there is no more; the rest is refused so."""
    for report in ("addrspace", "rss"):
        more = [] if report == "addrspace" else ["--report", report]
        done = cli("dump", target, *more, "--format", "json", *options)
        assert done.returncode == 1 and re.search(reason, done.stderr), done.stderr
        document = json.loads(done.stdout)
        (problem,) = document["problems"]
        assert re.search(reason, problem) and problem.endswith(SHOWN)
        if report == "addrspace":
            invariants.assert_areas(document)
            invariants.assert_all_addresses(document)
            assert document["goroutines"] is None and document["mappings"]
        elif mapped and "none" in options:  # gdb touches pages itself
            assert document["tree"]["resident"] == sum(mapping.rss for mapping in mapped) > 0
    for report in ("goroutine-stacks", "gc", "heap", "spans", "arenas", "whereis $pc", "memstats"):
        done = cli("dump", target, "--report", report, *options)
        assert done.returncode == 1 and done.stdout == ""
        assert re.fullmatch(f"addrspace-gdb: .*{reason}.*{SHOWN}\n", done.stderr), (report, done.stderr)


def test_an_obfuscated_program(
    disguised: Binary, processes: Processes, oracle_file: Path, gdb_exe: Gdb, tmp_path: Path
) -> None:
    live = start(processes, disguised, oracle_file)
    reason = r"disguised is obfuscated: its function table has the unknown magic 0xffffff91"
    mapped = settled(live.pid)
    for options in ways(gdb_exe):
        assert_shown(live.pid, reason, options, mapped)
    core = tmp_path / "core"
    gcore(gdb_exe, attach(live, disguised), core)
    for options in ways(gdb_exe):
        assert_shown(core, reason, options)


def test_a_program_with_another_runtime(
    foreign: Process, gdb_exe: Gdb, request: pytest.FixtureRequest
) -> None:
    kind = request.node.callspec.params["foreign"].split()[-1]
    reason = rf"hello was built by {kind}( \(libgo\.so[.\d]*\))?, which has a runtime of its own"
    mapped = settled(foreign.pid)
    for options in ways(gdb_exe):
        assert_shown(foreign.pid, reason, options, mapped)
