"""Help, README and JSON use the glossary's words, and no others for the same thing."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Any, Iterator, Set

import pytest

from addrspace_gdb.commands import commands
from addrspace_gdb.common.glossary import TERMS, readme_table
from addrspace_gdb.views.documents import schema as schemas

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHOWN = ("addrspace_gdb/views", "addrspace_gdb/commands", "addrspace_gdb/space")

PAGE = "addrspace_gdb/views/web"


@cache
def shown_texts() -> str:
    """All of `_texts`, in small letters."""
    return "\n".join(_texts()).lower()


def _texts() -> Iterator[str]:
    """Strings of the rooms that word what is shown, without docstrings, the page, the help and README."""
    yield README
    yield from (path.read_text(encoding="utf-8") for path in sorted((ROOT / PAGE).glob("*.js")))
    yield from (command.help for command in commands())
    for folder in SHOWN:
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            for node in ast.walk(tree):
                if (
                    isinstance(node, ast.Constant)
                    and isinstance(node.value, str)
                    and id(node) not in documented
                ):
                    yield node.value


def keys_of(found: Any) -> Set[str]:
    """Every key and every enumerated word of a schema."""
    if isinstance(found, list):
        return {key for one in found for key in keys_of(one)}
    if not isinstance(found, dict):
        return {found} if isinstance(found, str) else set()
    return set(found) | {key for one in found.values() for key in keys_of(one)}


def test_a_word_has_one_meaning_and_a_meaning_one_word() -> None:
    words = [term.word for term in TERMS]
    assert len(set(words)) == len(words)
    never = [other for term in TERMS for other in term.never]
    assert len(set(never)) == len(never) and not set(never) & set(words)


@pytest.mark.parametrize("term", TERMS, ids=[term.word for term in TERMS])
def test_nobody_says_it_otherwise(term: Any) -> None:
    assert [other for other in term.never if other.lower() in shown_texts()] == []


@pytest.mark.parametrize("term", TERMS, ids=[term.word for term in TERMS])
def test_its_fields_are_in_the_schemas(term: Any) -> None:
    for field in term.fields:
        name, key = field.split()
        assert key in keys_of(schemas.schema(name)), field


def test_the_readme_has_the_table() -> None:
    assert readme_table() in README
