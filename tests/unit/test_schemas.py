"""The schemas are schemas, and each is whole as it is printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Iterator

import jsonschema
import pytest
from harness.command import assert_refused, cli

from addrspace_gdb.views.documents import schema as schemas

FOLDER = Path(schemas.__file__).parent


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for one in part.values():
            yield from references(one)
    elif isinstance(part, list):
        for one in part:
            yield from references(one)


@pytest.mark.parametrize("name", schemas.NAMES)
def test_a_schema_is_one_and_refers_to_itself_only(name: str) -> None:
    whole = schemas.schema(name)
    jsonschema.Draft202012Validator.check_schema(whole)
    assert whole["title"] == name and whole["properties"]["schema"] == {"const": name}
    found = set(references(whole))
    assert found
    assert found <= {f"#/$defs/{one}" for one in whole["$defs"]}


def test_what_two_schemas_have_in_common_stands_once() -> None:
    common = json.loads((FOLDER / "common.schema.json").read_text())["$defs"]
    assert {"target", "address", "bytes"} <= set(common)
    for name in schemas.NAMES:
        own = json.loads((FOLDER / f"{name.replace('/', '-')}.schema.json").read_text()).get("$defs", {})
        assert not set(own) & set(common), name


def test_every_file_has_a_name() -> None:
    files = {path.name for path in FOLDER.glob("*.json")} - {"common.schema.json"}
    assert files == {f"{name.replace('/', '-')}.schema.json" for name in schemas.NAMES}


def test_the_shell_prints_them() -> None:
    assert cli("schema").stdout.split() == list(schemas.NAMES)
    for name in schemas.NAMES:
        assert json.loads(cli("schema", name).stdout) == schemas.schema(name)
    assert_refused(cli("schema", "rss/2\x1b"), r'no schema is called "rss/2\\x1b"; there are addrspace/1, .*')
