"""Fixtures for real gdb sessions on real programs; `harness` has what they hand out."""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

import matrix_table
import pytest
from harness import full_matrix
from harness.build import Binary, Builder, build, strip
from harness.command import FakeGdb, make_fake_gdb
from harness.debuggers import Gdb, gdbs
from harness.lldbs import Lldb, lldbs
from harness.processes import Process, Processes
from harness.toolchains import OLD, Toolchain, Unavailable, selected_versions, toolchain_or_skip

# Assertions of the shared checks explain themselves, as those of tests do.
pytest.register_assert_rewrite("invariants")

STRIPPED = "stripped"
GDB = "gdb_exe"


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(matrix_table.MatrixTable())
    config.addinivalue_line("markers", "matrix: runs only with ADDRSPACE_MATRIX=1")
    config.addinivalue_line("markers", "symbols: asks this project for a symbol; not for stripped programs")


def pytest_collection_modifyitems(items: List[pytest.Item]) -> None:
    items[:] = [item for item in items if STRIPPED not in item.name or _is_in_slice(item)]
    matrix_table.mark(items)
    if full_matrix():
        return
    _in_turns(items)
    _thin(items)
    skip = pytest.mark.skip(reason="ADDRSPACE_MATRIX=1 runs it")
    for item in items:
        if item.get_closest_marker("matrix"):
            item.add_marker(skip)


def _in_turns(items: Sequence[pytest.Item]) -> None:
    """What differs in the gdb alone is run with one of them, each in its turn; with all in modules with
    EVERY_GDB, whose subject is gdb itself."""
    alike: Dict[Tuple[object, ...], List[pytest.Function]] = {}
    for item in items:
        if not isinstance(item, pytest.Function) or getattr(item.module, "EVERY_GDB", False):
            continue
        if GDB in getattr(getattr(item, "callspec", None), "params", {}):
            values = (value for value in _values(item) if value[0] != GDB)
            alike.setdefault((item.nodeid.partition("[")[0], *values), []).append(item)
    for number, some in enumerate(alike.values()):
        for turn, item in enumerate(some):
            if turn != number % len(some):
                item.add_marker(pytest.mark.matrix)


def _thin(items: Sequence[pytest.Item]) -> None:
    """Of a module with EACH_ONCE only so many tests that each value of each parameter has its turn."""
    by_test: Dict[str, List[pytest.Function]] = {}
    for item in items:
        if item.get_closest_marker("matrix"):
            continue
        if isinstance(item, pytest.Function) and getattr(item.module, "EACH_ONCE", False):
            by_test.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for left in by_test.values():
        turns: Counter[Tuple[str, str]] = Counter()
        while left:
            values = {item: _values(item) for item in left if hasattr(item, "callspec")}
            best = min(values, key=lambda item: sorted(turns[one] for one in values[item]), default=None)
            if best is None or not any(turns[one] == 0 for one in values[best]):
                break
            turns.update(values[best])
            left.remove(best)
        for item in left if turns else ():
            item.add_marker(pytest.mark.matrix)


def _values(item: pytest.Function) -> List[Tuple[str, str]]:
    return [(name, repr(value)) for name, value in item.callspec.params.items()]


def _is_in_slice(item: pytest.Item) -> bool:
    if item.get_closest_marker("symbols"):
        return False
    wanted = getattr(getattr(item, "module", None), "ALSO_STRIPPED", None)
    return wanted is None or full_matrix() or re.search(wanted, item.name) is not None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "gdb_exe" in metafunc.fixturenames:
        found: List[Optional[Gdb]] = list(gdbs()) or [None]
        metafunc.parametrize("gdb_exe", found, ids=str, indirect=True, scope="session")
    if "lldb_exe" in metafunc.fixturenames:
        others: List[Optional[Lldb]] = list(lldbs()) or [None]
        metafunc.parametrize("lldb_exe", others, ids=str, indirect=True, scope="session")
    if "build_program" in metafunc.fixturenames and hasattr(metafunc.module, "ALSO_STRIPPED"):
        metafunc.parametrize("build_program", ("symbols", STRIPPED), indirect=True, scope="session")
    if "go" in metafunc.fixturenames:
        versions = selected_versions()
        if full_matrix() and getattr(metafunc.module, "ALSO_OLD", False):
            versions = (*OLD, *versions)
        ids = ["go" + version for version in versions]
        metafunc.parametrize("go", versions, ids=ids, indirect=True, scope="session")


@pytest.fixture(scope="session")
def gdb_exe(request: pytest.FixtureRequest) -> Gdb:
    """Each gdb in turn (`harness.debuggers.gdbs`)."""
    if request.param is None:
        pytest.skip("no gdb on PATH, in ADDRSPACE_TEST_GDBS or in the cache")
    assert isinstance(request.param, Gdb)
    return request.param


@pytest.fixture(scope="session")
def lldb_exe(request: pytest.FixtureRequest) -> Lldb:
    """Each lldb in turn (`harness.lldbs.lldbs`)."""
    if request.param is None:
        pytest.skip("no lldb in the cache or in ADDRSPACE_TEST_LLDBS")
    assert isinstance(request.param, Lldb)
    return request.param


@pytest.fixture(scope="session")
def go(request: pytest.FixtureRequest) -> Toolchain:
    """Each Go toolchain of this run in turn: the oldest and the newest, or all of them."""
    return toolchain_or_skip(request.param)


@pytest.fixture(scope="session")
def newest_go() -> Toolchain:
    """The newest Go, for what does not differ between versions."""
    return toolchain_or_skip(selected_versions()[-1])


@pytest.fixture(scope="session")
def build_program(request: pytest.FixtureRequest) -> Builder:
    """`harness.build.build`, with what cannot be built here as a skip.

    A module with ALSO_STRIPPED has all of its tests a second time with programs that were stripped; those
    whose names it matches always, the others in the matrix.
    """
    bare = getattr(request, "param", "") == STRIPPED

    def builder(program: str, go: Optional[Toolchain] = None, variant: str = "plain") -> Binary:
        try:
            built = build(program, go, variant)
            return strip(built) if bare else built
        except Unavailable as problem:
            pytest.skip(str(problem))

    return builder


@pytest.fixture
def processes() -> Iterator[Processes]:
    """Starts processes for a test; they are killed after it, however it ends."""
    started = Processes()
    try:
        yield started
    finally:
        started.kill_all()


@pytest.fixture
def oracle_file(tmp_path: Path) -> Path:
    """Where a program of this test writes its oracle."""
    return tmp_path / "oracle.json"


@pytest.fixture
def sleeper(processes: Processes) -> Process:
    """A process to name."""
    started = processes.start(["sleep", "60"])
    deadline = time.monotonic() + 90
    while Path(f"/proc/{started.pid}/comm").read_text() != "sleep\n":  # it is still Python
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return started


@pytest.fixture
def fake_gdb(tmp_path: Path) -> FakeGdb:
    """Makes a program that is run as gdb from lines of Python (`harness.command.make_fake_gdb`)."""
    return lambda *lines: make_fake_gdb(tmp_path / "fake gdb", *lines)
