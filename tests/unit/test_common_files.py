"""Files that are written: what is no name of one, and options that were meant."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from addrspace_gdb.common.files import OutputFile
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.shell.cli import main
from addrspace_gdb.shell.words import WORDS

PICTURE = Path(__file__).resolve().parents[2] / "scripts" / "picture"
CORE = (
    b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x04\0\x3e\0" + bytes(100)
)  # as much of one as is looked at first
ARGUMENTS = {
    "diff": ("a.json", "b.json"),
    "compare": ("a.json", "b.json"),
    "profile": ("heap", "core"),
    "watch": ("1",),
    "whereis": ("core", "0"),
    "holders": ("core", "0"),
}


@pytest.mark.parametrize("word", [*WORDS, "dump", "profile", "diff", "compare", "html", "watch"])
@pytest.mark.parametrize(
    "output", [("-o", "--help"), ("--output", "--stats"), ("--output=--help",), ("-o--help",)]
)
def test_an_option_is_no_file(
    word: str,
    output: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A file called --help once lay in working folders."""
    monkeypatch.chdir(tmp_path)
    Path("core").write_bytes(CORE)
    words = [word, *ARGUMENTS.get(word, ("core",)), *output]
    try:
        status = main(words)
    except SystemExit as ended:
        status = int(ended.code or 0)
    text, errors = capfd.readouterr()
    assert status in (1, 2) and text == "" and "Traceback" not in errors
    last = errors.splitlines()[-1]
    assert "expected one argument" in last or "cannot write --help: it looks like an option" in last
    assert os.listdir(tmp_path) == ["core"]


def test_a_name_with_hyphens_can_be_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProblemError, match=r"cannot write --x: it looks like an option; \./--x is a file"):
        OutputFile("--x")
    OutputFile("./--x").write([b"1"])
    OutputFile("-x").write([b"2"])
    assert sorted(os.listdir(tmp_path)) == ["--x", "-x"]


def test_the_script_that_draws_has_help(tmp_path: Path) -> None:
    """Its first argument is a file."""
    for option, status in (("--help", 0), ("-h", 0), ("--nosuch", 1)):
        done = subprocess.run(
            [str(PICTURE), option], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == status and (("Makes the README's" in done.stdout) == (status == 0))
        assert (f"no option {option}" in done.stderr) == bool(status)
    assert os.listdir(tmp_path) == []
