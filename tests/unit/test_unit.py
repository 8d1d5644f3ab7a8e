"""What keeps the tests of this folder to themselves does so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    "command", [["gdb", "--version"], ["/usr/bin/gdb", "--version"], ["/x/go/bin/go", "env"], ["gdbserver"]]
)
def test_gdb_and_go_are_not_run(command: List[str]) -> None:
    with pytest.raises(RuntimeError, match="is a unit test and runs"):
        subprocess.run(command, check=False)
    with pytest.raises(RuntimeError, match="is a unit test and runs"):
        os.posix_spawn(command[0], command, os.environ)


@pytest.mark.parametrize("name", ["gdb", "go"])
def test_processes_do_not_find_them_either(name: str) -> None:
    done = subprocess.run(["sh", "-c", f"exec {name} --version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (99, f"a unit test ran {name}\n")
    assert "no-tools" in str(shutil.which(name)) and "no-tools" in os.environ["ADDRSPACE_GDB"]


def test_a_test_that_asks_for_a_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text((HERE / "conftest.py").read_text())
    text = "import pytest\n@pytest.fixture\ndef newest_go(): return 1\ndef test_one({}): pass\n"
    (tmp_path / "test_one.py").write_text(text.format("newest_go"))
    (tmp_path / "test_two.py").write_text(text.format(""))

    def run(name: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", name]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    refused, taken = run("test_one.py"), run("test_two.py")
    assert "is no unit test: it asks for newest_go" in refused.stdout + refused.stderr
    assert refused.returncode != 0 and taken.returncode == 0, taken.stdout
