"""Runs lldb in batch mode for the ``addrspace-gdb`` command."""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Optional

from addrspace_gdb.common import request as requests
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.common.request import Request
from addrspace_gdb.shell.run_gdb import AnswerFiles, Debugger, run_kept

LOADER = Path(__file__).resolve().parents[1] / "load_lldb.py"
OLDEST = 19  # the oldest lldb that the shell takes
_LONGEST = 20.0  # seconds that it may take to say its version
# Before anything is loaded: no scripts of strangers, no questions, no decoration.
_QUIET = (
    "settings set target.load-script-from-symbol-file false",
    "settings set target.load-cwd-lldbinit false",
    "settings set auto-confirm true",
    "settings set use-color false",
    "settings set stop-line-count-before 0",
)


def find_lldb() -> Optional[str]:
    """Absolute path of the lldb to run: $ADDRSPACE_LLDB, this environment's, or PATH's; None if there is
    none. ProblemError if one that is named is none, or if it is too old."""
    named = os.environ.get("ADDRSPACE_LLDB")
    if named:
        path = shutil.which(named)
        if path is None:
            raise ProblemError(f"$ADDRSPACE_LLDB: {printable(named)} is not a program that can be run")
    else:
        path = shutil.which("lldb", path=os.path.join(sys.prefix, "bin")) or shutil.which("lldb")
    if path is None:
        return None
    version = version_of(path)
    if version is None or version < OLDEST:
        said = f"lldb {version}" if version is not None else "what does not say that it is lldb"
        raise ProblemError(
            f"{printable(path)} is {said}; {OLDEST} or newer is needed (pip install lldb-for-pwndbg)"
        )
    return os.path.abspath(path)


def version_of(lldb: str) -> Optional[int]:
    """Its major version; None if it does not say one."""
    return _version_by_place(os.path.realpath(lldb)) or _version_told(lldb)


def _version_by_place(path: str) -> Optional[int]:
    """As distributions of LLVM and the wheel's folder have it: to say it lldb takes as long as to attach."""
    found = re.search(r"/llvm-(\d{1,4})/bin/lldb$", path)
    if found is None and os.path.basename(path) == "lldb":
        folder = os.path.join(glob.escape(os.path.dirname(os.path.dirname(path))), "lib")
        wheels = glob.glob(os.path.join(folder, "python3*", "site-packages", "lldb_for_pwndbg-*.dist-info"))
        found = re.search(r"lldb_for_pwndbg-(\d{1,4})\.[^/]*$", wheels[0]) if len(wheels) == 1 else None
    return int(found.group(1)) if found is not None else None


def _version_told(lldb: str) -> Optional[int]:
    try:
        done = subprocess.run(
            [lldb, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_LONGEST,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(rb"lldb version (\d{1,4})\.", done.stdout)
    return int(found.group(1)) if found is not None else None


def run_lldb(lldb: Debugger, request: Request, answer: AnswerFiles) -> None:
    """Run lldb to its end and see that the process goes on; how it ended is put into `answer`.

    lldb's working directory is the answer's folder. What it opens it is told by its API.
    """
    os.symlink(LOADER, answer.folder / requests.LLDB_LOADER)
    command = [lldb.path or "lldb", "--no-lldbinit", "--batch"]
    for setting in _QUIET:
        command += ["-O", setting]
    command += ["-o", f"command script import {requests.LLDB_LOADER}"]
    command += ["-o", "script import addrspace_gdb.debugger.lldb.batch as batch; batch.main(lldb.debugger)"]
    run_kept(command, lldb, request, answer)
