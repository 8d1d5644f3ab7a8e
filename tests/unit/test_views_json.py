"""The JSON for scripts: it is what its schema says, and the schema refuses what the contract does."""

from __future__ import annotations

import copy
import json
from typing import Any, Dict, List

import jsonschema
import pytest

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.space.regions import region as areas
from addrspace_gdb.space.regions.model import (
    AddressSpace,
    AreaTotal,
    Check,
    GoroutineCounts,
    MappingUse,
    Picture,
    TargetInfo,
)
from addrspace_gdb.space.regions.region import Region
from addrspace_gdb.views.documents.form import addrspace_json, dumps
from addrspace_gdb.views.documents.schema import NAMES, schema

TARGET = TargetInfo("live", 4242, "/srv/app", None, "amd64", 8, 4096, "go1.26.6")


def space(**more: Any) -> AddressSpace:
    """A small address space with everything in it."""
    picture = Picture(
        TARGET, [], 1, None, None, 8192, 4096, 0, None, notes=["a note"], problems=["a problem"]
    )
    values: Dict[str, Any] = {
        "target": TARGET,
        "mappings": [MappingUse(Mapping(0xC000000000, 0xC000002000, "rw-p", None), 4096, 0)],
        "regions": [
            Region(0xC000000000, 0xC000001000, areas.HEAP, "span", "8 bytes", "rw-p", 4096, 0, None),
            Region(
                0xC000001000, 0xC000002000, areas.GOROUTINE_STACKS, "stack", "goroutine 1", "rw-p", 0, 0, None
            ),
        ],
        "unmapped": [Region(1 << 47, 1 << 64, areas.KERNEL, "", "kernel", "", None, None, None)],
        "areas": [AreaTotal(areas.HEAP, 4096, 4096, 0, 1), AreaTotal(areas.KERNEL, 1 << 47, None, None, 1)],
        "goroutines": GoroutineCounts(2, {"waiting": 1, "running": 1}, 1),
        "memstats": {"HeapSys": 4096},
        "checks": [Check("rss", 1, None, "smaps")],
        "picture": picture,
    }
    values.update(more)
    return AddressSpace(**values)


def validate(document: Any, name: str = "addrspace/1") -> None:
    jsonschema.Draft202012Validator(schema(name)).validate(document)


def test_the_contract() -> None:
    document = json.loads(dumps(addrspace_json(space())))
    validate(document)
    assert document["schema"] == "addrspace/1"
    assert document["target"] == {
        "kind": "live",
        "pid": 4242,
        "executable": "/srv/app",
        "arch": "amd64",
        "pointer_size": 8,
        "page_size": 4096,
        "go_version": "go1.26.6",
    }
    assert document["areas"][0] == {"area": "heap", "size": 4096, "resident": 4096}
    assert document["regions"][0] == {
        "start": "0xc000000000",
        "end": "0xc000001000",
        "size": 4096,
        "area": "heap",
        "kind": "span",
        "label": "8 bytes",
        "permissions": "rw-p",
        "resident": 4096,
        "swapped": 0,
        "file": None,
    }
    assert document["mappings"] == [
        {
            "start": "0xc000000000",
            "end": "0xc000002000",
            "permissions": "rw-p",
            "file": None,
            "resident": 4096,
        }
    ]
    assert document["goroutines"] == {"total": 2, "by_status": {"waiting": 1, "running": 1}}
    assert document["memstats"] == {"HeapSys": 4096}
    assert document["unmapped"][0]["end"] == "0x10000000000000000"
    assert document["checks"][0]["ok"] is None
    assert document["notes"] == ["a note"]
    assert document["problems"] == ["a problem"]


def test_what_is_not_known_is_null() -> None:
    base = space()
    document = json.loads(
        dumps(
            addrspace_json(
                space(
                    target=TARGET._replace(kind="core", pid=None, executable=None, go_version=None),
                    mappings=[use._replace(resident=None) for use in base.mappings],
                    regions=[
                        r._replace(resident=None, swapped=None, permissions="rw-?") for r in base.regions
                    ],
                    areas=[a._replace(resident=None) for a in base.areas],
                    goroutines=None,
                    memstats=None,
                )
            )
        )
    )
    validate(document)
    for value in (document["goroutines"], document["memstats"], document["target"]["pid"]):
        assert value is None
    for item in (*document["regions"], *document["mappings"], *document["areas"]):
        assert item["resident"] is None


def test_hostile_text_survives() -> None:
    """As it is, but for bytes that are no UTF-8: they are shown as escapes, or no reader would take them."""
    evil = 'a\x1b[31m"\\\n\udcff\u202e\x7f長'
    regions = [r._replace(label=evil, file=evil) for r in space().regions]
    text = dumps(addrspace_json(space(regions=regions)))
    assert text.isascii()
    assert all(line.isprintable() for line in text.split("\n"))
    document = json.loads(text)
    validate(document)
    assert document["regions"][0]["file"] == evil.replace("\udcff", "\\xff")
    text.encode("utf-8")


def test_each_region_has_a_line_of_its_own() -> None:
    document = addrspace_json(space())
    text = dumps(document)
    assert json.loads(text) == document
    assert sum(1 for line in text.split("\n") if '"permissions"' in line) == 3
    empty = addrspace_json(space(regions=[], mappings=[], unmapped=[], areas=[], checks=[]))
    validate(json.loads(dumps(empty)))
    assert json.loads(dumps(empty))["regions"] == []


def broken() -> List[Any]:
    """Ways to break the contract: a path into the document and a value that must not stand there."""
    return [
        (("schema",), "addrspace/2"),
        (("target", "kind"), "dead"),
        (("target", "pointer_size"), "8"),
        (("target", "extra"), 1),
        (("areas", 0, "area"), "stack"),
        (("areas", 0, "size"), "4 KiB"),
        (("areas", 0, "size"), None),
        (("regions", 0, "area"), "free"),
        (("regions", 0, "start"), 824633720832),
        (("regions", 0, "start"), "0x00C0"),
        (("regions", 0, "start"), "c000000000"),
        (("regions", 0, "permissions"), "rwx"),
        (("regions", 0, "permissions"), "wr-p"),
        (("regions", 0, "resident"), -1),
        (("regions", 0, "colour"), "red"),
        (("mappings", 0, "resident"), 1.5),
        (("unmapped", 0, "area"), "heap"),
        (("goroutines", "by_status", "waiting"), None),
        (("memstats", "HeapSys"), "1"),
        (("checks", 0, "ok"), "yes"),
        (("extra",), 1),
    ]


@pytest.mark.parametrize(("path", "value"), broken())
def test_the_schema_refuses(path: Any, value: Any) -> None:
    document = copy.deepcopy(addrspace_json(space()))
    at: Any = document
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        validate(document)


def test_the_schema_misses_nothing() -> None:
    full = addrspace_json(space())
    for key in ("schema", "target", "areas", "regions", "mappings", "goroutines", "memstats"):
        document = {name: value for name, value in full.items() if name != key}
        with pytest.raises(jsonschema.ValidationError):
            validate(document)
    minimal = {k: v for k, v in full.items() if k not in ("unmapped", "checks", "notes", "problems")}
    validate(minimal)
    for area in areas.MAPPED_AREAS:
        validate(addrspace_json(space(regions=[space().regions[0]._replace(area=area)])))
    for area in areas.AREAS:
        validate(addrspace_json(space(areas=[AreaTotal(area, 0, None, None, 0)])))


GOROUTINE: Dict[str, Any] = {
    "goid": 1,
    "status": "waiting",
    "wait_reason": "chan receive",
    "system": False,
    "thread": None,
    "stack": {"lo": "0xc000000000", "hi": "0xc000002000", "size": 8192, "used": 616, "resident": 4096},
    "pc": "0x401000",
    "sp": "0xc000001d98",
    "function": "runtime.gopark",
    "user_function": "main.worker",
    "file": "/src/main.go",
    "line": 27,
    "start_function": "main.main.func1",
    "created_by": {"goid": 1, "function": "main.main"},
    "frames": [
        {
            "function": "f",
            "file": "/f.go",
            "line": 1,
            "pc": "0x401000",
            "sp": "0xc000001d98",
            "frame_size": 96,
        }
    ],
}


def test_the_schema_of_goroutine_stacks() -> None:
    target = addrspace_json(space())["target"]
    document: Dict[str, Any] = {"schema": "goroutine-stacks/1", "target": target, "goroutines": [GOROUTINE]}
    validate(document, "goroutine-stacks/1")
    unknown = {
        **{k: v for k, v in GOROUTINE.items() if k != "frames"},
        **dict.fromkeys(("wait_reason", "pc", "sp", "function", "file", "line", "created_by")),
    }
    validate({**document, "goroutines": [unknown]}, "goroutine-stacks/1")
    for key, value in (("status", None), ("stack", None), ("goid", "1"), ("system", 0), ("extra", 1)):
        with pytest.raises(jsonschema.ValidationError):
            validate({**document, "goroutines": [{**GOROUTINE, key: value}]}, "goroutine-stacks/1")


@pytest.mark.parametrize("name", NAMES)
def test_the_schemas_are_schemas(name: str) -> None:
    found = schema(name)
    jsonschema.Draft202012Validator.check_schema(found)
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert found["properties"]["schema"] == {"const": name}


def test_an_unknown_schema() -> None:
    with pytest.raises(ProblemError, match="there are addrspace/1, .*goroutine-stacks/1, "):
        schema("../../x\x1b")
