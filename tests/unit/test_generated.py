"""What is made of the parsers is what they say, and works where it is for."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Iterator, List

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


OFFERED = [
    (["wat"], ["watch"]),
    (["watch", "--ev"], ["--every"]),
    (["watch", "1", "--format", ""], ["text", "json", "openmetrics"]),
    (["goroutine-stacks", "1", "--group", ""], ["function", "stack", "created-by", "status"]),
    (["goroutine-stacks", "1", "--status", "run"], ["running", "runnable"]),
    (["regions", "1", "he"], ["heap"]),
    (["memstats", "1", "HeapI"], ["HeapIdle", "HeapInuse"]),
    (["profile", "he"], ["heap"]),
    (["schema", "w"], ["watch/1", "whereis/1"]),
    (["completion", ""], ["bash", "zsh", "fish"]),
]


@pytest.mark.parametrize(("words", "offered"), OFFERED)
def test_bash_completes(words: List[str], offered: List[str]) -> None:
    assert complete(*words) == offered


def test_bash_completes_processes_and_files() -> None:
    assert "1" in complete("rss", "1")
    assert "/proc/version" in complete("dump", "/proc/vers") == complete("dump", "1", "-o", "/proc/vers")


@pytest.fixture(scope="module")
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process with a name of its own."""
    with subprocess.Popen([sys.executable, "-c", _NAMED], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


_NAMED = """\
import pathlib, time
pathlib.Path("/proc/self/comm").write_text("oddly-named")
print("ready", flush=True)
time.sleep(600)
"""


def fish_offers(line: str) -> List[str]:
    """What fish offers for the last word of a line."""
    script = f"source {SHARE / COMPLETIONS['fish']}; complete -C {line!r}"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""
    return [offer.partition("\t")[0] for offer in done.stdout.splitlines()]


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish on PATH")
def test_fish_completes(sleeper: subprocess.Popen[bytes]) -> None:
    for words, offered in OFFERED:
        assert sorted(fish_offers(" ".join(["addrspace-gdb", *words]))) == sorted(offered), words
    assert fish_offers("addrspace-gdb rss oddly-n") == ["oddly-named"]
    numbers = fish_offers(f"addrspace-gdb rss {sleeper.pid}")
    assert str(sleeper.pid) in numbers
    assert fish_offers("addrspace-gdb dump 1 -o /proc/vers") == ["/proc/version"]
    assert "2" not in fish_offers("addrspace-gdb rss ") or Path("/proc/2/comm").read_text() != "kthreadd\n"


class Zsh:
    """A zsh on a terminal: only there does it complete."""

    def __init__(self, *lines: str) -> None:
        self._ours, theirs = pty.openpty()
        self._zsh = subprocess.Popen(
            ["zsh", "-f", "-i"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={**os.environ, "TERM": "dumb", "COLUMNS": "300"},
        )
        os.close(theirs)
        setup = ["PS1=''", "autoload -Uz compinit", "compinit -u -D", "bindkey -e", "setopt nolistbeep"]
        for line in [*setup, *lines]:
            self._type(f"{line}\n")

    def completed(self, line: str) -> str:
        """What a TAB makes of a line: it is printed then, and not carried out."""
        self._type(f"{line}\t\x01print -rl -- '<<''<' \x05 '>>''>'\n")  # Ctrl-A and Ctrl-E: its ends
        return " ".join(self._until(">>>").partition(">>>")[0].rpartition("<<<")[2].split())

    def close(self) -> None:
        """End it."""
        self._zsh.kill()
        self._zsh.wait()
        os.close(self._ours)

    def _type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def _until(self, end: str) -> str:
        said = ""
        while end not in said:
            assert select.select([self._ours], [], [], 60)[0], said
            said += os.read(self._ours, 65536).decode(errors="replace")
        return said


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh on PATH")
@pytest.mark.parametrize("way", ["eval", "installed"])
def test_zsh_completes(sleeper: subprocess.Popen[bytes], way: str) -> None:
    """As the line for ~/.zshrc brings it, and as it is found where it is installed."""
    place = SHARE / COMPLETIONS["zsh"]
    zsh = Zsh(f'eval "$(cat {place})"') if way == "eval" else Zsh(f"fpath=({SHARE} $fpath)", "compinit -u -D")
    try:
        for typed, expected in (
            ("wat", "watch"),
            ("watch --ev", "watch --every"),
            ("watch 1 --format j", "watch 1 --format json"),
            ("goroutine-stacks 1 --group c", "goroutine-stacks 1 --group created-by"),
            ("regions 1 goroutine-", "regions 1 goroutine-stacks"),
            ("profile he", "profile heap"),
            ("schema wat", "schema watch/1"),
            ("rss oddly-n", "rss oddly-named"),
            (f"rss {sleeper.pid}", f"rss {sleeper.pid}"),
            ("dump 1 -o /proc/vers", "dump 1 -o /proc/version"),
            ("nosuch", "nosuch"),
        ):
            assert zsh.completed(f"addrspace-gdb {typed}") == f"addrspace-gdb {expected}", typed
    finally:
        zsh.close()


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


def test_recipes_of_the_readme_are_what_is_taken() -> None:
    """Words and options; what they stand for was tried by hand: docker, kubectl, coredumpctl, speedscope."""
    readme = (SHARE.parents[2] / "README.md").read_text(encoding="utf-8")
    recipes = readme.partition("\n## Recipes\n")[2].partition("\n## ")[0]
    found = re.findall(r"addrspace-gdb ([a-z-]+)(.*?)(?=  |&&|>|$)", recipes, re.MULTILINE)
    words = subparsers(parser(whole=True))
    assert {"rss", "fault", "profile", "dump", "diff"} <= {word for word, _ in found}
    for word, rest in found:
        text = words[word].format_help()
        assert all(option in text for option in re.findall(r"(?<!\S)--?[a-z-]+", rest)), (word, rest)
