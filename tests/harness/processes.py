"""Processes that a test starts itself, and that do not outlive it."""

from __future__ import annotations

import os
import select
import subprocess
import time
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from harness.gdbrun import kill_session

# `python -c` of it is the command addrspace-gdb where signals end programs as at a terminal, also if they are
# ignored here, as in a background job of a script or under nohup.
INTERRUPTIBLE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from addrspace_gdb.shell.cli import main
sys.exit(main())
"""


class Process:
    """A started program in a session of its own. `pid` is its process id."""

    def __init__(
        self,
        command: Sequence[str],
        cwd: Optional[Path] = None,
        env: Optional[Dict[str, str]] = None,
    ) -> None:
        self.popen = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=str(cwd) if cwd else None,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
        self.pid = self.popen.pid
        self.output: Dict[str, bytes] = {"stdout": b"", "stderr": b""}

    def wait_for(self, text: str, stream: str = "stdout", timeout: float = 60) -> str:
        """What the stream has said when `text` came up in it. AssertionError if it ends or takes too long."""
        pipe = getattr(self.popen, stream)
        deadline = time.monotonic() + timeout
        while text.encode() not in self.output[stream]:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                raise AssertionError(f"no {text!r} within {timeout} s; {stream}: {self.output[stream]!r}")
            chunk = os.read(pipe.fileno(), 65536)
            if not chunk:
                raise AssertionError(f"ended without {text!r}: {self._last_words()}")
            self.output[stream] += chunk
        return self.output[stream].decode(errors="backslashreplace")

    def _last_words(self) -> str:
        status = self.popen.wait(timeout=60)
        rest = self.popen.stderr.read() if self.popen.stderr else b""
        return f"status {status}, {(self.output['stderr'] + rest)[-2000:]!r}"

    def wait_ready(self, timeout: float = 60) -> Process:
        """Returns itself once the program says "ready"."""
        self.wait_for("ready\n", timeout=timeout)
        return self

    def running(self) -> bool:
        """Whether it still runs, and not stopped: what a debugger must leave behind.

        gdbserver is told to detach and lets go a moment after gdb has ended: a stop may last that long.
        """
        began = time.monotonic()
        while self.popen.poll() is None:
            state = self.state()
            if state not in ("t", "T"):
                return state not in ("Z", "X", "")
            if time.monotonic() - began > (60 if state == "t" else 2):
                return False
            time.sleep(0.05)
        return False

    def state(self) -> str:
        """The state letter of /proc/PID/stat ("S", "t" …), empty if the process is gone."""
        try:
            text = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return ""
        return text[text.rindex(")") + 2 :][:1]

    def kill(self) -> None:
        """Kill it and what it started, and close its pipes."""
        kill_session(self.pid)
        self.popen.wait(timeout=60)
        for pipe in (self.popen.stdout, self.popen.stderr):
            if pipe:
                pipe.close()


class Processes:
    """Starts processes and kills all of them at the end."""

    def __init__(self) -> None:
        self._all: List[Process] = []

    def start(
        self,
        command: Sequence[str],
        cwd: Optional[Path] = None,
        env: Optional[Dict[str, str]] = None,
    ) -> Process:
        """A process running `command`, with `env` on top of this process's own environment."""
        process = Process(command, cwd, env)
        self._all.append(process)
        return process

    def kill_all(self) -> None:
        """Kill every process started here."""
        for process in self._all:
            process.kill()
        self._all.clear()
