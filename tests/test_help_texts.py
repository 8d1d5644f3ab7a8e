"""What gdb says before a command's module is loaded is what the module says."""

from __future__ import annotations

import pytest
from harness import LOADER
from harness.debuggers import gdbs
from harness.gdbrun import run_gdb

from addrspace_gdb.commands import MODULES, commands, loaded
from addrspace_gdb.shell.cli import main, parser
from addrspace_gdb.shell.words import WORDS


def test_every_command_is_the_modules() -> None:
    for module, command in zip(MODULES, commands()):
        assert (command.name, command.module) == (loaded(module).name, module)


def test_sourcing_loads_no_room_above_the_debugger() -> None:
    show = "print(sorted({m for m in sys.modules if m.startswith('addrspace_gdb.')}))"
    run = run_gdb(gdbs()[0], [f"source {LOADER}", f"python import sys; {show}"])
    for room in ("space", "views", "goruntime"):
        assert f"addrspace_gdb.{room}'" not in run.stdout, run.stdout


def test_help_of_every_command_is_its_help() -> None:
    """Asked for by gdb's `help`, by --help and by -h; in lines of a terminal's usual width."""
    names = [command.name for command in commands()] + ["goroutine", "goroutine-apply"]
    lines = [f"{way}" for name in names for way in (f"help {name}", f"{name} --help", f"{name} -h")]
    run = run_gdb(gdbs()[0], [f"source {LOADER}", *(c for line in lines for c in ("echo @@@\\n", line))])
    parts = run.stdout.split("@@@\n")[1:]
    assert run.stderr == "" and len(parts) == len(lines)
    for at, name in enumerate(names):
        by_gdb, long, short = (part.strip() for part in parts[3 * at : 3 * at + 3])
        assert f"usage: {name}" in by_gdb
        assert long == short and by_gdb.startswith(long), name
        assert max(map(len, long.splitlines())) < 80, name


def test_help_in_the_shell(capfd: pytest.CaptureFixture[str]) -> None:
    for word in WORDS:
        assert main([word, "--help"]) == 0
        text = capfd.readouterr().out
        assert f"usage: addrspace-gdb {word}" in text
        assert max(map(len, text.splitlines())) < 80, word


def test_help_of_what_is_the_shells_alone(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    words = [name for name in parser(whole=True)._subparsers._group_actions[0].choices if name not in WORDS]  # type: ignore[union-attr]
    assert {"dump", "diff", "watch", "html", "crash", "profile", "init"} <= set(words)
    for word in words:
        with pytest.raises(SystemExit) as ended:
            main([word, "--help"])
        text = capfd.readouterr().out
        assert ended.value.code == 0 and f"usage: addrspace-gdb {word}" in text
        assert max(map(len, text.splitlines())) < 80, word
