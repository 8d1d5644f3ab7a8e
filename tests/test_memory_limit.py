"""A process that has nearly all that its memory cgroup may take: `rss` says so before all else."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from harness.build import Builder
from harness.command import cli
from harness.held import stop
from harness.processes import Processes
from harness.toolchains import Toolchain
from jsonschema import Draft202012Validator

from addrspace_gdb.views.documents.schema import schema

ROOT = Path("/sys/fs/cgroup")
PLACES = (
    (ROOT / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    (ROOT, "memory.max", "memory.current"),
)


@pytest.fixture
def group() -> Iterator[Path]:
    """A memory cgroup of this test's own."""
    for root, limit, _ in PLACES:
        folder = root / f"addrspace-test-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        if (folder / limit).exists():
            yield folder
            folder.rmdir()
            return
        folder.rmdir()
    pytest.skip("this user may not make a memory cgroup here")


def findings(pid: int) -> List[Dict[str, Any]]:
    done = cli("dump", pid, "--report", "rss", "--format", "json")
    document = json.loads(done.stdout)
    assert not list(Draft202012Validator(schema("rss/1")).iter_errors(document))
    return list(document["findings"])


@pytest.mark.parametrize(
    ("limit", "said"), [("", "GOMEMLIMIT is not set"), ("1GiB", "GOMEMLIMIT is 1.0 GiB, too")]
)
def test_the_limit_is_near(
    limit: str, said: str, group: Path, newest_go: Toolchain, build_program: Builder, processes: Processes
) -> None:
    names = next(names for _, *names in PLACES if (group / names[0]).exists())
    enter = f'echo $$ > {group}/cgroup.procs; exec "$@"'
    binary = build_program("owners", newest_go)
    command = ["/bin/sh", "-c", enter, "sh", str(binary.path), "-", "ended"]
    process = stop(processes.start(command, env={"GOMEMLIMIT": limit} if limit else {}).wait_ready())
    try:
        used = int((group / names[1]).read_text())
        for largest, near in ((4 * used, False), (used + used // 10, True)):
            (group / names[0]).write_text(str(largest))
            found = findings(process.pid)
            assert ("memory-limit" in [one["kind"] for one in found]) == near
        first = found[0]
        assert first["kind"] == "memory-limit" and 0.8 * first["of"] < first["bytes"] <= used
        assert first["of"] == int((group / names[0]).read_text()) and said in first["sentence"]
    finally:
        process.kill()
        while (group / "cgroup.procs").read_text():
            pass
