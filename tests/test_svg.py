"""Pictures of a running program, by every way to ask for one; and the README's, from a real run."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from harness import CHECKOUT
from harness.build import Builder
from harness.command import cli
from harness.processes import Process, Processes
from harness.scenes import start
from harness.toolchains import Toolchain

EACH_ONCE = True


@pytest.fixture
def sample(newest_go: Toolchain, build_program: Builder, processes: Processes, oracle_file: Path) -> Process:
    """A running Go program."""
    return start(processes, build_program("sample", newest_go), oracle_file)


def words(svg: str) -> str:
    """All that can be read in a picture."""
    root = ET.fromstring(svg)
    return " ".join(one.text or "" for one in root.iter("{http://www.w3.org/2000/svg}text"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["dump", "--format", "svg", "--width", "100"], "High memory addresses"),
        (["dump", "--report", "addrspace --classic --format svg"], "Free / mmap region"),
        (["heap", "--map", "--format", "svg"], "Page map"),
        (["goroutine-stacks", "--format", "svg", "--limit", "2"], "main."),
    ],
)
def test_pictures_of_a_process(sample: Process, tmp_path: Path, arguments: list[str], said: str) -> None:
    target = tmp_path / "it.svg"
    done = cli(*arguments, sample.pid, "-o", target)
    assert (done.returncode, done.stderr) == (0, "")
    assert said in words(target.read_text(encoding="utf-8"))


def test_the_picture_of_the_readme(tmp_path: Path) -> None:
    file = tmp_path / "made" / "map.svg"
    made = subprocess.run(
        [CHECKOUT / "scripts" / "picture", file, "heap", "--map"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert made.returncode == 0, made.stderr
    kept = CHECKOUT / ".readme" / "heap-map.svg"
    for text in (file.read_text(encoding="utf-8"), kept.read_text(encoding="utf-8")):
        assert all(word in words(text) for word in ("Page map", "objects", "stacks", "returned"))


def test_the_readme_begins_with_a_picture_of_real_output() -> None:
    first = (CHECKOUT / "README.md").read_text(encoding="utf-8").partition("```")[0]
    (name,) = re.findall(r"\]\((\.readme/[a-z-]+\.svg)\)", first)
    text = words((CHECKOUT / name).read_text(encoding="utf-8"))
    for row in (
        "go1.",
        "Kernel Space",
        "Go Heap",
        "Goroutine Stacks",
        "Code Segment",
        "Low memory addresses",
    ):
        assert row in text, row
