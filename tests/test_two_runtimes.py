"""Two Go libraries in one C program: two runtimes, of which one is shown, and that is said."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Callable

import invariants
import pytest
from harness.build import Binary
from harness.debuggers import gdbs
from harness.gdbrun import Scene, run_gdb
from harness.processes import Processes
from harness.toolchains import Toolchain

HOST = """
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>
int main(int count, char **arguments) {
    for (int i = 1; i < count; i++)
        if (!dlopen(arguments[i], RTLD_NOW)) { puts(dlerror()); return 1; }
    usleep(200000); /* their runtimes begin in threads of their own */
    puts("ready");
    fflush(stdout);
    sleep(600);
}
"""
COMMANDS = ("addrspace --check", "goroutine-stacks", "addrspace rss", "addrspace memstats")


@pytest.mark.parametrize("count", [1, 2])
def test_the_other_one_is_said_to_be_there(
    newest_go: Toolchain,
    build_program: Callable[..., Binary],
    processes: Processes,
    tmp_path: Path,
    count: int,
) -> None:
    built = build_program("cshared", newest_go, "c-shared")
    if not gdbs() or built.library is None:
        pytest.skip("no gdb")
    (tmp_path / "host.c").write_text(HOST)
    subprocess.run(["cc", "-o", "host", "host.c", "-ldl"], cwd=tmp_path, check=True)
    libraries = [tmp_path / f"go{number}.so" for number in range(count)]
    for library in libraries:
        shutil.copy(built.library, library)
    process = processes.start([str(tmp_path / "host"), *map(str, libraries)]).wait_ready()
    files = [tmp_path / f"{number}.json" for number in range(len(COMMANDS))]
    scene = Scene("live", tmp_path / "host", [f"attach {process.pid}"], ("detach",), process.pid)
    run = run_gdb(
        gdbs()[0],
        [f"{one} --format json --output {file}" for one, file in zip(COMMANDS, files)],
        scene,
        load=True,
    )
    assert all(file.exists() for file in files), run.stdout[-2000:] + run.stderr[-2000:]
    documents = [json.loads(file.read_text()) for file in files]
    for document in documents:
        said = [note for note in document["notes"] if "more Go runtime is in the process" in note]
        assert len(said) == count - 1
    invariants.assert_covers(documents[0])
    assert all(check["ok"] for check in documents[0]["checks"])
    arenas = [r for r in documents[0]["regions"] if r["area"] == "heap"]
    assert arenas and process.running()
