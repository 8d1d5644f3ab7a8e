"""What of lldb's side needs no lldb."""

from __future__ import annotations

import importlib
import signal
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import List

import pytest

from addrspace_gdb import load_lldb
from addrspace_gdb.commands import commands
from addrspace_gdb.common.lldb_words import path_in_lldb
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.debugger.lldb import made_up
from addrspace_gdb.debugger.lldb.interrupts import interrupted_later
from addrspace_gdb.debugger.lldb.parameters import PARAMETERS, Parameters, help_text
from addrspace_gdb.debugger.lldb.words import as_typed, in_lldb
from addrspace_gdb.shell.run_lldb import version_of


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
    assert path_in_lldb(path) == word
    for wrong in ("`", "\n", "'\""):
        with pytest.raises(ProblemError):
            path_in_lldb(path + wrong)


def test_an_lldb_that_does_not_find_its_own_module(capsys: pytest.CaptureFixture[str]) -> None:
    load_lldb.__lldb_init_module(object(), None)
    said = capsys.readouterr().err
    assert said.startswith("addrspace-gdb: this lldb's Python does not find lldb's own module")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "typed", "line"),
    [
        ([], [], ""),
        (["1", "bt"], ["goroutine-apply 1 bt"], "1 bt"),
        (["1", "p", "a  b"], ["goroutine-apply  1 p 'a  b' "], "1 p 'a  b' "),
        (["1", "p", "a  b"], ["goroutine-apply 1 bt"], "1 p 'a  b'"),
        (["1", "p", "it's", ""], [], """1 p 'it'"'"'s' ''"""),
        (["function:a b", "reason:select", "bt"], ["x"], "function:'a b' reason:select bt"),
        (["1", "goroutine", "2"], ["goroutine 2", "goroutine 1 goroutine 2"], "1 goroutine 2"),
        (["2"], ["goroutine 2", "goroutine 1 goroutine 2"], "2"),
    ],
)
def test_a_line_that_lldb_took_apart(words: List[str], typed: List[str], line: str) -> None:
    assert as_typed(words, typed) == line


PCS = [0x401100, 0x402000, 0x403000]
SHOWN = made_up.Shown((1, 5), "goroutine 7", PCS, 0xC000001000, 0xC000001040, 0x401101)


def test_a_goroutine_has_one_thread_at_one_stop() -> None:
    first = next(made_up.ids_of(SHOWN))
    assert first >= made_up.FIRST and next(made_up.ids_of(SHOWN)) == first
    other = next(made_up.ids_of(SHOWN._replace(label="goroutine 8")))
    elsewhere = next(made_up.ids_of(SHOWN._replace(moment=(2, 1))))
    again, new = made_up.ids_of(SHOWN)  # the second is for lldb's having forgotten the frames of the first
    assert again == first and len({first, other, elsewhere, new}) == 4
    later = next(made_up.ids_of(SHOWN._replace(moment=(1, 6))))
    assert set(made_up.STATE.shown) >= {elsewhere, later} and first not in made_up.STATE.shown


class Untouchable:
    """Stands for whatever lldb hands over: the least that is asked of it fails."""

    def __getattribute__(self, name: str) -> object:
        raise AssertionError(f"a call of lldb's API: {name}")

    def __eq__(self, other: object) -> bool:
        raise AssertionError("a call of lldb's API: ==")

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise AssertionError("a call of lldb's API: bool")


@pytest.fixture
def no_lldb(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of that name in which there is nothing but what frame_provider.py takes its base from."""
    names = ("lldb", "lldb.plugins", "lldb.plugins.scripted_frame_provider")
    for name in names:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(sys.modules[names[-1]], "ScriptedFrameProvider", object, raising=False)
    for ours in ("frame_provider", "os_plugin"):
        monkeypatch.delitem(sys.modules, f"addrspace_gdb.debugger.lldb.{ours}", raising=False)


@pytest.mark.usefixtures("no_lldb")
def test_what_lldb_calls_makes_no_call_of_its_api() -> None:
    """Of the thread that asks and of any other: what makes one can hang lldb."""
    frames = importlib.import_module("addrspace_gdb.debugger.lldb.frame_provider").GoFrames
    plugin = importlib.import_module("addrspace_gdb.debugger.lldb.os_plugin").OperatingSystemPlugIn
    said: List[object] = []

    def ask() -> None:
        made = frames(Untouchable(), Untouchable())
        said.append(
            (frames.applies_to_thread(Untouchable()), [made.get_frame_at_index(at) for at in range(4)])
        )

    ask()
    with made_up.frames_are_asked_for(SHOWN):
        ask()
        other = threading.Thread(target=ask)
        other.start()
        other.join()
    nothing = (False, [None] * 4)
    found = [{"idx": 0, "pc": 0x401100}, {"idx": 1, "pc": 0x401FFF}, {"idx": 2, "pc": 0x402FFF}, None]
    assert said == [nothing, (True, found), nothing]
    tid = next(made_up.ids_of(SHOWN))
    one = plugin(Untouchable())
    assert one.get_thread_info() == [] and one.create_thread(tid, 0)["name"] == "goroutine 7"
    assert one.create_thread(tid + 1000, 0) == {} and one.get_register_data(tid + 1000) == b""
    assert one.get_register_data(tid) == made_up.registers(0x401100, SHOWN.sp, SHOWN.bp)
    assert one.get_register_info() == made_up.register_info() and frames.get_description()


def test_ctrl_c_waits_while_lldb_calls_python() -> None:
    """What came meanwhile ends the command after it, and no later one."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    done: List[str] = []

    @interrupted_later()
    def interrupted() -> None:
        signal.raise_signal(signal.SIGINT)
        done.append("whole")

    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        with interrupted_later():
            done.append("again")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == ["whole", "again"]


@pytest.mark.parametrize(
    ("place", "wheel", "version"),
    [
        ("llvm-19/bin/lldb", "", 19),
        ("env/bin/lldb", "lldb_for_pwndbg-23.1.0.post2.dist-info", 23),
        ("env/bin/lldb", "lldb-23.1.0.dist-info", 7),
        ("env/bin/other", "lldb_for_pwndbg-23.1.0.post2.dist-info", 7),
        ("bin/lldb", "", 7),
    ],
)
def test_the_version_of_an_lldb(place: str, wheel: str, version: int, tmp_path: Path) -> None:
    """Its place says it, else it is asked."""
    program = tmp_path / place
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho 'lldb version 7.0.1'\n")
    program.chmod(0o755)
    if wheel:
        (program.parents[1] / "lib" / "python3.11" / "site-packages" / wheel).mkdir(parents=True)
    assert version_of(str(program)) == version


def test_registers_lie_where_they_are_said_to() -> None:
    data = made_up.registers(0x401000, 0xC000001000, 0xC000001040)
    places = {one["name"]: one["offset"] for one in made_up.register_info()["registers"]}
    assert len(data) == 8 * len(places)
    for name, value in (("rip", 0x401000), ("rsp", 0xC000001000), ("rbp", 0xC000001040), ("rax", 0)):
        assert int.from_bytes(data[places[name] :][:8], "little") == value
