"""A headless Firefox, driven by its own Marionette protocol, for which it takes no driver: a connection to a
port that it writes into its profile, and messages of JSON with their length before them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, Optional

from harness.browser import SIDE

MISSING = "Firefox is not installed (Debian: firefox-esr)"
_PREFERENCES: Dict[str, object] = {
    "marionette.port": 0,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
    "app.update.disabledForTesting": True,
    "browser.startup.page": 0,
    "messaging-system.rsexperimentloader.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "devtools.console.stdout.content": True,
}


def program() -> Optional[str]:
    """The Firefox to test in; None if there is none."""
    return shutil.which("firefox-esr") or shutil.which("firefox")


class Firefox:
    """One window."""

    def __init__(self, folder: Path) -> None:
        """`folder`: for its profile. TimeoutError if it does not start."""
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(one)});\n" for name, one in _PREFERENCES.items()]
        (folder / "user.js").write_text("".join(lines), encoding="utf-8")
        self._said = folder / "said.txt"
        with open(self._said, "wb") as said:
            self._process = subprocess.Popen(
                [str(program()), "--headless", "--marionette", "--no-remote", "--profile", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env={**os.environ, "HOME": str(folder), "MOZ_CRASHREPORTER_DISABLE": "1"},
            )
        self._number = 0
        try:
            self._socket = self._connected(folder / "MarionetteActivePort")
            self._receive()  # it says what it is
            self._call("WebDriver:NewSession", {"capabilities": {"alwaysMatch": {}}})
        except BaseException:
            self._end()
            raise

    def _connected(self, port: Path, seconds: float = 90) -> socket.socket:
        until = time.monotonic() + seconds
        while time.monotonic() < until and self._process.poll() is None:
            try:
                return socket.create_connection(("127.0.0.1", int(port.read_text())), 60)
            except (OSError, ValueError):
                time.sleep(0.1)
        raise TimeoutError(self._said.read_text(errors="replace")[-2000:])

    def _receive(self) -> Any:
        length = b""
        while not length.endswith(b":"):
            length += self._some(1)
        return json.loads(self._some(int(length[:-1])))

    def _some(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._socket.recv(size - len(data))
            if not more:
                raise ConnectionError("Firefox ended")
            data += more
        return data

    def _call(self, command: str, parameters: Dict[str, Any]) -> Any:
        self._number += 1
        text = json.dumps([0, self._number, command, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(text), text))
        _, _, error, result = self._receive()
        assert error is None, error
        return result

    def close(self) -> None:
        """End it."""
        try:
            self._call("Marionette:Quit", {"flags": ["eForceQuit"]})
            self._process.wait(30)
        except (OSError, AssertionError, subprocess.TimeoutExpired):
            pass
        self._end()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait(30)

    def open(self, page: Path, hash_: str = "", seconds: float = 60) -> None:
        """Open a file and wait until it says that it is ready."""
        self._call("WebDriver:Navigate", {"url": "about:blank"})
        self._call("WebDriver:Navigate", {"url": page.as_uri() + hash_})
        until = time.monotonic() + seconds
        while self.run("return document.documentElement.dataset.ready") != "yes":
            assert time.monotonic() < until, self.text("#said")
            time.sleep(0.05)

    def run(self, script: str, *arguments: object) -> Any:
        """What a script returns, which sees the page's own variables."""
        parameters = {"script": script, "args": list(arguments), "sandbox": None}
        return self._call("WebDriver:ExecuteScript", parameters)["value"]

    def ask(self, name: str, *arguments: object) -> Any:
        """What a function of page_side.js returns."""
        return self.run(f"{SIDE}; return side.{name}(...arguments)", *arguments)

    def text(self, selector: str) -> str:
        """All the text of an element."""
        return str(self.run("return document.querySelector(arguments[0])?.textContent ?? ''", selector))

    @property
    def errors(self) -> str:
        """What pages wrote to the console, their errors too."""
        lines = self._said.read_text(errors="replace").splitlines()
        of_pages = ('console.error: "', 'console.warn: "', "JavaScript error: file:")
        return "\n".join(line for line in lines if line.startswith(of_pages))

    def screenshot(self) -> str:
        """The window as a PNG in base64."""
        return str(self._call("WebDriver:TakeScreenshot", {"full": False, "hash": False})["value"])
