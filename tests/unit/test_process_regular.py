"""Files whose names come from outside: only regular ones are opened, nobody waits, one line says why not."""

from __future__ import annotations

import ast
import os
import socket
import struct
import threading
from functools import partial
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Tuple

import pytest
from harness import CHECKOUT

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.process.core_memory import CoreMemory
from addrspace_gdb.process.corefile import Core, part_of, read_core
from addrspace_gdb.process.elf import read_image
from addrspace_gdb.process.elfsymbols import elf_symbols
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.process.regular import open_regular, read_at
from addrspace_gdb.space.moments.dump_file import read_dump

BASE = 0x7F0000000000
PACKAGE = CHECKOUT / "addrspace_gdb"


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[Dict[str, Path]]:
    """What a name can be of, other than a file."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "empty").touch()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "socket"))
    names = ("fifo", "link", "loop", "empty", "socket", "missing")
    made = {name: tmp_path / name for name in names}
    proc = Path("/proc/self/maps")
    yield {**made, "folder": tmp_path, "zero": Path("/dev/zero"), "terminal": Path("/dev/tty"), "proc": proc}
    listening.close()


def in_time(work: Callable[[], object]) -> List[object]:
    """What the function returned or raised, in a thread: one that waits would wait for ever."""
    found: List[object] = []

    def carry_out() -> None:
        try:
            found.append(work())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=carry_out, daemon=True)
    thread.start()
    thread.join(60)
    assert found, "it waits"
    return found


def test_what_is_no_file_is_one_line(odd: Dict[str, Path]) -> None:
    for name, path in odd.items():
        (error,) = in_time(partial(open_regular, str(path)))
        assert isinstance(error, ProblemError), name
        assert str(path) in str(error) and "\n" not in str(error)
    for name in ("/tmp/\0x", "/tmp/\udcff\ud800", "/" * 5000, "a" * 300):
        with pytest.raises(ProblemError):
            open_regular(name)


@pytest.mark.parametrize("reader", [read_core, read_image, read_dump, elf_symbols])
def test_every_reader_refuses_what_is_no_file(odd: Dict[str, Path], reader: Callable[[str], object]) -> None:
    for path in odd.values():
        (found,) = in_time(partial(reader, str(path)))
        assert isinstance(found, ProblemError) or found is None, path


def test_a_fifo_that_took_the_files_place_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    os.mkfifo(tmp_path / "fifo")
    real, first = os.stat, os.stat(tmp_path / "file")
    monkeypatch.setattr(os, "stat", lambda path, **more: first if "fifo" in str(path) else real(path, **more))
    (error,) = in_time(lambda: open_regular(str(tmp_path / "fifo")))
    assert isinstance(error, ProblemError) and "not a regular file" in str(error)


def test_the_name_is_shown_escaped_and_another_if_asked(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match=r"a\\nb\\xff"):
        open_regular(str(tmp_path / "a\nb\udcff"))
    with pytest.raises(ProblemError, match="^cannot read libc: No such file"):
        open_regular(str(tmp_path / "x"), "libc")


def test_offsets_that_no_file_has_read_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    with open_regular(str(path)) as file:
        assert read_at(file, 2, 4) == b"2345"
        assert read_at(file, 8, 100) == b"89"
        for offset in (10, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, -1):
            assert read_at(file, offset, 4) == b""
        assert read_at(file, 0, -1) == b""


def test_a_core_that_becomes_shorter_is_unreadable_there(tmp_path: Path) -> None:
    path = tmp_path / "core"
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = ident + struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    path.write_bytes(header + struct.pack("<2I6Q", 1, 6, 4096, BASE, 0, 4096, 4096, 0) + bytes(8192))
    mappings = [Mapping(BASE, BASE + 4096, "rw-?", None, dumped=4096)]
    core = Core(
        *(str(path), "EM_X86_64", 8, "little", mappings, [], 1, None, None, {}, None, 4096, False, 0, [])
    )
    read = CoreMemory(core).read
    assert len(read(BASE, 16)) == 16
    os.truncate(path, 200)
    with pytest.raises(UnreadableError):
        read(BASE, 16)
    path.unlink()
    with pytest.raises(UnreadableError):
        read(BASE, 16)
    with pytest.raises(ProblemError, match="cannot read"):
        CoreMemory(core)
    assert part_of(str(path), 0, 16) == b""


# Where something else than `open_regular` opens a file: the file, and why it may.
ALLOWED: Dict[Tuple[str, str], str] = {
    ("process/regular.py", "os.open"): "it is the one way",
    ("process/proc_mem.py", "os.open"): "/proc/PID/mem",
    ("process/vm_readv.py", "mmap.mmap"): "memory of our own, of no file",
    ("process/file_backed.py", "os.open"): "a file that a process has mapped, with the checks of regular.py",
    ("process/file_backed.py", "self._files.open"): "the one above",
    ("process/pagemap.py", "open"): "/proc/PID/pagemap, for the ioctl",
    ("process/local_proc.py", "open"): "/proc/PID",
    ("process/memory_cgroup.py", "open"): "the kernel's own below /sys/fs/cgroup, where there are no links",
    ("goruntime/layouts/__init__.py", "open"): "a table of the package",
    ("debugger/gdb/symbolfile.py", "open"): "the descriptor of a file of ours",
    ("debugger/gdb/batch.py", "open"): "what the shell's side gave it to answer to",
}


def test_there_is_no_other_way_to_open_a_file() -> None:
    found = set()
    for folder in ("process", "space", "goruntime", "debugger"):
        for path in sorted((PACKAGE / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and not _is_of_proc(node):
                    name = ast.unparse(node.func)
                    if name.split(".")[-1] in ("open", "fdopen", "read_bytes", "read_text", "mmap"):
                        found.add((str(path.relative_to(PACKAGE)), name))
    found -= {("process/regular.py", "os.fdopen")}
    assert found <= set(ALLOWED), found - set(ALLOWED)
    assert len(found) > 3  # the test does find them


def _is_of_proc(call: ast.Call) -> bool:
    """Whether it opens what stands there as a constant of /proc."""
    first: Optional[ast.AST] = call.args[0] if call.args else None
    if isinstance(first, ast.JoinedStr) and first.values:
        first = first.values[0]
    return isinstance(first, ast.Constant) and str(first.value).startswith("/proc/")
