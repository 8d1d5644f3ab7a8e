"""Sessions in gdb on a core that lacks something: its registers, its goroutines, the whole runtime."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from harness import CHECKOUT
from harness.debuggers import Gdb, gdbs
from harness.gdbrun import Result, Scene, run_gdb
from harness.toolchains import Unavailable

sys.path.insert(0, str(CHECKOUT / "scripts"))

from fuzzing.elf import Elf
from fuzzing.rewrite import copy
from fuzzing.subjects import Subject, world

from addrspace_gdb.common.problems import Problems
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.stripped.checks import Shapes
from addrspace_gdb.goruntime.stripped.variables import REFUTED, Roots
from addrspace_gdb.shell.hints import SHELL
from addrspace_gdb.target.layout import Type
from addrspace_gdb.target.protocol import Facts

NT_PRSTATUS = 1
NONE = "there are no goroutines but the runtime's own, if any: --system shows those"


@pytest.fixture(scope="module")
def subjects() -> Dict[str, Subject]:
    """Cores of a small program, with and without symbols, and without the program."""
    if not gdbs():
        pytest.skip("no gdb")
    try:
        return {subject.name: subject for subject in world(gdbs()[0]).subjects}
    except Unavailable as problem:
        pytest.skip(str(problem))


def without_registers(subject: Subject, path: Path) -> None:
    """The core, its threads' registers cut to nothing: their notes are of another kind."""
    copy(subject.core, path)
    elf = Elf(path)
    with open(path, "r+b") as file:
        while True:
            place = elf.note(file, NT_PRSTATUS)
            if place is None:
                return
            file.seek(place[0] - 12)  # the type stands before the name, which has 8 bytes with its padding
            file.write(struct.pack("<I", 0x7777))


def run(gdb: Gdb, subject: Subject, core: Path, commands: List[str]) -> Result:
    """The commands one after the other, each however the one before ended."""
    lines = [f"python _try({command!r})" for command in commands]
    define = (
        "python\ndef _try(command):\n try: print('OK', command, gdb.execute(command, to_string=True))\n"
        " except gdb.error as error: print('ERROR', command, error)\nend"
    )
    script = core.with_name("script")
    script.write_text("\n".join([define, *lines]) + "\n")
    program = [f"file {subject.program}"] if subject.name != "gone" else []
    return run_gdb(gdb, [f"source {script}"], Scene("core", None, [*program, f"core-file {core}"]), load=True)


@pytest.mark.parametrize("name", ["symbols", "stripped"])
def test_a_backtrace_without_registers_is_no_exception(
    subjects: Dict[str, Subject], gdb_exe: Gdb, tmp_path: Path, name: str
) -> None:
    without_registers(subjects[name], tmp_path / "core")
    commands = ["goroutine-stacks --limit 3", "goroutine 1", "bt 3", "thread apply all bt 2", "frame", "up"]
    commands += ["info frame", "goroutine-apply all -c bt 1", "goroutine --off", "bt", "p $current_goid()"]
    done = run(gdb_exe, subjects[name], tmp_path / "core", commands)
    assert "OK goroutine-stacks" in done.stdout
    for sign in ("Traceback", "Python Exception", "internal error"):
        assert sign not in done.stdout + done.stderr, done.stdout + done.stderr
    assert done.stdout.count("ERROR") + done.stdout.count("OK") >= len(commands)


def runtime_at(gdb: Gdb, subject: Subject, expression: str) -> int:
    """A number, by gdb's own symbols."""
    scene = Scene("core", None, [f"file {subject.program}", f"core-file {subject.core}"])
    done = run_gdb(gdb, ["set language c", f"output/d (long)({expression})"], scene)
    return int(done.stdout.splitlines()[-1])


def overwrite(core: Path, address: int, data: bytes) -> None:
    """Change the process's memory in its core."""
    for one in Elf(core).phdrs:
        if one.type == 1 and one.vaddr <= address < one.vaddr + one.filesz:
            with open(core, "r+b") as file:
                file.seek(one.offset + address - one.vaddr)
                file.write(data)
            return
    raise AssertionError(f"{address:#x} is not in the core")


def test_no_goroutines_is_one_line(subjects: Dict[str, Subject], gdb_exe: Gdb, tmp_path: Path) -> None:
    core = tmp_path / "core"
    copy(subjects["symbols"].core, core)
    for field in ("&'runtime.allglen'", "&'runtime.allgs'.len"):
        overwrite(core, runtime_at(gdb_exe, subjects["symbols"], field), bytes(8))
    commands = [f"goroutine-stacks --group {by}" for by in ("stack", "function", "status", "created-by")]
    commands += ["goroutine-stacks --frames"]
    listed = ["goroutine-stacks", "goroutine-stacks --by-frame", "goroutine-stacks --format json"]
    done = run(gdb_exe, subjects["symbols"], core, [*commands, *listed])
    for command in commands:
        line = next(line for line in done.stdout.splitlines() if line.startswith(f"ERROR {command} "))
        assert line.endswith("addrspace: " + NONE)
    for command in listed:
        assert f"OK {command} " in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


COUNTING = """
import gdb
from addrspace_gdb.goruntime.stripped import target as stripped
real, count = stripped.find_go_images, [0]
def counted(*arguments):
    count[0] += 1
    return real(*arguments)
stripped.find_go_images = counted
def ask(*commands):
    for command in commands:
        try: gdb.execute(command, to_string=True)
        except gdb.error: pass
    return count[0]
COMMANDS = ("addrspace", "addrspace regions", "addrspace rss", "goroutine-stacks", "addrspace heap")
first = ask(*COMMANDS[:1])
all_of_them = ask(*COMMANDS)
gdb.execute(f"core-file {CORE}", to_string=True)
again = ask("addrspace")
gdb.execute(f"add-symbol-file {PROGRAM}", to_string=True)
later = ask("addrspace regions")
with open(RESULT, "w") as file:
    print(first, all_of_them, again, later, file=file)
"""


def test_a_core_without_a_runtime_is_searched_once(
    subjects: Dict[str, Subject], gdb_exe: Gdb, tmp_path: Path
) -> None:
    """Once for all commands; again where gdb has another core or other symbols."""
    core, script, result = tmp_path / "core", tmp_path / "script.py", tmp_path / "result"
    subject = subjects["gone"]
    copy(subject.core, core)
    for one in Elf(core).phdrs:
        if one.type == 1 and one.vaddr < 1 << 32 and one.filesz:  # the program's own segments
            overwrite(core, one.vaddr, b"\xaa" * one.filesz)
    names = {"CORE": str(core), "PROGRAM": str(subjects["symbols"].program), "RESULT": str(result)}
    heads = "".join(f"{name} = {text!r}\n" for name, text in names.items())
    script.write_text(heads + COUNTING)
    done = run_gdb(gdb_exe, [f"source {script}"], Scene("core", None, [f"core-file {core}"]), load=True)
    assert result.exists(), done.stderr
    first, all_of_them, again, later = map(int, result.read_text().split())
    assert (first, all_of_them) == (1, 1)
    assert later > again or again > all_of_them


def test_a_search_in_a_core_remembers_what_it_did_not_find(
    subjects: Dict[str, Subject], tmp_path: Path
) -> None:
    """Also single variables of a runtime that was found; an interrupted search is none."""
    settled: Dict[str, Any] = {}
    asked: List[str] = []

    def search(name: str) -> Tuple[int, ...]:
        asked.append(name)
        if name == "sched":
            raise KeyboardInterrupt
        return ()

    code: Any = type("Code", (), {"word": 8, "refers": lambda self, name: []})()
    layouts: Any = type("Layouts", (), {"variable": lambda self, name: None})()
    for _ in range(2):
        roots = Roots(code, layouts, lambda name, address: REFUTED, {}, search, settled)
        assert roots.address("allgs") is None
        with pytest.raises(KeyboardInterrupt):
            roots.address("sched")
    assert asked == ["allgs", "sched", "sched"]
    assert settled == {"allgs": None}


def test_a_candidate_that_is_a_divisor_of_zero_is_refuted() -> None:
    class Target:
        pointer_size, byte_order, arch = 8, "little", "amd64"
        facts, hints = Facts(), SHELL

        def read(self, address: int, size: int) -> bytes:
            return b"\x01" * size

        def symbol(self, name: str) -> None:
            return None

        def type(self, name: str) -> None:
            return None

        def proc_files(self) -> None:
            return None

    target: Any = Target()
    shapes = Shapes(Runtime(target, Problems()), lambda name: None, lambda name: Type(name, 8, "uint"))
    shapes._checks["memstats"] = lambda record: bool(1 // (record.address - 4096))
    assert shapes.verify("memstats", 4096) == REFUTED


def test_what_the_note_reader_found_is_json() -> None:
    """The subjects' own dumps are what they should be, or the tests above say nothing."""
    if not gdbs():
        pytest.skip("no gdb")
    for path in world(gdbs()[0]).dumps:
        assert json.loads(path.read_text())["goroutines"]["total"] > 5


def test_threads_with_one_number_are_no_exception(
    subjects: Dict[str, Subject], gdb_exe: Gdb, tmp_path: Path
) -> None:
    """All threads of a core have the first one's number: gdb's Python knows but one of them."""
    core = tmp_path / "core"
    copy(subjects["symbols"].core, core)
    elf = Elf(core)
    place = elf.notes()
    assert place is not None
    with open(core, "r+b") as file:
        at, first = place[0], b""
        while at < sum(place):
            file.seek(at)
            name, size, kind = struct.unpack("<3I", file.read(12))
            contents = at + 12 + (name + 3 & ~3)
            if kind == NT_PRSTATUS:
                file.seek(contents + 32)  # pr_pid
                first = first or file.read(4)
                file.seek(contents + 32)
                file.write(first)
            at = contents + (size + 3 & ~3)
    commands = ["addrspace", "goroutine-stacks --limit 2", "goroutine 1", "bt 2", "p $current_goid()"]
    done = run(gdb_exe, subjects["symbols"], core, [*commands, "addrspace snapshot a"])
    if done.status == -6 and "internal-error: get_thread_regcache" in done.stderr:
        pytest.skip("this gdb dies of such a core by itself (18.1)")
    assert "internal error" not in done.stdout and "Traceback" not in done.stdout + done.stderr
    assert "OK addrspace " in done.stdout and "OK goroutine-stacks" in done.stdout
