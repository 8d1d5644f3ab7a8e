"""Views as SVG: well-formed whatever the names are, with every text at its column, and in any style."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import List

import pytest

from addrspace_gdb.commands import MODULES, loaded
from addrspace_gdb.commands.command import Look, Pictured, drawn
from addrspace_gdb.commands.values import to_file
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.svg import COLUMN, LINE, MARGIN, svg
from addrspace_gdb.views.kit.tokens import NEWLINE, Pair

_NS = "{http://www.w3.org/2000/svg}"


def picture(pairs: List[Pair], style: str = "quiet") -> ET.Element:
    """The picture's root element."""
    return ET.fromstring("".join(svg(pairs, "a <title>", style)))


def texts(root: ET.Element) -> List[str]:
    """What can be read in it, in order."""
    return [one.text or "" for one in root.iter(f"{_NS}text")]


def test_every_text_stands_at_its_column() -> None:
    line = [(tokens.BOX, "│  "), (tokens.NAME, "Go Heap"), (tokens.TEXT, "   世界 2 MiB"), NEWLINE]
    root = picture([*line, (tokens.TEXT, "\n"), (tokens.SIZE, "  12"), NEWLINE])
    found = [(one.text, float(one.get("x", "")), float(one.get("y", ""))) for one in root.iter(f"{_NS}text")]
    first = found[0][2]
    assert [(text, round((x - MARGIN) / COLUMN), y - first) for text, x, y in found] == [
        ("Go Heap", 3, 0),
        ("世界 2 MiB", 13, 0),
        ("12", 2, 2 * LINE),
    ]
    widths = [float(one.get("textLength", "")) for one in root.iter(f"{_NS}text")]
    assert widths == pytest.approx([7 * COLUMN, 10 * COLUMN, 2 * COLUMN], abs=0.1)
    assert float(root.get("width", "")) == pytest.approx(23 * COLUMN + 2 * MARGIN, abs=1)
    assert float(root.get("height", "")) == 3 * LINE + 2 * MARGIN


def test_lines_of_boxes_meet() -> None:
    root = picture([(tokens.BOX, "┌──┐\n│  │\n└──┘\n"), (tokens.ADDRESS, "██░░")])
    paths = [one.get("d", "") for one in root.iter(f"{_NS}path")]
    left, middle, top = MARGIN + COLUMN / 2, MARGIN + LINE / 2, MARGIN
    assert (
        paths[0] == f"M{left:.1f} {middle:.1f}H{MARGIN + COLUMN:.1f}M{left:.1f} {middle:.1f}V{top + LINE:.1f}"
    )
    assert paths[1] == f"M{MARGIN + COLUMN:.1f} {middle:.1f}H{MARGIN + 3 * COLUMN:.1f}"
    assert paths[3] == f"M{left:.1f} {top + LINE:.1f}V{top + 2 * LINE:.1f}"
    shades = [one for one in root.iter(f"{_NS}rect") if one.get("fill-opacity")]
    assert [(one.get("width"), one.get("fill-opacity")) for one in shades] == [("16.8", "1"), ("16.8", ".22")]
    assert texts(root) == []


@pytest.mark.parametrize(
    "name",
    [
        "</text><script>alert(1)</script>",
        "&amp;\"'",
        "a\x00b\x1b[31m\x7f",
        "\ud800\udcff",
        "\ufffe",
        "a\u202eb",
    ],
)
def test_names_of_the_target_are_text(name: str) -> None:
    root = picture([(tokens.NAME, name), NEWLINE])
    assert not list(root.iter(f"{_NS}script"))
    (text,) = texts(root)
    assert text.isprintable()
    assert text == name or "\\" in text


@pytest.mark.parametrize("style", ["quiet", "default", "monokai", "bw"])
def test_any_style_colours_it(style: str) -> None:
    root = picture([(tokens.ADDRESS, "0x1"), (tokens.TEXT, " and "), (tokens.MARK, "pc")], style)
    css = root.findtext(f"{_NS}style", "")
    assert ("prefers-color-scheme" in css) == (style == "quiet")
    for one in root.iter(f"{_NS}text"):
        assert one.get("class") is None or f".{one.get('class')}{{" in css
    assert "url(" not in css and "@import" not in css


def test_there_is_no_such_style() -> None:
    with pytest.raises(ProblemError):
        picture([(tokens.TEXT, "x")], "no such style")


def test_nothing_to_draw() -> None:
    assert texts(picture([])) == []


def test_what_is_text_can_be_a_picture() -> None:
    """But for a profile, whose table is not what it is made for."""
    for module in MODULES:
        command = loaded(module)
        forms = command.parser().values_of("--format")
        assert ("svg" in forms) == (module not in ("profile", "html"))
        if "svg" in forms:
            assert isinstance(command.form("svg"), Pictured)
            assert command.form("text") is command.forms["text"]


def test_a_picture_is_of_a_screen_also_in_a_file() -> None:
    seen: List[Look] = []

    def draw(_answer: object, look: Look) -> List[Pair]:
        seen.append(look)
        return [(tokens.TEXT, "x")]

    command = loaded("rss")._replace(forms={"text": drawn(draw)})
    "".join(command.form("svg")(None, Look(100, file=True)))
    assert seen[0].width == 100
    lines = {form: command.arguments(f"--format {form} -o x") for form in ("text", "json", "svg")}
    assert {form: to_file(line) for form, line in lines.items()} == {"text": True, "json": True, "svg": False}


def test_the_classic_picture_too() -> None:
    command = loaded("addrspace")
    assert command.arguments("--classic").format == "classic"
    assert command.arguments("--classic --format svg").format == "svg"
