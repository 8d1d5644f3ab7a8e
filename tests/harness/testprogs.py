"""Go's own test programs (src/runtime/testdata): built in place, run to their deaths, and what Go says."""

from __future__ import annotations

import fcntl
import os
import re
import resource
import signal
import subprocess
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

from harness import cache_dir
from harness.dumps import Goroutine, goroutine_dump_parse
from harness.scenes import refuse_core_pattern
from harness.toolchains import Toolchain, Unavailable, go_environment

PROGRAMS = ("testprog", "testprogcgo", "testprognet")
_REGISTERED = re.compile(r'\bregister(?:Init)?\("(\w+)"')
_LONGEST = 15  # seconds; whoever is then not dead is asked for a dump (SIGQUIT)


class Said(NamedTuple):
    """What Go's text says of a death, before its first goroutine."""

    panics: List[str]  # values, the oldest first, as printed
    fatal: Optional[str]
    signal: Optional[str]  # "SIGABRT": of the line that stands first
    pc: Optional[int]
    code: Optional[int]
    address: Optional[int]
    recorded: Optional[Tuple[int, int, int]]  # code, address, pc of "[signal SIGSEGV: ...]"
    goid: Optional[int]  # of the goroutine that is named first; None where the runtime's own stack is
    goroutines: List[Goroutine]


class Died(NamedTuple):
    """A program that died: its core, and what Go said."""

    program: Path
    core: Path
    text: str


def source(go: Toolchain, program: str) -> Path:
    """Where the toolchain has the source. Unavailable if it has none."""
    folder = go.goroot / "src/runtime/testdata" / program
    if not (folder / "main.go").exists():
        raise Unavailable(f"{go} has no {folder}")
    return folder


def commands(go: Toolchain, program: str) -> List[str]:
    """The names of everything that the program does."""
    found = (_REGISTERED.findall(file.read_text()) for file in source(go, program).glob("*.go"))
    return sorted({name for names in found for name in names})


def build_testprog(go: Toolchain, program: str) -> Path:
    """The program, built once. Unavailable where there is no source."""
    folder = source(go, program)
    built = cache_dir() / "test-binaries" / f"go-{program}-{go.version}"
    built.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{built}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists():
            environment = {**go_environment(), "CGO_ENABLED": "1" if program == "testprogcgo" else "0"}
            command = [str(go.go), "build", "-o", f"{built}.new", "."]
            done = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise Unavailable(f"{program} does not build with {go}: {done.stderr[-500:]}")
            os.rename(f"{built}.new", built)
    return built


def die(program: Path, command: str, folder: Path, **more: str) -> Optional[Died]:
    """Run a command in the folder; None if it left no core. Unavailable where the kernel writes none."""
    refuse_core_pattern()
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    environment: Dict[str, str] = {**os.environ, "GOTRACEBACK": "crash", **more}
    with open(folder / "text", "wb") as text:
        process = subprocess.Popen(
            [str(program), command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=text,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)),  # noqa: PLW1509
            start_new_session=True,
        )
        try:
            _wait(process)
        finally:
            _kill_all(process)
    cores = sorted(folder.glob("core*"))
    return Died(program, cores[0], (folder / "text").read_text(errors="replace")) if cores else None


def _wait(process: subprocess.Popen[bytes]) -> None:
    for last_word in (signal.SIGQUIT, signal.SIGKILL):
        try:
            process.wait(_LONGEST)
            return
        except subprocess.TimeoutExpired:
            process.send_signal(last_word)
    process.wait(_LONGEST)


def _kill_all(process: subprocess.Popen[bytes]) -> None:
    """What it started is in its group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


_SIGNAL = re.compile(
    r"^(SIG\w+)(?:: .*)?\nPC=(0x[0-9a-f]+) m=\d+ sigcode=(-?\d+)(?: addr=(0x[0-9a-f]+))?$", re.MULTILINE
)
_RECORDED = re.compile(
    r"^\[signal SIG\w+(?:: .*)? code=(0x[0-9a-f]+) addr=(0x[0-9a-f]+) pc=(0x[0-9a-f]+)\]$", re.MULTILINE
)
_PANIC = re.compile(r"^\t?panic: (.*(?:\n\t(?!panic: |fatal error: ).*)*)$", re.MULTILINE)
_FIRST = re.compile(r"^(?:goroutine (\d+) .*\[.*\].*:|runtime stack:)$", re.MULTILINE)


def said(text: str) -> Said:
    """What Go's text says."""
    first = _FIRST.search(text)
    head = text[: first.start()] if first else text
    died, recorded = _SIGNAL.search(head), _RECORDED.search(head)
    fatal = re.search(r"^\t?fatal error: (.*)$", head, re.MULTILINE)
    panics = [found.strip() for found in _PANIC.findall(head)]
    numbers = [int(number, 16) for number in recorded.groups()] if recorded else []
    return Said(
        panics=panics,
        fatal=fatal.group(1) if fatal else None,
        signal=died.group(1) if died else None,
        pc=int(died.group(2), 16) if died else None,
        code=int(died.group(3)) if died else None,
        address=int(died.group(4), 16) if died and died.group(4) else None,
        recorded=(numbers[0], numbers[1], numbers[2]) if numbers else None,
        goid=int(first.group(1)) if first and first.group(1) else None,
        goroutines=goroutine_dump_parse(text),
    )
