"""The page's data and its parts, without a browser: what is packed comes out again, and nothing is markup."""

from __future__ import annotations

import base64
import json
import random
import re
import zlib
from array import array
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import pytest

from addrspace_gdb.space.goroutines.stack_keys import StackKey
from addrspace_gdb.space.moments.snapshot import GoroutineTable, Regions, Snapshot
from addrspace_gdb.space.regions.model import TargetInfo
from addrspace_gdb.space.regions.region import Region
from addrspace_gdb.views.web.heap import types_part
from addrspace_gdb.views.web.moment import Moment, moment_of_dump
from addrspace_gdb.views.web.pack import Packed, packed_size
from addrspace_gdb.views.web.page import HERE, MODULES, as_data, bundle, page

TARGET = TargetInfo("live", 7, "/srv/app", None, "amd64", 8, 4096, "go1.26.6")


def unpacked(packed: Packed, name: str) -> List[int]:
    """A column as data.js reads it."""
    blob, place = zlib.decompress(base64.b64decode(packed.blob())), packed.columns[name]
    at, rows, width = place["at"], place["rows"], place["width"]
    if not width:
        return list(blob[at : at + rows])
    planes = [blob[at + plane * rows : at + (plane + 1) * rows] for plane in range(width)]
    found = [int.from_bytes(bytes(digits), "little") for digits in zip(*planes)]
    if place["delta"]:
        for row in range(1, rows):
            found[row] += found[row - 1]
    return found


def test_columns_come_out_as_they_went_in() -> None:
    rng = random.Random(3)
    addresses = sorted(rng.randrange(1 << 47) & ~4095 for _ in range(500))
    columns: Dict[str, Tuple[List[int], bool]] = {
        "addresses": ([*addresses, 0xFFFFFFFFFF600000], True),
        "small": ([rng.randrange(256) for _ in range(300)], False),
        "sizes": ([rng.randrange(1 << rng.randrange(1, 64)) for _ in range(300)], False),
        "none": ([], True),
        "zeros": ([0] * 9, False),
    }
    packed = Packed()
    for name, (values, delta) in columns.items():
        packed.add(name, values, delta)
    packed.add_bytes("bytes", bytes(range(256)))
    assert {name: unpacked(packed, name) for name in columns} == {n: v for n, (v, _) in columns.items()}
    assert unpacked(packed, "bytes") == list(range(256))
    assert (packed.columns["small"]["width"], packed.columns["zeros"]["width"]) == (1, 1)


def test_the_size_is_guessed_from_a_part() -> None:
    noise = random.Random(5).randbytes(3 << 20)
    assert packed_size(noise) == pytest.approx(len(noise) * 4 / 3, rel=0.05)
    assert packed_size(bytes(3 << 20)) < 1 << 18
    assert packed_size(b"") == 0


@pytest.mark.parametrize("text", ["</script>", "<!--<script>", "]]>", "\u2028\ud800", "<" * 9, '"\\u003c'])
def test_json_in_the_page_has_no_beginning_of_a_tag(text: str) -> None:
    written = as_data(json.dumps({text: [text]}))
    assert "<" not in written
    assert json.loads(written) == {text: [text]}


class _Elements(HTMLParser):
    """The elements of a page, with the text of scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.found: List[Tuple[str, Dict[str, Optional[str]], str]] = []

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        self.found.append((tag, dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self.found.append((f"/{tag}", {}, ""))

    def handle_data(self, data: str) -> None:
        if self.found:
            tag, attributes, text = self.found[-1]
            self.found[-1] = (tag, attributes, text + data)


def elements(name: str) -> List[Tuple[str, Dict[str, Optional[str]], str]]:
    """Those of a page whose target has that name."""
    reader = _Elements()
    reader.feed("".join(page([moment(name)], name)))
    return reader.found


def moment(name: str) -> Moment:
    """A moment of a dump with one region of that name."""
    regions = Regions([Region(0x400000, 0x402000, "code", name, name, "r-xp", 4096, 0, f"/{name}")])
    return moment_of_dump(Snapshot(name, None, TARGET, None, regions, None, None, None, notes=[name]))


def test_the_policy_is_of_the_one_script_and_the_one_style() -> None:
    found = elements("</script><script>alert(1)</script>")
    run = [text for tag, attributes, text in found if tag == "script" and attributes["type"] == "module"]
    styles = [text for tag, _, text in found if tag == "style"]
    (policy,) = [
        attributes["content"] or "" for _, attributes, _ in found if attributes.get("http-equiv") is not None
    ]
    assert len(run) == len(styles) == 1
    for directive, text in (("script-src", run[0]), ("style-src", styles[0])):
        digest = base64.b64encode(sha256(text.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none';")
    assert sum(tag == "script" for tag, _, _ in found) == 3
    assert not [tag for tag, attributes, _ in found if {"src", "href", "onload", "style"} & set(attributes)]


def test_nothing_but_lines_controls_a_terminal() -> None:
    """Of the file itself, which somebody may print."""
    name = "a\x1b[2J\n\u202eb\udcff"
    text = "".join(page([moment(name)], name))
    assert {one for one in text if not one.isprintable()} == {"\n"}
    assert "<title>a\\x1b[2J\\n\\u202eb\\xff</title>" in text


def test_modules_can_be_put_together() -> None:
    """Every module is in the page, and no two have one name for two things."""
    assert {path.stem for path in Path(HERE).glob("*.js")} == set(MODULES)
    text = bundle()
    assert not re.search(r"^(import|export) ", text, re.MULTILINE)
    names = re.findall(r"^(?:async )?(?:const|let|function|class) (\w+)", text, re.MULTILINE)
    assert len(names) > 50
    assert sorted(names) == sorted(set(names))


def test_modules_make_no_markup_of_text() -> None:
    for name in MODULES:
        text = (Path(HERE) / f"{name}.js").read_text(encoding="utf-8")
        for way in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
        ):
            assert way not in text, (name, way)


def test_a_dump_becomes_a_moment() -> None:
    made = moment("libc.so")
    assert unpacked(made.packed, "region.start") == [0x400000]
    assert unpacked(made.packed, "region.resident") == [4097]
    assert made.document["areas"] == [{"area": "code", "size": 8192, "resident": 4096}]
    unknown = Regions([Region(0, 4096, "code", "", "", "r-xp", None, None, None)])
    made = moment_of_dump(Snapshot("a", 0.0, TARGET, None, unknown, None, None, None))
    assert unpacked(made.packed, "region.resident") == [0]
    assert made.document["areas"][0]["resident"] is None
    assert made.document["taken"] == "1970-01-01 00:00:00Z"


def test_goroutines_of_a_dump_are_summed_by_stack() -> None:
    stacks = [StackKey(b"1", "main.a", "a.go:1", ("main.b b c.go:2", "main.a a.go:1"), False)]
    table = GoroutineTable(
        array("Q", [1, 2]), array("Q", [0, 0]), array("Q", [2048, 8192]), array("I", [0, 0]), stacks
    )
    made = moment_of_dump(Snapshot("a", None, TARGET, None, Regions(), table, None, None))
    told = made.document["goroutine_stacks"]
    assert told["texts"] == ["main.a\ta.go:1", "main.b b\tc.go:2"]
    assert [(one["count"], one["size"], one["frames"]) for one in told["stacks"]] == [(2, 10240, [0, 1])]


def test_types_of_spans_are_numbered_by_what_they_fill() -> None:
    columns = {"start": array("Q", [0x8000, 0x2000, 0x6000, 0x4000]), "pages": array("Q", [1, 1, 4, 2])}
    packed = Packed()
    types = {0x2000: "main.A", 0x4000: "main.B", 0x6000: None}
    assert types_part(columns, types, packed) == [None, "main.B", "main.A"]
    assert unpacked(packed, "span.type") == [3, 2, 1, 0]
