"""The debugger's commands as words of the shell: which words are whose, and which process is meant."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator, List

import pytest

from addrspace_gdb.commands import REPORTS, report
from addrspace_gdb.commands.command import Look, asked_look
from addrspace_gdb.commands.options import Parser, add_look
from addrspace_gdb.commands.values import expression_line, split_expression
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.shell.cli import main
from addrspace_gdb.shell.processes import resolved
from addrspace_gdb.shell.typed import ordered
from addrspace_gdb.shell.words import WORDS, take_apart


@pytest.mark.parametrize("name", WORDS)
def test_every_word_has_its_help(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    text, errors = capfd.readouterr()
    assert errors == ""
    assert f"usage: addrspace-gdb {name} [-h]" in text and "PID|CORE" in text
    for option in ("--format", "--output", "--width", "--ascii", "--color", "--stats", "--exe", "--gdb"):
        assert option in text, option
    for own in report(name).parser().format_help().split():
        if own.startswith("--"):
            assert own in text, own
    assert not re.search(r"(^  |`)(addrspace|goroutine-stacks) ", text, re.MULTILINE)  # as gdb has it


def test_every_report_is_a_word_of_the_shell(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = capfd.readouterr().out
    for name in REPORTS:
        assert f"\n    {'dump' if name == 'addrspace' else name} " in listed.replace("\n", " \n"), name


@pytest.mark.parametrize(
    ("name", "words", "target", "line"),
    [
        ("rss", ["17"], "17", ""),
        ("rss", ["--depth", "2", "17"], "17", "--depth 2"),
        ("rss", ["17", "--depth=2", "--stats", "--wait", "3"], "17", "--depth=2"),
        ("rss", ["--gdb", "17", "18", "-o", "19", "--by-class"], "18", "--by-class"),
        ("rss", ["-ofile", "core", "--output=x", "--exe=y"], "core", ""),
        ("rss", ["17", "--width", "60", "--ascii"], "17", "--width 60 --ascii"),
        ("regions", ["17", "--limit", "3", "heap", "rw-p", "---"], "17", "--limit 3 heap rw-p ---"),
        ("regions", ["a b", "my file"], "a b", "'my file'"),
        (
            "goroutine-stacks",
            ["1", "1", "5-9", "--status", "chan receive"],
            "1",
            "1 5-9 --status 'chan receive'",
        ),
        ("whereis", ["7", "*(void**)$sp@4", "&'main.T'"], "7", "*(void**)$sp@4 &'main.T'"),
        ("whereis", ["7", "$sp + 8", "--format", "json"], "7", '"$sp + 8" --format json'),
        ("spans", ["7", "&'main.T'", "--format", "json"], "7", "&'main.T' --format json"),
        ("spans", ["7", "--range", "0x1, 0x2"], "7", "--range '0x1, 0x2'"),
    ],
)
def test_what_is_whose(name: str, words: List[str], target: str, line: str) -> None:
    command = report(name)
    options, own = take_apart(command, name, words)
    assert (options.target, own) == (target, line)
    command.arguments(own)


def test_the_shells_options_are_read() -> None:
    options, _ = take_apart(
        report("gc"), "gc", ["9", "--stats", "--debugger", "none", "-o", "x", "--wait", "2.5"]
    )
    assert (options.stats, options.debugger, options.output, options.wait) == (True, "none", "x", 2.5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rss"], "rss: the following arguments are required: PID|CORE"),
        (["rss", "1", "--nosuch"], "rss: unrecognized arguments: --nosuch"),
        (["rss", "1", "--width", "9"], "rss: argument --width: '9' is not a number from 40 to 1000"),
        (["gc", "1", "--color", "pink"], "gc: argument --color: invalid choice: 'pink'"),
        (["whereis", "1"], "whereis: missing address"),
        (["rss", "1", "--wait", "x"], "rss: argument --wait: not a number of seconds"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(
    words: List[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    text, errors = capfd.readouterr()
    assert text == "" and errors.startswith(f"addrspace-gdb: {said}"), errors
    assert errors.endswith(f"(see `addrspace-gdb {words[0]} --help`)\n") and errors.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dump"], "dump: the following arguments are required: PID|CORE"),
        (["dump", "1", "--nosuch", "a b"], "dump: unrecognized arguments: --nosuch a b"),
        (["dump", "1", "--format", "xml"], "dump: argument --format: invalid choice: 'xml'"),
        (["profile", "1"], "profile: argument KIND: invalid choice: '1'"),
        (["diff", "a"], "diff: the following arguments are required: FILE"),
        (["html", "-x"], "html: the following arguments are required"),
        (["watch", "1", "--every", "0s"], "watch: argument --every: '0s' is not between 100ms and a year"),
        (["completion", "tcsh"], "completion: argument shell: invalid choice: 'tcsh'"),
        (["crash", "--nosuch"], "crash: unrecognized arguments: --nosuch"),
    ],
)
def test_wrong_usage_of_what_only_the_shell_has_is_one_line_too(
    words: List[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    text, errors = capfd.readouterr()
    assert ended.value.code == 2 and text == "" and errors.startswith(f"addrspace-gdb: {said}"), errors
    assert errors.endswith(f"(see `addrspace-gdb {words[0]} --help`)\n") and errors.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "missing command"),
        (["goroutines", "1"], "there is no command 'goroutines'; there is 'goroutine-stacks'"),
        (["RSS"], "there is no command 'RSS'; there is 'rss'"),
        (["a\nb"], r"there is no command 'a\nb'"),
    ],
)
def test_what_is_no_command(words: List[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert capfd.readouterr() == ("", f"addrspace-gdb: {said} (see `addrspace-gdb --help`)\n")


def test_a_profile_takes_the_process_first_too_and_help_is_a_word() -> None:
    assert ordered(["profile", "17", "heap", "--limit", "3"]) == ["profile", "heap", "17", "--limit", "3"]
    assert ordered(["profile", "heap", "heap"]) == ["profile", "heap", "heap"]
    assert ordered(["help", "rss"]) == ["rss", "--help"] and ordered(["help"]) == ["--help"]


@pytest.mark.parametrize("name", WORDS)
def test_a_shell_takes_each_example_as_it_stands(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    text = capfd.readouterr().out.partition("\n  -h, --help")[2]
    for line in re.findall(r"^  addrspace-gdb ([^\n]*?)(?:   .*)?$", text, re.MULTILINE):
        script = ["sh", "-uc", f"printf '%s\\n' {line}"]
        taken = subprocess.run(script, capture_output=True, text=True, cwd="/", check=False)
        assert (taken.stdout.splitlines(), taken.stderr) == (shlex.split(line), ""), line
        take_apart(report(name), name, taken.stdout.splitlines()[1:])


def test_colours_are_asked_for_as_ls_and_git_have_it() -> None:
    made = Parser(prog="x")
    add_look(made)
    words = ("on", "always", "off", "never", "auto")
    asked = [made.parse_args(["--color", word]).color for word in words]
    assert asked == ["on", "on", "off", "off", "auto"]


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("&x --limit 3", ("&x", "--limit 3")),
        ("--limit 3", ("", "--limit 3")),
        ("  -o file", ("", "-o file")),
        ("a - b -o file", ("a - b", "-o file")),
        ("a --b", ("a", "--b")),
        ("", ("", "")),
    ],
)
def test_an_expression_and_the_options_behind_it(line: str, parts: tuple[str, str]) -> None:
    assert split_expression(line) == parts


def test_a_line_of_words_is_taken_apart_into_them() -> None:
    assert split_expression(expression_line(["$sp", "+", "8", "--output", "a b"])) == (
        "$sp + 8",
        "--output 'a b'",
    )


def _look(*words: str, look: Look) -> Look:
    made = Parser(prog="x")
    add_look(made)
    arguments: argparse.Namespace = made.parse_args(words)
    return asked_look(look, arguments)


def test_what_is_asked_for_goes_before_the_settings() -> None:
    usual = Look(100, unicode=True, color=False)
    assert _look(look=usual) == usual
    assert _look("--width", "50", "--ascii", "--color", "on", look=usual) == Look(50, False, True, fixed=True)
    assert not _look("--color", "off", look=Look(100, color=True)).color


def test_a_file_is_cut_only_at_a_width_that_was_asked_for() -> None:
    assert _look(look=Look(100, file=True)).width is None
    assert _look("--width", "50", look=Look(100, file=True)).width == 50


# Which process

NAME = "addrspacetestprogram"  # longer than the kernel keeps of a name
LISTEN = (
    "import socket; s = socket.create_server(('127.0.0.1', 0))\n"
    "print(s.getsockname()[1], flush=True); input()"
)


@pytest.fixture
def sleepers(tmp_path: Path) -> Iterator[List[int]]:
    """Two processes of the same name, which nobody else has."""
    program = tmp_path / NAME
    shutil.copy(shutil.which("sleep") or "", program)
    made = [subprocess.Popen([str(program), "60"]) for _ in range(2)]
    for one in made:
        while Path(f"/proc/{one.pid}/comm").read_text().strip() != NAME[:15]:
            time.sleep(0.01)  # it is not what it will be before it has called execve
    yield [one.pid for one in made]
    for one in made:
        one.kill()
        one.wait()


def test_a_name_that_one_process_has(sleepers: List[int]) -> None:
    os.kill(sleepers[0], 9)
    os.waitid(os.P_PID, sleepers[0], os.WEXITED | os.WNOWAIT)
    assert resolved(NAME) == str(sleepers[1])


def test_a_name_that_several_have(sleepers: List[int]) -> None:
    with pytest.raises(ProblemError) as caught:
        resolved(NAME)
    said = str(caught.value)
    assert said.startswith(f"2 processes are called {NAME}, give the number of one: ") and "\n" not in said
    assert [str(pid) in said for pid in sleepers] == [True, True]


def test_what_no_process_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProblemError, match=r"no process and no file is called no\\nsuch"):
        resolved("no\nsuch")
    (tmp_path / "notes").write_text("")
    assert [resolved(text) for text in ("17", "notes", "./none", "/x/y")] == ["17", "notes", "./none", "/x/y"]


def test_a_file_that_is_no_core_does_not_hide_a_process(
    sleepers: List[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (tmp_path / NAME).exists()
    with pytest.raises(ProblemError, match="2 processes are called"):
        resolved(NAME)


@pytest.mark.parametrize("family", ["tcp", "tcp6"])
def test_who_listens_on_a_port(family: str) -> None:
    code = LISTEN
    if family == "tcp6":
        if not socket.has_dualstack_ipv6():
            pytest.skip("no IPv6 here")
        code = code.replace("('127.0.0.1', 0)", "('', 0), family=socket.AF_INET6, dualstack_ipv6=True")
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        assert resolved(f":{port}") == str(server.pid)
        server.kill()
        server.wait()
    with pytest.raises(ProblemError, match=f"no process can be seen to listen on port {port}"):
        resolved(f":{port}")
