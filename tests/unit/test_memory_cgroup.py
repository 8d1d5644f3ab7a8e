"""The memory cgroup of a process, by files as both versions of cgroups have them."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Optional

import pytest

from addrspace_gdb.process.memory_cgroup import MemoryLimit, read_memory_limit

MIB = 1 << 20
V2 = {"memory.max": "{limit}", "memory.current": "{used}", "memory.stat": "anon 5\ninactive_file {idle}\n"}
V2["memory.events"] = "low 0\nmax 9\noom 3\noom_kill {kills}\n"
V1 = {"memory.limit_in_bytes": "{limit}", "memory.usage_in_bytes": "{used}"}
V1["memory.stat"] = "inactive_file 0\ntotal_inactive_file {idle}\n"
V1["memory.oom_control"] = "oom_kill_disable 0\nunder_oom 0\noom_kill {kills}\n"


class Proc:
    """/proc/PID as a folder."""

    local = True

    def __init__(self, folder: Path, groups: str, score: str = "0") -> None:
        self._folder = folder / "proc"
        self._folder.mkdir()
        (self._folder / "cgroup").write_text(groups)
        (self._folder / "oom_score_adj").write_text(score + "\n")

    def path(self, name: str) -> str:
        return str(self._folder / name)

    def read(self, name: str, offset: int = 0, size: Optional[int] = None) -> bytes:
        return (self._folder / name).read_bytes()


def group(
    folder: Path, files: Dict[str, str], limit: object, used: int, idle: int = 0, kills: int = 0
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text.format(limit=limit, used=used, idle=idle, kills=kills))


def read(folder: Path, groups: str, score: str = "0") -> Optional[MemoryLimit]:
    return read_memory_limit(Proc(folder, groups, score), str(folder / "cgroup"))


@pytest.mark.parametrize("version", [1, 2])
def test_the_limit_that_leaves_the_least_counts(version: int, tmp_path: Path) -> None:
    files, root = (V1, tmp_path / "cgroup" / "memory") if version == 1 else (V2, tmp_path / "cgroup")
    group(root, files, (1 << 63) - 4096 if version == 1 else "max", 900 * MIB)
    group(root / "pods", files, 800 * MIB, 790 * MIB, 10 * MIB, kills=2)
    group(root / "pods" / "one", files, 500 * MIB, 300 * MIB, kills=7)
    groups = "5:cpu:/pods\n4:memory,hugetlb:/pods/one\n" if version == 1 else "0::/pods/one\n"
    assert read(tmp_path, groups, "-998") == MemoryLimit(800 * MIB, 780 * MIB, 2, -998)


def test_no_limit_and_none_that_can_be_seen(tmp_path: Path) -> None:
    group(tmp_path / "cgroup" / "a", V2, "max", 5)
    group(tmp_path / "secret", V2, 100, 99)
    for number, groups in enumerate(("0::/a\n", "0::/gone\n", "0::/../../secret\n", "", "garbage\n:::\n")):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert read_memory_limit(Proc(folder, groups), str(tmp_path / "cgroup")) is None
    assert read_memory_limit(None) is None


def test_files_that_are_damaged_are_no_limit(tmp_path: Path) -> None:
    group(tmp_path / "cgroup" / "a", {"memory.max": "1 2", "memory.current": "\xff"}, 0, 0)
    group(tmp_path / "cgroup" / "a" / "b", {"memory.max": "100", "memory.current": "60"}, 0, 0)
    assert read(tmp_path, "0::/a/b\n", "much") == MemoryLimit(100, 60, 0, None)
