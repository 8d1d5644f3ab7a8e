"""Debug information in a file of its own, or compressed: as in the program; without it, by the tables."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

import invariants
import pytest
from elftools.elf.elffile import ELFFile
from harness.build import Builder
from harness.debuggers import Gdb
from harness.gdbrun import run_gdb
from harness.scenes import kernel_core, open_core
from harness.toolchains import Toolchain, Unavailable

EACH_ONCE = True  # not every combination: tests/conftest.py

Json = Dict[str, Any]
# Says from where the runtime's types come.
SOURCE = "python from addrspace_gdb.goruntime.stripped.target import with_runtime; "
SOURCE += (
    "from addrspace_gdb.debugger.gdb.target import GdbTarget; print(type(with_runtime(GdbTarget())).__name__)"
)
WITH, WITHOUT = "GdbTarget", "StrippedTarget"


class Made(NamedTuple):
    """A core, the whole program, and a folder for what is made of it."""

    core: Path
    program: Path
    folder: Path


@pytest.fixture(scope="module")
def made(
    newest_go: Toolchain, build_program: Builder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Made]:
    if not shutil.which("objcopy"):
        pytest.skip("no objcopy on PATH")
    folder = tmp_path_factory.mktemp("debug")
    binary = build_program("crash", newest_go)
    try:
        core = kernel_core(binary, folder, folder / "oracle").path
        objcopy("--only-keep-debug", binary.path, folder / "app.debug")
        yield Made(core, binary.path, folder)
    except Unavailable as problem:
        pytest.skip(str(problem))
    finally:
        for path in folder.glob("core*"):
            path.unlink()


def objcopy(*arguments: object) -> None:
    done = subprocess.run(
        ["objcopy", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        pytest.skip(f"objcopy: {done.stderr.strip()}")


def seen(gdb: Gdb, made: Made, program: Path, *between: str) -> Tuple[List[str], List[Json]]:
    """Where the types came from and the diagram, before the commands `between` and, if any, after them."""
    commands: List[str] = []
    files = [made.folder / f"space{number}.json" for number in range(2 if between else 1)]
    for number, file in enumerate(files):
        file.unlink(missing_ok=True)
        commands += [*(between if number else ()), SOURCE, f"addrspace --check --format json --output {file}"]
    run = run_gdb(gdb, commands, open_core(made.core, program), load=True)
    assert all(file.exists() for file in files), run.stdout + run.stderr
    documents = [json.loads(file.read_text()) for file in files]
    for document in documents:
        document["target"].pop("executable")
        invariants.assert_no_problems(document)
        invariants.assert_checks_ok(document)
    return [line for line in run.stdout.splitlines() if line in (WITH, WITHOUT)], documents


def whole(gdb: Gdb, made: Made) -> Json:
    sources, (document,) = seen(gdb, made, made.program)
    assert sources == [WITH]
    return document


@pytest.mark.parametrize("strip", ["--strip-debug", "--strip-all"])
def test_a_file_that_the_program_links_to(gdb_exe: Gdb, made: Made, strip: str) -> None:
    place = made.folder / strip.lstrip("-")
    place.mkdir(exist_ok=True)
    program = place / "app"
    link = f"--add-gnu-debuglink={made.folder / 'app.debug'}"
    program.unlink(missing_ok=True)
    objcopy(strip, link, made.program, program)
    sources, documents = seen(gdb_exe, made, program)
    assert sources == [WITHOUT]  # it is not beside the program
    expected = whole(gdb_exe, made)
    assert documents == [expected]
    shutil.copy(made.folder / "app.debug", place)
    sources, documents = seen(gdb_exe, made, program)
    assert (sources, documents) == ([WITH], [expected])
    with open(place / "app.debug", "ab") as file:
        file.write(b"another")  # gdb compares a checksum
    sources, documents = seen(gdb_exe, made, program)
    assert (sources, documents) == ([WITHOUT], [expected])
    (place / "app.debug").unlink()


def test_a_file_by_its_build_id_that_is_found_later(gdb_exe: Gdb, made: Made) -> None:
    with open(made.program, "rb") as file:
        section = ELFFile(file).get_section_by_name(".note.gnu.build-id")
        if section is None:
            pytest.skip("this Go's linker writes no GNU build id unless asked")
        (note,) = section.iter_notes()
    number = note["n_desc"]
    folder = made.folder / "usr" / ".build-id" / number[:2]
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(made.folder / "app.debug", folder / f"{number[2:]}.debug")
    program = made.folder / "bare"
    objcopy("--strip-all", made.program, program)
    later = [f"set debug-file-directory {made.folder / 'usr'}", f"symbol-file {program}"]
    sources, documents = seen(gdb_exe, made, program, *later)
    assert sources == [WITHOUT, WITH]
    assert documents == [whole(gdb_exe, made)] * 2


@pytest.mark.parametrize("how", ["none", "zlib", "zlib-gnu"])
def test_compressed_debug_information(gdb_exe: Gdb, made: Made, how: str) -> None:
    """Go's linker compresses as zlib does here; .zdebug_ sections are the older way."""
    program = made.folder / f"app-{how}"
    objcopy(f"--compress-debug-sections={how}", made.program, program)
    sources, documents = seen(gdb_exe, made, program)
    assert (sources, documents) == ([WITH], [whole(gdb_exe, made)])
