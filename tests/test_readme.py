"""Every command that the README shows is run; a new one that no test knows fails here."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import List

import pytest
from harness.build import Builder
from harness.command import cli
from harness.corehead import kernel_head
from harness.crashes import crash
from harness.debuggers import gdbs
from harness.gdbrun import run_gdb
from harness.processes import Process, Processes
from harness.scenes import attach, start
from harness.toolchains import Toolchain

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

# Commands that set up or test the project itself: other tests run them, or they run this one.
ELSEWHERE = {
    "pip install .": "test_install.py",
    "scripts/demo": "test_install.py and below",
    "scripts/test": "what runs this",
    "scripts/test --quick": "what runs a part of this",
    "scripts/test -k partition": "below, collected only",
    "scripts/test --matrix": "below, collected only",
    "scripts/bench --only small --runs 1": "below",
    "scripts/fuzz --count 20 --seed 7": "below",
}


def shell_commands() -> List[str]:
    """The lines after `$` in console blocks."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def gdb_commands() -> List[str]:
    """The lines after `(gdb)`."""
    return re.findall(r"^\(gdb\) (.*)$", README, re.MULTILINE)


@pytest.fixture
def running(processes: Processes, build_program: Builder, newest_go: Toolchain, oracle_file: Path) -> Process:
    """A running Go program to look at."""
    return start(processes, build_program("shapes", newest_go), oracle_file, "quiet")


def test_every_shell_command_is_known() -> None:
    unknown = [c for c in shell_commands() if c not in ELSEWHERE and not c.startswith("addrspace-gdb ")]
    assert not unknown
    assert shell_commands() and gdb_commands()


def test_gdb_commands_work_in_order(
    running: Process, build_program: Builder, newest_go: Toolchain, tmp_path: Path
) -> None:
    commands = [c.replace("/tmp/", f"{tmp_path}/") for c in gdb_commands()]
    marked = [line for command in commands for line in (f"echo @@@ {command}\\n", command)]
    binary = build_program("shapes", newest_go)
    result = run_gdb(gdbs()[0], marked, attach(running, binary), load=True, cwd=ROOT)
    assert "addrspace:" not in result.stderr, result.stderr
    parts = result.stdout.split("@@@ ")[1:]
    assert len(parts) == len(commands)
    silent = [c for c, part in zip(commands, parts) if not part.split("\n", 1)[1].strip()]
    assert all(c.startswith("set ") or "--output" in c for c in silent), silent
    assert (tmp_path / "space.json").stat().st_size > 1000


def test_dump_commands(
    running: Process, build_program: Builder, newest_go: Toolchain, tmp_path: Path
) -> None:
    binary, gdb, core = build_program("shapes", newest_go), str(gdbs()[0].path), tmp_path / "core.4242"
    run_gdb(gdbs()[0], [f"generate-core-file {core}"], attach(running, binary))
    (tmp_path / "server").symlink_to(binary.path)
    if not shutil.which("zstd"):
        pytest.skip("no zstd on PATH")
    subprocess.run(["zstd", "-q", str(core)], check=True)
    crashes = tmp_path / "crashes"
    crash(kernel_head(core), running.pid, running.pid, 6, "--folder", crashes)
    for command in shell_commands():
        words = shlex.split(command)
        if words[0] == "addrspace-gdb":
            words = [str(running.pid) if word == "4242" else word for word in words[1:]]
            result = cli(*words, cwd=tmp_path, ADDRSPACE_GDB=gdb, ADDRSPACE_CRASHES=str(crashes))
            assert result.returncode == 0, (command, result.stderr)
            assert result.stdout or "--output" in words, command
    assert (tmp_path / "space.json").exists()
    assert running.running()


def test_script_test_selects_tests() -> None:
    command = [str(ROOT / "scripts" / "test"), "--matrix", "-k", "partition", "--collect-only", "-q"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    assert "tests collected" in result.stdout and "test_addrspace_partition" in result.stdout
    assert "test_readme" not in result.stdout


def test_demo_shows_the_diagram() -> None:
    result = subprocess.run(
        [str(ROOT / "scripts" / "demo")], capture_output=True, text=True, timeout=600, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
    for name in ("Kernel Space", "Go Heap", "Goroutine Stacks", "Code Segment", "Reserved / NULL"):
        assert name in result.stdout
    assert "waiting" in result.stdout


def test_bench_runs() -> None:
    command = [str(ROOT / "scripts" / "bench"), "--only", "small", "--runs", "1"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "addrspace" in result.stdout


def test_fuzz_runs() -> None:
    command = [str(ROOT / "scripts" / "fuzz"), "--count", "20", "--seed", "7"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    assert result.stdout == "20 cases with seed 7, 0 failures\n"
