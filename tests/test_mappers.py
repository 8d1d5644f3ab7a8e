"""What Go code maps itself, by packages syscall and x/sys/unix, as the program says; also without symbols."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from harness import PROGRAMS, cache_dir
from harness.command import cli
from harness.debuggers import gdbs
from harness.gdbrun import Scene
from harness.held import stop
from harness.processes import Processes
from harness.scenes import gcore
from harness.toolchains import Toolchain, go_environment

ALSO_OLD = True
Range = Tuple[int, int, str]

# What `go build` is told, and the environment; then what is done with the program.
PLAIN: Dict[str, Tuple[List[str], Dict[str, str], List[str]]] = {"stripped": ([], {}, ["strip"])}
MATRIX: Dict[str, Tuple[List[str], Dict[str, str], List[str]]] = {
    "symbols": ([], {}, []),
    "-s -w": (["-ldflags=-s -w"], {}, []),
    "no DWARF": (["-ldflags=-w"], {}, []),
    "pie": (["-buildmode=pie"], {}, ["strip"]),
    "not optimised": (["-gcflags=all=-N -l"], {}, ["strip"]),
    "386": ([], {"GOARCH": "386"}, ["strip"]),
    "race": (["-race"], {"CGO_ENABLED": "1"}, ["strip"]),
    "cgo": ([], {"CGO_ENABLED": "1"}, ["strip"]),
}


def build(go: Toolchain, how: str) -> Path:
    """The program with the x/sys that the toolchain brings along for its own commands, built once."""
    digest = hashlib.sha256((PROGRAMS / "mappers" / "main.go").read_bytes()).hexdigest()[:16]
    folder = cache_dir() / "test-binaries" / f"mappers-{go.version}-{how.replace(' ', '_')}-{digest}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "mappers").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _build(go, how, folder)
    return folder / "mappers"


def _build(go: Toolchain, how: str, folder: Path) -> None:
    flags, environment, after = {**PLAIN, **MATRIX}[how]
    shutil.copytree(PROGRAMS / "mappers", folder / "source")
    shutil.copytree(go.goroot / "src/cmd/vendor/golang.org/x/sys", folder / "sys")
    release = ".".join(map(str, go.release))
    (folder / "sys" / "go.mod").write_text(f"module golang.org/x/sys\n\ngo {release}\n")
    (folder / "source" / "go.mod").write_text(
        f"module addrspace.test/mappers\n\ngo {release}\n\n"
        "require golang.org/x/sys v0.0.0\n\nreplace golang.org/x/sys => ../sys\n"
    )
    subprocess.run(
        [go.go, "build", *flags, "-o", folder / "new", "."],
        cwd=folder / "source",
        env={**go_environment(), "CGO_ENABLED": "0", **environment},
        check=True,
        timeout=300,
    )
    for command in after:
        subprocess.run([command, folder / "new"], check=True)
    (folder / "new").rename(folder / "mappers")


def said(text: str) -> List[Range]:
    """What is mapped, in whole pages, ascending; neighbours of one label are one."""
    fields = (line.split() for line in text.splitlines() if "Mmap " in line)
    return sorted((int(at), int(at) + -(-int(size) // 4096) * 4096, name) for name, at, size in fields)


def listed(target: object, *options: object) -> List[Range]:
    """What `regions` says, cut to pieces of one call each: a label has the size."""
    done = cli("dump", target, "--report", "regions Mmap", "--format", "json", *options)
    assert done.returncode == 0, done.stderr
    document: Dict[str, Any] = json.loads(done.stdout)
    assert document["problems"] == []
    return [
        (int(one["start"], 16), int(one["end"], 16), one["label"].split(" of ")[0])
        for one in document["regions"]
    ]


def together(ranges: List[Range]) -> List[Range]:
    """With neighbours of one name as one."""
    found: List[Range] = []
    for start, end, name in ranges:
        if found and found[-1][1:] == (start, name):
            found[-1] = (found[-1][0], end, name)
        else:
            found.append((start, end, name))
    return found


@pytest.mark.parametrize("count", [pytest.param(3, marks=pytest.mark.matrix), 60,
                                   pytest.param(1000, marks=pytest.mark.matrix)])  # fmt: skip
@pytest.mark.parametrize("how", [*PLAIN, *(pytest.param(how, marks=pytest.mark.matrix) for how in MATRIX)])
def test_what_go_code_maps_itself(
    how: str, count: int, go: Toolchain, processes: Processes, tmp_path: Path
) -> None:
    (gdb, *_) = gdbs()
    program = build(go, how)
    process = stop(processes.start([str(program), str(count)]).wait_ready())
    ranges = said(process.output["stdout"].decode())
    assert len(ranges) == 2 * (count - -(-count // 3) + 1)
    core = tmp_path / "core"
    gcore(gdb, Scene("live", program, [f"attach {process.pid}"], ["detach"]), core)
    assert together(listed(process.pid)) == together(ranges)
    assert together(listed(process.pid, "--gdb", gdb.path)) == together(ranges)
    assert together(listed(core, "--exe", program)) == together(ranges)
