"""The lldbs that the tests run, and running one in batch mode on something stopped."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence

from elftools.elf.elffile import ELFFile

from harness import CHECKOUT, cache_dir, full_matrix
from harness.debuggers import install_wheel_into
from harness.gdbrun import Result, environment, run_session
from harness.toolchains import Unavailable

LOADER = CHECKOUT / "addrspace_gdb" / "load_lldb.py"
# PyPI's lldb-for-pwndbg, newest and oldest: the version of lldb, and of the package.
WHEELS = {"23.1.0": "23.1.0.post2", "20.1.8": "20.1.8.post1"}
WHEEL = "lldb-for-pwndbg"
_NOTE, _ARGUMENTS = 12, 56  # bytes of a note's head, and before pr_psargs in struct elf_prpsinfo


class Lldb(NamedTuple):
    """An lldb: its executable and its version ("23.1.0")."""

    path: Path
    version: str

    def __str__(self) -> str:
        return "lldb" + self.version

    @property
    def major(self) -> int:
        """23 of 23.1.0."""
        return int(self.version.partition(".")[0])


@functools.cache
def lldbs() -> List[Lldb]:
    """The newest of the cached wheels, then those of ADDRSPACE_TEST_LLDBS (a colon list).

    With ADDRSPACE_MATRIX=1 PATH's and the oldest wheel too, and the wheels are installed into the cache if
    they are missing.
    """
    wheels = list(WHEELS) if full_matrix() else list(WHEELS)[:1]
    for version in wheels if full_matrix() else ():
        try:
            install(version)
        except Unavailable as problem:
            print(f"tests: {problem}", file=sys.stderr)
    paths = [str(wheel(version)) for version in wheels if wheel(version).exists()]
    paths += [p for p in os.environ.get("ADDRSPACE_TEST_LLDBS", "").split(":") if p]
    on_path = shutil.which("lldb")
    paths += [on_path] if on_path and full_matrix() else []
    found: Dict[str, Lldb] = {}
    for path in paths:
        told = _version(path)
        if told:
            found.setdefault(told, Lldb(Path(path), told))
    return list(found.values())


def oldest() -> Optional[Lldb]:
    """The oldest of the wheels, if it is in the cache."""
    version = list(WHEELS)[-1]
    return Lldb(wheel(version), version) if wheel(version).exists() else None


def wheel(version: str) -> Path:
    """Where the lldb of a wheel is, or would be."""
    return cache_dir() / "lldb" / version / "bin" / "lldb"


def install(version: str) -> None:
    """Install a wheel into a virtual environment in the cache. Unavailable if that is not possible."""
    install_wheel_into(cache_dir() / "lldb" / version, f"{WHEEL}=={WHEELS[version]}", wheel(version))


def _version(path: str) -> Optional[str]:
    try:
        done = subprocess.run(
            [path, "--version"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env=environment(None),
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.match(r"lldb version (\d+\.\d+\.\d+)", done.stdout)
    return match.group(1) if match else None


def for_lldb(core: Path) -> Path:
    """A core of 64 bits, its recorded command line made empty: lldb 23 takes what 80 bytes hold of it
    for the path of the program, and ends itself where that is a folder's, as it may be of a long path."""
    with open(core, "r+b") as file:
        for segment in ELFFile(file).iter_segments(type="PT_NOTE"):
            for note in segment.iter_notes():
                if note["n_type"] == "NT_PRPSINFO":
                    name = note["n_namesz"] + 3 & ~3
                    file.seek(note["n_offset"] + _NOTE + name + _ARGUMENTS)
                    file.write(bytes(80))
                    return core
    raise AssertionError(f"no command line is in {core}")


def run_lldb(
    lldb: Lldb,
    lines: Sequence[str],
    *,
    load: bool = True,
    program: Sequence[str] = (),
    timeout: float = 90,
    cwd: Optional[Path] = None,
    env: Optional[Dict[str, str]] = None,
) -> Result:
    """Run commands until one of them fails, which gives status 1. `load`: with this project's.

    What lldb prints has a line `(lldb) COMMAND` before the answer to each.
    """
    arguments = [str(lldb.path), "--no-lldbinit", "--no-use-colors", "--batch", *program]
    for line in [f"command script import {LOADER}"] * load + list(lines):
        arguments += ["-o", line]
    return run_session(arguments, timeout, cwd, environment({"LC_ALL": "C.UTF-8", **(env or {})}))


if __name__ == "__main__":
    for one in sys.argv[1:] or list(WHEELS)[:1]:
        install(one)
