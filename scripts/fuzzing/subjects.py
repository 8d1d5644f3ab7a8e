"""What is damaged: small Go programs, their cores, and dumps of these, made once and kept in the cache.

A case is made from a seed and a number alone, so the files that it damages must stay the same: they are made
again only if the program, the toolchain or the debugger changes.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List, NamedTuple, Optional, Tuple

from harness import CHECKOUT, PROGRAMS, cache_dir
from harness.build import Binary, build, strip
from harness.debuggers import Gdb
from harness.gdbrun import Scene, run_gdb
from harness.scenes import kernel_core
from harness.toolchains import NEWEST, OLDEST, Toolchain, Unavailable, cached, on_path, toolchain

from fuzzing.rewrite import copy

PROGRAM = "victim"
_FORMAT = "2"  # of the folder; another number makes everything anew


class Subject(NamedTuple):
    """A core and its program. `recorded`: whether the core names the program under which it is found."""

    name: str
    core: Path
    program: Path
    recorded: bool


class World(NamedTuple):
    """Everything that cases are made of."""

    folder: Path
    digest: str
    gdb: Gdb
    subjects: List[Subject]
    others: List[Path]  # other builds of the program, and another program
    dumps: List[Path]  # JSON of undamaged cores


class _Plan(NamedTuple):
    name: str
    binary: Binary
    by_gdb: bool  # gdb's gcore, not the kernel
    gone: bool  # the program is moved away when it has died


def world(gdb: Gdb) -> World:
    """The subjects, made if they are not there. Unavailable if there is no Go."""
    plans, others = _plans()
    digest = _digest([plan.binary.path for plan in plans], gdb)
    folder = cache_dir() / "fuzz" / digest
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            shutil.rmtree(folder)
            folder.mkdir()
            for plan in plans:
                _make(folder, plan, gdb)
            for plan in plans:
                _dump(folder / plan.name, gdb)
            (folder / "complete").touch()
    subjects = [
        Subject(plan.name, folder / plan.name / "core", _program(folder, plan), not plan.gone)
        for plan in plans
    ]
    dumps = [folder / plan.name / "dump.json" for plan in plans]
    return World(folder, digest, gdb, subjects, [binary.path for binary in others], dumps)


def _plans() -> Tuple[List[_Plan], List[Binary]]:
    go = on_path() or toolchain(NEWEST)
    plain, bare = build(PROGRAM, go), build(PROGRAM, go, "stripped")
    plans = [
        _Plan("symbols", plain, False, False),
        _Plan("stripped", bare, False, False),
        _Plan("gone", bare, False, True),
        _Plan("gcore", plain, True, False),
    ]
    others = [build(PROGRAM, go, "noopt"), build("crash", go), strip(plain)]
    old = _oldest(go)
    if old is not None:
        plans.append(_Plan("old", strip(build(PROGRAM, old)), False, False))
        others.append(build(PROGRAM, old))
    return plans, others


def _oldest(go: Toolchain) -> Optional[Toolchain]:
    """The oldest supported Go if it is at hand and another one: its runtime keeps other structures."""
    old = cached(OLDEST)
    return old if old is not None and old.release != go.release else None


def _digest(programs: List[Path], gdb: Gdb) -> str:
    digest = hashlib.sha256(f"{_FORMAT} {gdb.version}".encode())
    for path in (*sorted((PROGRAMS / PROGRAM).iterdir()), *programs):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _program(folder: Path, plan: _Plan) -> Path:
    return folder / plan.name / ("moved" if plan.gone else "") / PROGRAM


def _make(folder: Path, plan: _Plan, gdb: Gdb) -> None:
    """Run a copy of the program to its core."""
    place = folder / plan.name
    place.mkdir()
    program = place / PROGRAM
    shutil.copy2(plan.binary.path, program)
    copied = plan.binary._replace(path=program)
    if plan.by_gdb or not _by_kernel(copied, place):
        scene = Scene("live", program, ["break syscall.Kill", f"run abort >{place / 'said'}"], ("kill",))
        run_gdb(gdb, [f"generate-core-file {place / 'dense'}"], scene)
        copy(place / "dense", place / "core")  # a gigabyte of zeroes becomes holes
        (place / "dense").unlink()
    if plan.gone:
        (place / "moved").mkdir()
        program.rename(place / "moved" / PROGRAM)


def _by_kernel(binary: Binary, place: Path) -> bool:
    try:
        kernel_core(binary, place, Path("abort")).path.rename(place / "core")
    except Unavailable:
        return False
    return True


def _dump(place: Path, gdb: Gdb) -> None:
    command = [sys.executable, "-m", "addrspace_gdb", "dump", str(place / "core"), "--gdb", str(gdb.path)]
    command += ["--format", "json", "--stacks", "--output", str(place / "dump.json")]
    made = subprocess.run(
        command,
        cwd=CHECKOUT,
        env={**os.environ, "TMPDIR": str(place)},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert (place / "dump.json").exists(), made.stderr
