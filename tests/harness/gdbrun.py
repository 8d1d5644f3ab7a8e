"""Runs gdb in batch mode on something stopped, and never leaves it or its children behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence

from harness import LOADER
from harness.build import with_symbols
from harness.debuggers import Gdb

SIDE = Path(__file__).with_name("gdb_side.py")

# Before anything is loaded: no questions, no network, no script that a binary brings along.
EARLY = (
    "set debuginfod enabled off",
    "set auto-load python-scripts off",
    "set auto-load gdb-scripts off",
    "set auto-load local-gdbinit off",
)
SETTINGS = (
    "set confirm off",
    "set pagination off",
    "set width 0",
    "set style enabled off",
    "set print thread-events off",
    "set print inferior-events off",
    "set python print-stack full",
)


class Scene(NamedTuple):
    """How gdb comes to something stopped, and how it leaves it.

    `kind` is "live", "core" or "remote"; `enter` and `leave` are gdb commands; `program` is the executable.
    """

    kind: str
    program: Optional[Path]
    enter: Sequence[str]
    leave: Sequence[str] = ()
    pid: Optional[int] = None  # None where gdb starts the process, and for cores


class Result(NamedTuple):
    """What a run of gdb printed and how it ended. `status` is negative for a signal."""

    stdout: str
    stderr: str
    status: int
    seconds: float


class GdbTimeoutError(AssertionError):
    """gdb did not end in time and was killed; the text has what it had printed."""


def run_gdb(
    gdb: Gdb,
    commands: Sequence[str],
    scene: Optional[Scene] = None,
    *,
    load: bool = False,
    timeout: float = 90,
    cwd: Optional[Path] = None,
    env: Optional[Dict[str, str]] = None,
) -> Result:
    """Run `commands` in the scene, with the test commands of gdb_side.py; with `load`, this project's too.

    gdb's exit status is 1 when the last of all commands failed. When the status of one command matters,
    give a scene whose `leave` is empty and put the command last. Where the scene's program is stripped, its
    symbols are there for the tests' own commands and for breakpoints, and away while this project's run.
    """
    arguments = [str(gdb.path), "-nx", "-q", "-batch"]
    arguments += [a for line in EARLY for a in ("-iex", line)]
    arguments += [a for line in SETTINGS for a in ("-ex", line)]
    sources = [SIDE] + ([LOADER] if load else [])
    lines = [f"source {path}" for path in sources]
    full = with_symbols(scene.program) if scene and scene.program else None
    if full is not None:
        lines.append(f"lend-symbols {full} {scene.program if scene else ''}")
    if scene:
        lines = [*lines, *scene.enter, *commands, *scene.leave]
    else:
        lines += commands
    arguments += [a for line in lines for a in ("-ex", line)]
    if scene and scene.program:
        arguments += [str(scene.program)]
    return run_session(arguments, timeout, cwd, environment(env))


def environment(env: Optional[Dict[str, str]]) -> Dict[str, str]:
    """gdb's: this process's without what would change its Python or its output, and with `env`."""
    dropped = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "DEBUGINFOD_URLS", "LINES", "COLUMNS")
    found = {k: v for k, v in os.environ.items() if k not in dropped}
    found.update(PYTHONDONTWRITEBYTECODE="1", LC_ALL="C.UTF-8", TERM="dumb", SHELL="/bin/sh")
    found.update(env or {})
    return found


def run_session(arguments: List[str], timeout: float, cwd: Optional[Path], env: Dict[str, str]) -> Result:
    """Run a debugger in a session of its own, of which nothing is left afterwards. GdbTimeoutError."""
    began = time.monotonic()
    process = subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="backslashreplace",
        cwd=str(cwd) if cwd else None,
        env=env,
        start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        kill_session(process.pid)
        stdout, stderr = process.communicate()
        raise GdbTimeoutError(
            f"gdb was killed after {timeout} s\n{arguments}\n{stdout[-4000:]}\n{stderr[-4000:]}"
        ) from None
    except BaseException:
        kill_session(process.pid)
        process.wait()
        raise
    finally:
        kill_session(process.pid)
    return Result(stdout, stderr, process.returncode, time.monotonic() - began)


def kill_session(session: int) -> None:
    """Kill every process of that session: gdb puts each inferior into a process group of its own."""
    for entry in os.listdir("/proc"):
        if entry.isdigit() and _session_of(int(entry)) == session:
            try:
                os.kill(int(entry), signal.SIGKILL)
            except ProcessLookupError:
                pass


def _session_of(pid: int) -> Optional[int]:
    try:
        return os.getsid(pid)
    except OSError:
        return None
