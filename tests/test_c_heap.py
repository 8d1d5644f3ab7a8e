"""C's heap from outside: what glibc's malloc itself counts as in use and as free, to the byte."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

import pytest
from elftools.elf.elffile import ELFFile
from harness import full_matrix
from harness.build import Binary, Builder, strip
from harness.command import cli
from harness.debuggers import Gdb, gdbs
from harness.held import stop
from harness.processes import Process, Processes
from harness.scenes import attach, gcore, start
from harness.toolchains import Toolchain, Unavailable
from jsonschema import Draft202012Validator

from addrspace_gdb.views.documents.schema import schema

EACH_ONCE = True  # not every combination: tests/conftest.py

Json = Dict[str, Any]
MODES = ("freed", "leaked", "mixed")
THREADS, BLOCKS = 5, 12_000
FREE, TOP, IN_USE = "free in malloc's lists", "free at the end", "in use"
SPLIT = ("brk heap", "malloc arena")
MIB = 1 << 20


class Made(NamedTuple):
    """A process that called malloc, and what its own malloc said."""

    process: Process
    binary: Binary
    said: Dict[str, int]


def made(processes: Processes, binary: Binary, oracle: Path, mode: str, settings: str = "") -> Made:
    arguments = [str(binary.path), str(oracle), mode, str(THREADS), str(BLOCKS)]
    process = processes.start(arguments, env={"GLIBC_TUNABLES": settings}).wait_ready()
    return Made(stop(process), binary, json.loads(oracle.read_text()))


def rss_of(target: object, *options: str) -> Json:
    done = cli("dump", str(target), "--report", "rss", "--format", "json", *options)
    assert done.stdout, done.stderr
    return valid(done.stdout)


def valid(text: str) -> Json:
    document: Json = json.loads(text)
    assert not list(Draft202012Validator(schema("rss/1")).iter_errors(document))
    return document


def node(document: Json, *names: str) -> Optional[Json]:
    found: Optional[Json] = document["tree"]
    for name in names:
        children: List[Json] = found["children"] if found is not None else []
        found = next((child for child in children if child["name"] == name), None)
    return found


def size(document: Json, part: str) -> int:
    nodes = [node(document, "Non-Go", "C heap", kind, part) for kind in SPLIT]
    return sum(one["size"] for one in nodes if one is not None)


def assert_as_said(document: Json, said: Dict[str, int]) -> None:
    assert size(document, FREE) + size(document, TOP) == said["not_in_use"]
    assert size(document, IN_USE) == said["in_use"]
    mapped = node(document, "Non-Go", "C heap", "malloc mmap")
    assert (mapped["size"] if mapped is not None else 0) == said["mapped"]  # all threads may free first
    assert not [note for note in document["notes"] if "C's heap" in note] and not document["problems"]


def kinds(document: Json) -> List[str]:
    return [found["kind"] for found in document["findings"] if found["kind"].startswith("c-heap")]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("variant", ["cgo", "static"])
def test_it_is_what_malloc_counts(
    mode: str, variant: str, go: Toolchain, build_program: Builder, processes: Processes, oracle_file: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    one = made(processes, build_program("mallocs", go, variant), oracle_file, mode)
    document = rss_of(one.process.pid)
    assert_as_said(document, one.said)
    (told,) = [found["sentence"] for found in document["findings"]][:1] or [""]
    if mode == "freed":
        assert kinds(document) == ["c-heap-free"] and f"in {one.said['arenas']} arenas" in told
        assert "no leak: malloc_trim(0)" in told and "MALLOC_ARENA_MAX" in told
        free = sum(found["bytes"] for found in document["findings"])
        assert 0 <= one.said["not_in_use"] - free < 4 * MIB  # what was never touched
    elif mode == "leaked":
        assert kinds(document) == ["c-heap"] and "in use in C's heap: live data, or a leak in C" in told
    else:
        assert sorted(kinds(document)) == ["c-heap", "c-heap-free"]


def test_gdb_and_a_core_say_the_same(
    newest_go: Toolchain, build_program: Builder, processes: Processes, oracle_file: Path, gdb_exe: Gdb,
    tmp_path: Path,
) -> None:  # fmt: skip
    one = made(processes, build_program("mallocs", newest_go, "cgo"), oracle_file, "mixed")
    assert_as_said(rss_of(one.process.pid, "--gdb", str(gdb_exe.path)), one.said)
    core = tmp_path / "core"
    gcore(gdb_exe, attach(one.process, one.binary), core)
    without = rss_of(core)
    assert_as_said(without, one.said)
    assert without == rss_of(core, "--gdb", str(gdb_exe.path))


@pytest.mark.parametrize("variant", ["cgo", "static"])
def test_no_symbols_are_needed(
    variant: str, newest_go: Toolchain, build_program: Builder, processes: Processes, oracle_file: Path
) -> None:
    try:
        bare = strip(build_program("mallocs", newest_go, variant))
    except Unavailable as problem:
        pytest.skip(str(problem))
    one = made(processes, bare, oracle_file, "mixed")
    assert_as_said(rss_of(one.process.pid), one.said)


@pytest.mark.parametrize("setting", ["glibc.malloc.tcache_count=0", "glibc.malloc.arena_max=1"])
def test_settings_of_malloc(
    setting: str, newest_go: Toolchain, build_program: Builder, processes: Processes, oracle_file: Path
) -> None:
    binary = build_program("mallocs", newest_go, "cgo")
    one = made(processes, binary, oracle_file, "mixed", setting)
    assert_as_said(rss_of(one.process.pid), one.said)
    if setting.endswith("arena_max=1"):
        assert one.said["arenas"] == 1
    else:
        assert one.said["fast"] > 1_000


@pytest.mark.parametrize("mode", MODES)
def test_other_releases_of_glibc(mode: str, processes: Processes, oracle_file: Path) -> None:
    """$ADDRSPACE_TEST_GLIBCS has a folder for each with `mallocs`, linked by cc with --sysroot, -rpath and
    --dynamic-linker of what `dpkg -x` unpacks of its libc6 and libc6-dev."""
    programs = sorted(Path(os.environ.get("ADDRSPACE_TEST_GLIBCS", "/nowhere")).glob("*/mallocs"))
    if not programs:
        pytest.skip("ADDRSPACE_TEST_GLIBCS names none")
    for path in programs:
        one = made(processes, Binary("mallocs", "cgo", path, None), oracle_file, mode)
        assert_as_said(rss_of(one.process.pid), one.said)
        one.process.kill()


def test_a_program_without_glibc_has_no_parts(
    newest_go: Toolchain, build_program: Builder, processes: Processes, oracle_file: Path
) -> None:
    live = start(processes, build_program("sample", newest_go), oracle_file)
    document = rss_of(live.pid)
    assert not document["problems"] and not size(document, IN_USE)


HEAP = 64 << 20  # HEAP_MAX_SIZE of glibc, to which a thread's heap is aligned


class Core(NamedTuple):
    """A core, and the places of its file where malloc's blocks are."""

    path: Path
    places: List[int]


@pytest.fixture
def core(
    newest_go: Toolchain, build_program: Builder, processes: Processes, oracle_file: Path, tmp_path: Path
) -> Core:
    if not gdbs():
        pytest.skip("no gdb")
    binary = build_program("mallocs", newest_go, "cgo")
    arguments = [str(binary.path), str(oracle_file), "mixed", "2", "500"]
    process = stop(processes.start(arguments).wait_ready())
    lines = Path(f"/proc/{process.pid}/maps").read_text().splitlines()
    starts = list(filter(None, map(heap_start, lines)))
    gcore(gdbs()[-1], attach(process, binary), tmp_path / "core")
    with (tmp_path / "core").open("rb") as file:
        loads = [s.header for s in ELFFile(file).iter_segments() if s.header.p_type == "PT_LOAD"]
    places: List[int] = []
    for begin in starts:
        for load in loads:
            if load.p_vaddr <= begin < load.p_vaddr + load.p_filesz:
                size = min(load.p_vaddr + load.p_filesz - begin, 1 << 19)
                places += range(
                    load.p_offset + begin - load.p_vaddr, load.p_offset + begin - load.p_vaddr + size, 8
                )
    assert len(starts) > 2 and len(places) > 100_000
    return Core(tmp_path / "core", places)


def heap_start(line: str) -> int:
    """Where a heap of malloc begins in a line of maps, if one does: of the main arena or of a thread, which
    may have become one mapping with what lies below it. 0: none."""
    first, end = (int(word, 16) for word in line.split()[0].split("-"))
    if " rw-p " not in line:
        return 0
    aligned = -(-first // HEAP) * HEAP
    of_thread = aligned < end and aligned >> 40 in (0x7E, 0x7F)  # where mmap begins is random
    return first if line.endswith("[heap]") else aligned if of_thread else 0


def test_a_damaged_heap_is_not_split(core: Core, tmp_path: Path) -> None:
    """And says so, or says what it would have said; sums hold."""
    whole, chance, notes, split = core.path.read_bytes(), random.Random(11), [], 0
    for number in range(21 if full_matrix() else 9):
        data = bytearray(whole)
        for at in chance.sample(core.places, (2, 50, 3000)[number % 3]):
            data[at : at + 8] = chance.choice(
                (bytes(8), b"\xff" * 8, data[at + 16 : at + 24], chance.randbytes(8))
            )
        damaged = tmp_path / "damaged"
        damaged.write_bytes(data)
        done = cli("dump", str(damaged), "--report", "rss", "--format", "json")
        assert "Traceback" not in done.stderr and "internal error" not in done.stderr and done.stdout
        document = valid(done.stdout)
        heap = node(document, "Non-Go", "C heap")
        assert heap is not None and heap["size"] == sum(child["size"] for child in heap["children"])
        notes += [note for note in document["notes"] if "C's heap" in note]
        split += size(document, IN_USE) > 0
    assert split and any("not split" in note for note in notes), notes
