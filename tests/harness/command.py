"""The command `addrspace-gdb` as a test runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Callable

from harness import CHECKOUT

COMMAND = [sys.executable, "-m", "addrspace_gdb"]
FakeGdb = Callable[..., str]


def cli(*arguments: object, cwd: Path = CHECKOUT, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command in the folder `cwd`, with `more` in its environment."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
        encoding="utf-8",
        errors="surrogateescape",
        cwd=cwd,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), **more},
    )


def assert_refused(done: subprocess.CompletedProcess[str], expected: str) -> None:
    """Status 1, nothing on stdout, and one line."""
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(f"addrspace-gdb: {expected}\n", done.stderr), done.stderr


def make_fake_gdb(path: Path, *lines: str) -> str:
    """A program that is run as gdb, from lines of Python; in them `request` is what it was asked."""
    start = "import json, os, sys\nrequest = json.loads(os.environ['ADDRSPACE_GDB_REQUEST'])\n"
    path.write_text(f"#!{sys.executable}\n{start}" + "\n".join(lines))
    path.chmod(0o755)
    return str(path)
