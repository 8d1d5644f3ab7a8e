"""Numbers, text that fits, and rendering."""

from __future__ import annotations

import subprocess
import sys
from typing import Optional

import pytest

from addrspace_gdb.common import sizes
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.render import SUGGESTED_STYLES, find_style, render
from addrspace_gdb.views.kit.style import QuietStyle
from addrspace_gdb.views.kit.text import (
    Line,
    cells,
    clean,
    clip,
    clip_function,
    clip_left,
    clip_name,
    clip_words,
    wrap,
)


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (None, "?"),
        (0, "0 B"),
        (616, "616 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (8192, "8.0 KiB"),
        (1023 * 1024, "1023.0 KiB"),
        ((1 << 20) - 1, "1.0 MiB"),
        (329463398, "314.2 MiB"),
        (3 << 40, "3.0 TiB"),
        ((3 << 40) + (1 << 39), "3.5 TiB"),
        (1 << 47, "128 TiB"),
        ((1 << 64) - (1 << 48), "16 EiB"),
        (1 << 64, "16 EiB"),
        (-8192, "-8.0 KiB"),
    ],
)
def test_size(n: Optional[int], text: str) -> None:
    assert sizes.size(n) == text


def test_size_is_never_wider_than_its_column() -> None:
    for power in range(65):
        for n in ((1 << power) - 1, 1 << power, (1 << power) * 1023 // 1024, (1 << power) * 999 // 1000):
            assert len(sizes.size(n)) <= 10, n


def test_size_is_within_half_a_tenth() -> None:
    units = {unit: 1024**i for i, unit in enumerate(sizes.UNITS)}
    for n in (1, 1500, 123456, 10**7, 10**9, 7 * 10**11):
        number, unit = sizes.size(n).split()
        assert abs(float(number) * units[unit] - n) <= units[unit] / 20


@pytest.mark.parametrize(
    ("n", "pointer_size", "text"),
    [
        (0, 8, "0x000000000000"),
        (0xC000000000, 8, "0x00c000000000"),
        (0xFFFF800000000000, 8, "0xffff800000000000"),
        (1 << 64, 8, "2^64"),
        (0x8048000, 4, "0x08048000"),
        (1 << 32, 4, "2^32"),
        (1 << 32, 8, "0x000100000000"),
    ],
)
def test_address(n: int, pointer_size: int, text: str) -> None:
    assert sizes.address(n, pointer_size) == text


def test_counts_and_shares() -> None:
    assert sizes.count(1234567) == "1,234,567"
    assert sizes.count(None) == "?"
    assert sizes.plural(1, "mapping") == "1 mapping"
    assert sizes.plural(0, "entry", "entries") == "0 entries"
    assert sizes.share(1, 3) == "33.3%"
    assert sizes.share(1, 10**9) == "<0.1%"
    assert sizes.share(0, 0) == "-"
    assert sizes.share(None, 5) == "?"


def test_clean() -> None:
    assert clean("a\x1b[0m\nb") == "a\\x1b[0m\\nb"
    assert clean(clean("a\x1b")) == clean("a\x1b")
    assert clean("naïve") == "naïve"
    assert clean("naïve", unicode=False) == "na\\xefve"
    assert clean("\udcff", unicode=False).isascii()


@pytest.mark.parametrize("unicode", [True, False])
def test_cut_text_fits_and_says_so(unicode: bool) -> None:
    for text in (
        "/usr/lib/x86_64-linux-gnu/libc.so.6",
        "長い名前のファイル",
        "e\u0301" * 20,
        "a b c d e f g",
    ):
        for width in range(30):
            for cut in (clip, clip_left, clip_words):
                short = cut(text, width, unicode)
                assert cells(short) <= width
                assert short == text or not short or ("…" if unicode else "...") in short or short in text
    assert clip_left("/usr/lib/libc.so.6", 10) == "…libc.so.6"
    assert clip("abcdef", 4) == "abc…"
    assert clip_words("40 MiB returned; next", 12) == "40 MiB …"


def test_wrap() -> None:
    assert wrap("12.0 MiB free, 40 MiB returned", 17, 3) == ["12.0 MiB free,", "40 MiB returned"]
    assert wrap("one two three four", 9, 1) == ["one two …"]
    assert wrap("free 12 MiB, in use by the program", 24, 3) == ["free 12 MiB, in use by", "the program"]
    assert wrap("page summaries, heap index, span table", 34, 3) == [
        "page summaries, heap index,",
        "span table",
    ]
    assert wrap("page summaries, heap index, span table", 30, 1) == ["page summaries, heap index, …"]
    assert wrap("", 10, 3) == []
    assert wrap("anything", 10, 0) == []
    assert wrap("x" * 30, 10, 2) == ["x" * 9 + "…"]


@pytest.mark.parametrize(
    ("text", "width", "as_function", "as_name"),
    [
        ("main.work", 9, "main.work", "main.work"),
        ("main.work", 8, "…in.work", "main.wo…"),
        ("example.com/a/v2/server.(*Client).read", 22, "…server.(*Client).read", "…server.(*Client).read"),
        ("example.com/a/v2/server.(*Client).read", 12, "…lient).read", "…server.(*C…"),
        ("2 goroutines of ab.com/b-c.s", 22, "2 goroutines of …b-c.s", "2 goroutines of …b-c.s"),
        ("map[example.com/a.K]example.com/b.V", 14, "map[…a.K]…b.V", "map[…a.K]…b.V"),
        ("its stack cannot be read", 9, "its stac…", "its stac…"),
    ],
)
def test_the_path_of_a_package_gives_way_before_its_names(
    text: str, width: int, as_function: str, as_name: str
) -> None:
    assert (clip_function(text, width), clip_name(text, width)) == (as_function, as_name)
    for clip_ in (clip_function, clip_name):
        assert cells(clip_(text, width, False)) <= width and clip_(text, width, False).isascii()


def test_a_command_in_a_text_stays_in_one_line_if_it_fits() -> None:
    text = "it is much: see `addrspace-gdb rss 4242 --depth 4`, please"
    assert wrap(text, 44, 4) == ["it is much: see", "`addrspace-gdb rss 4242 --depth 4`, please"]
    assert wrap(text, 20, 9)[1:3] == ["`addrspace-gdb rss", "4242 --depth 4`,"]


def test_line_never_grows_past_its_width() -> None:
    line = Line(10).put(tokens.TEXT, "abc").skip_to(6).put(tokens.NAME, "defgh").put(tokens.TEXT, "more")
    assert render(line) == "abc   def…\n"
    assert render(Line(10).put(tokens.TEXT, "a").skip_to(50)) == "a\n"


def test_styles() -> None:
    assert find_style("quiet") is QuietStyle
    for name in SUGGESTED_STYLES:
        assert render([(tokens.NAME, "x"), tokens.NEWLINE], color=True, style=name)
    for name in ("no-such-style", "", "../etc/passwd", "__init__", "a\x1b[0m\nb", "\x00"):
        with pytest.raises(ProblemError, match="try one of quiet") as caught:
            find_style(name)
        assert str(caught.value).isprintable()


def test_our_style_uses_exact_colours_of_the_palette() -> None:
    cube = {0, 95, 135, 175, 215, 255}
    for token in (tokens.QUIET, tokens.ADDRESS, tokens.GROWTH, tokens.MARK, tokens.PROBLEM):
        color = QuietStyle.style_for_token(token)["color"] or ""
        parts = {int(color[i : i + 2], 16) for i in (0, 2, 4)}
        assert parts <= cube or (len(parts) == 1 and (parts.pop() - 8) % 10 == 0)
    assert all(QuietStyle.style_for_token(t)["bgcolor"] in (None, "") for t, _ in QuietStyle)


def test_plain_text_loads_nothing_of_pygments_but_its_tokens() -> None:
    code = (
        "import sys; from addrspace_gdb.views import diagram, classic, regions;"
        "from addrspace_gdb.views.documents import form as jsonform;"
        "from addrspace_gdb.views.kit import render, tokens;"
        "render.render([(tokens.TEXT, 'x')]);"
        "print(sorted(m for m in sys.modules if m.startswith(('pygments', 'tabulate', 'gdb'))))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "['pygments', 'pygments.token']"
