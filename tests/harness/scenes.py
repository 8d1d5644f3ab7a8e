"""The ways to have a test program stopped under gdb: started by it, attached, cores, gdbserver."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence

from harness.build import Binary
from harness.debuggers import Gdb
from harness.gdbrun import Scene, run_gdb
from harness.processes import Process, Processes
from harness.toolchains import Unavailable


def _break_commands(binary: Binary) -> List[str]:
    # Go turns SIGSEGV into a panic, and a program of ours recovers from one on its way.
    return ["handle SIGSEGV nostop noprint pass", f"break {binary.breakpoint}"]


def launch_to_breakpoint(binary: Binary, oracle: Path, *arguments: str) -> Scene:
    """gdb runs the program to its breakpoint, where the oracle is exact, and kills it at the end."""
    words = " ".join(_quote(a) for a in binary.arguments(oracle, *arguments))
    enter = [*_break_commands(binary), f"run {words} </dev/null >{os.devnull}"]
    return Scene("live", binary.path, enter, ("kill",))


def _quote(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


def start(processes: Processes, binary: Binary, oracle: Path, *arguments: str) -> Process:
    """Start the program outside gdb and wait for its "ready"."""
    return processes.start([str(binary.path), *binary.arguments(oracle, *arguments)]).wait_ready()


def attach(process: Process, binary: Binary) -> Scene:
    """gdb attaches to a running process and detaches from it."""
    return Scene("live", binary.path, [f"attach {process.pid}"], ("detach",), process.pid)


def gcore(gdb: Gdb, scene: Scene, core: Path) -> Scene:
    """A core of the scene made by gdb's generate-core-file; the scene that looks at it."""
    made = run_gdb(gdb, [f"generate-core-file {core}"], scene)
    if not core.exists():
        raise AssertionError(f"gdb made no core: {made.stdout[-2000:]} {made.stderr[-2000:]}")
    return open_core(core, scene.program)


def open_core(core: Path, program: Optional[Path]) -> Scene:
    """gdb looks at a core file."""
    return Scene("core", program, [f"core-file {core}"])


class KernelCore(NamedTuple):
    """A core that the kernel wrote: the scene on it, its file, and what the dying program said."""

    scene: Scene
    path: Path
    stderr: str


def kernel_core(
    binary: Binary,
    folder: Path,
    oracle: Path,
    how: str = "panic",
    what: Optional[int] = None,
    most: Optional[int] = None,
) -> KernelCore:
    """Run the program `crash` to its death in `folder`. `how` is panic, abort or segv.

    `what` is its coredump_filter (core(5)), `most` its limit of the core's size in bytes. Unavailable if
    this machine's kernel does not write cores into the working folder.
    """
    refuse_core_pattern()
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if hard != resource.RLIM_INFINITY:
        raise Unavailable("RLIMIT_CORE cannot be raised here")

    def unlimited() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (hard if most is None else most, hard))
        if what is not None:
            with open("/proc/self/coredump_filter", "w") as file:
                file.write(hex(what))

    process = subprocess.Popen(
        [str(binary.path), *binary.arguments(oracle, how)],
        cwd=str(folder),
        env={**os.environ, "GOTRACEBACK": "crash"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=unlimited,  # noqa: PLW1509
        start_new_session=True,
    )
    try:
        stderr = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    if process.returncode != -signal.SIGABRT:
        raise AssertionError(f"crash ended with {process.returncode}: {stderr[-2000:]}")
    cores = sorted(folder.glob("core*"))
    if not cores:
        raise AssertionError(f"the kernel wrote no core into {folder}")
    return KernelCore(open_core(cores[0], binary.path), cores[0], stderr)


def refuse_core_pattern() -> None:
    """Unavailable where cores do not land in the working folder."""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if not re.fullmatch(r"core[.%\w]*", pattern):
        raise Unavailable(f"kernel.core_pattern is {pattern!r}: cores do not land in the working folder")


def gdbserver_launch(
    gdb: Gdb, processes: Processes, binary: Binary, oracle: Path, *arguments: str, extended: bool = False
) -> Scene:
    """gdbserver starts the program; gdb connects, runs it to its breakpoint, and kills it at the end."""
    command = [str(binary.path), *binary.arguments(oracle, *arguments)]
    enter = _connect(gdb, processes, command, extended)
    return Scene("remote", binary.path, [*enter, *_break_commands(binary), "continue"], ("kill",))


def gdbserver_attach(
    gdb: Gdb, processes: Processes, process: Process, binary: Binary, extended: bool = False
) -> Scene:
    """gdbserver attaches to a running process; gdb connects, and detaches at the end."""
    enter = _connect(gdb, processes, ["--attach", str(process.pid)], extended)
    return Scene("remote", binary.path, enter, ("detach",), process.pid)


def _connect(gdb: Gdb, processes: Processes, tail: Sequence[str], extended: bool) -> List[str]:
    options, rest = (["--attach"], tail[1:]) if tail[0] == "--attach" else ([], tail)
    mode = [] if extended else ["--once"]
    server = processes.start([str(gdb.gdbserver()), *mode, *options, "127.0.0.1:0", *rest])
    said = server.wait_for("Listening on port", "stderr")
    while "\n" not in said[said.index("Listening on port") :]:
        said = server.wait_for("\n", "stderr")
    port = re.search(r"Listening on port (\d+)", said)
    assert port
    return [f"target {'extended-remote' if extended else 'remote'} 127.0.0.1:{port.group(1)}"]
