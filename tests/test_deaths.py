"""Deaths by signals that were sent or raised, and faults in C: who, where, for whom, as Go's text has it."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from harness.build import Binary, Builder
from harness.command import cli
from harness.debuggers import Gdb
from harness.dumps import goroutine_dump_parse
from harness.gdbrun import run_gdb
from harness.scenes import open_core, refuse_core_pattern
from harness.testprogs import said
from harness.toolchains import NEWEST, OLDEST, Toolchain, Unavailable, selected_versions, toolchain_or_skip
from test_fault import ask, core, live
from test_fault import gdb as gdb
from test_testprogs import goroutine_wrong, signal_wrong

EACH_ONCE = True  # not every combination: tests/conftest.py

Document = Dict[str, Any]

_HERE = r"\S*c\.go:\d+: "
ASSERTION = rf"deaths: {_HERE}checked: Assertion `amount == 42' failed"
BY_C = r"; called for goroutine {goid} by main\.c"
SENT = r"was sent by the process itself"

# The cause, and the functions of C from where it happened on, those of C's library left out.
WAYS: Dict[str, Tuple[str, List[str]]] = {
    "far-field": (
        r"in C code \(balance_of\): nil dereference: read of the field at \+0x3000 of a nil pointer",
        ["balance_of"],
    ),
    "in-libc": (
        r"in C code \(__strlen_\w+, called by name_length\): nil dereference: read of a nil pointer",
        ["name_length"],
    ),
    "divide": (r"in C code \(divided\): integer division by zero", ["divided"]),
    "divide-overflow": (
        r"in C code \(negated\): a division whose result is too large for an integer",
        ["negated"],
    ),
    "call-null": (
        r"in C code \(called_back\): a call of a null function pointer: nothing is mapped at 0x0",
        ["called_back", "call_null"],
    ),
    "call-wild": (
        r"in C code \(called_back\): a call of a wild function pointer: nothing is mapped at 0x123456789000",
        ["called_back", "call_wild"],
    ),
    "call-odd": (
        (
            r"in C code \(called_back\): a call of a wild function pointer: "
            r"nothing is mapped at 0x4141414141414141"
        ),
        ["called_back", "call_odd"],
    ),
    "smashed": (
        (
            r"in C code \(C\.overwritten\): a return to 0x123456789000, which is no code: "
            r"the stack was overwritten"
        ),
        [],
    ),
    "smashed-odd": (
        (
            r"in C code \(overwritten\): a return to 0x4141414141414141, which is no code: "
            r"the stack was overwritten"
        ),
        ["overwritten"],
    ),
    "masked": (r"in C code \(masked\): nil dereference: write of a nil pointer", ["masked"]),
    "trap": (
        (
            r"in C code \(trapped\): the instruction ud2, which compilers put where nothing may come "
            r"\(__builtin_trap, unreachable code\)"
        ),
        ["trapped"],
    ),
    "assert": (rf"C code aborted in checked: {ASSERTION}{BY_C}", ["checked"]),
    "abort": (rf"C code called abort in gave_up{BY_C}", ["gave_up"]),
    "raise": (
        (
            rf"SIGSEGV {SENT}: no instruction caused it; goroutine {{goid}} ran C code \(raised\), "
            r"called by main\.c"
        ),
        ["raised"],
    ),
    "thread-fault": (
        (
            r"in C code \(balance_of\), on a thread that Go did not make: "
            r"nil dereference: read of the field at \+0x3000 of a nil pointer"
        ),
        ["balance_of", "entry_of_balance"],
    ),
    "thread-assert": (
        rf"C code aborted in checked: {ASSERTION}, on a thread that Go did not make",
        ["checked", "entry_of_check"],
    ),
    "sent-segv": (rf"SIGSEGV {SENT}: no instruction caused it; goroutine {{goid}} ran main\.send", []),
    "sent-bus": (rf"SIGBUS {SENT}: no instruction caused it; goroutine {{goid}} ran main\.send", []),
    "sent-quit": (
        r"a dump was asked for: SIGQUIT, sent by the process itself; goroutine {goid} ran main\.send",
        [],
    ),
    "sent-abort": (rf"SIGABRT {SENT}; goroutine {{goid}} ran main\.send", []),
    "breakpoint": (
        (
            r"a breakpoint instruction in runtime\.breakpoint; "
            r"called for goroutine {goid} by main\.\(\*Account\)\.settle"
        ),
        [],
    ),
    "nil-func": (r"nil dereference: a call of a nil func value", []),
}
# Those that both Go versions of a short run do; the others only the newest.
OF_BOTH = ("assert", "raise", "sent-quit", "thread-fault", "call-null", "breakpoint")
FOREIGN = ("thread-fault", "thread-assert")


def ways() -> List[Any]:
    made: List[Any] = []
    for way in WAYS:
        for version in selected_versions():
            usual = version == NEWEST or (version == OLDEST and way in OF_BOTH)
            made.append(pytest.param(way, version, marks=() if usual else (pytest.mark.matrix,)))
    return made


def needs_avx512(way: str) -> None:
    if way == "masked" and "avx512f" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("no AVX-512 here")


def own_functions(document: Document) -> List[str]:
    """Of the program's own C code, without what cgo made of the call."""
    names = [one["function"] for one in document["c_frames"] if one["file"] == "deaths"]
    return [name for name in names if name and not name.startswith("_cgo_")]


@pytest.mark.parametrize(("way", "version"), ways())
def test_a_core_says_who_and_why(
    build_program: Builder, gdb: Gdb, tmp_path: Path, way: str, version: str
) -> None:
    needs_avx512(way)
    cause, functions = WAYS[way]
    scene, text = core(build_program("deaths", toolchain_or_skip(version), "cgo"), way, tmp_path)
    document, _ = ask(gdb, scene, tmp_path)
    goid = document["goroutine"]
    assert re.fullmatch(cause.replace("{goid}", str(goid)), document["cause"]), document["cause"]
    assert own_functions(document) == functions
    assert document["foreign_thread"] == (way in FOREIGN) and (goid is None) == (way in FOREIGN)
    told = said(text)
    if told.signal is not None:
        assert signal_wrong(told, document) == []
    if way not in FOREIGN or told.goid:
        allowed = goroutine_wrong(told, document)
        assert allowed == [] or way in FOREIGN, allowed


LIVE = ("far-field", "call-null", "smashed-odd", "assert", "divide", "thread-fault")


@pytest.mark.parametrize("way", LIVE)
def test_a_stop_says_the_same(
    newest_go: Toolchain, build_program: Builder, gdb: Gdb, tmp_path: Path, way: str
) -> None:
    cause, functions = WAYS[way]
    binary = build_program("deaths", newest_go, "cgo")
    document, _ = ask(gdb, live(binary, way, tmp_path), tmp_path)
    goid = document["goroutine"]
    assert re.fullmatch(cause.replace("{goid}", str(goid)), document["cause"]), document["cause"]
    assert own_functions(document) == functions
    assert (document["fault"] or document["death"])["source"] == "this stop"


def quit_while_it_runs(binary: Binary, folder: Path, number: int, way: str = "spin") -> Tuple[Path, str, int]:
    """The core of a program that was told to end while a goroutine ran; what Go said; who sent it."""
    try:
        refuse_core_pattern()
    except Unavailable as problem:
        pytest.skip(str(problem))
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    process = subprocess.Popen(
        [str(binary.path), way],
        cwd=folder,
        env={**os.environ, "GOTRACEBACK": "crash", "GODEBUG": "asyncpreemptoff=1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)),  # noqa: PLW1509
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        until_it_spins(process.pid)
        ctypes.CDLL(None).tgkill(process.pid, process.pid, number)  # to the thread that spins
        text = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    (file,) = folder.glob("core*")
    return file, text, os.getpid()


def until_it_spins(pid: int) -> None:
    """Until it has come back from saying that it is ready: its main thread makes no system call then."""
    beginning, deadline = user_ticks(pid), time.monotonic() + 90
    while user_ticks(pid) < beginning + 20:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def user_ticks(pid: int) -> int:
    """Processor time of the main thread outside the kernel (proc_pid_stat(5), utime)."""
    return int(Path(f"/proc/{pid}/task/{pid}/stat").read_text().rpartition(")")[2].split()[11])


@pytest.mark.parametrize("variant", ["plain", "stripped"])
@pytest.mark.parametrize("name", ["SIGQUIT", "SIGTRAP"])
def test_who_ran_when_a_dump_was_asked_for(
    go: Toolchain, build_program: Builder, gdb: Gdb, tmp_path: Path, name: str, variant: str
) -> None:
    """Two signal frames lie on the signal stack: of that signal, and of the SIGABRT that Go ends by."""
    binary = build_program("deaths", go, variant if variant == "stripped" else "cgo")
    file, text, sender = quit_while_it_runs(binary, tmp_path, getattr(signal, name))
    told = said(text)
    document, _ = ask(gdb, open_core(file, binary.path), tmp_path)
    assert signal_wrong(told, document) == [] and goroutine_wrong(told, document) == []
    assert document["death"]["sender"] == sender and f"sent by process {sender}" in document["cause"]
    ran = next(one for one in goroutine_dump_parse(text) if one.goid == told.goid)
    printed = [(frame.function, frame.line) for frame in ran.frames]
    listed = cli("dump", file, "--exe", binary.path, "--report", f"goroutine-stacks {told.goid} --frames")
    assert "problem" not in listed.stdout and "main.spin" in listed.stdout
    ours = [(one["function"], one["line"]) for one in document["frames"]]
    assert ours == [one for one in printed if not one[0].startswith("runtime.")]
    run = run_gdb(
        gdb, [f"goroutine {told.goid}", "bt"], open_core(file, binary.path), load=True, cwd=tmp_path
    )
    assert "main.spin" in run.stdout and "main.main (" in run.stdout, run.stdout[-2000:]


def test_a_goroutine_that_asks_for_the_time_has_its_frames(
    go: Toolchain, build_program: Builder, gdb: Gdb, tmp_path: Path
) -> None:
    """It is nearly always in the vDSO, on the stack of its thread's g0."""
    binary = build_program("deaths", go)
    for attempt in range(10):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        file, text, _ = quit_while_it_runs(binary, folder, signal.SIGQUIT, "clock")
        if re.search(r"^goroutine 1 .*\[running", text, re.MULTILINE):
            break  # 3 of 120 times Go had just preempted it
    told = said(text)
    document, _ = ask(gdb, open_core(file, binary.path), tmp_path)
    assert signal_wrong(told, document) == [] and goroutine_wrong(told, document) == []
    assert document["goroutine"] == 1 and document["cause"].endswith("; goroutine 1 ran main.clock")
    listed = cli("dump", file, "--exe", binary.path, "--report", "goroutine-stacks 1 --frames")
    assert "problem" not in listed.stdout
    for name in ("time.Now", "main.clock", "main.(*Account).settle", "main.main", "runtime.goexit"):
        assert re.search(rf"^    {re.escape(name)} ", listed.stdout, re.MULTILINE), name


@pytest.mark.parametrize("way", ["assert", "far-field"])
def test_a_goroutine_in_c_has_its_go_frames(
    go: Toolchain, build_program: Builder, gdb: Gdb, tmp_path: Path, way: str
) -> None:
    """In gdb from where it called C; the thread has the rest."""
    binary = build_program("deaths", go, "cgo")
    scene, text = core(binary, way, tmp_path)
    goid = said(text).goid
    thread = r"on thread \d+; the C code that it called runs there: `goroutine --off`, `bt`\]"
    run = run_gdb(gdb, [f"goroutine {goid}", "bt", "goroutine --off", "bt"], scene, load=True, cwd=tmp_path)
    first, _, rest = run.stdout.partition("runtime.goexit")
    assert re.search(rf"\[Switching to goroutine {goid} \[syscall\] {thread}", first), first[-2000:]
    for name in ("runtime.cgocall", "main._Cfunc_", "main.c ", "main.(*Account).settle", "main.main.func1"):
        assert name in first, name
    assert ("checked" if way == "assert" else "balance_of") in rest
    file = Path(scene.enter[0].split(" ", 1)[1])
    done = cli("dump", file, "--exe", binary.path, "--report", f"goroutine-stacks {goid}")
    assert re.search(r"thread +\d+ \(\d+\), m\d+, in the C code that it called\n", done.stdout), done.stdout


@pytest.mark.parametrize("report", ["fault", "goroutine-stacks", "rss", "heap", "regions", "gc", ""])
@pytest.mark.parametrize("part", [0.05, 0.9])
def test_a_cut_core_says_so_first(
    newest_go: Toolchain, build_program: Builder, gdb: Gdb, tmp_path: Path, report: str, part: float
) -> None:
    binary = build_program("deaths", newest_go, "cgo")
    scene, _ = core(binary, "panic", tmp_path)
    file = Path(scene.enter[0].split(" ", 1)[1])
    size = file.stat().st_size
    os.truncate(file, int(size * part))
    words = ["--report", report] if report else []
    for by in (["--debugger", "none"], ["--gdb", str(gdb.path)]):
        done = cli("dump", file, "--exe", binary.path, *words, *by, cwd=tmp_path)
        first = (done.stdout or done.stderr.partition(": ")[2]).splitlines()[0]
        missing = size - int(size * part)
        assert first.startswith(f"the core is truncated: {missing:,} bytes of it are missing; "), first
