"""Tests here need neither a gdb nor a Go: who runs one, or asks for a built program, fails."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

FORBIDDEN = ("gdb", "gdbserver", "gdb-multiarch", "go")
FIXTURES = {"gdb_exe", "go", "newest_go", "build_program"}
_STARTS = {"subprocess.Popen": 0, "os.exec": 0, "os.posix_spawn": 0}  # of these audit events: the program
_watching: List[str] = []


def _audit(event: str, arguments: Tuple[object, ...]) -> None:
    """Refuse to start one of FORBIDDEN from this process."""
    if _watching and event in _STARTS:
        words = arguments[1] if isinstance(arguments[1], (list, tuple)) else [arguments[1]]
        for name in (arguments[0], words[0] if words else None):
            if isinstance(name, (str, bytes, os.PathLike)) and Path(os.fsdecode(name)).name in FORBIDDEN:
                raise RuntimeError(f"{_watching[-1]} is a unit test and runs {os.fsdecode(name)}")


sys.addaudithook(_audit)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: List[pytest.Item]) -> None:
    here = str(Path(__file__).parent)
    for item in items:
        asked = FIXTURES & set(getattr(item, "fixturenames", ()))
        if asked and str(item.path).startswith(here + os.sep):
            raise pytest.UsageError(f"{item.nodeid} is no unit test: it asks for {', '.join(sorted(asked))}")


@pytest.fixture(scope="session")
def no_tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which gdb and go are programs that say no: processes that a test starts find these."""
    folder = tmp_path_factory.mktemp("no-tools")
    for name in FORBIDDEN:
        program = folder / name
        program.write_text(f"#!/bin/sh\necho a unit test ran {name} >&2\nexit 99\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder


@pytest.fixture(autouse=True)
def without_gdb_and_go(
    request: pytest.FixtureRequest, no_tools: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """No test gets at either, in this process or in one that it starts."""
    monkeypatch.setenv("PATH", f"{no_tools}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
    monkeypatch.setenv("ADDRSPACE_GDB", str(no_tools / "gdb"))
    _watching.append(request.node.nodeid)
    try:
        yield
    finally:
        _watching.pop()
