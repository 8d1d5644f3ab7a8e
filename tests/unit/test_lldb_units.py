"""What of lldb's side needs no lldb."""

from __future__ import annotations

import os

import pytest

from addrspace_gdb.commands import commands
from addrspace_gdb.common.lldb_words import in_lldb as quoted
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.debugger.lldb import made_up
from addrspace_gdb.debugger.lldb.parameters import PARAMETERS, Parameters, help_text
from addrspace_gdb.debugger.lldb.words import in_lldb


@pytest.mark.parametrize(
    ("gdbs", "lldbs"),
    [
        ("(see `help addrspace rss`)", "(see `addrspace rss --help`)"),
        ("(see `help addrspace`)", "(see `help addrspace`)"),
        ("(see `help goroutine-stacks`)", "(see `help goroutine-stacks`)"),
        ("Parameters: `show addrspace`.", "Parameters: `addrspace show`."),
        ("`set addrspace debug on` shows", "`addrspace set debug on` shows"),
        ("two inferiors, an inferior's number", "two targets, a target's number"),
        ("nothing of it", "nothing of it"),
    ],
)
def test_words_of_lldb(gdbs: str, lldbs: str) -> None:
    assert in_lldb(gdbs) == lldbs


def test_no_help_speaks_of_gdb() -> None:
    for command in commands():
        text = in_lldb(command.help).replace("addrspace-gdb", "")
        assert "gdb" not in text and "nferior" not in text, command.name


def test_parameters() -> None:
    parameters = Parameters()
    assert parameters.show([]) == "".join(
        f"addrspace {name}: {one.default}\n" for name, one in PARAMETERS.items()
    )
    for name, value in (("unicode", "off"), ("width", "120"), ("style", "monokai"), ("debug", "on")):
        parameters.set([name, value])
        assert parameters[name] == value and parameters.show([name]) == f"addrspace {name}: {value}\n"
    for wrong in ([], ["width"], ["width", "x"], ["width", "-1"], ["width", "1001"], ["color", "blue"]):
        with pytest.raises(ProblemError):
            parameters.set(wrong)
    for wrong in (["nothing", "1"], ["style", "no such"], ["width", "1", "2"], ["width", "\u0663"]):
        with pytest.raises(ProblemError):
            parameters.set(wrong)
    with pytest.raises(ProblemError):
        parameters.show(["nothing"])
    assert parameters["width"] == "120"
    assert all(name in help_text("set") and name in help_text("show") for name in PARAMETERS)


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/a/b.py", "/a/b.py"),
        ("/a b", "'/a b'"),
        ("/it's", '"/it\'s"'),
        ('/"', "'/\"'"),
        ("/a\\b", "'/a\\b'"),
    ],
)
def test_paths_in_commands_of_lldb(path: str, word: str) -> None:
    assert quoted(path) == word
    for wrong in ("`", "\n", "'\""):
        with pytest.raises(ProblemError):
            quoted(path + wrong)


def test_what_is_shown_goes_when_a_thread_has_run() -> None:
    pid = os.getpid()
    before = made_up.switches_of(pid)
    assert before is not None and before[0] == pid and len(before) >= 2
    assert made_up.switches_of(1 << 23) is None and made_up.switches_of(None) == ()
    shown = made_up.Shown(made_up.FIRST + 7, "goroutine 7", [1, 2], 3, 4, before)
    made_up.show(shown, None)
    assert made_up.current() is None  # of a core nothing is counted
    made_up.show(shown._replace(switches=()), None)
    assert made_up.current() is not None
    moved = (before[0], before[1] - 1, *before[2:])
    made_up.show(shown._replace(switches=moved), pid)
    assert made_up.current() is None and made_up.STATE.shown is None


def test_registers_lie_where_they_are_said_to() -> None:
    data = made_up.registers(0x401000, 0xC000001000, 0xC000001040)
    places = {one["name"]: one["offset"] for one in made_up.register_info()["registers"]}
    assert len(data) == 8 * len(places)
    for name, value in (("rip", 0x401000), ("rsp", 0xC000001000), ("rbp", 0xC000001040), ("rax", 0)):
        assert int.from_bytes(data[places[name] :][:8], "little") == value
