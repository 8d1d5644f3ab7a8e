"""A debugger as a person uses it: on a terminal of its own, with commands typed, answers read, and Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from pathlib import Path
from typing import List, Sequence, Tuple

from harness import LOADER
from harness.debuggers import Gdb
from harness.gdbrun import EARLY, SETTINGS, environment, kill_session
from harness.lldbs import LOADER as LLDB_LOADER
from harness.lldbs import Lldb

_CONTROL = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]")


class _Typed:
    """A debugger on a pseudo terminal, with this project loaded."""

    prompt = ""

    def __init__(self, arguments: List[str], size: Tuple[int, int] = (0, 0), term: str = "dumb") -> None:
        """`size`: lines and columns; `term`: what TERM says."""
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        self.raw = ""  # all that it has said, with what a terminal obeys
        self._gdb = subprocess.Popen(
            arguments,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment({"TERM": term}),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        )
        os.close(theirs)
        self._said = ""
        self.until(self.prompt)

    def until(self, text: str, timeout: float = 60) -> str:
        """What it has said since it was asked last, up to `text`. AssertionError if that does not come."""
        deadline = time.monotonic() + timeout
        while text not in self._said:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._ours], [], [], left)[0]:
                raise AssertionError(f"no {text!r} within {timeout} s: {self._said[-2000:]!r}")
            chunk = os.read(self._ours, 65536).decode("utf-8", "replace")
            self.raw += chunk
            self._said = _CONTROL.sub("", self._said + chunk).replace("\r", "")
        said, _, self._said = self._said.partition(text)
        return said

    def type(self, line: str) -> None:
        """Type a line and Return."""
        os.write(self._ours, line.encode() + b"\n")

    def ask(self, line: str) -> str:
        """What a command prints."""
        self.type(line)
        return self.until(self.prompt).partition("\n")[2]

    def interrupt(self) -> None:
        """Press Ctrl-C: the terminal sends SIGINT."""
        os.write(self._ours, b"\x03")

    def close(self) -> None:
        """End the debugger, which lets go of what it has attached to."""
        self.type("detach")
        self.type("quit")
        try:
            self._gdb.wait(timeout=60)
        except subprocess.TimeoutExpired:
            pass
        finally:
            kill_session(self._gdb.pid)
            self._gdb.wait(timeout=60)
            os.close(self._ours)


class Terminal(_Typed):
    """A gdb."""

    prompt = "(gdb) "

    def __init__(
        self,
        gdb: Gdb,
        program: Path,
        settings: Sequence[str] = SETTINGS,
        size: Tuple[int, int] = (0, 0),
        term: str = "dumb",
    ) -> None:
        arguments = [str(gdb.path), "-nx", "-q", *(a for line in EARLY for a in ("-iex", line))]
        lines: List[str] = [*settings, f"source {LOADER}"]
        arguments += [a for line in lines for a in ("-ex", line)]
        super().__init__([*arguments, str(program)], size, term)


class LldbTerminal(_Typed):
    """An lldb, on a process. It draws its prompt again and again: one waits for what it answers."""

    prompt = "(lldb) "

    def __init__(self, lldb: Lldb, pid: int) -> None:
        lines = [f"command script import {LLDB_LOADER}", f"process attach --pid {pid}"]
        if lldb.major >= 21:
            lines.insert(0, "settings set show-statusline false")
        words = [word for line in lines for word in ("-o", line)]
        super().__init__([str(lldb.path), "--no-lldbinit", "--no-use-colors", *words])
