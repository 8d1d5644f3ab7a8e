"""Variables in frames: by our own reading of debug information they are those that gdb finds, to the byte."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List, Tuple

os.environ.setdefault("ADDRSPACE_GRAPH_PLAIN", "1")  # before kernels are made, as in tests/unit

import pytest
from elftools.elf.elffile import ELFFile
from harness.build import Binary, Builder
from harness.command import cli
from harness.debuggers import Gdb, gdbs
from harness.gdbrun import run_gdb
from harness.held import stop
from harness.processes import Processes
from harness.scenes import attach, gcore, start
from harness.toolchains import NEWEST, OLDEST, PINNED, Toolchain, toolchain_or_skip

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.goruntime.debugshapes import DebugShapes
from addrspace_gdb.goruntime.typeshapes import Shapes
from addrspace_gdb.process.dwarf.sections import DamagedError
from addrspace_gdb.process.dwarf.variables import FrameVariables
from addrspace_gdb.target.protocol import FrameVariable
from addrspace_gdb.worker.debuginfo import read_variables

EACH_ONCE = True  # not every combination: tests/conftest.py

SIDE = Path(__file__).with_name("variables_side.py")
FUNCTIONS = 500
MANY = 60  # more addresses at once are told without the names of variables
BETWEEN = PINNED[len(PINNED) // 2]
# What a program was built with, and how.
KINDS = [
    *((OLDEST, variant) for variant in ("cgo", "noopt", "pie")),
    *((BETWEEN, variant) for variant in ("plain", "pie")),
    *((NEWEST, variant) for variant in ("cgo", "noopt", "pie", "386", "race", "plain@arm64", "plain@s390x")),
]
LIVE = [(OLDEST, "noopt"), (BETWEEN, "plain"), (NEWEST, "plain"), (NEWEST, "pie"), (NEWEST, "cgo")]


def built(build_program: Builder, version: str, variant: str) -> Binary:
    program = "cgo" if variant in ("cgo", "race") else "shapes"
    return build_program(program, toolchain_or_skip(version), variant)


def instructions(program: Path, seed: int) -> List[int]:
    """Addresses in functions of the program: their beginnings, their ends, and in between."""
    with program.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        places = [(s["st_value"], s["st_size"]) for s in table.iter_symbols() if s["st_size"] > 8]
    chance = random.Random(seed)
    chosen = chance.sample(sorted(set(places)), min(FUNCTIONS, len(places)))
    ends = [at for place, size in chosen[:50] for at in (place, place + size - 1)]
    return ends + [place + chance.randrange(size) for place, size in chosen for _ in range(3)]


def by_gdb(program: Path, addresses: List[int], folder: Path, which: int = -1) -> List[List[FrameVariable]]:
    asked, answers = folder / "asked", folder / "answers"
    asked.write_text(json.dumps(addresses))
    commands = [f"source {SIDE}", f"file {program}", f"variables-at {asked} {answers}"]
    made = run_gdb(gdbs()[which], commands, load=True)
    assert answers.exists(), made.stderr[-2000:]
    return [[FrameVariable(*one) for one in found] for found in json.loads(answers.read_text())]


def assert_same(program: Path, folder: Path, seed: int = 1) -> List[FrameVariable]:
    if not gdbs():
        pytest.skip("no gdb")
    addresses = instructions(program, seed)
    wanted, ours = by_gdb(program, addresses, folder), FrameVariables(str(program))
    other = [pc for pc, theirs in zip(addresses, wanted) if sorted(ours.at(pc)) != sorted(theirs)]
    # Where a block and an inlined call beside it both have an instruction, gdb 13 and 18 each take another.
    first = by_gdb(program, other, folder, 0) if other else []
    for pc, theirs in zip(other, first):
        assert sorted(ours.at(pc)) == sorted(theirs), hex(pc)
    assert len(other) <= len(addresses) // 100
    return [one for found in wanted for one in found]


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_every_function_has_the_variables_that_gdb_finds(
    kind: Tuple[str, str], build_program: Builder, tmp_path: Path
) -> None:
    found = assert_same(built(build_program, *kind).path, tmp_path)
    assert len(found) > 500
    pieces = [one for one in found if one.within]
    assert pieces and all(one.size for one in pieces)


C = """\
#include <stdio.h>
#include <stdlib.h>
struct wide { char name[200]; long numbers[3][5]; };
static int deep(int count) {
    char text[256]; unsigned char more[1 << 16]; struct wide one = {{0}}; int sized[count + 1];
    for (int i = 0; i < count; i++) {
        volatile struct wide inner = one;
        { short shadow[7] = {0}; sized[i] = shadow[i % 7] + inner.name[i % 9]; more[i] = (unsigned char)i; }
    }
    snprintf(text, sizeof text, "%d%d%ld", sized[0], more[3], one.numbers[1][2]);
    return atoi(text);
}
int main(int argc, char **argv) { (void)argv; return deep(argc); }
"""


@pytest.mark.parametrize("options", ["-O0", "-O2", "-O1 -gdwarf-4", "-O1 -gdwarf-3 -gz", "-O0 -gdwarf64"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_functions_of_c_have_them_too(compiler: str, options: str, tmp_path: Path) -> None:
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler} on PATH")
    (tmp_path / "deep.c").write_text(C)
    line = [compiler, "-g", *options.split(), "-o", "deep", "deep.c"]
    subprocess.run(line, cwd=tmp_path, check=True, timeout=60)
    found = assert_same(tmp_path / "deep", tmp_path)
    if compiler == "gcc" and "-O0" in options:  # clang counts from the frame pointer
        sizes = {one.name: one.size for one in found}
        assert sizes["text"] == 256 and sizes["more"] == 1 << 16 and sizes["one"] == 320


def answer(target: object, report: str, *options: str) -> Dict[str, Any]:
    done = cli("dump", str(target), "--report", report, "--format", "json", *options)
    assert done.stdout, done.stderr
    document: Dict[str, Any] = json.loads(done.stdout)
    return document


def words_of_frames(target: object) -> List[List[str]]:
    """Addresses of words of the frames of goroutines, as many as are told with names at once: of the
    program's own functions, which have variables, and of any."""
    asked = answer(target, "goroutine-stacks --frames", "--debugger", "none")
    frames = [frame for goroutine in asked["goroutines"] for frame in goroutine["frames"]]
    own = [frame for frame in frames if (frame["function"] or "").startswith("main.")]
    chosen: List[str] = []
    for some, count in ((own, MANY), (frames, 2 * MANY)):
        words = [
            hex(int(frame["sp"], 16) + offset)
            for frame in some
            for offset in range(0, min(frame["frame_size"] or 0, 256), 8)
        ]
        chosen += random.Random(3).sample(words, min(len(words), count))
    return [chosen[at : at + MANY] for at in range(0, len(chosen), MANY)]


def compared(target: object, gdb: Gdb) -> List[str]:
    """The variables that both name."""
    named: List[str] = []
    for addresses in words_of_frames(target):
        report = f"whereis {' '.join(addresses)}"
        without = answer(target, report, "--debugger", "none")
        assert without == answer(target, report, "--gdb", str(gdb.path))
        frames = [place["stack"]["frame"] for place in without["places"] if place["stack"]]
        named += [frame["variable"] for frame in frames if frame and frame["variable"]]
    return named


@pytest.mark.parametrize("kind", LIVE, ids="-".join)
def test_words_of_frames_are_named_alike(
    kind: Tuple[str, str], build_program: Builder, processes: Processes, oracle_file: Path, gdb_exe: Gdb,
    tmp_path: Path,
) -> None:  # fmt: skip
    binary = built(build_program, *kind)
    live = stop(start(processes, binary, oracle_file))
    assert compared(live.pid, gdb_exe)
    core = tmp_path / "core"
    gcore(gdb_exe, attach(live, binary), core)
    assert compared(core, gdb_exe)
    os.kill(live.pid, signal.SIGCONT)


def test_debug_information_in_a_file_of_its_own(
    newest_go: Toolchain, build_program: Builder, processes: Processes, oracle_file: Path, gdb_exe: Gdb,
    tmp_path: Path,
) -> None:  # fmt: skip
    if not shutil.which("objcopy"):
        pytest.skip("no objcopy on PATH")
    whole = build_program("shapes", newest_go)
    app = tmp_path / "app"

    def objcopy(*words: object) -> None:
        subprocess.run(["objcopy", *map(str, words)], check=True, timeout=60, cwd=tmp_path)

    objcopy("--only-keep-debug", whole.path, tmp_path / "app.debug")
    objcopy("--strip-all", "--add-gnu-debuglink=app.debug", whole.path, app)
    live = stop(start(processes, whole._replace(path=app), oracle_file))
    assert compared(live.pid, gdb_exe)
    (tmp_path / "app.debug").unlink()
    assert not compared(live.pid, gdb_exe)


@pytest.fixture
def damaged(newest_go: Toolchain, build_program: Builder, tmp_path: Path) -> Tuple[Path, List[int]]:
    """A program whose debug information is not compressed, so that any byte of it may be wrong; addresses."""
    if not shutil.which("objcopy"):
        pytest.skip("no objcopy on PATH")
    whole = build_program("sample", newest_go).path
    plain = tmp_path / "plain"
    line = ["objcopy", "--decompress-debug-sections", str(whole), str(plain)]
    subprocess.run(line, check=True, timeout=60)
    return plain, instructions(plain, 2)


def test_damaged_information_is_none(damaged: Tuple[Path, List[int]], tmp_path: Path) -> None:
    """Whatever stands there: an answer or a DamagedError, soon."""
    plain, addresses = damaged
    whole = plain.read_bytes()
    with plain.open("rb") as file:
        elf = ELFFile(file)
        sections = [s for s in elf.iter_sections() if s.name.startswith(".debug_")]
        places = [(s["sh_offset"], s["sh_size"]) for s in sections if s["sh_size"]]
        headers = (elf.header["e_shoff"], elf.header["e_shnum"] * elf.header["e_shentsize"])
    chance, ends = random.Random(5), {"answered": 0, "damaged": 0}
    for number in range(60):
        data = bytearray(whole)
        for start_, size in [headers] if number % 6 == 0 else places:
            for _ in range(chance.choice((0, 1, 4, 100))):
                data[start_ + chance.randrange(min(size, chance.choice((2000, size))))] = chance.choice(
                    (0, 0x7F, 0x80, 0xFF, chance.randrange(256))
                )
        file_ = tmp_path / "damaged"
        file_.write_bytes(data)
        began = time.process_time()
        for pc in chance.sample(addresses, 5):
            try:
                FrameVariables(str(file_)).at(pc)
                ends["answered"] += 1
            except DamagedError:
                ends["damaged"] += 1
        assert time.process_time() - began < 60
    assert min(ends.values()) > 20, ends


def test_damaged_types_of_variables_are_none(damaged: Tuple[Path, List[int]], tmp_path: Path) -> None:
    plain, _ = damaged
    whole = plain.read_bytes()
    with plain.open("rb") as file:
        elf = ELFFile(file)
        wanted = [elf.get_section_by_name(name) for name in (".debug_info", ".debug_abbrev")]
        places = [(section["sh_offset"], section["sh_size"]) for section in wanted]
    chance, ends = random.Random(7), {"answered": 0, "damaged": 0}
    for _ in range(10):
        data = bytearray(whole)
        for start_, size in places:
            for _ in range(chance.choice((0, 1, 4, 20))):
                data[start_ + chance.randrange(min(size, chance.choice((2000, size))))] = chance.randrange(
                    256
                )
        file_ = tmp_path / "damaged"
        file_.write_bytes(data)
        try:
            found = read_variables(str(file_))
        except ProblemError:
            ends["damaged"] += 1
            continue
        shapes = Shapes(SimpleNamespace(word=8), SimpleNamespace(at=lambda _: None))  # type: ignore[arg-type]
        made = DebugShapes(shapes, found.types, 0, 0, 8)
        numbers = {made.of(one.type) for one in found.variables}
        made.finish()
        assert all(abs(one.offset) < 1 << 50 for number in numbers for one in shapes.all[number].pointers)
        ends["answered"] += 1
    assert ends["answered"] > 2, ends
