"""What messages advise comes from the target: rooms that know no debugger name none of its commands."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple

import pytest
from symtab_target import FakeTarget

from addrspace_gdb.common.problems import ProblemError, Problems
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.process.mapping_list import list_mappings
from addrspace_gdb.shell.hints import SHELL
from addrspace_gdb.target.hints import Hints

PACKAGE = Path(__file__).parents[1] / "addrspace_gdb"
ROOMS = ("commands", "space", "goruntime", "process")

# gdb's name, unless it is this project's; its commands by their whole name, or as what a backquote begins.
WORDS = re.compile(
    r"(?<![\w-])gdb(server)?\b|\b(?:core|symbol|exec|add-symbol)-file\b|\bgenerate-core-file\b"
    r"|\binfo (?:inferiors|threads|goroutines|files|line|symbol|auxv)\b"
    r"|`(?:file|thread|inferior|info|set|show|attach|run|frame|up|bt)\b"
)
# A file, a text in it, and why it may stand there.
ALLOWED: Dict[Tuple[str, str], str] = {
    ("commands/addrspace.py", "`show addrspace`"): "help of the parameters, which are the debugger's own",
}


def _documented(tree: ast.AST) -> Set[int]:
    """Docstrings, which nobody sees."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            first = node.body[0]
            assert isinstance(first, ast.Expr)
            found.add(id(first.value))
    return found


def _texts(source: str) -> Iterator[Tuple[int, str]]:
    """Every string of a module, and every piece between the braces of one, with its line."""
    tree = ast.parse(source)
    hidden = _documented(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in hidden:
            yield node.lineno, node.value


def words_of_gdb(name: str, source: str) -> List[str]:
    """What names gdb or its commands in the strings of the module `name`."""
    found = []
    for line, text in _texts(source):
        for file, allowed in ALLOWED:
            if file == name:
                text = text.replace(allowed, "")
        found += [f"{name}:{line}: {match.group()}" for match in WORDS.finditer(text)]
    return found


def test_rooms_without_a_debugger_name_none() -> None:
    files = [path for room in ROOMS for path in sorted((PACKAGE / room).rglob("*.py"))]
    assert len(files) > 130
    found = [
        word
        for path in files
        for word in words_of_gdb(str(path.relative_to(PACKAGE)), path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


def test_what_is_allowed_is_there() -> None:
    for file, text in ALLOWED:
        assert any(text in one for _, one in _texts((PACKAGE / file).read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "text",
    [
        '"load it with `file FILE`"',
        'f"give the right one with `file {exe}`"',
        '"give gdb the unstripped file"',
        '"(`symbol-file FILE`)"',
        '"a core (core-file FILE)"',
        '"see `info inferiors`"',
        '"select it with `thread 1`"',
        '"use gdbserver"',
    ],
)
def test_words_of_gdb_are_found(text: str) -> None:
    assert words_of_gdb("x.py", f'"""gdb."""\n\ndef f(exe):\n    """`file`."""\n    return {text}\n')


def test_our_own_name_and_plain_words_are_not_gdbs() -> None:
    plain = "`addrspace-gdb dump` writes a file, as in `addrspace compare 1 2`; thread 1 runs; ADDRSPACE_GDB"
    assert not words_of_gdb("x.py", f"TEXT = {plain!r}\n")


OWN = Hints(
    program="target create", symbols="target symbols add", core="target create -c", server="lldb-server"
)


def _target(hints: Hints) -> FakeTarget:
    made = FakeTarget({})
    made.hints = hints
    return made


@pytest.mark.parametrize(
    ("hints", "said"), [(SHELL, "`--exe FILE`"), (OWN, "`target symbols add FILE`")], ids=["shell", "other"]
)
def test_what_to_do_without_symbols_is_said_in_the_targets_words(hints: Hints, said: str) -> None:
    runtime = Runtime(_target(hints), Problems())
    for ask in (runtime.layout, runtime.address):
        with pytest.raises(ProblemError, match="give the unstripped file with " + re.escape(said)):
            ask("runtime.mheap_")


def test_which_stub_to_use_is_said_in_the_targets_words() -> None:
    target = _target(OWN)
    target.kind = "remote"
    with pytest.raises(ProblemError, match="use lldb-server, or dump a core there"):
        list_mappings(target, None)
