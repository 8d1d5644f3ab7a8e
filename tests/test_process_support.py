"""Children that the tests of process/ look at: small C programs, their /proc files, and their memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Iterator, List, Optional, Sequence

import pytest

from addrspace_gdb.common.problems import UnreadableError

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (cc) on PATH")


class LocalFiles:
    """ProcFiles of a process on this machine; with `local` False as a remote stub would give them."""

    def __init__(self, pid: int, local: bool = True, denied: Sequence[str] = ()) -> None:
        self.pid = pid
        self.local = local
        self.denied = denied

    def path(self, name: str) -> str:
        return f"/proc/{self.pid}/{name}"

    def read(self, name: str, offset: int = 0, size: Optional[int] = None) -> bytes:
        if name in self.denied:
            raise PermissionError(13, "Permission denied")
        with open(self.path(name), "rb", buffering=0) as file:
            file.seek(offset)
            return file.read() if size is None else file.read(size)


class Child:
    """A C program that has printed its facts and waits."""

    def __init__(self, source: str, folder: Path, core: bool = False) -> None:
        self.folder = folder
        program = folder / "program"
        (folder / "program.c").write_text(source)
        build = ["cc", "-O1", "-pthread", "-o", str(program), str(folder / "program.c")]
        subprocess.run(build, check=True, capture_output=True, timeout=60)
        command = [str(program)]
        if core:
            command = ["sh", "-c", f"ulimit -c unlimited && exec {program}"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder
        )
        self.pid = self.process.pid
        self.facts: List[List[str]] = []
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line == "ready\n":
                break
            self.facts.append(line.split())
        assert line == "ready\n"

    def fact(self, name: str) -> List[List[str]]:
        """The words after `name` of every line that begins with it."""
        return [words[1:] for words in self.facts if words and words[0] == name]

    def proc(self, local: bool = True, denied: Sequence[str] = ()) -> LocalFiles:
        return LocalFiles(self.pid, local, denied)

    def read(self, address: int, size: int) -> bytes:
        try:
            with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
                memory.seek(address)
                data = memory.read(size)
        except (OSError, OverflowError) as error:
            raise UnreadableError(address, size) from error
        if len(data) != size:
            raise UnreadableError(address, size)
        return data

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def child(source: str, core: bool = False) -> Iterator[Child]:
    """For fixtures: the program running, and gone afterwards."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler (cc) on PATH")
    folder = Path(tempfile.mkdtemp(prefix="addrspace-test-"))
    running: Optional[Child] = None
    try:
        running = Child(source, folder, core)
        yield running
    finally:
        if running is not None:
            running.close()
        shutil.rmtree(folder)


def smaps_by_line(pid: int) -> List[dict[str, int]]:
    """The oracle, read as simply as can be: per mapping start, end, Rss and Swap in bytes."""
    entries: List[dict[str, int]] = []
    for line in Path(f"/proc/{pid}/smaps").read_text(errors="surrogateescape").splitlines():
        word = line.split()[0]
        if not word.endswith(":"):
            start, end = word.split("-")
            entries.append({"start": int(start, 16), "end": int(end, 16)})
        elif word in ("Rss:", "Swap:"):
            entries[-1][word[:-1]] = int(line.split()[1]) * 1024
    return entries


def page_size() -> int:
    return os.sysconf("SC_PAGE_SIZE")
