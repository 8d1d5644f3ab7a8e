"""What is made of the parsers is what they say, and works where it is for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest
from generated import generated, subparsers
from harness.command import cli

from addrspace_gdb.shell.cli import COMPLETIONS, MAN_PAGE, SHARE, parser

PACKAGE = Path(__file__).parents[2] / "addrspace_gdb"


@pytest.mark.skipif(not (3, 10) <= sys.version_info[:2] <= (3, 12), reason="argparse words it otherwise")
def test_all_of_it_is_up_to_date() -> None:
    stale = [path.name for path, text in generated().items() if path.read_text(encoding="utf-8") != text]
    assert not stale, "run scripts/gen-help"


def test_a_new_command(tmp_path: Path) -> None:
    """As CONTRIBUTING.md says: a module, its name, and what is generated."""
    shutil.copytree(PACKAGE, tmp_path / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    commands = tmp_path / PACKAGE.name / "commands"
    text = (commands / "gc.py").read_text(encoding="utf-8")
    (commands / "moon.py").write_text(text.replace("addrspace gc", "addrspace moon"), encoding="utf-8")
    listed = commands / "__init__.py"
    names = listed.read_text(encoding="utf-8").replace('    "gc",\n', '    "gc",\n    "moon",\n')
    listed.write_text(names, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(PACKAGE.parent / "scripts" / "generated.py")],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for file in (
        "commands/help.json",
        *(f"shell/share/{name}" for name in (*COMPLETIONS.values(), MAN_PAGE)),
    ):
        assert "moon" in (tmp_path / PACKAGE.name / file).read_text(encoding="utf-8"), file


def complete(*words: str) -> List[str]:
    """What bash offers for the last word."""
    script = f"""\
source {str(SHARE / COMPLETIONS["bash"])!r}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
_shtab_addrspace_gdb
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(
        ["bash", "-c", script, "bash", "addrspace-gdb", *words], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["wat"], ["watch"]),
        (["watch", "--ev"], ["--every"]),
        (["watch", "1", "--format", ""], ["text", "json", "openmetrics"]),
        (["goroutine-stacks", "1", "--group", ""], ["function", "stack", "created-by", "status"]),
        (["profile", "he"], ["heap"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
    ],
)
def test_bash_completes(words: List[str], offered: List[str]) -> None:
    assert complete(*words) == offered


def test_bash_completes_processes_and_files() -> None:
    assert "1" in complete("rss", "1")
    assert "/proc/version" in complete("dump", "/proc/vers") == complete("dump", "1", "-o", "/proc/vers")


@pytest.mark.parametrize(("shell", "check"), [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")])
def test_each_shell_reads_its_own(shell: str, check: str) -> None:
    done = cli("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (SHARE / COMPLETIONS[shell]).read_text(encoding="utf-8")
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} on PATH")
    subprocess.run([shell, check, str(SHARE / COMPLETIONS[shell])], check=True)


def test_the_manual_has_every_command_and_option() -> None:
    page = (SHARE / MAN_PAGE).read_text(encoding="utf-8").replace("\\-", "-")
    for name, one in subparsers(parser(whole=True)).items():
        assert f".SS \\fB{name}\\fR" in page
        for option in re.findall(r"--[a-z-]+", one.format_usage()):
            assert f"\\fB{option}\\fR" in page or option == "--help", (name, option)
    if shutil.which("groff") is None:
        pytest.skip("no groff on PATH")
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", str(SHARE / MAN_PAGE)], capture_output=True, text=True, check=True
    )
    assert done.stderr == "" and "ADDRSPACE-GDB(1)" in done.stdout
