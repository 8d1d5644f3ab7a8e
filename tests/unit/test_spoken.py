"""Commands in texts are such as can be typed where they are read."""

from __future__ import annotations

import pytest

from addrspace_gdb.commands import REPORTS, report
from addrspace_gdb.commands.asked_objects import Asked, no_object
from addrspace_gdb.commands.spoken import for_shell
from addrspace_gdb.shell.words import take_apart
from addrspace_gdb.views.kit.text import clean, spoken


@pytest.mark.parametrize(
    ("text", "in_shell"),
    [
        ("see `goroutine-stacks --group stack`.", "see `addrspace-gdb goroutine-stacks 42 --group stack`."),
        ("`addrspace heap` says", "`addrspace-gdb heap 42` says"),
        ("`addrspace rss --depth 4` for its owners", "`addrspace-gdb rss 42 --depth 4` for its owners"),
        ("`addrspace regions foreign resident`", "`addrspace-gdb regions 42 foreign resident`"),
        ("`addrspace profile heap` has all", "`addrspace-gdb profile heap 42` has all"),
        ("`addrspace profile rss --limit 3`", "`addrspace-gdb profile rss 42 --limit 3`"),
        ("`addrspace --check` lists all", "`addrspace-gdb dump 42 --check` lists all"),
        ("`addrspace`", "`addrspace-gdb dump 42`"),
        ("`goroutine-stacks` lists, `addrspace gc` too", None),
        ("`addrspace-gdb heap 42` says", "`addrspace-gdb heap 42` says"),
        ("`addrspace snapshot NAME` takes one", "`addrspace snapshot NAME` takes one"),
        ("`goroutine-apply all bt`, `info locals`", "`goroutine-apply all bt`, `info locals`"),
        ("addrspace heap, without quotes", "addrspace heap, without quotes"),
    ],
)
def test_what_a_shell_is_told(text: str, in_shell: str) -> None:
    speak = for_shell("42")
    assert speak is not None
    expected = in_shell or "`addrspace-gdb goroutine-stacks 42` lists, `addrspace-gdb gc 42` too"
    assert speak(text) == expected == speak(expected)
    assert clean(text) == text
    with spoken(speak):
        assert clean(text) == expected
    assert clean(text) == text
    with spoken(for_shell("")):
        assert clean(text) == text


def test_what_is_no_object_can_be_asked_about() -> None:
    speak = for_shell("42")
    assert speak is not None
    for asked in (Asked("0x10", 16), Asked("main.x", 16)):
        assert speak(str(no_object(asked))).endswith("(see `addrspace-gdb whereis 42 0x10`)")


@pytest.mark.parametrize("name", [name for name in REPORTS if name not in ("addrspace", "profile", "html")])
def test_it_is_what_the_shell_takes(name: str) -> None:
    speak = for_shell("'my core'")
    assert speak is not None
    line = speak("`goroutine-stacks`" if name == "goroutine-stacks" else f"`addrspace {name}`").strip("`")
    program, word, quoted = line.split(" ", 2)
    assert (program, word) == ("addrspace-gdb", name)
    options, own = take_apart(report(name), word, [quoted.strip("'")])
    assert (options.target, own) == ("my core", "")
