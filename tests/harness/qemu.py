"""Go programs for other architectures, run by qemu-user: under its stub, and the cores that it writes.

Of Debian's packages: qemu-user, and gdb-multiarch, whose gdb knows the architectures that Debian's own lacks.
"""

from __future__ import annotations

import functools
import os
import resource
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Tuple

from harness import full_matrix
from harness.build import Binary
from harness.debuggers import Gdb, gdbs
from harness.gdbrun import Result, Scene, run_gdb
from harness.processes import Process, Processes
from harness.toolchains import Unavailable

# Go's name of the architecture: qemu's, and gdb's. Go programs for 386 do not run in qemu-user 7.2.
MACHINES: Dict[str, Tuple[str, str]] = {
    "arm": ("qemu-arm", "arm"),
    "arm64": ("qemu-aarch64", "aarch64"),
    "loong64": ("qemu-loongarch64", "Loongarch64"),
    "mips64le": ("qemu-mips64el", "mips:isa64r2"),
    "ppc64le": ("qemu-ppc64le", "powerpc:common64"),
    "riscv64": ("qemu-riscv64", "riscv:rv64"),
    "s390x": ("qemu-s390x", "s390:64-bit"),
}
# The stub of qemu 7.2 now and then loses the signals by which Go preempts: the program then hangs in it.
QUIET = {"GODEBUG": "asyncpreemptoff=1", "ADDRSPACE_TEST_LIFETIME": "60"}


def qemu(arch: str) -> str:
    """The qemu of that architecture. Unavailable if it is not on PATH."""
    found = shutil.which(MACHINES[arch][0])
    if not found:
        raise Unavailable(f"no {MACHINES[arch][0]} on PATH (Debian: apt-get install qemu-user)")
    return found


@functools.cache
def gdbs_for(arch: str) -> List[Gdb]:
    """The gdbs that know the architecture, without ADDRSPACE_MATRIX=1 the first. Unavailable for none."""
    found = [gdb for gdb in _candidates() if _knows(gdb, MACHINES[arch][1])]
    if not found:
        raise Unavailable(f"no gdb at hand knows {MACHINES[arch][1]} (Debian: apt-get install gdb-multiarch)")
    return found if full_matrix() else found[:1]


def _candidates() -> Iterator[Gdb]:
    several = shutil.which("gdb-multiarch")
    if several:
        yield Gdb(Path(several), "multiarch")
    yield from gdbs()


def _knows(gdb: Gdb, name: str) -> bool:
    command = [str(gdb.path), "-nx", "-batch", "-ex", f"set architecture {name}"]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False
    )
    return "is set to" in done.stdout


def at_ready(
    gdb: Gdb, arch: str, binary: Binary, folder: Path, commands: List[str], *arguments: str
) -> Result:
    """Run `commands` in gdb, connected to qemu's stub, once the program has said "ready"."""
    processes = Processes()
    try:
        process, enter = _connect(processes, arch, binary, folder, *arguments)
        interrupter = threading.Thread(target=_interrupt, args=[process], daemon=True)
        interrupter.start()
        scene = Scene("remote", binary.path, enter, ("kill",))
        return run_gdb(gdb, commands, scene, load=True, timeout=120)
    finally:
        processes.kill_all()


def _connect(
    processes: Processes, arch: str, binary: Binary, folder: Path, *arguments: str
) -> Tuple[Process, List[str]]:
    socket = folder / "stub"
    command = [qemu(arch), "-g", str(socket), str(binary.path)]
    process = processes.start([*command, *binary.arguments(folder / "oracle", *arguments)], env=QUIET)
    for _ in range(200):
        if socket.exists():
            break
        time.sleep(0.05)
    enter = [f"target remote {socket}", "handle SIGSEGV nostop noprint pass", "continue"]
    return process, enter


def _interrupt(process: Process) -> None:
    """As Ctrl-C would; also if the program never gets ready: gdb must not wait for ever."""
    try:
        process.wait_ready()
    except AssertionError:
        pass
    try:
        os.kill(process.pid, signal.SIGINT)
    except ProcessLookupError:
        pass


class Core(NamedTuple):
    """A core that qemu wrote, and what the dying program said."""

    path: Path
    scene: Scene
    stderr: str


def core(arch: str, binary: Binary, folder: Path, how: str) -> Core:
    """Run the program `crash` to its death in `folder`; `how` is panic, abort or segv.

    Unavailable where qemu writes no core for the architecture (7.2: riscv64).
    """
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    done = subprocess.run(
        [qemu(arch), str(binary.path), *binary.arguments(folder / "oracle", how)],
        cwd=str(folder),
        env={**os.environ, "GOTRACEBACK": "crash"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="backslashreplace",
        timeout=120,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)),
    )
    for own in folder.glob("core*"):
        own.unlink()  # the kernel's core of qemu itself
    cores = sorted(folder.glob("qemu_*.core"))
    if not cores:
        raise Unavailable(f"{MACHINES[arch][0]} wrote no core ({done.stderr[-200:]!r})")
    return Core(cores[0], Scene("core", binary.path, [f"core-file {cores[0]}"]), done.stderr)
