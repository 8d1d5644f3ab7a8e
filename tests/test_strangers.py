"""Programs that none of us built: those of Go's own distribution, of Debian and of npm, running for real.

gofmt comes with every toolchain. Debian's programs (Go 1.19, stripped) are tested where they are installed,
and esbuild where npm can get it: both in the matrix only.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import invariants
import pytest
from harness import cache_dir
from harness.debuggers import gdbs
from harness.gdbrun import Scene, run_gdb
from harness.processes import Process, Processes
from harness.toolchains import Toolchain

Json = Dict[str, Any]
REPORTS = (
    "addrspace --check",
    "goroutine-stacks --frames",
    "addrspace rss",
    "addrspace memstats",
    "addrspace gc",
)
ESBUILD = "@esbuild/linux-x64"
# Debian's package, and a command that goes on until it is killed.
DEBIAN = {
    "caddy": "caddy file-server --listen 127.0.0.1:0",
    "etcd": "etcd --data-dir .",
    "rclone": "rclone serve http . --addr 127.0.0.1:0",
    "fzf": "fzf --filter x",
    "age": "age --encrypt -r age1cy0su9fwf3gf9mw868g5yut09p6nytfmmnktexz2ya5uqg9vl9sss4euqm",
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """With a pipe `input` that never ends: the programs read from it for ever."""
    os.mkfifo(tmp_path / "input")
    descriptor = os.open(tmp_path / "input", os.O_RDWR)
    try:
        yield tmp_path
    finally:
        os.close(descriptor)


def run(processes: Processes, folder: Path, command: str) -> Process:
    """`command` with the pipe as its input, once it waits."""
    process = processes.start(["sh", "-c", f"exec {command} <input >output 2>&1"], cwd=folder)
    for _ in range(100):
        time.sleep(0.1)
        if process.state() == "S" and Path(f"/proc/{process.pid}/comm").read_text().strip() != "sh":
            break
    time.sleep(0.5)
    if not process.running():
        pytest.skip(f"{command} does not run here: {(folder / 'output').read_text()[-200:]}")
    return process


def look(scene: Scene, folder: Path, name: str, *more: str) -> Tuple[List[Json], str]:
    """The documents of all reports, and the text of `more`."""
    if not gdbs():
        pytest.skip("no gdb")
    files = [folder / f"{name}{number}.json" for number in range(len(REPORTS))]
    commands = [f"{one} --format json --output {file}" for one, file in zip(REPORTS, files)]
    done = run_gdb(gdbs()[0], [*commands, *more], scene, load=True, cwd=folder)
    assert all(file.exists() for file in files), done.stdout[-3000:] + done.stderr[-3000:]
    assert "Traceback" not in done.stderr and "addrspace:" not in done.stderr, done.stderr
    return [json.loads(file.read_text()) for file in files], done.stdout


def assert_right(documents: List[Json]) -> None:
    """What holds of every Go program."""
    space, stacks, rss, memstats, gc = documents
    invariants.assert_valid(space)
    invariants.assert_covers(space)
    invariants.assert_areas(space)
    assert all(check["ok"] for check in space["checks"]) and len(space["checks"]) >= 7
    assert [d["problems"] for d in documents] == [[]] * len(documents)
    assert all(f["function"] for g in stacks["goroutines"] for f in g["frames"])
    rows = {**memstats["memstats"], **memstats["metrics"]}
    assert {name for name, row in rows.items() if row["agrees"] is False or row["value"] is None} == set()
    assert rss["tree"]["size"] == sum(int(m["end"], 16) - int(m["start"], 16) for m in space["mappings"])
    assert gc["cycles"]["completed"] == memstats["memstats"]["NumGC"]["value"]


def check(processes: Processes, folder: Path, command: str) -> Tuple[List[Json], List[Json]]:
    """The program live, and its core by gdb: both right, and alike."""
    process = run(processes, folder, command)
    program = Path(os.readlink(f"/proc/{process.pid}/exe"))
    scene = Scene("live", program, [f"attach {process.pid}"], ("detach",), process.pid)
    core = folder / "core"
    more = ("echo <<<\\n", "goroutine-apply 1 bt", "addrspace whereis $sp $pc", f"generate-core-file {core}")
    live, said = look(scene, folder, "live", *more)
    assert process.running()
    assert_right(live)
    shown = re.findall(r"^#\d+ +0x[0-9a-f]+ in (\S+) \(", said.partition("<<<")[2], re.MULTILINE)
    main = next(g for g in live[1]["goroutines"] if g["goid"] == 1)
    assert "main.main" in [f["function"] for f in main["frames"]] and "main.main" in shown
    assert re.search(r"goroutine|stack of", said.partition("<<<")[2])
    opened, _ = look(Scene("core", program, [f"core-file {core}"]), folder, "core")
    assert_right(opened)
    assert opened[3]["memstats"] == live[3]["memstats"]
    ours, theirs = ({g["goid"]: g["frames"] for g in d[1]["goroutines"]} for d in (live, opened))
    assert ours == theirs
    return live, opened


def test_gofmt(go: Toolchain, processes: Processes, folder: Path) -> None:
    program = go.goroot / "bin" / "gofmt"
    if not program.exists():
        pytest.skip(f"{go} has no gofmt")
    live, _ = check(processes, folder, str(program))
    assert live[0]["target"]["go_version"].split()[0] == f"go{go.version}"


@pytest.mark.matrix
@pytest.mark.parametrize("name", DEBIAN)
def test_programs_of_debian(name: str, processes: Processes, folder: Path) -> None:
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")
    check(processes, folder, DEBIAN[name])


@pytest.mark.matrix
def test_esbuild(processes: Processes, folder: Path) -> None:
    kept = cache_dir() / "npm"
    program = kept / "package" / "bin" / "esbuild"
    if not program.exists():
        if not shutil.which("npm"):
            pytest.skip("no npm on PATH")
        kept.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "pack", ESBUILD], cwd=kept, capture_output=True, timeout=120, check=False)
        for archive in kept.glob("*.tgz"):
            subprocess.run(["tar", "xf", archive.name], cwd=kept, check=True)
    if not program.exists():
        pytest.skip(f"npm cannot get {ESBUILD} here")
    check(processes, folder, f"{program} --serve=127.0.0.1:0 --servedir=.")
