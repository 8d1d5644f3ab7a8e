"""gdb comes to a program in every way: started, attached, gdb's and the kernel's core, gdbserver."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from harness.build import Binary, Builder
from harness.debuggers import Gdb
from harness.dumps import goroutine_dump_parse
from harness.gdbrun import GdbTimeoutError, Scene, run_gdb
from harness.oracles import memstats_command, read_memstats, read_oracle
from harness.processes import Processes
from harness.scenes import (
    attach,
    gcore,
    gdbserver_attach,
    gdbserver_launch,
    kernel_core,
    launch_to_breakpoint,
    start,
)
from harness.smaps import parse_smaps, smaps
from harness.toolchains import Toolchain, Unavailable

EACH_ONCE = True  # not every combination: tests/conftest.py


@pytest.fixture
def crash(build_program: Builder, newest_go: Toolchain) -> Binary:
    return build_program("crash", newest_go)


def sys_bytes(gdb: Gdb, scene: Scene, folder: Path) -> int:
    """MemStats.Sys of the program in the scene, read by gdb."""
    file = folder / "memstats.json"
    run = run_gdb(gdb, [memstats_command(file)], scene, cwd=folder)
    assert file.exists(), run.stdout + run.stderr
    value = read_memstats(file)["Sys"]
    assert isinstance(value, int)
    return value


def test_gcore_of_a_running_process(
    gdb_exe: Gdb,
    crash: Binary,
    processes: Processes,
    build_program: Builder,
    newest_go: Toolchain,
    tmp_path: Path,
) -> None:
    binary = build_program("foreign", newest_go)
    process = start(processes, binary, tmp_path / "oracle")
    scene = gcore(gdb_exe, attach(process, binary), tmp_path / "core.gdb")
    assert scene.kind == "core"
    assert sys_bytes(gdb_exe, scene, tmp_path) == read_oracle(tmp_path / "oracle").memstats["Sys"]
    assert process.running()


def test_gcore_at_the_breakpoint(gdb_exe: Gdb, crash: Binary, tmp_path: Path) -> None:
    at_breakpoint = launch_to_breakpoint(crash, tmp_path / "oracle", "panic")
    scene = gcore(gdb_exe, at_breakpoint, tmp_path / "core.gdb")
    run = run_gdb(gdb_exe, ["bt 1"], scene)
    assert "main.breakpoint" in run.stdout


@pytest.mark.parametrize("how", ["panic", "abort", "segv"])
def test_kernel_core_has_the_oracle_and_the_dump(
    gdb_exe: Gdb, crash: Binary, tmp_path: Path, how: str
) -> None:
    try:
        core = kernel_core(crash, tmp_path, tmp_path / "oracle", how)
    except Unavailable as problem:
        pytest.skip(str(problem))
    oracle = read_oracle(tmp_path / "oracle")
    assert sys_bytes(gdb_exe, core.scene, tmp_path) == oracle.memstats["Sys"]
    died = {g.goid: g for g in goroutine_dump_parse(core.stderr)}
    before = {g.goid: g for g in goroutine_dump_parse(oracle.dump)}
    assert set(before) <= set(died)
    for goid, goroutine in before.items():
        if goid != 1:
            assert died[goid].status == goroutine.status
    assert any(f.function == "main.die" for g in died.values() for f in g.frames)
    assert all(f.sp for g in died.values() for f in g.frames if not f.inlined)


@pytest.mark.parametrize("extended", [False, True], ids=["remote", "extended-remote"])
def test_gdbserver_launch(
    gdb_exe: Gdb, crash: Binary, processes: Processes, tmp_path: Path, extended: bool
) -> None:
    scene = gdbserver_launch(gdb_exe, processes, crash, tmp_path / "oracle", "panic", extended=extended)
    assert sys_bytes(gdb_exe, scene, tmp_path) > 1 << 20


def test_gdbserver_attach_leaves_the_process_running(
    gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path
) -> None:
    binary = build_program("foreign", newest_go)
    process = start(processes, binary, tmp_path / "oracle")
    scene = gdbserver_attach(gdb_exe, processes, process, binary)
    assert sys_bytes(gdb_exe, scene, tmp_path) == read_oracle(tmp_path / "oracle").memstats["Sys"]
    assert process.running()


def test_a_failing_command_is_a_status(gdb_exe: Gdb) -> None:
    assert run_gdb(gdb_exe, ["echo fine\\n"]).status == 0
    failed = run_gdb(gdb_exe, ["print nothing_of_that_name"])
    assert failed.status == 1
    assert "No symbol" in failed.stderr


def test_a_hang_is_killed_with_its_children(gdb_exe: Gdb, crash: Binary, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    commands = [
        f"python open({str(pid_file)!r}, 'w').write(str(gdb.selected_inferior().pid))",
        "python import time; time.sleep(600)",
    ]
    with pytest.raises(GdbTimeoutError, match="killed after"):
        run_gdb(gdb_exe, commands, launch_to_breakpoint(crash, tmp_path / "oracle", "panic"), timeout=8)
    assert not _alive(int(pid_file.read_text()))


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def test_processes_end_with_the_test(crash: Binary, build_program: Builder, newest_go: Toolchain) -> None:
    started = Processes()
    process = started.start([str(build_program("foreign", newest_go).path)]).wait_ready()
    assert process.running()
    started.kill_all()
    assert not process.running()
    assert not _alive(process.pid)


def test_smaps_are_those_of_the_kernel() -> None:
    mappings = smaps(os.getpid())
    lines = Path("/proc/self/maps").read_text().splitlines()
    assert abs(len(mappings) - len(lines)) <= 2  # reading takes memory too
    assert all(m.start < m.end for m in mappings)
    assert sum(m.rss for m in mappings) > 1 << 20
    assert any(m.path == "[stack]" for m in mappings)


def test_smaps_with_a_strange_path() -> None:
    text = b"""7f0000000000-7f0000003000 rw-s 00001000 00:01 2051    /memfd:a b (deleted)
Size:                 12 kB
Rss:                   8 kB
Pss:                   8 kB
Swap:                  4 kB
SwapPss:               4 kB
VmFlags: rd wr sh
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
Rss:                   0 kB
"""
    first, second = parse_smaps(text)
    assert first[:6] == (0x7F0000000000, 0x7F0000003000, "rw-s", 8192, 4096, "/memfd:a b (deleted)")
    assert first.flags == ("rd", "wr", "sh")
    assert second.path == "[vsyscall]"
