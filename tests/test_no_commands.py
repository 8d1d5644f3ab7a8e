"""Nothing from outside becomes part of what a debugger executes: read in the source, and seen from there."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional

import pytest
from harness import CHECKOUT
from harness.command import FakeGdb, cli
from harness.processes import Process

from addrspace_gdb.shell.run_gdb import LOADER

PACKAGE = CHECKOUT / "addrspace_gdb"

# Calls whose text is not made of constants and numbers, by file and function, with the reason.
EXCEPTIONS: Dict[str, str] = {
    "attach.py:attach": "the sysroot as it was: gdb's own default, or the link in the private folder",
    "readonly.py:_set": "names of gdb's settings: constants of that module",
    "text.py:output_of": "what it is given, which is looked at as what is executed",
    "values.py:_language": "the name of a language, as gdb's own parameter has it",
    "aliases.py:help_of": "the name of a command of ours: a constant of the caller",
    "api.py:answer_of": "what it is given, which is looked at as what is executed",
    "commands.py:register": "names of classes and commands: constants of that module",
    "thread_on_demand.py:prepare": "the path of a file of ours, which stands in what the user imported",
    "goroutines.py:_output": "the command of lldb that the user gave to goroutine-apply for this",
    "goroutine_commands.py:_commands": "the command of gdb that the user is typing, for completion",
    "goroutine_commands.py:_run_for": "the command of gdb that the user gave to goroutine-apply for this",
    "goroutine_selection.py:_add_hooks": "names of gdb's commands: constants of that module",
    "goroutine_selection.py:_hooked": "names of gdb's commands: constants of that module",
}
# What hands its first argument to gdb or lldb.
WAYS = ["execute", "execute_mi", "output_of", "answer_of"]
WAYS += ["HandleCommand", "HandleCommandsFromFile", "EvaluateExpression", "CreateValueFromExpression"]
NUMERIC = ("d", "x", "#x")  # format specifications that text does not have


class Call(NamedTuple):
    """A call that hands text to gdb to execute."""

    place: str  # file:function
    line: int
    text: Optional[ast.expr]


def calls(path: Path, names: List[str]) -> Iterator[Call]:
    """Calls of functions of these names in a file, also where they were imported by name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [one for one in ast.walk(tree) if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef))]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in names:
            around = [f for f in functions if f.lineno <= node.lineno <= (f.end_lineno or 0)]
            inner = max(around, key=lambda f: f.lineno).name if around else ""
            yield Call(f"{path.name}:{inner}", node.lineno, node.args[0] if node.args else None)


def is_fixed(text: Optional[ast.expr]) -> bool:
    """Whether a text is made of constants and numbers only."""
    if text is None:
        return False
    if isinstance(text, ast.Constant):
        return isinstance(text.value, str)
    if isinstance(text, ast.IfExp):
        return is_fixed(text.body) and is_fixed(text.orelse)
    if isinstance(text, ast.JoinedStr):
        return all(is_fixed(part) or is_number(part) or is_constant(part) for part in text.values)
    return False


def is_number(part: ast.expr) -> bool:
    """Whether a part of an f-string can be a number only."""
    if not isinstance(part, ast.FormattedValue) or not isinstance(part.format_spec, ast.JoinedStr):
        return False
    return ast.unparse(part.format_spec)[2:-1] in NUMERIC


def is_constant(part: ast.expr) -> bool:
    """Whether a part of an f-string is a constant of a module, by its name."""
    if not isinstance(part, ast.FormattedValue) or part.format_spec is not None:
        return False
    value = part.value
    name = value.attr if isinstance(value, ast.Attribute) else getattr(value, "id", "")
    return bool(name) and name.lstrip("_").isupper()


def test_executed_text_is_fixed() -> None:
    found = [call for path in sorted(PACKAGE.rglob("*.py")) for call in calls(path, WAYS)]
    assert len(found) > 20  # that any were found at all
    wrong = [f"{c.place}:{c.line}" for c in found if not is_fixed(c.text) and c.place not in EXCEPTIONS]
    assert wrong == []
    used = {call.place for call in found if not is_fixed(call.text)}
    assert set(EXCEPTIONS) == used  # a reason that nobody needs any more goes


def test_no_shell_and_no_other_way_in() -> None:
    """gdb.execute under another name, Python's own ways to a shell, and commands by gdb's `source`."""
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "gdb":
                assert not {"execute", "execute_mi"} & {name.name for name in node.names}, path
            if isinstance(node, ast.keyword) and node.arg == "shell":
                pytest.fail(f"{path}:{node.value.lineno}: a shell")
        assert not list(calls(path, ["system", "popen", "exec", "eval", "post_event"])), path


@pytest.mark.parametrize(
    ("source", "fixed"),
    [
        ("gdb.execute('detach')", True),
        ("gdb.execute(f'attach {pid:d}')", True),
        ("gdb.execute(f'core-file {request.CORE}')", True),
        ("gdb.execute(f'info symbol {address:#x}', to_string=True)", True),
        ("gdb.execute('quit 1' if problems else 'quit 0')", True),
        ("gdb.execute(f'attach {pid}')", False),
        ("gdb.execute(f'file {path!r}')", False),
        ("gdb.execute(f'file {path:>20}')", False),
        ("gdb.execute('file ' + path)", False),
        ("gdb.execute('file %s' % path)", False),
        ("gdb.execute(command)", False),
        ("gdb.execute(*words)", False),
        ("execute(f'file {path}')", False),
        ("answer_of('session history', debugger)", True),
        ("answer_of(f'frame select {path}', debugger)", False),
        ("debugger.HandleCommand(f'target create {path}')", False),
        ("frame.EvaluateExpression(text)", False),
    ],
)
def test_the_reading_of_the_source_can_fail(tmp_path: Path, source: str, fixed: bool) -> None:
    path = tmp_path / "one.py"
    path.write_text(f"def f():\n    {source}\n")
    (call,) = calls(path, WAYS)
    assert (call.place, is_fixed(call.text)) == ("one.py:f", fixed)


def test_no_path_in_what_gdb_is_started_with(tmp_path: Path, sleeper: Process, fake_gdb: FakeGdb) -> None:
    """Options are constants; the program is an argument of its own; the folder is where it stands."""
    gdb = fake_gdb(
        "json.dump({'arguments': sys.argv[1:], 'folder': os.getcwd(), 'links': {",
        "  name: os.readlink(name) for name in os.listdir('.') if os.path.islink(name)}},",
        "  open(request['result'], 'w'))",
    )
    program = tmp_path / "a program\n!touch PWNED"
    program.symlink_to("/bin/sh")
    root = tmp_path / "root\n!touch PWNED"
    root.mkdir()
    temporary = tmp_path / "tmp 'dir'\n!touch PWNED"
    temporary.mkdir()
    done = cli(
        "dump",
        str(sleeper.pid),
        "--gdb",
        gdb,
        "--exe",
        str(program),
        "--sysroot",
        str(root),
        TMPDIR=str(temporary),
    )
    assert (done.returncode, done.stderr) == (0, "")
    seen = json.loads(done.stdout)
    assert seen["arguments"].pop() == str(program)
    for word in seen["arguments"]:
        assert "PWNED" not in word and "/" not in word.replace("-batch", "")
    assert Path(seen["folder"]).parent == temporary
    assert seen["links"] == {"load.py": str(LOADER), "root": str(root)}


def test_modules_of_the_working_directory_and_of_pythonpath_are_not_run(tmp_path: Path) -> None:
    """Who looks at somebody else's core stands in somebody else's folder."""
    planted = tmp_path / "planted"
    planted.mkdir()
    for name in ("json", "shlex", "tempfile", "argparse", "elftools", "sitecustomize"):
        (planted / f"{name}.py").write_text(f"open({str(tmp_path / 'PWNED')!r}, 'a').write({name!r})\n")
    (planted / "core").write_text("no core")
    start = f"import sys; sys.path.append({str(CHECKOUT)!r}); import addrspace_gdb.__main__ as m; "
    start += "sys.exit(m.main())"
    for more, folder in (({}, planted), ({"PYTHONPATH": str(planted)}, tmp_path)):
        if more:
            (planted / "sitecustomize.py").unlink()  # Python itself runs that, before anything of ours
        done = subprocess.run(
            [sys.executable, "-c", start, "dump", str(planted / "core")],
            cwd=folder,
            env={**os.environ, **more},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"addrspace-gdb: {planted / 'core'} is not a core file\n"
        assert not (tmp_path / "PWNED").exists()
