"""The gdb executables a run is tested with."""

from __future__ import annotations

import fcntl
import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

from harness import cache_dir, full_matrix
from harness.toolchains import Unavailable

WHEEL_VERSION = "18.1"
WHEEL = "gdb-for-pwndbg==18.1.0.post1"
WHEEL_PYTHONS = ("3.13", "3.12", "3.11", "3.10")  # the versions of CPython that the wheel was built for


class Gdb(NamedTuple):
    """A gdb: its executable and its version ("13.1"). `version` is empty if it does not run."""

    path: Path
    version: str

    def __str__(self) -> str:
        return "gdb" + self.version

    def gdbserver(self) -> Path:
        """The gdbserver that came with it, else PATH's. Unavailable if there is none."""
        beside = self.path.parent / "gdbserver"
        found = str(beside) if beside.exists() else shutil.which("gdbserver")
        if not found:
            raise Unavailable("no gdbserver on PATH")
        return Path(found)


@functools.cache
def gdbs() -> List[Gdb]:
    """PATH's gdb, those of ADDRSPACE_TEST_GDBS (a colon list), and the cached wheel's.

    With ADDRSPACE_MATRIX=1 the wheel is installed into the cache if it is missing. One of each version.
    """
    paths = [p for p in [shutil.which("gdb")] if p]
    paths += [p for p in os.environ.get("ADDRSPACE_TEST_GDBS", "").split(":") if p]
    if full_matrix() and not wheel_gdb().exists():
        try:
            install_wheel()
        except Unavailable as problem:
            print(f"tests: {problem}", file=sys.stderr)
    if wheel_gdb().exists():
        paths.append(str(wheel_gdb()))
    found: Dict[str, Gdb] = {}
    for path in paths:
        version = _version(path)
        if version:
            found.setdefault(version, Gdb(Path(path), version))
    return list(found.values())


def _version(path: str) -> Optional[str]:
    try:
        done = subprocess.run(
            [path, "-nx", "--version"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"(\d+\.\d+)\S*$", (done.stdout.splitlines() or [""])[0])
    return match.group(1) if match else None


def wheel_gdb() -> Path:
    """Where the wheel's gdb is, or would be."""
    return cache_dir() / "gdb" / WHEEL_VERSION / "bin" / "gdb"


def install_wheel() -> None:
    """Install the gdb wheel into a virtual environment in the cache. Unavailable if that is not possible."""
    install_wheel_into(cache_dir() / "gdb" / WHEEL_VERSION, WHEEL, wheel_gdb())


def install_wheel_into(folder: Path, wheel: str, program: Path) -> None:
    """Make the environment `folder` with `wheel` in it, unless its `program` is there. Unavailable."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(str(folder) + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _install_into(folder, wheel)


def _install_into(folder: Path, wheel: str) -> None:
    commands = [
        [_python_for_wheel(wheel), "-m", "venv", "--clear", str(folder)],
        [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", wheel],
    ]
    for command in commands:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False
        )
        if done.returncode != 0:
            shutil.rmtree(str(folder), ignore_errors=True)
            last = (done.stdout.strip().splitlines() or ["no output"])[-1]
            raise Unavailable(f"{wheel} could not be installed: {last}")


def _python_for_wheel(wheel: str) -> str:
    for python in [sys.executable] + [p for v in WHEEL_PYTHONS for p in [shutil.which("python" + v)] if p]:
        done = subprocess.run(
            [python, "-c", "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        if done.stdout.strip() in WHEEL_PYTHONS:
            return python
    raise Unavailable(f"{wheel} has no wheel for any Python on PATH (needs {', '.join(WHEEL_PYTHONS)})")
