"""gdb under other faces: DAP, as editors speak it, MI, and its text user interface."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from typing import Any, Dict, Iterator, Optional

import pytest
from harness import LOADER
from harness.build import Builder
from harness.debuggers import Gdb
from harness.gdbrun import EARLY, environment, kill_session
from harness.processes import Process, Processes
from harness.scenes import start
from harness.terminal import Terminal
from harness.toolchains import Toolchain

EACH_ONCE = True  # not every combination: tests/conftest.py
EVERY_GDB = True
EARLIER = [word for line in (*EARLY, f"source {LOADER}") for word in ("-iex", line)]


@pytest.fixture
def running(processes: Processes, build_program: Builder, newest_go: Toolchain, oracle_file: Path) -> Process:
    return start(processes, build_program("shapes", newest_go), oracle_file, "quiet")


class Dap:
    """A gdb that speaks DAP on its standard streams."""

    def __init__(self, gdb: Gdb) -> None:
        self._gdb = subprocess.Popen(
            [str(gdb.path), "-nx", "-q", *EARLIER, "-i=dap"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(None),
            start_new_session=True,
        )
        self._sent = 0
        self._end = threading.Timer(60, kill_session, [self._gdb.pid])  # nobody waits for ever
        self._end.start()

    def ask(self, command: str, wait: bool = True, **arguments: Any) -> Optional[Dict[str, Any]]:
        """The response to a request, or None if nobody waits for it."""
        self._sent += 1
        request = {"seq": self._sent, "type": "request", "command": command, "arguments": arguments}
        data = json.dumps(request).encode()
        assert self._gdb.stdin is not None
        self._gdb.stdin.write(b"Content-Length: %d\r\n\r\n" % len(data) + data)
        self._gdb.stdin.flush()
        return next(m for m in self._messages() if m.get("request_seq") == self._sent) if wait else None

    def _messages(self) -> Iterator[Dict[str, Any]]:
        stdout = self._gdb.stdout
        assert stdout is not None
        while True:
            length = int(stdout.readline().split(b":")[1])
            assert stdout.readline() == b"\r\n"
            yield json.loads(stdout.read(length))

    def close(self) -> None:
        """End gdb, which lets the process go."""
        self.ask("disconnect")
        self._end.cancel()
        kill_session(self._gdb.pid)
        self._gdb.wait(timeout=60)
        for stream in (self._gdb.stdin, self._gdb.stdout):
            if stream is not None:
                stream.close()


def test_in_an_editor(gdb_exe: Gdb, running: Process) -> None:
    """What is typed into the debug console is answered there, as plain text."""
    if int(gdb_exe.version.split(".")[0]) < 14:
        pytest.skip("gdb speaks DAP since 14")
    dap = Dap(gdb_exe)
    try:
        dap.ask("initialize", adapterID="gdb")
        dap.ask("attach", wait=False, pid=running.pid)
        dap.ask("configurationDone")
        for line, expected in (("addrspace arenas", "Arena"), ("goroutine-stacks 1", "goroutine 1 [")):
            answer = dap.ask("evaluate", expression=line, context="repl")
            assert answer is not None and answer["success"], answer
            assert expected in answer["body"]["result"] and "\x1b" not in answer["body"]["result"]
        answer = dap.ask("evaluate", expression="addrspace regions nosuch", context="repl")
        assert answer is not None and not answer["success"]
        assert "no region matches" in answer["message"] or "no region" in json.dumps(answer)
    finally:
        dap.close()
    assert running.running()


def test_by_mi(gdb_exe: Gdb, running: Process) -> None:
    lines = [f"-target-attach {running.pid}"]
    lines += [f'-interpreter-exec console "{one}"' for one in ("addrspace arenas", "goroutine 1", "bt 1")]
    lines += ['-interpreter-exec console "addrspace regions nosuch"', "-target-detach", "-gdb-exit"]
    done = subprocess.run(
        [str(gdb_exe.path), "-nx", "-q", *EARLIER, "-i=mi"],
        input="\n".join(lines) + "\n",
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
        env=environment(None),
        start_new_session=True,
    )
    text = [line for line in done.stdout.splitlines() if line.startswith("~")]
    assert any("Arena" in line for line in text) and any("Switching to goroutine 1" in line for line in text)
    assert '^error,msg="addrspace: no region matches' in done.stdout and 'param="width"' not in done.stdout


def test_in_the_text_user_interface(
    gdb_exe: Gdb, running: Process, build_program: Builder, newest_go: Toolchain
) -> None:
    binary = build_program("shapes", newest_go)
    terminal = Terminal(gdb_exe, binary.path, ("set confirm off", "set pagination off"), (40, 90), "xterm")
    try:
        terminal.ask(f"attach {running.pid}")
        terminal.type("tui enable")
        terminal.until("(gdb) ")
        terminal.type("addrspace arenas")
        assert "Arena" in terminal.until("resident")
        terminal.type("tui disable")
        terminal.until("(gdb) ")
    finally:
        terminal.close()
    assert running.running()
