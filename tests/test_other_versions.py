"""Programs that say they were built with a Go for which there is no table, or with one that they were not."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Optional

import pytest
from harness.build import Builder, strip
from harness.debuggers import gdbs
from harness.gdbrun import Result, run_gdb
from harness.processes import Processes
from harness.scenes import attach, start
from harness.toolchains import OLDEST, Toolchain, Unavailable, toolchain


@pytest.fixture
def look(
    newest_go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path
) -> Callable[..., Result]:
    """Runs `addrspace` on `shapes` whose version was overwritten by one of as many letters."""

    def run(version: str, bare: bool, go: Optional[Toolchain] = None) -> Result:
        if not gdbs():
            pytest.skip("no gdb")
        go = go or newest_go
        binary = build_program("shapes", go)
        try:
            binary = strip(binary) if bare else binary
        except Unavailable as problem:
            pytest.skip(str(problem))
        path = tmp_path / "shapes"
        said, wanted = f"go{go.version}".encode(), version.encode()
        assert len(said) == len(wanted)
        data = binary.path.read_bytes()
        assert said in data
        path.write_bytes(data.replace(said, wanted))
        path.chmod(0o755)
        process = start(processes, binary._replace(path=path), tmp_path / "oracle", "quiet")
        scene = attach(process, binary._replace(path=path))
        return run_gdb(gdbs()[0], ["addrspace", "addrspace --check"], scene, load=True)

    return run


@pytest.mark.parametrize("bare", [False, True], ids=["symbols", "bare"])
def test_a_newer_go(look: Callable[..., Result], newest_go: Toolchain, bare: bool) -> None:
    """It is shown, verified, and said to be a guess."""
    newer = f"{newest_go.release[1] + 1}"
    run = look(f"go1.{newer}.{newest_go.version[5:]}", bare)
    assert run.status == 0, run.stderr
    assert "Goroutine Stacks" in run.stdout and "0 mismatched" in run.stdout
    guess = "whose layouts are used as a guess" if bare else "the last one this was made for"
    assert guess in " ".join(run.stdout.split())


@pytest.mark.parametrize("bare", [False, True], ids=["symbols", "bare"])
def test_a_go_that_is_too_old(look: Callable[..., Result], newest_go: Toolchain, bare: bool) -> None:
    run = look(f"go1.18.{newest_go.version[5:]}", bare)
    line = next(text for text in run.stderr.splitlines() if text.startswith("addrspace:"))
    assert "is not supported: the layouts are known from go1.19 on" in line
    assert "Traceback" not in run.stderr and "Heap" not in run.stdout


@pytest.mark.parametrize("version", ["go1.99.13", "go1.26.13"])
def test_layouts_that_do_not_fit_are_refused(look: Callable[..., Result], version: str) -> None:
    """An older program under a newer name."""
    run = look(version, True, toolchain(OLDEST))
    line = next(text for text in run.stderr.splitlines() if text.startswith("addrspace:"))
    assert "cannot be found in it" in line or "module data was not found" in line
    assert ("is newer than the layouts known here" in line) == (version == "go1.99.13")
    assert "Traceback" not in run.stderr and "Heap" not in run.stdout
