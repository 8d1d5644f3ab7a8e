"""The worker is started with nobody's code but ours, and ends with whoever started it."""

from __future__ import annotations

import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List

import pytest

from addrspace_gdb.commands import compiled_folder, engine
from addrspace_gdb.commands.compiled_folder import CompiledFolder
from addrspace_gdb.commands.engine import Engine, Source
from addrspace_gdb.common import progress
from addrspace_gdb.common.folders import PREFIX
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.common.progress import Progress

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADDRSPACE_GRAPH_PLAIN", "1")


def answered() -> None:
    """A worker starts and does what it can without a heap."""
    worker = Engine(Source(None, None))
    try:
        assert worker.ask({"do": "warm", "order": "little"}, {}).header == {"compiled": False}
    finally:
        worker.close()


def test_who_waits_for_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it takes to compile the kernels, or to find who keeps what, may be many seconds."""
    slow = tmp_path / "slow"
    slow.write_text(f'#!/bin/sh\nsleep 1\nexec {shlex.quote(sys.executable)} "$@"\n')
    slow.chmod(0o755)
    monkeypatch.setenv(engine.PYTHON, str(slow))
    monkeypatch.setattr(progress, "_QUIET", 0.0)
    shown: List[str] = []

    @contextmanager
    def telling() -> Iterator[Progress]:
        yield (one := Progress(shown.append))
        one.finish()

    wide = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, wide[1]), wide[1]))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]  # as a debugger of many files has
    worker = Engine(Source(None, None))
    worker.progress = telling
    try:
        assert worker.ask({"do": "warm", "order": "little"}, {}).header == {"compiled": False}
    finally:
        worker.close()
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, wide)
    assert shown[0] == "reading the heap's graph ..." and shown[-1] == ""


def test_no_module_comes_from_the_environment_or_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither from PYTHONPATH nor from a home that is somebody else's, nor from where one stands."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    own = tmp_path / "home" / ".local" / "lib" / version / "site-packages"
    for folder in (tmp_path, own):
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("sitecustomize", "usercustomize", "json", "numpy", "select"):
            (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'PWNED')!r}, 'a').write({name!r})\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "json.py"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    # Of no virtual environment, which would leave out the user's own modules anyhow.
    monkeypatch.setenv(engine.PYTHON, getattr(sys, "_base_executable", sys.executable))
    answered()
    assert not (tmp_path / "PWNED").exists()


def test_what_is_compiled_stays_where_nobody_else_can_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(compiled_folder.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = CompiledFolder()
    assert os.path.dirname(folder.path) == os.path.realpath(tmp_path / "cache" / "addrspace-gdb" / "numba")
    assert os.stat(folder.path).st_mode & 0o777 == 0o700
    folder.close()
    assert os.path.isdir(folder.path)


def test_each_version_of_the_worker_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """numba would load a kernel that has another one's old code in it. Those long unused are taken away."""
    monkeypatch.setenv(compiled_folder.VARIABLE, str(tmp_path / "compiled"))
    worker = shutil.copytree(compiled_folder.WORKER, tmp_path / "worker")
    monkeypatch.setattr(compiled_folder, "WORKER", worker)
    first = Path(CompiledFolder().path)
    assert Path(CompiledFolder().path) == first
    with open(worker / "spans.py", "a") as file:
        file.write("# changed\n")
    second = Path(CompiledFolder().path)
    assert second != first and first.is_dir()
    other = first.parent / "others"
    other.mkdir()
    for unused in (first, other):
        os.utime(unused, (0, 0))
    assert Path(CompiledFolder().path) == second
    assert second.is_dir() and other.is_dir() and not first.exists()


@pytest.mark.parametrize("writable", ["numba", "addrspace-gdb", "cache", "home"])
def test_a_folder_that_others_can_write_to_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writable: str
) -> None:
    """Whoever may write to one of those above can put another one in its place."""
    folders = _folders(tmp_path, monkeypatch)
    (place,) = [one for one in folders if one.name == writable]
    place.chmod(0o777)
    _assert_is_private(folders)


@pytest.mark.parametrize("foreign", ["numba", "addrspace-gdb", "cache", "home"])
def test_the_folder_of_another_user_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, foreign: str
) -> None:
    """As with `sudo -E`. Nothing is made there: it would be root's, in another user's home."""
    folders = _folders(tmp_path, monkeypatch)
    (place,) = [one for one in folders if one.name == foreign]
    if os.geteuid() == 0:
        os.chown(place, 12345, 12345)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    if place.name != "numba":
        folders[-1].rmdir()
    _assert_is_private(folders)
    assert folders[-1].exists() == (place.name == "numba")


def test_a_link_is_judged_by_where_it_leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = _folders(tmp_path, monkeypatch)
    folders[-1].rmdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folders[-1].symlink_to(elsewhere)
    folder = CompiledFolder()
    assert os.path.dirname(folder.path) == os.path.realpath(elsewhere)
    elsewhere.chmod(0o777)
    _assert_is_private(folders)


def _folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> List[Path]:
    """Those of a home down to numba's, and there is no other place for it."""
    home = tmp_path / "home"
    names = [home, *(home / name for name in ("cache", "cache/addrspace-gdb", "cache/addrspace-gdb/numba"))]
    names[-1].mkdir(parents=True)
    monkeypatch.delenv(compiled_folder.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(compiled_folder, "_own_cache", lambda: None)
    home.chmod(0o700)
    (home / ".cache").write_text("no folder")
    return names


def _assert_is_private(folders: List[Path]) -> None:
    folder = CompiledFolder()
    assert os.path.basename(folder.path).startswith(PREFIX)
    assert not folder.path.startswith(str(folders[0]))
    folder.close()
    assert not os.path.exists(folder.path)


def _worker(path: Path, does: str) -> None:
    """A Python whose worker does that when it is told to."""
    path.write_text(
        f"#!{sys.executable}\nimport os, sys, time\nsys.path.insert(0, {str(ROOT)!r})\ndel sys.argv[1:-1]\n"
        "from addrspace_gdb.worker import __main__, serving\n"
        f"{does}\nsys.exit(__main__.main())\n"
    )
    path.chmod(0o755)


def _find(worker: Engine) -> None:
    worker.ask({"do": "warm", "order": "little"}, {})
    worker.ask({"do": "find"}, {})


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("sys.exit(3)", r"the worker does not start \(.*/python, status 3\): set ADDRSPACE_PYTHON to .*"),
        ("os.kill(os.getpid(), 9)", "the worker was killed: not enough memory\\?"),
        (
            "serving.Server._find = lambda *_: os.kill(os.getpid(), 11)",
            "internal error: the worker ended .* -11; .*",
        ),
        (
            "serving.Server._find = lambda *_: [][1]",
            "internal error: IndexError: list index out of range; .*",
        ),
        (
            "def f(*_): raise OSError(28, 'No space', '/a')\nserving.Server._find = f",
            "cannot .*: /a: No space",
        ),
        ("def f(*_): raise MemoryError\nserving.Server._find = f", "not enough memory for .*"),
    ],
)
def test_whatever_happens_in_it_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, said: str
) -> None:
    _worker(tmp_path / "python", does)
    monkeypatch.setenv(engine.PYTHON, str(tmp_path / "python"))
    worker = Engine(Source(None, None))
    try:
        with pytest.raises(ProblemError) as raised:
            _find(worker)
    finally:
        worker.close()
    assert re.fullmatch(said, str(raised.value))


def test_it_ends_when_whoever_started_it_is_killed(tmp_path: Path) -> None:
    """In the middle of something that takes a while."""
    busy = tmp_path / "python"
    _worker(busy, "serving.Server.serve = lambda self: time.sleep(60)")
    start = "from addrspace_gdb.commands.engine import Engine, Source\nimport time\n"
    start += "worker = Engine(Source(None, None))\nprint(worker._process.pid, flush=True)\ntime.sleep(60)\n"
    asker = subprocess.Popen(
        [sys.executable, "-c", start],
        cwd=ROOT,
        env={**os.environ, engine.PYTHON: str(busy)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with asker:
        assert asker.stdout is not None
        worker = int(asker.stdout.readline())
        asker.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while os.path.exists(f"/proc/{worker}"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
