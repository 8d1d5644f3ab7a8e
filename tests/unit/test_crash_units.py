"""The head of a core, folders of crashes, what the kernel says, and what it is told."""

from __future__ import annotations

import os
import struct
import time
from contextlib import closing
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest
from harness.corehead import made_head

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.process.core_head import ComingCore
from addrspace_gdb.process.corenotes import CoreSignal
from addrspace_gdb.process.elf_structs import PT_NOTE
from addrspace_gdb.shell.crash import installing
from addrspace_gdb.shell.crash.aside import Aside, shared
from addrspace_gdb.shell.crash.folders import Crashes, CrashFolder, folder_name
from addrspace_gdb.shell.crash.installing import Kernel, Values, Wanted
from addrspace_gdb.shell.crash.told import Told, expanded, signal_name, specifiers, told
from addrspace_gdb.views.documents.crash import Done

REST = bytes(range(256)) * 8192  # 2 MiB: more than a pipe holds


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "crashes"


def head_of(data: bytes) -> Tuple[ComingCore, List[int]]:
    """A core that comes a few bytes at a time, and how much was asked for each time."""
    asked: List[int] = []
    at = 0

    def read(size: int) -> bytes:
        nonlocal at
        asked.append(size)
        piece = data[at : at + min(size, 1000)]
        at += len(piece)
        return piece

    return ComingCore(read), asked


# The head


def test_the_head_is_read_and_nothing_else() -> None:
    data = made_head(os.getpid(), 3)
    core, _ = head_of(data + REST)
    head = core.head()
    assert bytes(core.data) == data
    assert [thread.tid - os.getpid() for thread in head.notes.threads] == [0, 1, 2]
    assert head.notes.threads[0].pc == 0x401000
    assert head.notes.signal == CoreSignal(11, 1, 0x28) and head.notes.auxv and not head.problems


def threads_of(data: bytes) -> int:
    """How many threads are found in a head; none if it is refused, in one line."""
    core, asked = head_of(data)
    try:
        return len(core.head().notes.threads)
    except ProblemError as error:
        return 0 if len(str(error).splitlines()) == 1 else -1
    finally:
        assert max(asked) <= 256 << 20


def test_a_head_that_is_cut_is_one_line_or_what_there_is() -> None:
    data = made_head(os.getpid(), 3)
    found = [threads_of(data[:size]) for size in range(0, len(data), 7)]
    assert sorted(found) == found and set(found) == {0, 1, 2}
    core, _ = head_of(data[:-10])
    assert core.head().problems


@pytest.mark.parametrize("at", range(0, 120, 8))
def test_a_damaged_head_asks_for_no_more_than_a_bound(at: int) -> None:
    data = bytearray(made_head(os.getpid()))
    data[at : at + 8] = b"\xff" * 8
    assert threads_of(bytes(data)) in (0, 1)


def test_a_core_as_gdb_writes_it_is_not_called_damaged() -> None:
    """Its threads come last: whoever has waited for them would have kept gigabytes."""
    data = bytearray(made_head(os.getpid()))
    place = data.index(struct.pack("<I", PT_NOTE), 64)
    struct.pack_into("<Q", data, place + 8, 3 << 30)
    core, asked = head_of(bytes(data) + REST)
    with pytest.raises(
        ProblemError, match=r"3\.0 GiB of memory before its threads, as debuggers .* fault FILE`"
    ):
        core.head()
    assert sum(asked) < 8192


# Folders


def make(crashes: Crashes, second: int, size: int) -> str:
    with closing(CrashFolder(crashes, folder_name("app", 7, second), 1 << 20)) as made:
        made.write("a", ["x" * size])
        return made.name


def test_the_oldest_go(folder: Path) -> None:
    crashes = Crashes(str(folder), make=True)
    names = [make(crashes, second, 1000) for second in range(5)]
    (folder / "mine").mkdir()  # not a crash
    crashes.prune(3500)
    assert crashes.names() == names[2:] and (folder / "mine").exists()
    crashes.prune(10, names[3])
    assert crashes.names() == names[3:4]
    with closing(CrashFolder(crashes, "19700101T000000Z-app-7", 10)):  # the oldest, but it is being written
        crashes.prune(0)
        assert crashes.names() == ["19700101T000000Z-app-7"]


def test_a_file_that_is_too_large_is_not_there(folder: Path) -> None:
    crashes = Crashes(str(folder), make=True)
    with closing(CrashFolder(crashes, folder_name("app", 7, 0), 100)) as made:
        made.write("a", ["x" * 60])
        with pytest.raises(ProblemError, match="too large"):
            made.write("b", ["x" * 30, "x" * 30])
        assert os.listdir(made.path) == ["a"]


def test_nothing_is_written_through_a_link(folder: Path, tmp_path: Path) -> None:
    crashes = Crashes(str(folder), make=True)
    (tmp_path / "elsewhere").write_text("as it was")
    with closing(CrashFolder(crashes, folder_name("app", 7, 0), 1000)) as made:
        Path(made.path, "a.part").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(FileExistsError):
            made.write("a", ["x"])
    assert (tmp_path / "elsewhere").read_text() == "as it was"


@pytest.mark.parametrize("name", ["../../x", "a b", "\x1b[31m", "\udcff", "", "." * 200])
def test_names_are_escaped(folder: Path, name: str) -> None:
    made = make_named(folder, name)
    assert made.parent == folder and all(c.isalnum() or c in "%-_.+" for c in made.name)
    assert Crashes(str(folder)).names() == [made.name]


def make_named(folder: Path, name: str) -> Path:
    crashes = Crashes(str(folder), make=True)
    with closing(CrashFolder(crashes, folder_name(name, 7, 0), 100)) as made:
        return Path(made.path)


# Aside


def test_two_processes_share_the_work() -> None:
    """What one has begun the other does not; what a child was ended in is not done."""
    items = list("abcdef")
    waiting = shared(items)
    other = Aside(lambda: (Done(name, [], 0, 0.0, None) for name in waiting), 10)
    mine = list(waiting)
    other.wait()
    assert sorted(mine + [done.report for done in other.end()]) == items

    def never() -> Iterator[Done]:
        time.sleep(60)
        yield Done("a", [], 0, 0.0, None)

    slow = Aside(never, 0.1)
    slow.wait()
    assert slow.end() == []


# What the kernel says


def test_what_the_kernel_says_is_taken_apart() -> None:
    assert told(["12", "13", "11", "u1000", "ea b"]) == Told(
        12, 13, 11, {"P": "12", "i": "13", "s": "11", "u": "1000", "e": "a b"}
    )
    assert told(["12"]) == Told(12, None, None, {"P": "12"})
    for wrong in ([], ["x"], ["0"], ["-1"], ["1" * 30]):
        with pytest.raises(ProblemError):
            told(wrong)
    assert (signal_name(11), signal_name(99), signal_name(None)) == (
        "SIGSEGV",
        "signal 99",
        "an unknown signal",
    )


def test_a_pattern_is_expanded_as_the_kernel_does() -> None:
    pattern = "|/usr/share/apport -p%p  -s%s %% %x -- %E %"
    assert specifiers(pattern) == ["p", "s", "x", "E"]
    values = {"p": "5", "s": "11", "E": "a b"}
    assert expanded(pattern, values) == ["/usr/share/apport", "-p5", "-s11", "%", "", "--", "a b", ""]


# Setting up


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    place = tmp_path / "kernel"
    place.mkdir()
    (place / "core_pattern").write_text("|/lib/systemd-coredump %P %u %g %s %t 9223372036854775808 %h\n")
    (place / "core_pipe_limit").write_text("0\n")
    return Kernel(str(place))


def test_what_was_set_comes_back(kernel: Kernel, folder: Path) -> None:
    before = kernel.values()
    wanted = Wanted(str(folder), ["--folder", str(folder), "--forward"], True)
    for _ in range(2):  # the second time what was there first is still known
        found = installing.plan(wanted, kernel)
        installing.install(found, wanted, kernel)
        assert kernel.values() == found.values and found.before == before
    assert installing.is_ours(str(folder), kernel)
    words = found.values.core_pattern[1:].split()
    assert words[-7:] == ["%P", "%i", "%s", "u%u", "g%g", "t%t", "h%h"]
    assert len(found.values.core_pattern) < 128 and found.values.core_pipe_limit > 0
    assert installing.earlier(str(folder)) == before.core_pattern
    assert installing.uninstall(str(folder), kernel, False) == before and kernel.values() == found.values
    assert installing.uninstall(str(folder), kernel, True) == before == kernel.values()
    assert not list(folder.iterdir())
    with pytest.raises(ProblemError, match="nothing was installed"):
        installing.uninstall(str(folder), kernel, True)


def test_somebody_elses_pattern_is_left_alone(kernel: Kernel, folder: Path) -> None:
    wanted = Wanted(str(folder), [], False)
    installing.install(installing.plan(wanted, kernel), wanted, kernel)
    kernel.set(Values("core.%p", 3))
    with pytest.raises(ProblemError, match="not ours any more"):
        installing.uninstall(str(folder), kernel, True)
    assert kernel.values() == Values("core.%p", 3)
    assert installing.plan(wanted, kernel).values.core_pipe_limit == 3  # what is more than none stays
    with pytest.raises(ProblemError, match="no handler to hand cores on to"):
        installing.plan(Wanted(str(folder), [], True), kernel)


def test_a_damaged_state_is_one_line(kernel: Kernel, folder: Path) -> None:
    Crashes(str(folder), make=True)
    for text in ("", "[]", '{"core_pattern": 5, "core_pipe_limit": 0, "ours": "x"}', "\0"):
        (folder / "before.json").write_text(text)
        with pytest.raises(ProblemError, match="damaged"):
            installing.earlier(str(folder))
