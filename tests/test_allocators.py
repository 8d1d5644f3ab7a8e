"""C's allocators other than glibc's: whose anonymous memory is most likely theirs, and what is said of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
from harness.build import Builder
from harness.command import cli
from harness.debuggers import Gdb
from harness.held import stop
from harness.processes import Process, Processes
from harness.scenes import attach, gcore
from harness.toolchains import Toolchain

from addrspace_gdb.process.allocators import loaded_allocator

Json = Dict[str, Any]
# An allocator that takes a mapping for many blocks, as all of them do, or moves the end of the data segment.
SOURCE = """\
#define _GNU_SOURCE
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *at, *end;
void *malloc(size_t size) {
    size = (size + 31) & ~(size_t)15;
    pthread_mutex_lock(&lock);
    if (at == NULL || size > (size_t)(end - at)) {
        size_t taken = (size + (8 << 20)) & ~(size_t)4095;
#ifdef BRK
        at = sbrk((ptrdiff_t)taken);
#else
        at = mmap(NULL, taken, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
#endif
        end = at + taken;
    }
    char *found = at + 16;
    at += size;
    pthread_mutex_unlock(&lock);
    *(size_t *)(found - 16) = size - 16;
    return found;
}
void free(void *block) { (void)block; }
void *calloc(size_t count, size_t size) { return memset(malloc(count * size), 0, count * size); }
void *realloc(void *block, size_t size) {
    void *found = malloc(size);
    if (block == NULL) return found;
    size_t old = *(size_t *)((char *)block - 16);
    return memcpy(found, block, old < size ? old : size);
}
"""
NAMES = [
    ("libjemalloc.so.2", "jemalloc", ()),
    ("libmimalloc.so.2.0", "mimalloc", ()),
    ("libtcmalloc_minimal.so.4", "tcmalloc", ("-DBRK",)),
]
FOLDERS = (Path("/usr/lib/x86_64-linux-gnu"), Path("/usr/lib"), Path("/usr/local/lib"))


def library(folder: Path, name: str, *options: str) -> Path:
    if not shutil.which("cc"):
        pytest.skip("no cc on PATH")
    (folder / "library.c").write_text(SOURCE)
    made = folder / name
    line = ["cc", "-O1", "-shared", "-fPIC", *options, "-o", str(made), str(folder / "library.c"), "-pthread"]
    subprocess.run(line, check=True, timeout=60)
    return made


def run(processes: Processes, program: Path, oracle: Path, preload: Path, mode: str = "leaked") -> Process:
    command = [str(program), str(oracle), mode, "3", "20000"]
    return stop(processes.start(command, env={"LD_PRELOAD": str(preload)}).wait_ready())


def rss_of(target: object, *options: str) -> Json:
    done = cli("dump", str(target), "--report", "rss", "--format", "json", *options)
    assert done.returncode == 0, done.stderr
    document: Json = json.loads(done.stdout)
    return document


def child(node: Json, name: str) -> Json:
    found: List[Json] = [one for one in node["children"] if one["name"] == name]
    return found[0] if found else {"children": [], "size": 0, "resident": 0, "kept": 0}


def assert_named(document: Json, name: str, file: str) -> None:
    others = child(document["tree"], "Non-Go")
    assert not child(others, "the program's own mappings")["resident"]
    (found,) = [one for one in document["findings"] if one["kind"] == "c-heap"]
    assert f"most likely in the heap of {name} ({file}), C's allocator here" in found["sentence"]
    assert not [one for one in document["findings"] if one["kind"] == "own-mappings"]


@pytest.mark.parametrize(("file", "name", "options"), NAMES, ids=[name for _, name, _ in NAMES])
def test_memory_of_nobody_is_most_likely_the_allocators(
    file: str, name: str, options: List[str], newest_go: Toolchain, build_program: Builder,
    processes: Processes, oracle_file: Path, gdb_exe: Gdb, tmp_path: Path,
) -> None:  # fmt: skip
    binary = build_program("mallocs", newest_go, "cgo")
    live = run(processes, binary.path, oracle_file, library(tmp_path, file, *options))
    document = rss_of(live.pid)
    assert_named(document, name, file)
    heap = child(child(document["tree"], "Non-Go"), "C heap")
    own = child(heap, "brk heap" if options else f"likely {name}'s")
    assert own["resident"] > 40 << 20 and own["resident"] >= 0.99 * heap["resident"]
    core = tmp_path / "core"
    gcore(gdb_exe, attach(live, binary), core)
    assert_named(rss_of(core), name, file)
    assert rss_of(core) == rss_of(core, "--gdb", str(gdb_exe.path))


def installed(file: str) -> Path:
    """The library itself, where the system or $ADDRSPACE_TEST_ALLOCATORS has it."""
    folders = [Path(os.environ.get("ADDRSPACE_TEST_ALLOCATORS", "/nowhere")), *FOLDERS]
    found = next((folder / file for folder in folders if (folder / file).exists()), None)
    if found is None:
        pytest.skip(f"no {file} here")
    return found


@pytest.mark.parametrize(("file", "name"), [one[:2] for one in NAMES[1:]], ids=["mimalloc", "tcmalloc"])
def test_those_that_are_installed(
    file: str,
    name: str,
    newest_go: Toolchain,
    build_program: Builder,
    processes: Processes,
    oracle_file: Path,
) -> None:
    there = installed(file)
    live = run(processes, build_program("mallocs", newest_go, "cgo").path, oracle_file, there)
    assert_named(rss_of(live.pid), name, os.path.basename(os.path.realpath(there)))


@pytest.mark.parametrize("mode", ["freed", "leaked", "mixed"])
def test_extents_of_jemalloc_are_those_that_it_counts(
    mode: str, newest_go: Toolchain, build_program: Builder, processes: Processes, oracle_file: Path,
    gdb_exe: Gdb, tmp_path: Path,
) -> None:  # fmt: skip
    there = installed("libjemalloc.so.2")
    binary = build_program("mallocs", newest_go, "cgo")
    live = run(processes, binary.path, oracle_file, there, mode)
    said: Dict[str, int] = json.loads(oracle_file.read_text())
    core = tmp_path / "core"
    gcore(gdb_exe, attach(live, binary), core)
    for target in (live.pid, core):
        document = rss_of(target)
        extents = child(child(child(document["tree"], "Non-Go"), "C heap"), "jemalloc's extents")
        assert child(extents, "in use")["size"] == said["active"] > 0
        assert child(extents, "free, kept for later")["size"] == said["dirty"]
        assert child(extents, "returned to the OS")["size"] == said["retained"]
        kinds = {one["kind"]: one["sentence"] for one in document["findings"]}
        assert ("c-heap" in kinds) == (mode != "freed")
        assert mode == "mixed" or ("c-heap-free" in kinds) == (mode == "freed")
        assert "no leak" in kinds.get("c-heap-free", "no leak")
        assert "live data, or a leak in C" in kinds.get("c-heap", "live data, or a leak in C")
    assert rss_of(core) == rss_of(core, "--gdb", str(gdb_exe.path))


def test_musl_has_its_own(
    newest_go: Toolchain, build_program: Builder, processes: Processes, oracle_file: Path
) -> None:
    binary = build_program("cgo", newest_go, "musl")
    live = stop(processes.start([str(binary.path), str(oracle_file)]).wait_ready())
    heap = child(child(rss_of(live.pid)["tree"], "Non-Go"), "C heap")
    assert child(heap, "likely musl malloc's")["size"]


def test_an_allocator_within_the_program_is_known_by_its_functions() -> None:
    def found(*functions: str) -> Optional[str]:
        made = loaded_allocator(["/lib/libc.so.6", "/lib/libm.so.6"], set(functions).__contains__)
        return made.name if made is not None else None

    assert found() is None and found("malloc", "main.malloc") is None
    assert found("_rjem_mallctlnametomib") == "jemalloc" and found("mi_malloc") == "mimalloc"
    assert found("tc_malloc") == "tcmalloc" and found("__malloc_context") == "musl malloc"
    by_file = loaded_allocator(["/opt/libjemalloc.so.2"], {"tc_malloc"}.__contains__)
    assert by_file is not None and (by_file.name, by_file.file) == ("jemalloc", "libjemalloc.so.2")
    assert (
        loaded_allocator(["/opt/libjemalloc-docs.so", "/lib/ld-linux-x86-64.so.2"], "".__contains__) is None
    )
