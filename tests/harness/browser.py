"""A headless Chromium, driven by its chromedriver: pages are opened, looked at, and used as a person would.

Both are Debian's packages: chromium and chromium-driver.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

MISSING = "chromium and chromedriver are not installed (Debian: chromium, chromium-driver)"
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # as the W3C's WebDriver calls a reference to one
_KEYS = {"Escape": "\ue00c", "Enter": "\ue007", "Tab": "\ue004", "ArrowLeft": "\ue012", "ArrowUp": "\ue013"}
SIDE = (Path(__file__).parent / "page_side.js").read_text(encoding="utf-8")
KEYS = {**_KEYS, "ArrowRight": "\ue014", "ArrowDown": "\ue015"}


def is_there() -> bool:
    """Whether there is a browser to test in."""
    return bool(shutil.which("chromium") and shutil.which("chromedriver"))


class Browser:
    """One window. `log` and `requests` say what the page wrote to the console and asked for."""

    def __init__(self, folder: Path, width: int = 1280, height: int = 720) -> None:
        self._folder = folder
        self._driver = subprocess.Popen(
            [str(shutil.which("chromedriver")), "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._base = f"http://127.0.0.1:{self._port()}"
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        arguments += [f"--window-size={width},{height}", f"--user-data-dir={folder}", "--hide-scrollbars"]
        capabilities = {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments, "binary": shutil.which("chromium")},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self._session = f"/session/{made['sessionId']}"

    def _port(self) -> int:
        assert self._driver.stdout is not None
        for line in self._driver.stdout:
            if "started successfully on port" in line:
                return int(line.split("port")[1].strip(" .\n"))
        raise AssertionError("chromedriver did not start")

    def _call(self, method: str, path: str, body: Optional[Dict[str, Any]] = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, data, {"Content-Type": "application/json"})
        request.method = method
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode(errors="replace")[:2000]) from None

    def close(self) -> None:
        """End the browser and its driver."""
        try:
            self._call("DELETE", self._session)
        finally:
            self._driver.terminate()
            self._driver.wait(20)

    def open(self, page: Path, hash_: str = "", seconds: float = 30) -> float:
        """Open a file and wait until it says that it is ready; how many seconds that took."""
        self._call("POST", f"{self._session}/url", {"url": "about:blank"})
        self.log()
        began = time.monotonic()
        self._call("POST", f"{self._session}/url", {"url": page.as_uri() + hash_})
        while self.run("return document.documentElement.dataset.ready") != "yes":
            assert time.monotonic() - began < seconds, (self.log(), self.text("#said"))
            time.sleep(0.02)
        return time.monotonic() - began

    def run(self, script: str, *arguments: object) -> Any:
        """What a script returns."""
        body = {"script": script, "args": list(arguments)}
        return self._call("POST", f"{self._session}/execute/sync", body)

    def ask(self, name: str, *arguments: object) -> Any:
        """What a function of page_side.js returns."""
        return self.run(f"{SIDE}; return side.{name}(...arguments)", *arguments)

    def text(self, selector: str) -> str:
        """All the text of an element."""
        return str(self.run("return document.querySelector(arguments[0])?.textContent ?? ''", selector))

    def click(self, selector: str) -> None:
        """Press an element, which must be seen."""
        found = self._call("POST", f"{self._session}/element", {"using": "css selector", "value": selector})
        self._call("POST", f"{self._session}/element/{found[_ELEMENT]}/click", {})

    def press(self, *keys: str) -> None:
        """Keys by their names, or text, typed where the focus is."""
        actions = []
        for key in keys:
            for one in [KEYS[key]] if key in KEYS else key:
                actions += [{"type": "keyDown", "value": one}, {"type": "keyUp", "value": one}]
        self._actions([{"type": "key", "id": "keys", "actions": actions}])

    def point(
        self, x: float, y: float, click: bool = False, drag_to: Optional[Sequence[float]] = None
    ) -> None:
        """Move the mouse to a point of the window; press it there; drag it."""
        actions: List[Dict[str, Any]] = [_move(x, y)]
        if click or drag_to:
            actions.append({"type": "pointerDown", "button": 0})
            if drag_to:
                actions += [_move((x + drag_to[0]) / 2, (y + drag_to[1]) / 2), _move(*drag_to)]
            actions.append({"type": "pointerUp", "button": 0})
        self._actions([{"type": "pointer", "id": "mouse", "actions": actions}])

    def _actions(self, actions: List[Dict[str, Any]]) -> None:
        self._call("POST", f"{self._session}/actions", {"actions": actions})

    def log(self) -> List[str]:
        """What was written to the console since it was last asked, errors of the page's policy too."""
        return [one["message"] for one in self._call("POST", f"{self._session}/se/log", {"type": "browser"})]

    def requests(self) -> List[str]:
        """The addresses of everything that was asked for since it was last asked."""
        found = []
        for one in self._call("POST", f"{self._session}/se/log", {"type": "performance"}):
            message = json.loads(one["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.append(message["params"]["request"]["url"])
        # Its start page, and the empty one in between, are not the page's.
        return [url for url in found if not url.startswith(("chrome:", "about:", "data:image/gif"))]

    def devtools(self, command: str, **parameters: object) -> Any:
        """A command of the browser's own protocol."""
        body = {"cmd": command, "params": parameters}
        return self._call("POST", f"{self._session}/goog/cdp/execute", body)

    def tab_bytes(self) -> int:
        """Resident bytes of the largest process that shows pages."""
        most = 0
        for folder in Path("/proc").iterdir():
            try:
                if folder.name.isdecimal() and self._marks_us(folder / "cmdline"):
                    pages = int((folder / "statm").read_text().split()[1])
                    most = max(most, pages * os.sysconf("SC_PAGE_SIZE"))
            except OSError:
                continue
        return most

    def _marks_us(self, command: Path) -> bool:
        text = command.read_bytes()
        return b"--type=renderer" in text and os.fsencode(self._folder) in text

    def screenshot(self, path: Path) -> None:
        """The window as a picture."""
        path.write_bytes(base64.b64decode(self._call("GET", f"{self._session}/screenshot")))

    def resize(self, width: int, height: int) -> None:
        """The page's own size."""
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def theme(self, name: str) -> None:
        """What the page is told that its reader prefers: light or dark."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.devtools("Emulation.setEmulatedMedia", features=features)


def _move(x: float, y: float) -> Dict[str, Any]:
    return {"type": "pointerMove", "duration": 0, "x": round(x), "y": round(y), "origin": "viewport"}
